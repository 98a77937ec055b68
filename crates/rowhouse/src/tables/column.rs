//! The column `tenant_id`: added without a default, filled, then required.

use tokio_postgres::Transaction;

use super::keys::ForeignKey;
use super::target::Target;
use super::{Assign, refused};
use crate::error::Result;

/// Counts the rows, up to one more than the plan allows, and refuses what cannot be filled.
pub(super) async fn inspect(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let limit = i64::try_from(target.plan.rows_at_most).unwrap_or(i64::MAX - 1);
    let rows: i64 = tx
        .query_one(
            &format!(
                "select count(*) from (select from {} limit $1) counted",
                target.name()
            ),
            &[&(limit + 1)],
        )
        .await?
        .get(0);
    if rows > limit {
        return Err(refused(
            target.name(),
            format_args!("has more than {limit} rows: it would be locked for too long"),
        ));
    }
    target.rows = rows.unsigned_abs();
    if !target.is_fresh_content() {
        return Ok(());
    }
    match (&target.plan.assign, has_column(tx, target).await?) {
        (Assign::Empty, true) => refuse_nulls(tx, target, "tenant_id").await?,
        (_, true) => {
            return Err(refused(
                target.name(),
                "has a column tenant_id already: whose its rows are cannot be assigned anew",
            ));
        }
        (Assign::Empty, false) if rows > 0 => {
            return Err(refused(
                target.name(),
                format_args!("has {rows} rows: say whose they are"),
            ));
        }
        _ => {}
    }
    inspect_projects(tx, target).await
}

async fn has_column(tx: &Transaction<'_>, target: &Target<'_>) -> Result<bool> {
    Ok(tx
        .query_one(
            "select exists (
               select from pg_attribute where attrelid = $1 and attname = 'tenant_id' and not attisdropped)",
            &[&target.found.oid],
        )
        .await?
        .get(0))
}

/// A row without a project would be invisible to everybody.
async fn inspect_projects(tx: &Transaction<'_>, target: &Target<'_>) -> Result<()> {
    let Some(column) = &target.plan.project_column else {
        return Ok(());
    };
    let quoted = tx
        .query_opt(
            "select quote_ident(attname) from pg_attribute
             where attrelid = $1 and attname = $2 and atttypid = 'uuid'::regtype and attnum > 0 and not attisdropped",
            &[&target.found.oid, column],
        )
        .await?
        .ok_or_else(|| {
            refused(
                target.name(),
                format_args!("has no column {column} of type uuid to hold projects"),
            )
        })?;
    refuse_nulls(tx, target, quoted.get(0)).await
}

/// `column` is quoted.
async fn refuse_nulls(tx: &Transaction<'_>, target: &Target<'_>, column: &str) -> Result<()> {
    let nulls: i64 = tx
        .query_one(
            &format!(
                "select count(*) from {} where {column} is null",
                target.name()
            ),
            &[],
        )
        .await?
        .get(0);
    if nulls > 0 {
        return Err(refused(
            target.name(),
            format_args!("has {nulls} rows without a value in {column}"),
        ));
    }
    Ok(())
}

/// Adds and fills the column in every fresh table of tenants, parents before those that follow them.
pub(super) async fn add(
    tx: &Transaction<'_>,
    keys: &[ForeignKey],
    targets: &mut [Target<'_>],
) -> Result<()> {
    let order = order(keys, targets)?;
    for (index, followed) in order {
        let target = &mut targets[index];
        let name = target.name().to_owned();
        if !has_column(tx, target).await? {
            target
                .run(tx, format!("alter table {name} add column tenant_id uuid"))
                .await?;
            fill(tx, target, followed).await?;
        }
        refuse_unassigned(tx, target).await?;
        target
            .run(
                tx,
                format!("alter table {name} alter column tenant_id set not null"),
            )
            .await?;
        target
            .run(
                tx,
                format!("alter table {name} alter column tenant_id set default rowhouse.default_tenant()"),
            )
            .await?;
    }
    Ok(())
}

/// The fresh tables of tenants (by index), each behind the one that it follows, with the key that it follows.
fn order<'k>(
    keys: &'k [ForeignKey],
    targets: &[Target<'_>],
) -> Result<Vec<(usize, Option<&'k ForeignKey>)>> {
    let mut waiting = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        if target.is_fresh_content() {
            waiting.push((index, followed(keys, target)?));
        }
    }
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let oids: Vec<u32> = waiting
            .iter()
            .map(|(index, _)| targets[*index].found.oid)
            .collect();
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, key)| key.is_none_or(|key| !oids.contains(&key.parent)));
        if let (true, Some((index, _))) = (ready.is_empty(), rest.first()) {
            return Err(refused(
                targets[*index].name(),
                "follows a table that, in the end, follows it: one of them has to say whose its rows are",
            ));
        }
        order.extend(ready);
        waiting = rest;
    }
    Ok(order)
}

fn followed<'k>(keys: &'k [ForeignKey], target: &Target<'_>) -> Result<Option<&'k ForeignKey>> {
    let Assign::Follow(name) = &target.plan.assign else {
        return Ok(None);
    };
    let mut called = keys
        .iter()
        .filter(|key| key.child == target.found.oid && key.is_called(name));
    match (called.next(), called.next()) {
        (Some(key), None) if key.leads_to_tenants() => Ok(Some(key)),
        (Some(key), None) => Err(refused(
            target.name(),
            format_args!(
                "follows {name} to {}, whose rows belong to no tenant",
                key.parent_name
            ),
        )),
        (Some(_), Some(_)) => Err(refused(
            target.name(),
            format_args!("has several foreign keys on {name}: name the constraint to follow"),
        )),
        (None, _) => Err(refused(
            target.name(),
            format_args!("has no foreign key called {name}, nor one whose only column that is"),
        )),
    }
}

/// The table's own triggers rest meanwhile: for them nothing happens.
async fn fill(
    tx: &Transaction<'_>,
    target: &mut Target<'_>,
    followed: Option<&ForeignKey>,
) -> Result<()> {
    if target.rows == 0 {
        return Ok(());
    }
    let triggers = tx
        .query(
            "select quote_ident(tgname), case tgenabled when 'A' then 'enable always' when 'R' then 'enable replica' else 'enable' end
             from pg_trigger
             where tgrelid = $1 and not tgisinternal and tgenabled <> 'D'
             order by tgname",
            &[&target.found.oid],
        )
        .await?;
    let name = target.name().to_owned();
    for row in &triggers {
        let trigger: &str = row.get(0);
        target
            .run(tx, format!("alter table {name} disable trigger {trigger}"))
            .await?;
    }
    // As a prepared statement, so that an expression cannot be several statements.
    let sql = match (&target.plan.assign, followed) {
        (Assign::Tenant(tenant), _) => {
            format!("update {name} set tenant_id = '{}'", tenant.uuid())
        }
        (Assign::Sql(expression), _) => {
            format!("update {name} set tenant_id = (\n{expression}\n)::uuid")
        }
        (Assign::Follow(_), Some(key)) => format!(
            "update {name} c set tenant_id = p.tenant_id from {} p where {}",
            key.parent_name,
            key.join()
        ),
        _ => return Ok(()),
    };
    tx.execute(&sql, &[]).await?;
    target.statements.push(sql);
    for row in &triggers {
        let (trigger, enable): (&str, &str) = (row.get(0), row.get(1));
        target
            .run(tx, format!("alter table {name} {enable} trigger {trigger}"))
            .await?;
    }
    Ok(())
}

/// Every row has a tenant, and a tenant that exists.
async fn refuse_unassigned(tx: &Transaction<'_>, target: &Target<'_>) -> Result<()> {
    let row = tx
        .query_one(
            &format!(
                "select count(*) filter (where tenant_id is null),
                   count(*) filter (where tenant_id is not null and not exists (
                     select from rowhouse.tenants t where t.id = r.tenant_id))
                 from {} r",
                target.name()
            ),
            &[],
        )
        .await?;
    let (unassigned, unknown): (i64, i64) = (row.get(0), row.get(1));
    if unassigned > 0 {
        return Err(refused(
            target.name(),
            format_args!("has {unassigned} rows that were assigned to no tenant"),
        ));
    }
    if unknown > 0 {
        return Err(refused(
            target.name(),
            format_args!("has {unknown} rows that were assigned to a tenant that does not exist"),
        ));
    }
    Ok(())
}
