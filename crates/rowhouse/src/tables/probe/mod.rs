//! The probe: attacks the wall of a live database, ours or not, and says what held.
//!
//! How, and what it does not do to the database: `docs/adr/009_probe.md`. In short: two canary tenants are founded, rows
//! planted for both, and each attempt made as the app's login, in a transaction of the owner's that is rolled back.
//!
//! Invariants: nothing is committed but the line of history; an attempt counts only when the same statement works for the
//! tenant whose rows it is after; no row of anybody else's is written or locked for writing.
//!
//! `facts.rs` reads the catalogue, `rows.rs` makes up rows out of `values.rs` and `learned.rs`, `stage.rs` is who acts, `attempts.rs`,
//! `aim.rs` and `shoot.rs` attack a table, `ways.rs` what leads around it, `around.rs` what belongs to no table, `report.rs` says
//! what was found, and `history.rs` keeps it.

mod aim;
mod around;
mod attempts;
mod facts;
mod history;
mod learned;
mod report;
mod rows;
mod shoot;
mod stage;
mod values;
mod ways;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::tx::Owner;
pub use history::{Past, Summary, catalogue_hash, due, past, record, summary};
pub use report::{Attack, Attempt, Operation, Path, Relation, Report, Untried, Verdict};

/// How the two tenants are told apart.
#[derive(Clone, Debug)]
pub enum Sides {
    /// Rowhouse's own: they are founded.
    Rowhouse,
    /// Two tenants that are there, by SQL that opens their contexts.
    Settings {
        /// Opens the attacker's.
        a: String,
        /// Opens the other's.
        b: String,
    },
    /// Two tenants that are there, each a login.
    Logins {
        /// The attacker's.
        a: String,
        /// The other's.
        b: String,
    },
}

/// What the catalogue cannot tell.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the two tenants are told apart.
    pub sides: Sides,
    /// Their ids, where they cannot be seen from their rows.
    pub tenants: Option<(String, String)>,
    /// The login that attacks.
    pub login: String,
    /// The login's own connection, for what the owner's session cannot show.
    pub app: Option<Secret>,
    /// Names of columns that hold a tenant, besides those that are known.
    pub tenant_columns: Vec<String>,
    /// These tables only. Where none is named: all.
    pub tables: Vec<String>,
    /// Call functions with their owner's rights.
    pub functions: bool,
    /// The most that all of it may take.
    pub limit: Duration,
    /// The most that one statement may take.
    pub statement: Duration,
    /// Rest after each table, for the load beside it: the probe keeps one core of the server busy.
    pub pause: Duration,
}

impl Options {
    /// For a database with Rowhouse: five minutes in all, five seconds a statement.
    pub fn new(login: impl Into<String>) -> Self {
        Self {
            sides: Sides::Rowhouse,
            tenants: None,
            login: login.into(),
            app: None,
            tenant_columns: Vec::new(),
            tables: Vec::new(),
            functions: true,
            limit: Duration::from_mins(5),
            statement: Duration::from_secs(5),
            pause: Duration::ZERO,
        }
    }
}

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The database.
    pub database: String,
    /// The login that would attack.
    pub login: String,
    /// The tables that would be attacked.
    pub tables: Vec<String>,
    /// Seconds after which it stops.
    pub limit: u64,
    /// Triggers that would run, as `trigger on table`.
    pub triggers: Vec<String>,
    /// Of these, those that say NOTIFY. Rolled back, it is never sent.
    pub notify: Vec<String>,
    /// Of these, those that reach outside of the database: their tables are left out.
    pub reach_out: Vec<String>,
    /// Sequences that may move on: no rollback puts them back.
    pub sequences: Vec<String>,
}

/// Says what [`run`] would do. It only reads the catalogue.
pub async fn plan(owner: &mut Owner, options: &Options) -> Result<Plan> {
    let client = owner.another().await?;
    let is_ours = facts::is_ours(&client).await?;
    let targets = facts::targets(&client, options, is_ours).await?;
    let mut facts = facts::Facts::new(&options.login);
    let mut plan = Plan {
        database: database(&client).await?,
        login: options.login.clone(),
        tables: targets.iter().map(|target| target.name.clone()).collect(),
        limit: options.limit.as_secs(),
        triggers: Vec::new(),
        notify: Vec::new(),
        reach_out: Vec::new(),
        sequences: Vec::new(),
    };
    for target in &targets {
        let table = facts.table(&client, target.oid).await?;
        for trigger in &table.triggers {
            // Rowhouse's own triggers are part of the wall.
            if is_ours && trigger.table.starts_with("rowhouse.") {
                continue;
            }
            let said = format!(
                "{} on {} ({})",
                trigger.name, trigger.table, trigger.function
            );
            if trigger.notifies {
                plan.notify.push(said.clone());
            }
            if trigger.reaches_out {
                plan.reach_out.push(said.clone());
            }
            plan.triggers.push(said);
        }
        plan.sequences.extend(table.sequences.iter().cloned());
    }
    // A table that cascades from several is met several times.
    for met in [&mut plan.triggers, &mut plan.notify, &mut plan.reach_out] {
        met.sort();
        met.dedup();
    }
    Ok(plan)
}

/// Attacks, and rolls everything back. `done` hears of each relation when it is through.
///
/// [`Error::Schema`]: there is nothing to probe, or nothing could be tried. [`Error::NotPermitted`]: the owner may not act
/// as the login.
pub async fn run(
    owner: &mut Owner,
    options: &Options,
    mut done: impl FnMut(&Relation),
) -> Result<Report> {
    let began = Instant::now();
    let client = owner.another().await?;
    around::refuse_pooler([owner.client(), &client]).await?;
    client
        .batch_execute("set application_name = 'rowhouse probe'; set lock_timeout = '200ms'; set statement_timeout = '60s'")
        .await?;
    refuse_unfit(&client).await?;
    let is_ours = facts::is_ours(&client).await?;
    if !is_ours && matches!(options.sides, Sides::Rowhouse) {
        return Err(Error::Schema(
            "this database has no Rowhouse schema: say how its tenants are told apart, by --as-a and --as-b, or by \
             --tenant-a-url and --tenant-b-url"
                .into(),
        ));
    }
    let targets = facts::targets(&client, options, is_ours).await?;
    if targets.is_empty() {
        return Err(Error::Schema(
            "no table here belongs to tenants: name the column that holds the tenant with --tenant-column".into(),
        ));
    }
    // Also those that were not asked for: rows of theirs may be needed.
    let everything = Options {
        tables: Vec::new(),
        ..options.clone()
    };
    let all = facts::targets(&client, &everything, is_ours).await?;
    let mut report = Report::new(&client, options).await?;
    let stage = stage::Stage::new(client, &options.login, options, is_ours).await?;
    let facts = facts::Facts::new(&options.login);
    let mut nonce = [0; 4];
    getrandom::fill(&mut nonce)
        .map_err(|error| Error::Config(format!("no randomness: {error}")))?;
    let mut prober = Prober {
        stage,
        rows: rows::Rows::new(facts, &all, u32::from_be_bytes(nonce)),
        attempts: Vec::new(),
        deadline: began + options.limit,
        functions: options.functions,
        app: match &options.app {
            Some(url) => Some(around::session(url, options).await?),
            None => None,
        },
    };
    if !is_ours {
        prober.stage.find_tenants(options, &targets).await?;
    }
    for target in &targets {
        prober.table(target).await?;
        done(&report.take(target, std::mem::take(&mut prober.attempts)));
        report.mind(target);
        tokio::time::sleep(options.pause.min(prober.left())).await;
    }
    if options.tables.is_empty() {
        for (target, attempts) in around::run(&mut prober, options, &targets).await? {
            done(&report.take(&target, attempts));
            report.mind_time(&target);
        }
    }
    report.seconds = began.elapsed().as_secs_f64();
    if report.attempts == 0 {
        return Err(Error::Schema(format!(
            "nothing could be tried: {}",
            report
                .untried
                .first()
                .map_or("there is nothing to try", |untried| untried.reason.as_str())
        )));
    }
    Ok(report)
}

/// A standby takes no rows; an old server has other rules.
async fn refuse_unfit(client: &tokio_postgres::Client) -> Result<()> {
    let row = client
        .query_typed_one(
            "select pg_is_in_recovery(), current_setting('server_version_num')::int,
               current_setting('transaction_read_only') = 'on'",
            &[],
        )
        .await?;
    if row.get(0) || row.get(2) {
        return Err(Error::Schema(
            "this server takes no writes (a standby, or read only): the probe has to plant rows; run it on the primary"
                .into(),
        ));
    }
    let version: i32 = row.get(1);
    if version < 150_000 {
        return Err(Error::Schema(format!(
            "this server is PostgreSQL {}: probe knows 15 and later",
            version / 10_000
        )));
    }
    Ok(())
}

async fn database(client: &tokio_postgres::Client) -> Result<String> {
    Ok(client
        .query_typed_one("select current_database()::text", &[])
        .await?
        .get(0))
}

/// Why something was not tried.
const NO_TIME: &str = "no time was left";

/// What all attempts share.
struct Prober {
    stage: stage::Stage,
    rows: rows::Rows,
    /// Of the relation that is being probed.
    attempts: Vec<Attempt>,
    deadline: Instant,
    functions: bool,
    /// A session of the login itself, in which no context was ever opened.
    app: Option<tokio_postgres::Client>,
}

impl Prober {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Nothing more is asked of the database, but to roll back.
    fn is_late(&self) -> bool {
        self.left().is_zero()
    }
}
