//! The doctor: reads the catalogue of any database from `PostgreSQL` 15 on, and says what is open in its row security.
//!
//! A rule is an SQL file in `lints/`: one query, whose rows are its findings. `prelude.sql` stands before them and says
//! what a rule may ask of besides the catalogue. Nothing is installed and nothing is changed: everything runs in one
//! transaction that is read only, with limits on time and on waiting for locks. No rule reads a row of a user's table
//! unless [`Options::count`] says so.
//!
//! Invariants: any login that can connect may ask; a rule that cannot run is itself a finding, and the others still run.

mod count;
mod facts;
mod plans;
mod rules;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

use crate::error::{Error, Result};
use crate::text_enum::text_enum;
use facts::Facts;
pub(super) use facts::{MAYBE_TENANT_COLUMNS, TENANT_COLUMNS};
pub use rules::{RULES, Rule};

/// How a finding begins that says of a rule that it could not run.
const UNASKED: &str = "could not be asked: ";
const PRELUDE: &str = include_str!("prelude.sql");
/// Names and operators mean Postgres's own, whatever the database holds; what is temporary comes last.
const SETTINGS: &str = "set local search_path = pg_catalog, pg_temp; set local lock_timeout = '2s'; set local jit = off";

text_enum! {
    /// How much a finding weighs.
    Level {
        /// A way to other tenants' rows.
        Error = "error",
        /// A way under some condition, or something that will become one.
        Warning = "warning",
        /// Worth knowing.
        Info = "info",
    }
}

/// Something that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that found it: the name of its file.
    pub rule: String,
    /// How much it weighs.
    pub level: Level,
    /// What it was found on, as SQL names it.
    pub object: String,
    /// What is so. To be read behind the object.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// The statement or step that mends it.
    pub mend: String,
}

impl Finding {
    /// Whether it says that its rule, or a part of it, could not be asked.
    pub fn is_unasked(&self) -> bool {
        self.what.starts_with(UNASKED)
    }
}

/// What the catalogue cannot tell.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of columns that hold a tenant, besides those that are known.
    pub tenant_columns: Vec<String>,
    /// The settings that hold the context. Where none is named, each that a policy reads counts.
    pub settings: Vec<String>,
    /// The logins that applications use. Where none is named: those with rights on tables of tenants.
    pub logins: Vec<String>,
    /// Ask these rules only. Where none is named: all.
    pub rules: Vec<String>,
    /// Count the rows that refer to nothing. This reads tables.
    pub count: bool,
    /// The most that one statement may take.
    pub seconds: u32,
}

impl Default for Options {
    /// Nothing is known, nothing is counted, a minute for each statement.
    fn default() -> Self {
        Self {
            tenant_columns: Vec::new(),
            settings: Vec::new(),
            logins: Vec::new(),
            rules: Vec::new(),
            count: false,
            seconds: 60,
        }
    }
}

/// Asks every rule. Findings come by level, then in the order of [`RULES`], then by object.
///
/// [`Error::Invalid`]: there is no rule of that name. [`Error::Schema`]: the server is older than 15.
pub async fn run(client: &mut Client, options: &Options) -> Result<Vec<Finding>> {
    run_rules(client, options, &chosen(options)?).await
}

/// The same with rules of one's own, in place of [`RULES`] and of [`Options::rules`].
pub async fn run_rules(
    client: &mut Client,
    options: &Options,
    rules: &[&Rule],
) -> Result<Vec<Finding>> {
    let mut tx = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let limit = format!("set local statement_timeout = '{}s'", options.seconds);
    tx.batch_execute(&format!("{SETTINGS}; {limit}")).await?;
    refuse_old_server(&tx).await?;
    let mut facts = Facts::gather(&mut tx, options).await?;
    if rules.iter().any(|rule| rule.name == plans::RULE) {
        plans::gather(&mut tx, &mut facts, options).await?;
    }
    let mut findings = facts.unread.clone();
    findings.retain(|finding| rules.iter().any(|rule| rule.name == finding.rule));
    findings.extend(ask_all(&mut tx, rules, &facts).await?);
    if options.count {
        findings.extend(count::dangling_rows(&mut tx, &facts).await?);
    }
    tx.rollback().await?;
    findings.sort_by_key(|finding| Level::ALL.iter().position(|level| *level == finding.level));
    Ok(findings)
}

fn chosen(options: &Options) -> Result<Vec<&'static Rule>> {
    for name in &options.rules {
        if !RULES.iter().any(|rule| rule.name == name) {
            return Err(Error::invalid(
                "rule",
                format!("there is none called {name}"),
            ));
        }
    }
    let wanted = |rule: &&Rule| {
        options.rules.is_empty() || options.rules.iter().any(|name| name == rule.name)
    };
    Ok(RULES.iter().filter(wanted).collect())
}

async fn refuse_old_server(tx: &Transaction<'_>) -> Result<()> {
    let version: i32 = tx
        .query_typed_one("select current_setting('server_version_num')::int", &[])
        .await?
        .get(0);
    if version < 150_000 {
        return Err(Error::Schema(format!(
            "this server is PostgreSQL {}: doctor knows 15 and later",
            version / 10_000
        )));
    }
    Ok(())
}

/// In one statement, so that what stands before the rules is worked out once. Where that is refused, in two, and so on: it
/// tells which of them cannot run, and what the others find.
async fn ask_all(tx: &mut Transaction<'_>, rules: &[&Rule], facts: &Facts) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut left = vec![rules];
    while let Some(rules) = left.pop() {
        if rules.is_empty() {
            continue;
        }
        match (ask(tx, rules, facts).await?, rules) {
            (Ok(found), _) => findings.extend(found),
            (Err(why), [rule]) => findings.push(unasked(rule.name, &why)),
            (Err(_), _) => {
                let (first, second) = rules.split_at(rules.len() / 2);
                left.extend([second, first]);
            }
        }
    }
    Ok(findings)
}

/// What these rules find, in their order, or why the server refused to run them.
async fn ask(
    tx: &mut Transaction<'_>,
    rules: &[&Rule],
    facts: &Facts,
) -> Result<Result<Vec<Finding>, String>> {
    let each = rules.iter().zip(1..).map(|(rule, place)| {
        format!(
            "select {place} as place, '{}' as rule, level, object, what, why, mend from (\n{}\n) as found",
            rule.name.replace('\'', "''"),
            rule.sql
        )
    });
    let each = each.collect::<Vec<_>>().join("\nunion all\n");
    // By one collation: what the rules say has several, and the order is not to depend on which of them are asked.
    let sql = format!(
        "{PRELUDE}\nselect * from (\n{each}\n) as found order by place, object collate \"C\", what collate \"C\""
    );
    Ok(match attempt(tx, &sql, &facts.parameters()).await? {
        Ok(rows) => Ok(rows.iter().map(finding).collect::<Result<_, _>>()?),
        Err(why) => Err(why),
    })
}

fn finding(row: &Row) -> Result<Finding, tokio_postgres::Error> {
    Ok(Finding {
        rule: row.try_get("rule")?,
        level: row.try_get("level")?,
        object: row.try_get("object")?,
        what: row.try_get("what")?,
        why: row.try_get("why")?,
        mend: row.try_get("mend")?,
    })
}

/// A rule that could not run hides what it would have found: no silence.
fn unasked(rule: &str, why: &str) -> Finding {
    Finding {
        rule: rule.to_owned(),
        level: Level::Warning,
        object: "this rule".into(),
        what: format!("{UNASKED}{why}"),
        why: "What it would have found is not known.".into(),
        mend: "Ask again as a login that may read this part of the catalogue, or when the database is less busy.".into(),
    }
}

type Parameter<'a> = (
    &'a (dyn tokio_postgres::types::ToSql + Sync),
    tokio_postgres::types::Type,
);

/// Rows, or the server's refusal; the transaction goes on after it. Unnamed statements, so that a pooler may stand in
/// between. The outer error is a broken connection.
async fn attempt(
    tx: &mut Transaction<'_>,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Result<Vec<Row>, String>> {
    let inner = tx.savepoint("rule").await?;
    match inner.query_typed(sql, parameters).await {
        Ok(rows) => {
            inner.commit().await?;
            Ok(Ok(rows))
        }
        Err(error) => match error.as_db_error() {
            Some(db) => {
                let why = db.message().to_owned();
                inner.rollback().await?;
                Ok(Err(why))
            }
            None => Err(error.into()),
        },
    }
}
