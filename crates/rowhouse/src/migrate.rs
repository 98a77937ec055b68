//! Migrations: the wall and its tables, embedded in the binary. History: `rowhouse.schema_history`.
//!
//! Invariants: two that migrate at once both succeed, one after the other; a second run changes nothing; nothing runs
//! while a tenant is bound (a foreign key would be checked over that tenant's rows only); a database that is newer than
//! this binary is left alone.

use tokio_postgres::Client;

use crate::error::{Error, Result};
use crate::tx::Owner;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Cluster-wide: roles are not part of a database, and may be there already.
const ROLES: &str = include_str!("../roles.sql");
const HISTORY: &str = "rowhouse.schema_history";
/// First key of our advisory locks; the second says for what. Two keys, so that no single-key lock can be in the way.
const LOCK_SPACE: i32 = 0x524f_5748;
const LOCK_MIGRATE: i32 = 1;

/// One step, as `rowhouse migrate --dry-run` prints it.
#[derive(Clone, Debug)]
pub struct Step {
    /// `V1__wall`.
    pub name: String,
    /// What it says to the server.
    pub sql: String,
}

/// The steps that this database has not seen yet, in their order. Changes nothing.
pub async fn pending(owner: &mut Owner) -> Result<Vec<Step>> {
    let applied = applied(owner.client()).await?;
    let steps = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .filter(|step| !applied.contains(&step.version()))
        .map(|step| Step {
            name: step.to_string(),
            sql: step.sql().unwrap_or_default().to_owned(),
        })
        .collect();
    Ok(steps)
}

/// Applies every pending step, each in a transaction of its own, and answers their names.
pub async fn run(owner: &mut Owner) -> Result<Vec<String>> {
    let client = owner.client();
    refuse_while_bound(client).await?;
    client
        .execute(
            "select pg_advisory_lock($1, $2)",
            &[&LOCK_SPACE, &LOCK_MIGRATE],
        )
        .await?;
    let done = run_locked(client).await;
    client
        .execute(
            "select pg_advisory_unlock($1, $2)",
            &[&LOCK_SPACE, &LOCK_MIGRATE],
        )
        .await?;
    done
}

async fn run_locked(client: &mut Client) -> Result<Vec<String>> {
    refuse_newer(&applied(client).await?)?;
    client.batch_execute(ROLES).await.map_err(roles_refused)?;
    client
        .batch_execute("create schema if not exists rowhouse authorization rowhouse_owner")
        .await?;
    let report = embedded::migrations::runner()
        .set_migration_table_name(HISTORY)
        .run_async(client)
        .await
        .map_err(|error| {
            use std::error::Error as _;
            let cause = error
                .source()
                .and_then(|cause| cause.source())
                .map(|cause| format!(": {cause}"));
            Error::Schema(format!(
                "a migration failed and was rolled back: {error}{}",
                cause.unwrap_or_default()
            ))
        })?;
    client
        .batch_execute(
            "alter table rowhouse.schema_history owner to rowhouse_owner;
             grant select on rowhouse.schema_history to rowhouse_app, rowhouse_platform",
        )
        .await?;
    Ok(report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect())
}

fn roles_refused(error: tokio_postgres::Error) -> Error {
    match Error::from(error) {
        Error::NotPermitted(why) => Error::NotPermitted(format!(
            "{why}. The first migration makes roles: run it as a superuser, or as a login with CREATEROLE that owns the database"
        )),
        other => other,
    }
}

/// The versions in the history; none when there is no history yet.
async fn applied(client: &Client) -> Result<Vec<i32>> {
    let exists = client
        .query_typed_one(
            "select to_regclass('rowhouse.schema_history') is not null",
            &[],
        )
        .await?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client
        .query_typed(
            "select version from rowhouse.schema_history order by version",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn newest() -> i32 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or(0)
}

fn refuse_newer(applied: &[i32]) -> Result<()> {
    match applied.last() {
        Some(last) if *last > newest() => Err(Error::Schema(format!(
            "this database is at version {last}, this binary knows up to version {}: use a newer rowhouse",
            newest()
        ))),
        _ => Ok(()),
    }
}

/// A login's stored setting, or a pooler, can bring a tenant into a fresh session.
async fn refuse_while_bound(client: &Client) -> Result<()> {
    let row = client
        .query_typed_one(
            "select coalesce(current_setting('app.tenant_id', true), '') <> ''",
            &[],
        )
        .await?;
    if row.get(0) {
        return Err(Error::Schema(
            "a tenant is bound to this session (setting app.tenant_id): migrations run outside of every tenant".into(),
        ));
    }
    Ok(())
}

/// What `serve` asks before it works with a database: it never migrates.
pub(crate) async fn refuse_foreign_schema(client: &Client) -> Result<()> {
    let exists = client
        .query_typed_one(
            "select to_regclass('rowhouse.schema_history') is not null",
            &[],
        )
        .await?;
    if !exists.get::<_, bool>(0) {
        return Err(Error::Schema(
            "this database has no Rowhouse schema: run rowhouse migrate".into(),
        ));
    }
    let applied = applied(client).await?;
    refuse_newer(&applied)?;
    if applied.last().copied().unwrap_or(0) < newest() {
        return Err(Error::Schema(format!(
            "this database is at version {}, this binary needs version {}: run rowhouse migrate",
            applied.last().copied().unwrap_or(0),
            newest()
        )));
    }
    Ok(())
}
