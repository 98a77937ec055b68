//! Who acts: the owner's session, in which two tenants are founded, the app's login is taken on, contexts are opened, and
//! everything is rolled back.
//!
//! Invariant: nothing here commits.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use super::facts::Target;
use super::{Attack, Options, Sides};
use crate::context::{Context, Ticket, TicketKey};
use crate::error::{Error, Result};
use crate::ids::{TenantId, UserId};

/// Of a whole table's transaction nothing waits longer than this.
const BOUNDS: &str = "set local lock_timeout = '200ms'; set local idle_in_transaction_session_timeout = '10s'; \
    set local client_min_messages = error; set local jit = off";
const SETTINGS: [&str; 4] = ["app.tenant_id", "app.user_id", "app.context", "app.seal"];

/// What the server said to the last statement of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Rows(u64),
    /// SQLSTATE, message, and the constraint or column that it names.
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub state: String,
    pub message: String,
    pub constraint: Option<String>,
    pub column: Option<String>,
}

impl Answer {
    pub fn has_rows(&self) -> bool {
        matches!(self, Self::Rows(rows) if *rows > 0)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(1) => f.write_str("1 row"),
            Self::Rows(rows) => write!(f, "{rows} rows"),
            Self::Refused(refusal) => write!(f, "{} {}", refusal.state, refusal.message),
        }
    }
}

/// One of the two tenants.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// The tenant's id, as text.
    pub tenant: String,
    /// What opens its context. Without the login.
    enter: String,
    /// The same with a ticket whose tag is not the key's.
    forged: Option<String>,
    /// The login that is this tenant, where each has its own.
    login: Option<String>,
}

pub(super) struct Stage {
    pub client: Client,
    /// The login that attacks.
    pub login: String,
    /// No policy binds the owner: it may plant and look everywhere.
    pub bypasses: bool,
    pub is_ours: bool,
    pub sides: [Side; 2],
    /// The canaries' project, and their user: the same ids on both sides.
    pub project: Option<Uuid>,
    timeout: Duration,
    superuser: bool,
    found: String,
    replay: Option<String>,
}

impl Stage {
    /// Looks who the owner is and as whom it may act.
    pub async fn new(
        client: Client,
        login: &str,
        options: &Options,
        is_ours: bool,
    ) -> Result<Self> {
        let row = client
            .query_typed_one(
                "select r.rolsuper, r.rolsuper or r.rolbypassrls
                 from pg_roles r where r.rolname = session_user",
                &[],
            )
            .await?;
        let mut stage = Self {
            client,
            login: login.to_owned(),
            bypasses: row.get(1),
            is_ours,
            sides: [Side::nobody(), Side::nobody()],
            project: None,
            timeout: options.statement,
            superuser: row.get(0),
            found: String::new(),
            replay: None,
        };
        match &options.sides {
            Sides::Rowhouse => stage.canaries(options).await?,
            Sides::Settings { a, b } => {
                stage.sides = [a, b].map(|sql| Side {
                    enter: sql.trim().trim_end_matches(';').to_owned(),
                    ..Side::nobody()
                });
            }
            Sides::Logins { a, b } => {
                stage.sides = [a, b].map(|login| Side {
                    login: Some(login.clone()),
                    ..Side::nobody()
                });
            }
        }
        stage.refuse_who_may_not_act().await?;
        Ok(stage)
    }

    /// Tickets for two tenants that will be founded in each transaction anew.
    async fn canaries(&mut self, options: &Options) -> Result<()> {
        let row = self
            .client
            .query_typed_one(
                "select ticket_head, ticket_key, clock_timestamp() from rowhouse_private.keyring",
                &[],
            )
            .await?;
        let key = TicketKey::from_columns(row.get(0), row.get(1))?;
        let ttl = SignedDuration::try_from(options.limit + Duration::from_mins(10))
            .unwrap_or(SignedDuration::from_hours(24));
        let expires_at = row.get::<_, jiff::Timestamp>(2) + ttl;
        let (workspace, project) = (UserId::new().uuid(), UserId::new().uuid());
        let mut found = String::new();
        let mut projects = Vec::new();
        for (side, word) in ["a", "b"].into_iter().enumerate() {
            let (tenant, user) = (TenantId::new(), UserId::new());
            let (id, owner) = (tenant.uuid(), user.uuid());
            let name = format!("rowhouse-canary-{word}-{}", owner.simple());
            write!(
                found,
                "; insert into rowhouse.users (id, email, name) values ('{owner}', '{name}@canary.invalid', 'Canary'); \
                 select rowhouse.found_tenant(id => '{id}', slug => '{}', name => 'Canary {word}', kind => 'organization', \
                 plan => 'free', workspace => '{workspace}', owner => '{owner}')",
                &name[..48.min(name.len())]
            )
            .unwrap_or_default();
            let ticket = Ticket::mint(&key, &Context::user(tenant, user), expires_at);
            self.sides[side] = Side {
                tenant: id.to_string(),
                enter: format!("select rowhouse.enter('{}')", ticket.reveal()),
                forged: Some(forged(&ticket)),
                login: None,
            };
            projects.push(format!(
                "{}; insert into rowhouse.projects (tenant_id, id, name) values ('{id}', '{project}', 'Canary')",
                self.become_side(side)
            ));
        }
        self.found = found;
        self.project = Some(project);
        // A database in which the app may not make projects is probed without.
        self.begin().await?;
        let made = self.say(&projects.join("; ")).await?;
        self.rollback().await?;
        if matches!(made, Answer::Rows(_)) {
            self.found = format!("{}; {}; {}", self.found, projects.join("; "), self.leave());
        } else {
            self.project = None;
        }
        self.capture().await
    }

    /// What an attacker may have copied from a transaction of the other tenant's, seal included.
    async fn capture(&mut self) -> Result<()> {
        self.begin().await?;
        self.client.batch_execute(&self.become_side(1)).await?;
        let mut replay = Vec::new();
        for setting in SETTINGS {
            let row = self
                .client
                .query_typed_one(
                    "select format('select set_config(%L, %L, true)', $1, current_setting($1))",
                    &[(&setting, Type::TEXT)],
                )
                .await?;
            replay.push(row.get::<_, String>(0));
        }
        self.replay = Some(replay.join("; "));
        self.rollback().await
    }

    /// Whose ids the two tenants have that are there: as the caller says, as the only one in the rows that each sees, or as
    /// the first text in quotes of what opens the context.
    pub async fn find_tenants(&mut self, options: &Options, targets: &[Target]) -> Result<()> {
        if let Some((a, b)) = &options.tenants {
            self.sides[0].tenant.clone_from(a);
            self.sides[1].tenant.clone_from(b);
            return Ok(());
        }
        for side in [0, 1] {
            let mut seen = None;
            for target in targets {
                let Some(tenant) = &target.tenant else {
                    continue;
                };
                self.client.batch_execute("begin").await?;
                let sql = format!(
                    "{}; select case when count(*) = 1 then min(id) end from (select distinct {tenant}::text as id from {} limit 2) ids",
                    self.become_side(side),
                    target.name
                );
                let asked = self.ask(&sql).await;
                self.rollback().await?;
                seen = asked?;
                if seen.is_some() {
                    break;
                }
            }
            let found = seen.or_else(|| self.sides[side].quoted().map(ToOwned::to_owned));
            self.sides[side].tenant = found.ok_or_else(|| {
                Error::Config(
                    "which tenants these are cannot be seen from their rows: name them with --tenant-a and --tenant-b"
                        .into(),
                )
            })?;
        }
        if self.sides[0].tenant == self.sides[1].tenant {
            return Err(Error::Config(format!(
                "both contexts are those of tenant {}: name two with --tenant-a and --tenant-b",
                self.sides[0].tenant
            )));
        }
        Ok(())
    }

    async fn refuse_who_may_not_act(&self) -> Result<()> {
        let logins: Vec<String> = match &self.sides {
            [
                Side {
                    login: Some(one), ..
                },
                Side {
                    login: Some(other), ..
                },
            ] => vec![one.clone(), other.clone()],
            _ => vec![self.login.clone()],
        };
        for login in logins {
            self.client.batch_execute("begin").await?;
            let answer = self.say(&self.take(&login)).await?;
            self.client.batch_execute("rollback").await?;
            if let Answer::Refused(refusal) = answer {
                return Err(Error::NotPermitted(format!(
                    "{}. The probe acts as {login} inside a transaction of the owner's. Mend it with: grant {} to current_user",
                    refusal.message,
                    ident(&login)
                )));
            }
        }
        Ok(())
    }

    /// A transaction in which both tenants are there. `open`: whether it could be begun.
    pub async fn begin(&self) -> Result<()> {
        let text = format!(
            "begin; {BOUNDS}; set local statement_timeout = '{}ms'; set constraints all immediate{}",
            self.timeout.as_millis(),
            self.found
        );
        let began = self.client.batch_execute(&text).await;
        if began.is_err() {
            self.rollback().await?;
        }
        Ok(began?)
    }

    pub async fn rollback(&self) -> Result<()> {
        Ok(self.client.batch_execute("rollback").await?)
    }

    /// Each tenant is a login of its own.
    pub fn by_login(&self) -> bool {
        self.sides[0].login.is_some()
    }

    /// Takes on a login.
    fn take(&self, login: &str) -> String {
        if self.superuser {
            format!("set local session authorization {}", ident(login))
        } else {
            format!("set local role {}", ident(login))
        }
    }

    /// The login, outside of every tenant.
    pub fn become_nobody(&self) -> String {
        format!("{}; {}", self.leave(), self.take(&self.login))
    }

    /// The login, inside the tenant.
    pub fn become_side(&self, side: usize) -> String {
        let side = &self.sides[side];
        let login = side.login.as_ref().unwrap_or(&self.login);
        let enter = if side.enter.is_empty() {
            String::new()
        } else {
            format!("; {}", side.enter)
        };
        format!("{}; {}{enter}", self.leave(), self.take(login))
    }

    /// The owner, inside the tenant where that takes no login.
    pub fn own_side(&self, side: usize) -> String {
        if self.is_ours {
            format!("{}; {}", self.leave(), self.sides[side].enter)
        } else {
            self.leave()
        }
    }

    /// The owner, outside of every tenant.
    pub fn leave(&self) -> String {
        let back = if self.superuser {
            "reset session authorization; reset role"
        } else {
            "reset role"
        };
        if self.is_ours {
            let cleared: Vec<String> = SETTINGS
                .iter()
                .map(|setting| format!("set_config('{setting}', '', true)"))
                .collect();
            format!("{back}; select {}", cleared.join(", "))
        } else {
            format!(
                "{back}; reset all; {BOUNDS}; set local statement_timeout = '{}ms'",
                self.timeout.as_millis()
            )
        }
    }

    /// The context in which `attack` is made; why there is none.
    pub fn become_attacker(&self, attack: Attack) -> Result<String, &'static str> {
        match attack {
            Attack::Other | Attack::Leftover => Ok(self.become_side(0)),
            Attack::None if self.by_login() => {
                Err("the login is the context: there is none without it")
            }
            Attack::None => Ok(self.become_nobody()),
            Attack::Forged | Attack::Replayed if self.by_login() => {
                Err("the login is the context: there is nothing to forge")
            }
            Attack::Forged | Attack::Replayed if !self.is_ours => Err(
                "the settings are the login's own to set: whoever runs SQL as it can be any tenant",
            ),
            Attack::Forged => Ok(format!(
                "{}; select set_config('app.tenant_id', '{}', true); {}",
                self.become_side(0),
                self.sides[1].tenant,
                self.sides[1].forged.as_deref().unwrap_or("select")
            )),
            Attack::Replayed => match &self.replay {
                Some(replay) => Ok(format!("{}; {replay}", self.become_nobody())),
                None => Err("no context could be copied"),
            },
        }
    }

    /// Runs a text; the outer error is a broken connection.
    pub async fn say(&self, sql: &str) -> Result<Answer> {
        say(&self.client, sql).await
    }

    /// One value of the owner's, as text.
    pub async fn ask(&self, sql: &str) -> Result<Option<String>> {
        let rows = match self.client.simple_query(sql).await {
            Ok(messages) => messages,
            Err(error) if error.as_db_error().is_some() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Of the last statement, also when it found nothing.
        let (mut last, mut seen) = (None, None);
        for message in &rows {
            match message {
                SimpleQueryMessage::Row(row) => seen = row.get(0).map(ToOwned::to_owned),
                SimpleQueryMessage::CommandComplete(_) => last = seen.take(),
                _ => {}
            }
        }
        Ok(last)
    }
}

impl Side {
    fn nobody() -> Self {
        Self {
            tenant: String::new(),
            enter: String::new(),
            forged: None,
            login: None,
        }
    }

    /// The first text in quotes of what opens its context.
    pub fn quoted(&self) -> Option<&str> {
        let (_, rest) = self.enter.split_once('\'')?;
        rest.split_once('\'').map(|(inside, _)| inside)
    }
}

/// Shows a ticket that somebody made up who has all of a real one but the key: one bit of its tag is another. Where it is
/// refused, as it has to be, the context is the one of before.
fn forged(ticket: &Ticket) -> String {
    let mut bytes = ticket.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    format!(
        "do $forged$ begin perform rowhouse.enter('\\x{}'); exception when others then null; end $forged$",
        hex::encode(bytes)
    )
}

/// Runs a text of statements; what was said to the last.
pub(super) async fn say(client: &Client, sql: &str) -> Result<Answer> {
    match client.simple_query(sql).await {
        Ok(messages) => Ok(Answer::Rows(
            messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                    _ => None,
                })
                .next_back()
                .unwrap_or(0),
        )),
        Err(error) => refused(error),
    }
}

/// A refusal of the server's, or the broken connection.
pub(super) fn refused(error: tokio_postgres::Error) -> Result<Answer> {
    let Some(db) = error.as_db_error() else {
        return Err(error.into());
    };
    if db.severity() == "FATAL" || db.code().code().starts_with("57P") {
        return Err(error.into());
    }
    Ok(Answer::Refused(Refusal {
        state: db.code().code().to_owned(),
        message: db.message().to_owned(),
        constraint: db.constraint().map(ToOwned::to_owned),
        column: db.column().map(ToOwned::to_owned),
    }))
}

/// A name, quoted.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
