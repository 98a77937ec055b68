//! A table of a plan: found, told apart, locked.

use tokio_postgres::Transaction;

use super::{Class, Protect, Protected, refused};
use crate::error::Result;

/// A table by any name.
pub(super) struct Found {
    pub oid: u32,
    /// Schema and name, quoted.
    pub name: String,
    /// Quoted.
    pub schema: String,
    pub schema_name: String,
    pub table_name: String,
    kind: String,
}

/// A table of a plan, and what was done to it so far.
pub(super) struct Target<'a> {
    pub plan: &'a Protect,
    pub found: Found,
    /// It is behind the wall already, in the class that the plan asks for.
    pub already: bool,
    pub rows: u64,
    pub notes: Vec<String>,
    pub statements: Vec<String>,
}

impl Target<'_> {
    pub fn name(&self) -> &str {
        &self.found.name
    }

    /// A fresh table of tenants: column, keys and floor are still to be made.
    pub fn is_fresh_content(&self) -> bool {
        !self.already && self.plan.class == Class::Content
    }

    /// Runs a statement, and keeps it for the report.
    pub async fn run(&mut self, tx: &Transaction<'_>, sql: String) -> Result<()> {
        tx.batch_execute(&sql).await?;
        self.statements.push(sql);
        Ok(())
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn report(self) -> Protected {
        Protected {
            table: self.found.name,
            class: self.plan.class,
            rows: (!self.already).then_some(self.rows),
            already: self.already,
            notes: self.notes,
            statements: self.statements,
        }
    }
}

/// The table that SQL would find by this name.
pub(super) async fn find(tx: &Transaction<'_>, table: &str) -> Result<Found> {
    let row = tx
        .query_opt(
            "select c.oid, format('%I.%I', n.nspname, c.relname) as name, quote_ident(n.nspname) as schema,
               n.nspname::text as schema_name, c.relname::text as table_name, c.relkind::text as kind
             from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
             where c.oid = to_regclass($1)::oid",
            &[&table],
        )
        .await
        .map_err(|error| match error.as_db_error() {
            Some(db) => refused(table, format_args!("is not the name of a table: {}", db.message())),
            None => error.into(),
        })?
        .ok_or_else(|| refused(table, "does not exist"))?;
    Ok(Found {
        oid: row.get("oid"),
        name: row.get("name"),
        schema: row.get("schema"),
        schema_name: row.get("schema_name"),
        table_name: row.get("table_name"),
        kind: row.get("kind"),
    })
}

/// The tables of the plan, each once, each of a kind that can stand behind the wall at all.
pub(super) async fn resolve<'a>(
    tx: &Transaction<'_>,
    plan: &'a [Protect],
) -> Result<Vec<Target<'a>>> {
    let mut targets: Vec<Target<'a>> = Vec::with_capacity(plan.len());
    for entry in plan {
        let found = find(tx, &entry.table).await?;
        refuse_kind(&found)?;
        if entry.class == Class::Admin {
            return Err(refused(
                &found.name,
                "can be of class content or shared: admin is for Rowhouse's own tables",
            ));
        }
        if entry.class == Class::Shared && entry.project_column.is_some() {
            return Err(refused(&found.name, "is shared: it has no projects"));
        }
        if targets.iter().any(|other| other.found.oid == found.oid) {
            return Err(refused(&found.name, "is in the plan twice"));
        }
        let already = is_protected(tx, &found, entry).await?;
        targets.push(Target {
            plan: entry,
            found,
            already,
            rows: 0,
            notes: Vec::new(),
            statements: Vec::new(),
        });
    }
    Ok(targets)
}

fn refuse_kind(found: &Found) -> Result<()> {
    if ["rowhouse", "rowhouse_private", "information_schema"].contains(&found.schema_name.as_str())
        || found.schema_name.starts_with("pg_catalog")
        || found.schema_name.starts_with("pg_toast")
    {
        return Err(refused(
            &found.name,
            format_args!(
                "lies in schema {}, whose tables are not yours to protect",
                found.schema
            ),
        ));
    }
    let kind = match found.kind.as_str() {
        "r" => return Ok(()),
        "v" => "a view",
        "m" => "a materialized view",
        "p" => "a partitioned table",
        "f" => "a foreign table",
        "S" => "a sequence",
        "i" | "I" => "an index",
        "c" => "a type",
        _ => "something else",
    };
    Err(refused(
        &found.name,
        format_args!("is {kind}: only plain tables can be protected"),
    ))
}

/// Believes the floor, not the list: a table that was dropped and made anew under its old name is fresh.
async fn is_protected(tx: &Transaction<'_>, found: &Found, entry: &Protect) -> Result<bool> {
    let row = tx
        .query_opt(
            "select m.class, m.project_column,
               exists (select from pg_policy p where p.polrelid = $3 and p.polname = 'tenant_floor' and not p.polpermissive)
                 as has_floor,
               c.relowner = 'rowhouse_owner'::regrole as is_ours
             from rowhouse.managed_tables m
             join pg_class c on c.oid = $3
             where m.schema_name = $1 and m.table_name = $2",
            &[&found.schema_name, &found.table_name, &found.oid],
        )
        .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    let class: Class = row.get("class");
    let stands: bool = row.get(if class == Class::Shared {
        "is_ours"
    } else {
        "has_floor"
    });
    if !stands {
        tx.execute(
            "delete from rowhouse.managed_tables where schema_name = $1 and table_name = $2",
            &[&found.schema_name, &found.table_name],
        )
        .await?;
        return Ok(false);
    }
    if class != entry.class {
        return Err(refused(
            &found.name,
            format_args!("is behind the wall already, as {class}"),
        ));
    }
    let projects: Option<String> = row.get("project_column");
    if class == Class::Content && projects != entry.project_column {
        return Err(refused(
            &found.name,
            format_args!(
                "is behind the wall already, {}",
                projects.map_or_else(
                    || "without projects".into(),
                    |column| format!("with projects in {column}")
                )
            ),
        ));
    }
    Ok(true)
}

/// Locks the fresh tables of the plan and `others`, all at once, in the order in which everybody else would.
pub(super) async fn lock(
    tx: &Transaction<'_>,
    targets: &[Target<'_>],
    others: &[(u32, String)],
) -> Result<()> {
    let mut names: Vec<(u32, &str)> = targets
        .iter()
        .filter(|target| !target.already)
        .map(|target| (target.found.oid, target.name()))
        .chain(others.iter().map(|(oid, name)| (*oid, name.as_str())))
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let list: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
        tx.batch_execute(&format!(
            "lock table {} in access exclusive mode",
            list.join(", ")
        ))
        .await?;
    }
    Ok(())
}
