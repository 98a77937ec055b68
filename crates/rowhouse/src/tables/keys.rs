//! Foreign keys: which may stay, which are refused, and which become composite.
//!
//! Between two tables of tenants a key includes `tenant_id` on both sides, so that no row can refer to another tenant's:
//! foreign-key checks see past the wall. Keys to shared tables stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Row, Transaction};

use super::target::Target;
use super::{Class, refused};
use crate::error::Result;

/// What stands at an end of a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Has a floor, or will have.
    Tenants,
    Shared,
    /// A table of Rowhouse's registry.
    Registry,
    /// Nobody has said what it is.
    Unknown,
}

pub(super) struct ForeignKey {
    /// Quoted.
    name: String,
    raw_name: String,
    pub child: u32,
    pub child_name: String,
    pub child_columns: Vec<String>,
    raw_child_columns: Vec<String>,
    pub parent: u32,
    pub parent_name: String,
    pub parent_columns: Vec<String>,
    on_delete: String,
    on_update: String,
    match_full: bool,
    deferrable: String,
    comment: Option<String>,
    sides: (Side, Side),
}

impl ForeignKey {
    /// True for the name of the constraint and for that of its only column.
    pub fn is_called(&self, name: &str) -> bool {
        self.raw_name == name || self.raw_child_columns == [name]
    }

    pub fn leads_to_tenants(&self) -> bool {
        self.sides.1 == Side::Tenants
    }

    /// Between two tables of tenants, and without `tenant_id`.
    fn becomes_composite(&self) -> bool {
        self.sides == (Side::Tenants, Side::Tenants) && !self.pairs_tenants()
    }

    fn pairs_tenants(&self) -> bool {
        self.child_columns
            .iter()
            .zip(&self.parent_columns)
            .any(|(child, parent)| child == "tenant_id" && parent == "tenant_id")
    }

    /// `c.a = p.x and c.b = p.y`
    pub fn join(&self) -> String {
        self.child_columns
            .iter()
            .zip(&self.parent_columns)
            .map(|(child, parent)| format!("c.{child} = p.{parent}"))
            .collect::<Vec<_>>()
            .join(" and ")
    }

    fn action(&self) -> Option<&'static str> {
        let name = |action: &str| match action {
            "c" => Some("CASCADE"),
            "n" => Some("SET NULL"),
            "d" => Some("SET DEFAULT"),
            _ => None,
        };
        name(&self.on_delete).or_else(|| name(&self.on_update))
    }

    fn definition(&self, lead: &str) -> String {
        let restrict = |event, action| {
            if action == "r" {
                format!(" on {event} restrict")
            } else {
                String::new()
            }
        };
        format!(
            "foreign key ({lead}{}) references {} ({lead}{}){}{}{}",
            self.child_columns.join(", "),
            self.parent_name,
            self.parent_columns.join(", "),
            restrict("delete", &self.on_delete),
            restrict("update", &self.on_update),
            self.deferrable,
        )
    }
}

impl From<&Row> for ForeignKey {
    fn from(row: &Row) -> Self {
        Self {
            name: row.get("name"),
            raw_name: row.get("raw_name"),
            child: row.get("child"),
            child_name: row.get("child_name"),
            child_columns: row.get("child_columns"),
            raw_child_columns: row.get("raw_child_columns"),
            parent: row.get("parent"),
            parent_name: row.get("parent_name"),
            parent_columns: row.get("parent_columns"),
            on_delete: row.get("on_delete"),
            on_update: row.get("on_update"),
            match_full: row.get("match_full"),
            deferrable: row.get("deferrable"),
            comment: row.get("comment"),
            sides: (Side::Unknown, Side::Unknown),
        }
    }
}

/// Every foreign key that leaves or reaches a fresh table of the plan.
pub(super) async fn touching(
    tx: &Transaction<'_>,
    targets: &[Target<'_>],
) -> Result<Vec<ForeignKey>> {
    let fresh: Vec<u32> = targets
        .iter()
        .filter(|target| !target.already)
        .map(|target| target.found.oid)
        .collect();
    let rows = tx
        .query(include_str!("foreign_keys.sql"), &[&fresh])
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let key = ForeignKey::from(row);
            let side = |oid: u32, managed: Option<Class>, registry: bool| {
                let class = targets
                    .iter()
                    .find(|target| target.found.oid == oid)
                    .map(|target| target.plan.class)
                    .or(managed);
                match class {
                    Some(Class::Shared) => Side::Shared,
                    Some(_) => Side::Tenants,
                    None if registry => Side::Registry,
                    None => Side::Unknown,
                }
            };
            let sides = (
                side(key.child, row.get("child_class"), row.get("child_is_ours")),
                side(
                    key.parent,
                    row.get("parent_class"),
                    row.get("parent_is_ours"),
                ),
            );
            ForeignKey { sides, ..key }
        })
        .collect())
}

/// What stands against these keys.
pub(super) fn refusals(keys: &[ForeignKey], targets: &[Target<'_>]) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for key in keys {
        let (child, parent) = (&key.child_name, &key.parent_name);
        match key.sides {
            (Side::Unknown, _) => {
                missing.entry(parent).or_default().insert(child);
            }
            (_, Side::Unknown) => {
                missing.entry(child).or_default().insert(parent);
            }
            (Side::Shared, Side::Tenants) => reasons.push(format!(
                "{child} is shared, but its key {} leads to {parent}, which is content of tenants",
                key.name
            )),
            _ => {}
        }
        if (key.sides.0 == Side::Tenants || key.sides.1 == Side::Tenants)
            && let Some(action) = key.action()
        {
            reasons.push(format!(
                "{child} has the key {name} with {action}: what it does to rows of tenants happens behind the wall. \
                 Mend it with: alter table {child} drop constraint {name}, add constraint {name} {}",
                key.definition(""),
                name = key.name,
            ));
        }
        if key.becomes_composite() && key.match_full && key.child_columns.len() > 1 {
            reasons.push(format!(
                "{child} has the key {name} with MATCH FULL over several columns, which cannot include tenant_id. \
                 Mend it with: alter table {child} drop constraint {name}, add constraint {name} {}",
                key.definition(""),
                name = key.name,
            ));
        }
    }
    for target in targets {
        if let Some(others) = missing.get(target.name()) {
            reasons.push(format!(
                "{} is linked by foreign keys with tables that nobody has classified: add {} to the plan, as content or shared",
                target.name(),
                others.iter().copied().collect::<Vec<_>>().join(", "),
            ));
        }
    }
    reasons
}

/// Tables behind the wall already that keys of the plan lead to or come from.
pub(super) fn linked(keys: &[ForeignKey], targets: &[Target<'_>]) -> Vec<(u32, String)> {
    let fresh = |oid| {
        targets
            .iter()
            .any(|target| target.found.oid == oid && !target.already)
    };
    let mut linked: Vec<(u32, String)> = keys
        .iter()
        .filter(|key| key.sides == (Side::Tenants, Side::Tenants))
        .flat_map(|key| {
            [
                (key.child, key.child_name.clone()),
                (key.parent, key.parent_name.clone()),
            ]
        })
        .filter(|(oid, _)| !fresh(*oid))
        .collect();
    linked.sort_unstable();
    linked.dedup();
    linked
}

/// Drops the keys that are to become composite: they hold the primary keys that have to change.
pub(super) async fn drop_plain(
    tx: &Transaction<'_>,
    keys: &[ForeignKey],
    targets: &mut [Target<'_>],
) -> Result<()> {
    for key in keys.iter().filter(|key| key.becomes_composite()) {
        let sql = format!(
            "alter table {} drop constraint {}",
            key.child_name, key.name
        );
        reporter(key, targets).run(tx, sql).await?;
    }
    Ok(())
}

/// Makes them anew with `tenant_id`, once every row they refer by was found to lead to its own tenant.
pub(super) async fn add_composite(
    tx: &Transaction<'_>,
    keys: &[ForeignKey],
    targets: &mut [Target<'_>],
) -> Result<()> {
    for key in keys.iter().filter(|key| key.becomes_composite()) {
        refuse_stray_references(tx, key).await?;
        let target = reporter(key, targets);
        let sql = format!(
            "alter table {} add constraint {} {}",
            key.child_name,
            key.name,
            key.definition("tenant_id, ")
        );
        target.run(tx, sql).await?;
        if let Some(comment) = &key.comment {
            let sql = format!(
                "comment on constraint {} on {} is {comment}",
                key.name, key.child_name
            );
            target.run(tx, sql).await?;
        }
    }
    Ok(())
}

/// The table of the plan under which a statement about this key is reported: the child, or else the parent.
fn reporter<'t, 'a>(key: &ForeignKey, targets: &'t mut [Target<'a>]) -> &'t mut Target<'a> {
    let at = |oid| targets.iter().position(|target| target.found.oid == oid);
    let index = at(key.child).or_else(|| at(key.parent)).unwrap_or(0);
    &mut targets[index]
}

/// Counted by ourselves: Postgres names the first one only, and none at all where row-level security hides it.
async fn refuse_stray_references(tx: &Transaction<'_>, key: &ForeignKey) -> Result<()> {
    let set: Vec<String> = key
        .child_columns
        .iter()
        .map(|column| format!("c.{column} is not null"))
        .collect();
    let row = tx
        .query_one(
            &format!(
                "select count(*) filter (where not found), count(*) filter (where found)
                 from (
                   select exists (select from {parent} p where {join}) as found
                   from {child} c
                   where {set}
                     and not exists (select from {parent} p where {join} and p.tenant_id = c.tenant_id)) stray",
                parent = key.parent_name,
                child = key.child_name,
                join = key.join(),
                set = set.join(" and "),
            ),
            &[],
        )
        .await?;
    let (dangling, across): (i64, i64) = (row.get(0), row.get(1));
    if dangling > 0 {
        return Err(refused(
            &key.child_name,
            format_args!(
                "has {dangling} rows whose key {} leads to no row of {}",
                key.name, key.parent_name
            ),
        ));
    }
    if across > 0 {
        return Err(refused(
            &key.child_name,
            format_args!(
                "has {across} rows whose key {} leads to a row of {} that was assigned to another tenant",
                key.name, key.parent_name
            ),
        ));
    }
    Ok(())
}
