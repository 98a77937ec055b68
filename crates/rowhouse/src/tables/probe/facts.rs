//! What the catalogue says: which tables there are to probe, what a row of each has to be like, and which ways lead around
//! it. Read by the owner, outside of the transactions in which something is tried.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::super::doctor::{MAYBE_TENANT_COLUMNS, TENANT_COLUMNS};
use super::Options;
use crate::error::{Error, Result};

/// A table to probe.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub oid: u32,
    /// Quoted as SQL needs it, as every name here.
    pub name: String,
    pub class: String,
    pub mode: String,
    pub tenant: Option<String>,
    pub project: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub oid: u32,
    pub name: String,
    pub rights: Rights,
    pub columns: Vec<Column>,
    pub keys: Vec<Key>,
    pub checks: Vec<Check>,
    pub domain_checks: Vec<Check>,
    pub references: Vec<Reference>,
    pub triggers: Vec<Trigger>,
    pub sequences: Vec<String>,
    pub leaves: Vec<Leaf>,
}

/// What the login that attacks may do at all.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Rights {
    pub insert: bool,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts of the catalogue")]
pub(super) struct Column {
    pub number: i16,
    pub name: String,
    pub plain: String,
    /// Of a domain, what it is made of.
    pub base: String,
    pub kind: String,
    pub category: String,
    pub length: Option<usize>,
    pub not_null: bool,
    pub has_default: bool,
    pub identity: bool,
    pub always: bool,
    pub generated: bool,
    pub labels: Option<Vec<String>>,
    pub may_select: bool,
    pub may_insert: bool,
    pub may_update: bool,
}

impl Column {
    /// It comes to a value without one being named.
    pub fn has_own_value(&self) -> bool {
        self.has_default || self.identity || !self.not_null
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub columns: Vec<i16>,
    pub primary: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub name: String,
    pub columns: Vec<i16>,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub name: String,
    pub parent: u32,
    pub columns: Vec<i16>,
    pub parent_columns: Vec<i16>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    pub name: String,
    /// Its own: the one that is meant, or one that a write there goes on to.
    pub table: String,
    pub function: String,
    pub notifies: bool,
    pub reaches_out: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Leaf {
    pub oid: u32,
    pub name: String,
    pub select: bool,
}

/// A view, a materialized view or a function.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub kind: WayKind,
    pub name: String,
    /// Of a function, with places for a tenant.
    pub arguments: String,
    pub updates: bool,
    pub deletes: bool,
    /// What a write does is said by a trigger INSTEAD OF, or by a rule.
    pub otherwise: bool,
    /// Why it is not taken.
    pub why_not: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayKind {
    View,
    Materialized,
    Function,
}

impl Table {
    pub fn column(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    pub fn number_of(&self, quoted: &str) -> Option<i16> {
        self.columns
            .iter()
            .find(|column| column.name == quoted)
            .map(|column| column.number)
    }

    /// The first trigger that does what no rollback undoes.
    pub fn reaches_out(&self) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.reaches_out)
    }
}

/// Bits of `pg_relation_is_updatable`.
const UPDATES: i32 = 1 << 2;
const DELETES: i32 = 1 << 4;

/// The catalogue, each table read once.
pub(super) struct Facts {
    login: String,
    tables: BTreeMap<u32, Arc<Table>>,
}

impl Facts {
    pub fn new(login: &str) -> Self {
        Self {
            login: login.to_owned(),
            tables: BTreeMap::new(),
        }
    }

    pub async fn table(&mut self, client: &Client, oid: u32) -> Result<Arc<Table>> {
        if let Some(known) = self.tables.get(&oid) {
            return Ok(known.clone());
        }
        let row = client
            .query_typed_opt(
                include_str!("table.sql"),
                &[(&oid, Type::OID), (&self.login, Type::TEXT)],
            )
            .await?
            .ok_or_else(|| {
                Error::Schema("a table went away while the database was probed".into())
            })?;
        let table: Table = serde_json::from_str(row.get(0))
            .map_err(|error| Error::Schema(format!("the catalogue cannot be read: {error}")))?;
        let table = Arc::new(table);
        self.tables.insert(oid, table.clone());
        Ok(table)
    }

    pub async fn ways(&self, client: &Client, oid: u32) -> Result<Vec<Way>> {
        let rows = client
            .query_typed(
                include_str!("ways.sql"),
                &[(&oid, Type::OID), (&self.login, Type::TEXT)],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| {
                let updatable: i32 = row.get("updatable");
                Way {
                    kind: match row.get("kind") {
                        "v" => WayKind::View,
                        "m" => WayKind::Materialized,
                        _ => WayKind::Function,
                    },
                    name: row.get("name"),
                    arguments: row
                        .get::<_, Option<String>>("arguments")
                        .unwrap_or_default(),
                    updates: updatable & UPDATES != 0 && row.get("may_update"),
                    deletes: updatable & DELETES != 0 && row.get("may_delete"),
                    otherwise: row.get("otherwise"),
                    why_not: row.get("why_not"),
                }
            })
            .collect())
    }
}

/// Rowhouse is in this database.
pub(super) async fn is_ours(client: &Client) -> Result<bool> {
    Ok(client
        .query_typed_one(
            "select to_regclass('rowhouse.managed_tables') is not null",
            &[],
        )
        .await?
        .get(0))
}

/// Rows of `rowhouse.managed_tables`, by column.
#[derive(Default)]
struct Managed {
    schemas: Vec<String>,
    tables: Vec<String>,
    classes: Vec<String>,
    modes: Vec<String>,
    projects: Vec<Option<String>>,
}

/// Every table to probe, in the order of their names.
pub(super) async fn targets(
    client: &Client,
    options: &Options,
    is_ours: bool,
) -> Result<Vec<Target>> {
    let mut managed = Managed::default();
    if is_ours {
        let rows = client
            .query_typed(
                "select schema_name, table_name, class, mode, quote_ident(project_column) from rowhouse.managed_tables",
                &[],
            )
            .await?;
        for row in rows {
            managed.schemas.push(row.get(0));
            managed.tables.push(row.get(1));
            managed.classes.push(row.get(2));
            managed.modes.push(row.get(3));
            managed.projects.push(row.get(4));
        }
    }
    let known: Vec<&str> = options
        .tenant_columns
        .iter()
        .map(String::as_str)
        .chain(TENANT_COLUMNS.iter().copied())
        .collect();
    let rows = client
        .query_typed(
            include_str!("tables.sql"),
            &[
                (&known, Type::TEXT_ARRAY),
                (&MAYBE_TENANT_COLUMNS, Type::TEXT_ARRAY),
                (&managed.schemas, Type::TEXT_ARRAY),
                (&managed.tables, Type::TEXT_ARRAY),
                (&managed.classes, Type::TEXT_ARRAY),
                (&managed.modes, Type::TEXT_ARRAY),
                (&managed.projects, Type::TEXT_ARRAY),
                (&is_ours, Type::BOOL),
            ],
        )
        .await?;
    let mut targets: Vec<Target> = rows
        .iter()
        .map(|row| Target {
            oid: row.get("oid"),
            name: row.get("name"),
            class: row.get("class"),
            mode: row.get("mode"),
            tenant: row.get("tenant"),
            project: row.get("project_column"),
        })
        .collect();
    if !options.tables.is_empty() {
        let mut wanted = Vec::new();
        for name in &options.tables {
            let oid: Option<u32> = client
                .query_typed_one("select to_regclass($1)::oid", &[(name, Type::TEXT)])
                .await?
                .get(0);
            let target = targets.iter().find(|target| Some(target.oid) == oid);
            wanted.push(target.cloned().ok_or_else(|| {
                Error::invalid(
                    "table",
                    format!("{name} is no table whose rows belong to tenants"),
                )
            })?);
        }
        targets = wanted;
    }
    Ok(targets)
}
