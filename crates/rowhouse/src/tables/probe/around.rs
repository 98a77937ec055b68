//! What belongs to no table: Rowhouse's registry, the login itself, and what stays on a connection.
//!
//! Asked on a session of the login's own, where its URL is known: the owner's session cannot show what the login may become,
//! nor what a setting is that was never set.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::aim::OTHER;
use super::facts::Target;
use super::rows::NO_RIGHT;
use super::shoot::said;
use super::stage::{Answer, ident, literal, refused, say};
use super::{Attack, Attempt, NO_TIME, Operation, Options, Path, Prober, Verdict};
use crate::connect::{Secret, single};
use crate::error::{Error, Result};
use crate::tx::HAND_BACK;

/// Of the registry, what every login reads on purpose: lists of tables and versions, which belong to nobody.
const OPEN_REGISTRY: [&str; 2] = ["rowhouse.managed_tables", "rowhouse.schema_history"];

/// A pooler hands what the probe leaves on a connection to somebody else, and drops the bounds that the probe sets for its
/// session. One that lends a connection for longer than a transaction is as good as none.
pub(super) async fn refuse_pooler(sessions: [&Client; 2]) -> Result<()> {
    const POOLED: &str = "a pooler (PgBouncer, or one like it) stands between this process and Postgres, and lends one connection to \
        several sessions: the probe needs connections of its own. Name the server itself in both URLs";
    let pooled = || Error::Config(POOLED.into());
    // Two sessions that are there at once have one process each. A pooler lends the connection that was used last.
    for _ in 0..4 {
        let mut pids = [0; 2];
        for (client, pid) in sessions.into_iter().zip(&mut pids) {
            // Pooling by statement takes no transaction at all.
            client
                .batch_execute("begin; rollback")
                .await
                .map_err(|_| pooled())?;
            *pid = client
                .query_typed_one("select pg_backend_pid()", &[])
                .await?
                .get(0);
        }
        if pids[0] == pids[1] {
            return Err(pooled());
        }
    }
    Ok(())
}

/// A session of the login's. Nothing is changed on it.
pub(super) async fn session(url: &Secret, options: &Options) -> Result<Client> {
    let client = single(url, false).await?;
    refuse_pooler([&client, &single(url, false).await?]).await?;
    client
        .batch_execute(&format!(
            "set lock_timeout = '200ms'; set statement_timeout = '{}ms'",
            options.statement.as_millis()
        ))
        .await?;
    Ok(client)
}

/// Relations of their own, each with its attempts.
pub(super) async fn run(
    prober: &mut Prober,
    options: &Options,
    targets: &[Target],
) -> Result<Vec<(Target, Vec<Attempt>)>> {
    let mut done = Vec::new();
    if prober.is_late() {
        for around in ["registry", "login", "connection"] {
            let target = named(around, around);
            let made = attempt(
                &target,
                around,
                Attack::Other,
                Verdict::NotTried,
                NO_TIME.into(),
            );
            done.push((target, vec![made]));
        }
        return Ok(done);
    }
    if prober.stage.is_ours {
        done.extend(prober.registry().await?);
    }
    if let Some(app) = prober.app.take() {
        let login = named(&format!("login {}", options.login), "login");
        let attempts = prober.becomes(&app, &login, targets).await?;
        done.push((login, attempts));
        if prober.stage.is_ours {
            let connection = named("connection", "connection");
            let attempts = residue(&app, &connection).await?;
            done.push((connection, attempts));
        }
    }
    Ok(done)
}

fn named(name: &str, class: &str) -> Target {
    Target {
        oid: 0,
        name: name.to_owned(),
        class: class.to_owned(),
        mode: "enforce".into(),
        tenant: None,
        project: None,
    }
}

fn attempt(
    target: &Target,
    object: &str,
    attack: Attack,
    verdict: Verdict,
    answer: String,
) -> Attempt {
    Attempt {
        relation: target.name.clone(),
        path: if target.class == "registry" {
            Path::Table
        } else {
            Path::Connection
        },
        object: object.to_owned(),
        operation: Operation::Read,
        attack,
        verdict,
        answer,
    }
}

impl Prober {
    /// The table, on a session that never had a context: there a setting is NULL, and not an empty text.
    pub(super) async fn on_a_fresh_session(&mut self, target: &Target) -> Result<()> {
        let Some(app) = &self.app else {
            return Ok(());
        };
        if target.class == "shared" || target.tenant.is_none() || self.stage.by_login() {
            return Ok(());
        }
        if self.is_late() {
            let made = Attempt {
                path: Path::Connection,
                ..attempt(
                    target,
                    &target.name,
                    Attack::None,
                    Verdict::NotTried,
                    NO_TIME.into(),
                )
            };
            self.attempts.push(made);
            return Ok(());
        }
        let sql = format!("select from {} limit 1", target.name);
        let answer = say(app, &sql).await?;
        let was_read = self.attempts.iter().any(|made| {
            made.operation == Operation::Read
                && made.path == Path::Table
                && made.verdict != Verdict::NotTried
        });
        let (verdict, answer) = match answer {
            Answer::Rows(rows) if rows > 0 => (Verdict::Leak, "a row, in no context at all".into()),
            Answer::Rows(_) => {
                if self.stage.say(&sql).await?.has_rows() {
                    (Verdict::Held, "0 rows".into())
                } else {
                    (
                        Verdict::NotTried,
                        "no row is in it that is not planted".into(),
                    )
                }
            }
            Answer::Refused(refusal) if refusal.message.starts_with("permission denied") => {
                (Verdict::NotTried, NO_RIGHT.into())
            }
            Answer::Refused(refusal) if was_read => (Verdict::Held, said(&refusal)),
            Answer::Refused(refusal) => (
                Verdict::NotTried,
                format!(
                    "the control did not work, and it was refused: {}",
                    said(&refusal)
                ),
            ),
        };
        let made = Attempt {
            path: Path::Connection,
            ..attempt(target, &target.name, Attack::None, verdict, answer)
        };
        self.attempts.push(made);
        Ok(())
    }

    /// Tables outside of every tenant: the app sees its own tenant's line, and nothing else.
    async fn registry(&mut self) -> Result<Vec<(Target, Vec<Attempt>)>> {
        let rows = self
            .stage
            .client
            .query_typed(
                "select format('%I.%I', n.nspname, c.relname)
                 from pg_class c
                 join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname in ('rowhouse', 'rowhouse_private')
                   and c.relkind in ('r', 'p', 'm', 'v')
                   and (c.relkind <> 'v' or n.nspname = 'rowhouse_private' or c.relname = 'organizations')
                   and not exists (
                     select from rowhouse.managed_tables m
                     where m.schema_name = n.nspname and m.table_name = c.relname)
                 order by 1",
                &[],
            )
            .await?;
        let mut done = Vec::new();
        self.stage.begin().await?;
        for row in rows {
            let name: String = row.get(0);
            if OPEN_REGISTRY.contains(&name.as_str()) {
                continue;
            }
            let target = named(&name, "registry");
            if self.is_late() {
                let made = attempt(
                    &target,
                    &name,
                    Attack::Other,
                    Verdict::NotTried,
                    NO_TIME.into(),
                );
                done.push((target, vec![made]));
                continue;
            }
            let sql = match name.as_str() {
                "rowhouse.tenants" | "rowhouse.organizations" => format!(
                    "select from {name} where id = {}",
                    literal(&self.stage.sides[OTHER].tenant)
                ),
                _ => format!("select from {name} limit 1"),
            };
            let control = self
                .behind(&format!("{}; {sql}", self.stage.leave()))
                .await?;
            let mut attempts = Vec::new();
            for attack in [Attack::None, Attack::Other] {
                let opened = self.stage.become_attacker(attack).unwrap_or_default();
                // An owner who may ask is control enough for a login that may not.
                let (verdict, answer) = if matches!(control, Answer::Rows(_)) {
                    match self.one(&opened, &sql, false).await? {
                        Ok(Answer::Rows(0)) if !control.has_rows() => (
                            Verdict::NotTried,
                            "it is empty, and the login may read it".into(),
                        ),
                        Ok(Answer::Rows(0)) => (Verdict::Held, "0 rows".into()),
                        Ok(Answer::Rows(_)) => (Verdict::Leak, "a row that is not its own".into()),
                        Ok(Answer::Refused(refusal)) => (Verdict::Held, said(&refusal)),
                        Err(refusal) => (
                            Verdict::NotTried,
                            format!("the context could not be opened: {}", said(&refusal)),
                        ),
                    }
                } else {
                    (
                        Verdict::NotTried,
                        format!("the control did not work: {control}"),
                    )
                };
                attempts.push(attempt(&target, &name, attack, verdict, answer));
            }
            done.push((target, attempts));
        }
        self.stage.rollback().await?;
        Ok(done)
    }

    /// Roles that no policy binds, and those that own what is walled: the login must not become one.
    async fn becomes(
        &mut self,
        app: &Client,
        login: &Target,
        targets: &[Target],
    ) -> Result<Vec<Attempt>> {
        let oids: Vec<u32> = targets.iter().map(|target| target.oid).collect();
        let rows = self
            .stage
            .client
            .query_typed(
                "select rolname::text from pg_roles r
                 where (rolsuper or rolbypassrls or oid in (select relowner from pg_class where oid = any ($1)))
                 order by not rolsuper, 1 limit 50",
                &[(&oids, Type::OID_ARRAY)],
            )
            .await?;
        let own = say(
            app,
            &format!(
                "begin; set local role {}; rollback",
                ident(&self.stage.login)
            ),
        )
        .await?;
        say(app, "rollback").await?;
        let mut attempts = Vec::new();
        for row in rows {
            let role: String = row.get(0);
            let answer = say(app, &format!("begin; set local role {}", ident(&role))).await?;
            say(app, "rollback").await?;
            let (verdict, answer) = match (&own, answer) {
                (Answer::Refused(refusal), _) => (
                    Verdict::NotTried,
                    format!("the control did not work: {}", said(refusal)),
                ),
                (_, Answer::Refused(refusal)) => (Verdict::Held, said(&refusal)),
                (_, Answer::Rows(_)) => (Verdict::Leak, "the login becomes it".into()),
            };
            attempts.push(attempt(
                login,
                &format!("set role {}", ident(&role)),
                Attack::Other,
                verdict,
                answer,
            ));
        }
        Ok(attempts)
    }
}

/// What a borrower can leave: its name, how it is left, how it is taken away again, and what shows that it is there.
const LEFT: [(&str, &str, &str, &str); 5] = [
    (
        "prepared statement",
        "prepare rowhouse_probe as select 1",
        "deallocate rowhouse_probe",
        "select from pg_catalog.pg_prepared_statements where name = 'rowhouse_probe'",
    ),
    (
        "holdable cursor",
        "begin; declare rowhouse_probe cursor with hold for select 1; commit",
        "close rowhouse_probe",
        "select from pg_catalog.pg_cursors where name = 'rowhouse_probe'",
    ),
    (
        "listening channel",
        "listen rowhouse_probe",
        "unlisten rowhouse_probe",
        "select from pg_catalog.pg_listening_channels()",
    ),
    (
        "session advisory lock",
        "select pg_catalog.pg_advisory_lock(7080, 0)",
        "select pg_catalog.pg_advisory_unlock_all()",
        "select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    // The last: its schema stays on the connection.
    (
        "temporary table",
        "create temporary table rowhouse_probe ()",
        "drop table pg_temp.rowhouse_probe",
        "select from pg_catalog.pg_class where relname = 'rowhouse_probe' and relpersistence = 't'",
    ),
];

/// What the last borrower left is taken away, or noticed, so that the connection is closed and not lent again. Asked in
/// the words in which the pool asks.
async fn residue(app: &Client, connection: &Target) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    for (what, leave, take_away, shows) in LEFT {
        let left = say(app, leave).await?;
        let is_there = say(app, shows).await?.has_rows();
        let (verdict, answer) = match left {
            Answer::Refused(refusal) => (Verdict::Held, said(&refusal)),
            Answer::Rows(_) if !is_there => (
                Verdict::NotTried,
                "the control did not work: it was not left".into(),
            ),
            Answer::Rows(_) => match is_noticed(app).await? {
                Ok(true) => (Verdict::Held, "noticed".into()),
                Ok(false) if say(app, shows).await?.has_rows() => {
                    (Verdict::Leak, "it stays, and is not noticed".into())
                }
                Ok(false) => (Verdict::Held, "taken away".into()),
                Err(why) => (
                    Verdict::NotTried,
                    format!("the control did not work: {why}"),
                ),
            },
        };
        if is_there {
            say(app, take_away).await?;
        }
        attempts.push(attempt(connection, what, Attack::Leftover, verdict, answer));
    }
    Ok(attempts)
}

async fn is_noticed(app: &Client) -> Result<Result<bool, String>> {
    match app.simple_query(&format!("{HAND_BACK}0)")).await {
        Ok(messages) => Ok(Ok(messages.iter().any(|message| {
            matches!(message, SimpleQueryMessage::Row(row) if row.get(1).is_some_and(|left| left != "{}"))
        }))),
        Err(error) => match refused(error)? {
            Answer::Refused(refusal) => Ok(Err(said(&refusal))),
            Answer::Rows(_) => Ok(Ok(false)),
        },
    }
}
