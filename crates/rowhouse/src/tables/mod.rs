//! Tables behind the wall: putting them there, switching their mode, listing them. Table `rowhouse.managed_tables`.
//!
//! [`protect`] is for fresh and for small tables: it locks them, and does everything in the caller's transaction, which
//! is the owner's ([`crate::Owner::begin`]). Several tables at once, since keys between them change together.
//!
//! Invariants: a table is either wholly behind the wall or untouched, whatever fails and whatever the caller does
//! afterwards (a savepoint); foreign keys are counted and validated before the floor is raised, because behind it
//! Postgres validates over the rows of one tenant only; the default of `tenant_id` is set after the rows were assigned,
//! because set together with the column it would stamp all of them with whichever tenant is bound.

mod column;
pub mod doctor;
mod indexes;
mod keys;
pub mod probe;
mod protect;
mod rights;
mod target;

use serde::Serialize;
use tokio_postgres::Transaction;

use crate::error::{Error, Result};
use crate::ids::TenantId;
use crate::text_enum::text_enum;

text_enum! {
    /// Whose rows a managed table holds. Constraint `managed_tables_class`.
    Class {
        /// A tenant's administration: Rowhouse's own tables only.
        Admin = "admin",
        /// What belongs to tenants.
        Content = "content",
        /// Reference data: every tenant reads it, nobody but the owner writes it.
        Shared = "shared",
    }
}

text_enum! {
    /// How much of the wall stands. Constraint `managed_tables_mode`.
    Mode {
        /// Row-level security is disabled: everybody sees every row.
        Off = "off",
        /// It is on, but binds only what runs as `rowhouse_enforced`: for trying it out on live statements.
        Shadow = "shadow",
        /// It binds everybody, the table's owner too.
        Enforce = "enforce",
    }
}

/// A table to put behind the wall.
#[derive(Clone, Debug)]
pub struct Protect {
    /// Its name as in SQL: found by `search_path` or with a schema, in quotes where SQL needs them.
    pub table: String,
    /// [`Class::Content`] or [`Class::Shared`].
    pub class: Class,
    /// Whose its rows are. Not looked at for a shared table, nor for one that is behind the wall already.
    pub assign: Assign,
    /// The column (without quotes) that holds a row's project, where projects are a second wall inside the tenant.
    pub project_column: Option<String>,
    /// A table with more rows is refused: it would be locked for too long. [`Protect::content`] says 1,000,000.
    pub rows_at_most: u64,
}

impl Protect {
    /// Content of tenants.
    pub fn content(table: impl Into<String>, assign: Assign) -> Self {
        Self {
            table: table.into(),
            class: Class::Content,
            assign,
            project_column: None,
            rows_at_most: 1_000_000,
        }
    }

    /// Reference data.
    pub fn shared(table: impl Into<String>) -> Self {
        Self {
            class: Class::Shared,
            ..Self::content(table, Assign::Empty)
        }
    }

    /// With projects as a second wall: the name of the column, without quotes.
    #[must_use]
    pub fn in_projects(self, column: impl Into<String>) -> Self {
        Self {
            project_column: Some(column.into()),
            ..self
        }
    }

    /// With another limit of rows.
    #[must_use]
    pub fn rows_at_most(self, rows_at_most: u64) -> Self {
        Self {
            rows_at_most,
            ..self
        }
    }
}

/// Whose a table's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assign {
    /// There are none yet, or the column `tenant_id` is there already and says it.
    Empty,
    /// All of them this tenant's.
    Tenant(TenantId),
    /// An SQL expression over the table's row that gives the tenant's UUID.
    Sql(String),
    /// The tenant of the row that a foreign key of this table leads to: the name of the constraint or of its only
    /// column, without quotes. The other table is in the same plan or behind the wall already.
    Follow(String),
}

/// What became of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Protected {
    /// Schema and name, quoted as SQL needs them.
    pub table: String,
    /// Its class.
    pub class: Class,
    /// How many rows it held; none for a table that was behind the wall already, since they were not counted.
    pub rows: Option<u64>,
    /// It was behind the wall already: only rights were looked after.
    pub already: bool,
    /// What its owner should know.
    pub notes: Vec<String>,
    /// What was done, as SQL. (The update that assigns rows to tenants holds the caller's expression.)
    pub statements: Vec<String>,
}

/// A table that stands behind the wall.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Managed {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its class.
    pub class: Class,
    /// How much of the wall stands.
    pub mode: Mode,
    /// The column that holds a row's project.
    pub project_column: Option<String>,
    /// There is such a table, with as much of a wall as its class and mode say. False after it was renamed, dropped,
    /// made anew, or had its policies taken away by hand.
    pub stands: bool,
}

/// Puts tables behind the wall, in mode [`Mode::Enforce`]. Their rows get a column `tenant_id`; primary keys, unique
/// constraints, indexes, and foreign keys among them begin with it; they belong to `rowhouse_owner`, and the app may read
/// and write them as far as the wall lets it.
///
/// On a table that is behind it already, it only gives the app the right to update columns that were added since.
///
/// [`Error::Invalid`] names every table and rule that stands against it, with the statement that mends it where there is
/// one. The tables are locked until the caller's transaction ends; it waits two seconds for the locks unless the
/// caller's `lock_timeout` says otherwise. Deferred constraints of the transaction become immediate.
pub async fn protect(tx: &Transaction<'_>, plan: &[Protect]) -> Result<Vec<Protected>> {
    tx.batch_execute("savepoint rowhouse_protect").await?;
    let done = protect::run(tx, plan).await;
    tx.batch_execute(match done {
        Ok(_) => "release savepoint rowhouse_protect",
        Err(_) => "rollback to savepoint rowhouse_protect; release savepoint rowhouse_protect",
    })
    .await?;
    done
}

/// Switches a table's mode, for every statement that begins after the caller's transaction commits.
pub async fn set_mode(tx: &Transaction<'_>, table: &str, mode: Mode) -> Result<()> {
    let found = target::find(tx, table).await?;
    let walled: bool = tx
        .query_one(
            "select exists (
               select from rowhouse.managed_tables
               where schema_name = $1 and table_name = $2 and class <> 'shared')",
            &[&found.schema_name, &found.table_name],
        )
        .await?
        .get(0);
    if !walled {
        return Err(refused(&found.name, "is not behind the wall"));
    }
    tx.execute(
        "select rowhouse.set_mode($1::oid::regclass, $2)",
        &[&found.oid, &mode],
    )
    .await?;
    Ok(())
}

/// Every table that was put behind the wall, Rowhouse's own too, by schema and name.
pub async fn list(tx: &Transaction<'_>) -> Result<Vec<Managed>> {
    let rows = tx
        .query(
            "select m.schema_name, m.table_name, m.class, m.mode, m.project_column,
               coalesce(case
                 when m.class = 'shared' then not c.relrowsecurity
                 else c.relforcerowsecurity and c.relrowsecurity = (m.mode <> 'off')
                   and m.floors @> '{tenant_floor}'
                   and m.floors <@ array(
                     select p.polname from pg_policy p
                     where p.polrelid = c.oid and not p.polpermissive and (p.polroles = '{0}') = (m.mode = 'enforce'))
                   and exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'shadow_open')
                     = (m.mode <> 'enforce')
               end, false) as stands
             from rowhouse.managed_tables m
             left join pg_namespace n on n.nspname = m.schema_name
             left join pg_class c on c.relnamespace = n.oid and c.relname = m.table_name
             order by m.schema_name, m.table_name",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Managed {
            schema: row.get("schema_name"),
            table: row.get("table_name"),
            class: row.get("class"),
            mode: row.get("mode"),
            project_column: row.get("project_column"),
            stands: row.get("stands"),
        })
        .collect())
}

/// A refusal that names the table first.
fn refused(table: &str, rule: impl std::fmt::Display) -> Error {
    Error::invalid("table", format!("{table} {rule}"))
}
