//! The order in which a plan is carried out. Nothing is changed before everything was looked at.

use tokio_postgres::Transaction;

use super::target::{self, Target};
use super::{Class, Protect, Protected, column, indexes, keys, rights};
use crate::error::{Error, Result};

pub(super) async fn run(tx: &Transaction<'_>, plan: &[Protect]) -> Result<Vec<Protected>> {
    let patience = prepare(tx).await?;
    let mut targets = target::resolve(tx, plan).await?;
    let linked = keys::linked(&keys::touching(tx, &targets).await?, &targets);
    target::lock(tx, &targets, &linked).await?;

    let keys = keys::touching(tx, &targets).await?;
    refuse(tx, &keys, &targets).await?;
    for target in targets.iter_mut().filter(|target| !target.already) {
        column::inspect(tx, target).await?;
    }

    let lowered = lower(tx, &linked).await?;
    keys::drop_plain(tx, &keys, &mut targets).await?;
    column::add(tx, &keys, &mut targets).await?;
    for target in targets
        .iter_mut()
        .filter(|target| target.is_fresh_content())
    {
        indexes::lead_by_tenant(tx, target).await?;
        indexes::serve_the_floor(tx, target).await?;
    }
    keys::add_composite(tx, &keys, &mut targets).await?;
    for target in &mut targets {
        if target.already {
            rights::grant(tx, target).await?;
        } else {
            rights::settle(tx, target).await?;
            raise(tx, target).await?;
        }
    }
    for name in lowered {
        tx.batch_execute(&format!("alter table {name} force row level security"))
            .await?;
    }
    tx.execute("select set_config('lock_timeout', $1, true)", &[&patience])
        .await?;
    Ok(targets.into_iter().map(Target::report).collect())
}

/// Answers the `lock_timeout` that is to be put back.
async fn prepare(tx: &Transaction<'_>) -> Result<String> {
    tx.execute("select rowhouse_private.refuse_while_bound()", &[])
        .await?;
    // A table with events of deferred triggers pending cannot be altered.
    tx.batch_execute("set constraints all immediate").await?;
    let patience: String = tx
        .query_one("select current_setting('lock_timeout')", &[])
        .await?
        .get(0);
    if patience == "0" {
        tx.batch_execute("set local lock_timeout = '2s'").await?;
    }
    Ok(patience)
}

/// Everything that stands against the plan, in one error.
async fn refuse(
    tx: &Transaction<'_>,
    keys: &[keys::ForeignKey],
    targets: &[Target<'_>],
) -> Result<()> {
    let mut reasons = Vec::new();
    for target in targets.iter().filter(|target| !target.already) {
        let rows = tx
            .query(
                include_str!("refuse.sql"),
                &[&target.found.oid, &target.plan.class],
            )
            .await?;
        reasons.extend(
            rows.iter()
                .map(|row| format!("{} {}", target.name(), row.get::<_, &str>(0))),
        );
    }
    reasons.extend(keys::refusals(keys, targets));
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid("table", reasons.join("\n")))
    }
}

/// Takes FORCE from tables that stand behind the wall already and share keys with the plan: validated under it, a key
/// would be looked at for no tenant at all. They stay locked until the transaction ends, so nobody sees them like that.
async fn lower(tx: &Transaction<'_>, linked: &[(u32, String)]) -> Result<Vec<String>> {
    let mut lowered = Vec::new();
    for (oid, name) in linked {
        let forced: bool = tx
            .query_one(
                "select relforcerowsecurity from pg_class where oid = $1",
                &[oid],
            )
            .await?
            .get(0);
        if forced {
            tx.batch_execute(&format!("alter table {name} no force row level security"))
                .await?;
            lowered.push(name.clone());
        }
    }
    Ok(lowered)
}

async fn raise(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    if target.plan.class == Class::Shared {
        tx.execute(
            "insert into rowhouse.managed_tables (schema_name, table_name, class, mode)
             values ($1, $2, 'shared', 'enforce')",
            &[&target.found.schema_name, &target.found.table_name],
        )
        .await?;
        return Ok(());
    }
    let sql: String = tx
        .query_one(
            "select format('select rowhouse.raise_wall(%L, ''content'', ''enforce'', %L)', $1::text, $2::text)",
            &[&target.name(), &target.plan.project_column],
        )
        .await?
        .get(0);
    target.run(tx, sql).await
}
