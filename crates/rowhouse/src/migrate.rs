//! Migrations: the wall and its tables, embedded in the binary. History: `rowhouse.schema_history`.
//!
//! Invariants: two that migrate at once both succeed, one after the other; a second run changes nothing; nothing runs
//! while a tenant is bound (a foreign key would be checked over that tenant's rows only); a database that is newer than
//! this binary is left alone.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::error::{Error, Result};
use crate::tx::Owner;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Cluster-wide: roles are not part of a database, and may be there already.
const ROLES: &str = include_str!("../roles.sql");
const HISTORY: &str = "rowhouse.schema_history";
const MAKE_HISTORY: &str = "
    create schema if not exists rowhouse authorization rowhouse_owner;
    do $$
    begin
      if to_regclass('rowhouse.schema_history') is null then
        create table rowhouse.schema_history
          (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255));
        alter table rowhouse.schema_history owner to rowhouse_owner;
      end if;
    end
    $$";
const MADE_MEANWHILE: &[SqlState] = &[
    SqlState::UNIQUE_VIOLATION,
    SqlState::DUPLICATE_TABLE,
    SqlState::DUPLICATE_SCHEMA,
];
/// Holds up others who lock, and nobody who reads or writes.
const LOCK: &str = "lock table rowhouse.schema_history in share update exclusive mode";

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
    let runner = embedded::migrations::runner();
    let mut all: Vec<_> = runner.get_migrations().iter().collect();
    all.sort_by_key(|step| step.version()); // as files they lie in another order: V10 before V2
    let steps = all
        .into_iter()
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
    refuse_while_bound(owner.client()).await?;
    refuse_newer(&applied(owner.client()).await?)?;
    owner
        .client()
        .batch_execute(ROLES)
        .await
        .map_err(roles_refused)?;
    make_history(owner.client()).await?;
    // Two that start at once: the second waits here. A lock on the history and not an advisory one, which the app's login
    // could hold for ever. It lasts as long as this connection.
    let mut second = owner.another().await?;
    let lock = second.transaction().await?;
    lock.batch_execute(LOCK).await?;
    let client = owner.client();
    refuse_newer(&applied(client).await?)?;
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
        .batch_execute("grant select on rowhouse.schema_history to rowhouse_app, rowhouse_platform")
        .await?;
    lock.commit().await?;
    Ok(report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect())
}

/// The schema and the history in it, as refinery would make it. Of two that make it at once, one meets the other's
/// half-made entry in the catalogue, and finds it whole when it looks again.
async fn make_history(client: &Client) -> Result<()> {
    for attempt in 1.. {
        match client.batch_execute(MAKE_HISTORY).await {
            Err(error)
                if attempt < 5
                    && error
                        .code()
                        .is_some_and(|code| MADE_MEANWHILE.contains(code)) => {}
            other => return Ok(other?),
        }
    }
    Ok(())
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
