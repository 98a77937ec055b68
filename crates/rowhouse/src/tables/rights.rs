//! Who may do what with a table: it belongs to `rowhouse_owner`, and nobody keeps a right that he had before.

use tokio_postgres::Transaction;

use super::Class;
use super::target::Target;
use crate::error::Result;

/// Hands the table to `rowhouse_owner`, takes every right away, and gives the app's.
pub(super) async fn settle(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    hand_over(tx, target).await?;
    for statement in statements(tx, include_str!("revoke.sql"), target).await? {
        target.run(tx, statement).await?;
    }
    note_who_lost(tx, target).await?;
    grant(tx, target).await?;
    note_definers(tx, target).await
}

/// What the app may do. Run again later, it adds the columns that have come since.
pub(super) async fn grant(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let name = target.name().to_owned();
    if target.plan.class == Class::Shared {
        if !target.already {
            target
                .run(tx, format!("grant select on {name} to rowhouse_app"))
                .await?;
        }
        return Ok(());
    }
    if !target.already {
        target
            .run(
                tx,
                format!("grant select, insert, delete on {name} to rowhouse_app"),
            )
            .await?;
    }
    // By column: a tenant's row never becomes another's, whatever the policies say.
    let missing = tx
        .query(
            "select quote_ident(a.attname)
             from pg_attribute a
             where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and a.attname <> 'tenant_id'
               and not has_column_privilege('rowhouse_app', a.attrelid, a.attnum, 'update')
             order by a.attnum",
            &[&target.found.oid],
        )
        .await?;
    let columns: Vec<&str> = missing.iter().map(|row| row.get(0)).collect();
    if !columns.is_empty() {
        let columns = columns.join(", ");
        target
            .run(
                tx,
                format!("grant update ({columns}) on {name} to rowhouse_app"),
            )
            .await?;
        if target.already {
            target.note(format!(
                "the app may now update the columns that were added since: {columns}"
            ));
        }
    }
    for statement in statements(tx, include_str!("grant.sql"), target).await? {
        target.run(tx, statement).await?;
    }
    Ok(())
}

/// A new owner needs CREATE on the schema at that moment, unless a superuser does it.
async fn hand_over(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let row = tx
        .query_one(
            "select c.relowner <> 'rowhouse_owner'::regrole as foreign_owner,
               not has_schema_privilege('rowhouse_owner', c.relnamespace, 'create')
                 and not (select rolsuper from pg_roles where rolname = current_user) as needs_create,
               quote_ident(pg_get_userbyid(c.relowner)) as owner
             from pg_class c
             where c.oid = $1",
            &[&target.found.oid],
        )
        .await?;
    if !row.get::<_, bool>("foreign_owner") {
        return Ok(());
    }
    let (name, schema) = (target.name().to_owned(), target.found.schema.clone());
    let needs_create: bool = row.get("needs_create");
    if needs_create {
        target
            .run(
                tx,
                format!("grant create on schema {schema} to rowhouse_owner"),
            )
            .await?;
    }
    target
        .run(tx, format!("alter table {name} owner to rowhouse_owner"))
        .await?;
    if needs_create {
        target
            .run(
                tx,
                format!("revoke create on schema {schema} from rowhouse_owner"),
            )
            .await?;
    }
    target.note(format!(
        "it belonged to {}, and belongs to rowhouse_owner now",
        row.get::<_, &str>("owner")
    ));
    Ok(())
}

/// After the revocations: somebody who still has a right was given it by somebody else than the owner.
async fn note_who_lost(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let left: Option<String> = tx
        .query_one(
            "select string_agg(distinct quote_ident(pg_get_userbyid(acl.grantee)), ', ')
             from pg_class c, aclexplode(c.relacl) acl
             where c.oid = $1 and acl.grantee <> c.relowner",
            &[&target.found.oid],
        )
        .await?
        .get(0);
    if let Some(left) = left {
        return Err(super::refused(
            target.name(),
            format_args!(
                "cannot be taken from {left}, who were given rights on it by somebody else than its owner"
            ),
        ));
    }
    Ok(())
}

/// A trigger that runs with its owner's rights is a door of its own; only its author knows whether it is one that leaks.
async fn note_definers(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let triggers = tx
        .query(
            "select format('trigger %I runs %s with the rights of %I, whom the wall may not bind',
               t.tgname, p.oid::regprocedure, pg_get_userbyid(p.proowner))
             from pg_trigger t
             join pg_proc p on p.oid = t.tgfoid
             where t.tgrelid = $1 and not t.tgisinternal and p.prosecdef
             order by t.tgname",
            &[&target.found.oid],
        )
        .await?;
    for row in &triggers {
        target.note(row.get::<_, &str>(0));
    }
    Ok(())
}

async fn statements(tx: &Transaction<'_>, sql: &str, target: &Target<'_>) -> Result<Vec<String>> {
    let rows = tx.query(sql, &[&target.found.oid]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
