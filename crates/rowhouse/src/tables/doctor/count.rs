//! Rows that refer to nothing: the one thing that the catalogue does not know. Asked for by `--count` only, since it
//! reads the tables; each foreign key has the rule's time, and one that takes longer is left out and named.

use tokio_postgres::Transaction;

use super::facts::Facts;
use super::{Finding, Level, attempt, unasked};
use crate::error::Result;

/// Not in `RULES`: its SQL makes the statements that count.
pub const RULE: &str = "rows-refer-to-nothing";

pub(super) async fn dangling_rows(tx: &mut Transaction<'_>, facts: &Facts) -> Result<Vec<Finding>> {
    let keys = match attempt(
        tx,
        include_str!("count.sql"),
        &[(&facts.tables, tokio_postgres::types::Type::OID_ARRAY)],
    )
    .await?
    {
        Ok(keys) => keys,
        Err(why) => return Ok(vec![unasked(RULE, &why)]),
    };
    // What this login cannot see, it cannot count: then Postgres is to refuse, not to answer for a part of the rows.
    tx.batch_execute("set local row_security = off").await?;
    let mut findings = Vec::new();
    for key in keys {
        let object: String = key.get("object");
        match attempt(tx, key.get("counts"), &[]).await? {
            Ok(rows) if rows[0].get::<_, bool>(0) => findings.push(Finding {
                rule: RULE.into(),
                level: Level::Error,
                object,
                what: "is broken: rows refer to nothing, although Postgres takes it for valid".into(),
                why: "Validated while a tenant was bound, a key is checked over that tenant's rows only.".into(),
                mend: key.get("mend"),
            }),
            Ok(_) => {}
            Err(why) => {
                let mut finding = unasked(RULE, &why);
                finding.object = object;
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}
