//! Primary keys, unique constraints and indexes: `tenant_id` goes to their front.
//!
//! Done on the text that `pg_get_indexdef` gives: operator classes, order, collations, expressions, predicates, included
//! columns and storage parameters stay as they were. Only btree; the others cannot, and are not unique either.

use tokio_postgres::Transaction;

use super::target::Target;
use crate::error::Result;

/// Rebuilds what is not led by `tenant_id` yet. Foreign keys that need the old ones have been dropped before.
pub(super) async fn lead_by_tenant(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let rows = tx
        .query(
            include_str!("indexes.sql"),
            &[&target.found.oid, &target.plan.project_column],
        )
        .await?;
    for row in &rows {
        if let Some(note) = row.get::<_, Option<&str>>("note") {
            target.note(note);
            continue;
        }
        for statement in row
            .get::<_, Vec<Option<String>>>("statements")
            .into_iter()
            .flatten()
        {
            target.run(tx, statement).await?;
        }
    }
    Ok(())
}

/// What the floors look rows up by, where no index serves it yet; the references to tenants and projects.
pub(super) async fn serve_the_floor(tx: &Transaction<'_>, target: &mut Target<'_>) -> Result<()> {
    let name = target.name().to_owned();
    let project: Option<String> = tx
        .query_one(
            "select (select quote_ident(attname) from pg_attribute where attrelid = $1 and attname = $2)",
            &[&target.found.oid, &target.plan.project_column],
        )
        .await?
        .get(0);
    let lead = match &project {
        Some(project) => format!("tenant_id, {project}"),
        None => "tenant_id".to_owned(),
    };
    let served: bool = tx
        .query_one(
            "select exists (
               select from pg_index i
               join pg_class c on c.oid = i.indexrelid
               join pg_am m on m.oid = c.relam and m.amname = 'btree'
               where i.indrelid = $1 and i.indisvalid and i.indpred is null
                 and starts_with(
                   (select string_agg(pg_get_indexdef(i.indexrelid, k, true), ', ' order by k)
                    from generate_series(1, i.indnkeyatts) k) || ', ', $2 || ', '))",
            &[&target.found.oid, &lead],
        )
        .await?
        .get(0);
    if !served {
        target
            .run(tx, format!("create index on {name} ({lead})"))
            .await?;
    }
    refer(tx, target, "rowhouse.tenants", "tenant_id", "id").await?;
    if project.is_some() {
        refer(tx, target, "rowhouse.projects", &lead, "tenant_id, id").await?;
    }
    Ok(())
}

/// A foreign key, unless there is one already.
async fn refer(
    tx: &Transaction<'_>,
    target: &mut Target<'_>,
    parent: &str,
    columns: &str,
    parent_columns: &str,
) -> Result<()> {
    let there: bool = tx
        .query_one(
            "select exists (
               select from pg_constraint k
               where k.contype = 'f' and k.conrelid = $1 and k.confrelid = $2::text::regclass
                 and starts_with(pg_get_constraintdef(k.oid), format('FOREIGN KEY (%s) REFERENCES', $3::text)))",
            &[&target.found.oid, &parent, &columns],
        )
        .await?
        .get(0);
    if !there {
        let sql = format!(
            "alter table {} add foreign key ({columns}) references {parent} ({parent_columns})",
            target.name()
        );
        target.run(tx, sql).await?;
    }
    Ok(())
}
