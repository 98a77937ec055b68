//! Plans, which are no part of the catalogue: the planner is asked how the application would read the largest tables of
//! tenants. `plans.sql` writes the statements, `lints/plan-filters-tenant.sql` judges the answers. Nothing is executed; but
//! the planner calls a policy's STABLE functions where it has to guess at their values, as the application's login.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::{Row, SimpleQueryMessage, Transaction};

use super::facts::Facts;
use super::{Options, PRELUDE, attempt, unasked};
use crate::error::Result;

/// The rule that judges them.
pub const RULE: &str = "plan-filters-tenant";

pub(super) async fn gather(
    tx: &mut Transaction<'_>,
    facts: &mut Facts,
    options: &Options,
) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(options.seconds.into());
    let sql = format!(
        "{PRELUDE}\nselect * from (\n{}\n) as asked order by size desc, name",
        include_str!("plans.sql")
    );
    let tables = match attempt(tx, &sql, &facts.parameters()).await? {
        Ok(tables) => tables,
        Err(why) => {
            facts.unread.push(unasked(RULE, &why));
            return Ok(());
        }
    };
    let mut plans = Vec::new();
    let mut refused = Vec::new();
    for table in &tables {
        let answered = if Instant::now() < until {
            plans_of(tx, table).await?
        } else {
            Err("no time was left".into())
        };
        match answered {
            Ok(answered) => plans.extend(answered),
            Err(why) => refused.push(format!("{}: {why}", table.get::<_, &str>("name"))),
        }
    }
    facts.plans = Value::Array(plans).to_string();
    if let Some(first) = refused.first() {
        let mut finding = unasked(RULE, first);
        finding.object = format!("this rule, on {} tables", refused.len());
        finding.mend = "Ask again as a superuser, or as a login that was granted the application's, so that it may SET ROLE.".into();
        facts.unread.push(finding);
    }
    Ok(())
}

/// All of a table's in one round trip, or the server's refusal. Role, settings and locks end with the savepoint.
async fn plans_of(tx: &mut Transaction<'_>, table: &Row) -> Result<Result<Vec<Value>, String>> {
    let inner = tx.savepoint("plans").await?;
    let answer = inner.simple_query(table.get("asks")).await;
    inner.rollback().await?;
    let messages = match answer {
        Ok(messages) => messages,
        Err(error) => {
            return match error.as_db_error() {
                Some(db) => Ok(Err(db.message().to_owned())),
                None => Err(error.into()),
            };
        }
    };
    let answers = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let statements: Vec<&str> = table.get("statements");
    let tenants: Vec<&str> = table.get("tenants");
    let relation: u32 = table.get("relation");
    let plans = answers.zip(statements.into_iter().zip(tenants)).map(
        |(plan, (statement, tenant))| {
            let plan: Value = serde_json::from_str(plan).unwrap_or_default();
            json!({ "relation": relation, "statement": statement, "tenant": tenant, "plan": plan })
        },
    );
    Ok(Ok(plans.collect()))
}
