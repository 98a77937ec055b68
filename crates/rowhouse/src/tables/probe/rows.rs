//! Makes up rows: out of the catalogue, for tables that nobody here has seen before.
//!
//! A row holds what it must (keys, and columns that are NOT NULL without a default) and nothing else. Values come by type,
//! or out of a CHECK that lists them; a constraint that objects has the next value tried for its columns, and what was
//! learned serves the rows after it. Rows that a foreign key needs are planted first. Where a key begins with the tenant,
//! both tenants get the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{Column, Facts, Reference, Table, Target};
use super::stage::{Answer, Refusal, Stage, literal};
use super::values::candidates;
use crate::error::Result;

/// A row of one of the tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// Its ids are those of the other tenant's row, where the keys allow it.
    Shared,
    /// Ids of its own.
    Own,
    /// Not planted: what an attempt inserts.
    Extra,
}

/// Literals by column.
pub(super) type Values = BTreeMap<i16, String>;

/// What was learned of a table from the rows that it refused.
#[derive(Default, Clone)]
pub(super) struct Learned {
    /// Which candidate to take.
    taken: BTreeMap<i16, usize>,
    /// Columns that want a value although the catalogue does not say so.
    wanted: BTreeSet<i16>,
    /// Foreign keys likewise.
    keys: BTreeSet<String>,
    /// Nothing but a key that begins with the tenant may be the same on both sides: something else is unique, elsewhere.
    distinct: bool,
}

pub(super) struct Rows {
    pub facts: Facts,
    targets: BTreeMap<u32, Target>,
    learned: BTreeMap<u32, Learned>,
    /// Of this transaction.
    planted: BTreeMap<(u32, usize, Slot), Values>,
    nonce: u32,
}

/// A row to be made.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub side: usize,
    pub slot: Slot,
    /// A foreign key to fill although it may be null, with the parent's row of this tenant and slot.
    pub reference: Option<(&'a Reference, usize, Slot)>,
}

/// How each reason begins that is one of rights.
pub(super) const NO_RIGHT_AT_ALL: &str = "the login has no right";
pub(super) const NO_RIGHT: &str = "the login has no right to do it to its own rows either";
const TRIES: usize = 40;
const DEPTH: usize = 32;

impl Rows {
    pub fn new(facts: Facts, targets: &[Target], nonce: u32) -> Self {
        Self {
            facts,
            targets: targets
                .iter()
                .map(|target| (target.oid, target.clone()))
                .collect(),
            learned: BTreeMap::new(),
            planted: BTreeMap::new(),
            nonce,
        }
    }

    /// The transaction is over, and its rows with it.
    pub fn forget(&mut self) {
        self.planted.clear();
    }

    pub fn target(&self, oid: u32) -> Option<&Target> {
        self.targets.get(&oid)
    }

    pub fn planted(&self, oid: u32, side: usize, slot: Slot) -> Option<&Values> {
        self.planted.get(&(oid, side, slot))
    }

    /// Plants a row, and those that it needs. The reason, where none can be made.
    pub async fn plant(
        &mut self,
        stage: &Stage,
        oid: u32,
        side: usize,
        slot: Slot,
    ) -> Result<Result<(), String>> {
        let mut path = Vec::new();
        self.plant_below(stage, oid, side, slot, &mut path).await
    }

    async fn plant_below(
        &mut self,
        stage: &Stage,
        oid: u32,
        side: usize,
        slot: Slot,
        path: &mut Vec<u32>,
    ) -> Result<Result<(), String>> {
        if self.planted.contains_key(&(oid, side, slot)) {
            return Ok(Ok(()));
        }
        let table = self.facts.table(&stage.client, oid).await?;
        if path.len() >= DEPTH {
            return Ok(Err(format!(
                "{} needs rows of too many other tables",
                table.name
            )));
        }
        if path.contains(&oid) {
            return Ok(Err(format!("{} refers to itself in a circle", table.name)));
        }
        if let Some(trigger) = table.reaches_out() {
            return Ok(Err(outside(&trigger.table, &trigger.function)));
        }
        path.push(oid);
        let made = self.insert(stage, &table, side, slot, path).await;
        path.pop();
        made
    }

    /// As the app inside the tenant; as the owner what the app may not.
    async fn insert(
        &mut self,
        stage: &Stage,
        table: &Arc<Table>,
        side: usize,
        slot: Slot,
        path: &mut Vec<u32>,
    ) -> Result<Result<(), String>> {
        let wish = Wish {
            side,
            slot,
            reference: None,
        };
        let mut last = String::new();
        let mut as_app = table.rights.insert && self.targets.contains_key(&table.oid);
        for _ in 0..TRIES {
            let drafted = Box::pin(self.draft(stage, table, wish, path)).await?;
            let mut values = match drafted {
                Ok(values) => values,
                Err(reason) => return Ok(Err(reason)),
            };
            if as_app {
                values.retain(|number, _| {
                    table
                        .column(*number)
                        .is_none_or(|column| column.may_insert || !has_own_value(column))
                });
            }
            let become_writer = if as_app {
                stage.become_side(side)
            } else {
                stage.own_side(side)
            };
            let text = format!(
                "savepoint planting; {become_writer}; {}; {}; release planting",
                insert(table, &values),
                stage.leave()
            );
            match stage.say(&text).await? {
                Answer::Rows(_) => {
                    self.planted.insert((table.oid, side, slot), values);
                    return Ok(Ok(()));
                }
                Answer::Refused(refusal) => {
                    stage
                        .say("rollback to savepoint planting; release savepoint planting")
                        .await?;
                    last = format!("{} {}", refusal.state, refusal.message);
                    if as_app && (refusal.state == "42501" || refusal.state.starts_with("RH")) {
                        as_app = false;
                    } else if !self.learn(table, &refusal) {
                        break;
                    }
                }
            }
        }
        Ok(Err(format!(
            "no row of {} could be made: {last}",
            table.name
        )))
    }

    /// The values of a row that an attempt inserts.
    pub async fn fresh(
        &mut self,
        stage: &Stage,
        table: &Arc<Table>,
        wish: Wish<'_>,
    ) -> Result<Result<Values, String>> {
        let mut path = vec![table.oid];
        let drafted = Box::pin(self.draft(stage, table, wish, &mut path)).await?;
        Ok(drafted.map(|mut values| {
            values.retain(|number, _| {
                table
                    .column(*number)
                    .is_none_or(|column| column.may_insert || !has_own_value(column))
            });
            values
        }))
    }

    /// The same, for a row that was seen to go in: `goes` tries one. What was learned is for this row only.
    pub async fn settled(
        &mut self,
        stage: &Stage,
        table: &Arc<Table>,
        wish: Wish<'_>,
    ) -> Result<Result<(), String>> {
        let mut last = "no row could be made".to_owned();
        for _ in 0..TRIES {
            let values = match self.fresh(stage, table, wish).await? {
                Ok(values) => values,
                Err(reason) => return Ok(Err(reason)),
            };
            let text = format!(
                "savepoint planting; {}; {}",
                stage.become_side(wish.side),
                insert(table, &values)
            );
            let answer = stage.say(&text).await?;
            stage
                .say("rollback to savepoint planting; release savepoint planting")
                .await?;
            match answer {
                Answer::Rows(_) => return Ok(Ok(())),
                Answer::Refused(refusal) => {
                    last = format!(
                        "the control did not work: {} {}",
                        refusal.state, refusal.message
                    );
                    if refusal.state == "42501" && refusal.message.starts_with("permission denied")
                    {
                        last = NO_RIGHT.into();
                        break;
                    }
                    if !self.learn(table, &refusal) {
                        break;
                    }
                }
            }
        }
        Ok(Err(last))
    }

    /// What was learned of a table, to be put back.
    pub fn remember(&mut self, oid: u32) -> Learned {
        self.learned.entry(oid).or_default().clone()
    }

    pub fn put_back(&mut self, oid: u32, learned: Learned) {
        self.learned.insert(oid, learned);
    }

    async fn draft(
        &mut self,
        stage: &Stage,
        table: &Arc<Table>,
        wish: Wish<'_>,
        path: &mut Vec<u32>,
    ) -> Result<Result<Values, String>> {
        let target = self.targets.get(&table.oid).cloned();
        let tenant = target
            .as_ref()
            .and_then(|target| table.number_of(target.tenant.as_ref()?));
        let project = target
            .as_ref()
            .and_then(|target| table.number_of(target.project.as_ref()?));
        let learned = self.learned.entry(table.oid).or_default().clone();
        let mut values = Values::new();
        for column in &table.columns {
            if column.generated {
                continue;
            }
            if Some(column.number) == tenant {
                values.insert(column.number, literal(&stage.sides[wish.side].tenant));
            } else if Some(column.number) == project && stage.project.is_some() {
                values.insert(
                    column.number,
                    format!("'{}'", stage.project.unwrap_or_default()),
                );
            } else {
                let in_key = table.keys.iter().any(|key| {
                    key.columns.contains(&column.number) && (key.primary || column.not_null)
                });
                let needed = column.not_null && !column.has_default && !column.identity;
                if in_key || needed || learned.wanted.contains(&column.number) {
                    let value = self.value(table, column, tenant, wish, &learned);
                    values.insert(column.number, value);
                }
            }
        }
        for reference in &table.references {
            let filled = reference.columns.iter().all(|number| {
                Some(*number) == tenant
                    || Some(*number) == project
                    || values.contains_key(number) && Some(*number) != tenant
            });
            let asked = wish
                .reference
                .filter(|(asked, ..)| asked.name == reference.name);
            let only_tenant = reference
                .columns
                .iter()
                .all(|number| Some(*number) == tenant);
            if only_tenant || !(filled || asked.is_some() || learned.keys.contains(&reference.name))
            {
                continue;
            }
            let parents = match asked {
                Some((_, side, slot)) => (side, slot),
                // A key that is made of references alone is a new one only with a new parent.
                None if in_key_of_references(table, reference, tenant) => (wish.side, wish.slot),
                None => (wish.side, Slot::Shared),
            };
            let found = Box::pin(self.parent(stage, table, reference, parents, path)).await?;
            let found = match found {
                Ok(found) => found,
                Err(_) if is_optional(table, reference, &learned) => continue,
                Err(reason) => return Ok(Err(reason)),
            };
            for (number, of_parent) in reference.columns.iter().zip(&reference.parent_columns) {
                let fixed = Some(*number) == tenant || Some(*number) == project && asked.is_none();
                if !fixed && let Some(value) = found.get(of_parent) {
                    values.insert(*number, value.clone());
                }
            }
        }
        Ok(Ok(values))
    }

    /// The row that a foreign key leads to: planted, or one that is there where rows belong to nobody.
    async fn parent(
        &mut self,
        stage: &Stage,
        child: &Table,
        reference: &Reference,
        (side, slot): (usize, Slot),
        path: &mut Vec<u32>,
    ) -> Result<Result<Values, String>> {
        let parent = self.facts.table(&stage.client, reference.parent).await?;
        // What Rowhouse's own registry holds of the canary was founded with it.
        if stage.is_ours && parent.name == "rowhouse.tenants" {
            let id = literal(&stage.sides[side].tenant);
            return Ok(Ok(reference
                .parent_columns
                .iter()
                .map(|number| (*number, id.clone()))
                .collect()));
        }
        let is_walled = self.targets.contains_key(&parent.oid);
        if parent.oid == child.oid && !self.planted.contains_key(&(parent.oid, side, slot)) {
            return Ok(Err(format!("{} refers to itself", child.name)));
        }
        let planted = Box::pin(self.plant_below(stage, parent.oid, side, slot, path)).await?;
        if let Err(reason) = planted {
            if is_walled {
                return Ok(Err(reason));
            }
            return self.existing(stage, &parent, reference, &reason).await;
        }
        let values = self.planted[&(parent.oid, side, slot)].clone();
        if reference
            .parent_columns
            .iter()
            .all(|number| values.contains_key(number))
        {
            return Ok(Ok(values));
        }
        // Made by a default.
        Ok(Err(format!("the key of {} is not known", parent.name)))
    }

    async fn existing(
        &self,
        stage: &Stage,
        parent: &Table,
        reference: &Reference,
        reason: &str,
    ) -> Result<Result<Values, String>> {
        let mut values = Values::new();
        for number in &reference.parent_columns {
            let Some(column) = parent.column(*number) else {
                continue;
            };
            // All of one row: the first by its place.
            let sql = format!(
                "select quote_literal({}) from {} order by ctid limit 1",
                column.name, parent.name
            );
            match stage.ask(&sql).await? {
                Some(value) => values.insert(*number, value),
                None => return Ok(Err(reason.to_owned())),
            };
        }
        Ok(Ok(values))
    }

    /// What a refusal says about the next try; false when there is nothing left to try.
    fn learn(&mut self, table: &Table, refusal: &Refusal) -> bool {
        let learned = self.learned.entry(table.oid).or_default();
        let constraint = refusal.constraint.as_deref().unwrap_or_default();
        match refusal.state.as_str() {
            "23502" => refusal
                .column
                .as_ref()
                .and_then(|name| table.columns.iter().find(|column| column.plain == *name))
                .is_some_and(|column| learned.wanted.insert(column.number)),
            "23503" => learned.keys.insert(constraint.to_owned()),
            "23514" => {
                let named: Vec<i16> = table
                    .checks
                    .iter()
                    .chain(&table.domain_checks)
                    .filter(|check| check.name == constraint)
                    .flat_map(|check| check.columns.iter().copied())
                    .collect();
                // No partition takes it: by what it is divided, keys tell.
                let columns = if named.is_empty() && constraint.is_empty() {
                    table
                        .keys
                        .iter()
                        .flat_map(|key| key.columns.iter().copied())
                        .collect()
                } else if named.is_empty() {
                    // Of another table, that a trigger writes.
                    table
                        .columns
                        .iter()
                        .filter(|column| column.not_null)
                        .map(|column| column.number)
                        .collect()
                } else {
                    named
                };
                next(learned, table, &columns)
            }
            // A value that does not fit its type: whose, is not said.
            "23505" if !learned.distinct => {
                learned.distinct = true;
                true
            }
            state if state.starts_with("22") => {
                let all: Vec<i16> = table.columns.iter().map(|column| column.number).collect();
                next(learned, table, &all)
            }
            _ => false,
        }
    }

    fn value(
        &self,
        table: &Table,
        column: &Column,
        tenant: Option<i16>,
        wish: Wish<'_>,
        learned: &Learned,
    ) -> String {
        let keys: Vec<_> = table
            .keys
            .iter()
            .filter(|key| key.columns.contains(&column.number))
            .collect();
        // The same on both sides where every key that it is part of begins with the tenant.
        let may_overlap = keys
            .iter()
            .all(|key| tenant.is_some_and(|tenant| key.columns.contains(&tenant)))
            && !(learned.distinct && keys.is_empty());
        let of_side = u32::try_from(wish.side).unwrap_or(0);
        let place = match wish.slot {
            Slot::Shared if may_overlap => 0,
            Slot::Shared => 1 + of_side,
            Slot::Own => 3 + of_side,
            Slot::Extra => 5 + of_side,
        };
        let taken = learned.taken.get(&column.number).copied().unwrap_or(0);
        candidates(table, column)
            .into_iter()
            .nth(taken)
            .flatten()
            .unwrap_or_else(|| self.own_value(table, column, place))
    }

    /// A value that no other row here has, as far as the type goes.
    fn own_value(&self, table: &Table, column: &Column, place: u32) -> String {
        let nonce = self.nonce;
        let (relation, number) = (table.oid & 0xffff, column.number);
        match column.base.as_str() {
            "uuid" => format!("'{nonce:08x}-{relation:04x}-4000-8000-{number:04x}{place:08x}'"),
            "int2" => (30_000 + place).to_string(),
            "int4" => (1_900_000_000 + nonce % 10_000_000 * 10 + place).to_string(),
            "int8" => {
                (8_000_000_000_000_000_000 + u64::from(nonce) * 16 + u64::from(place)).to_string()
            }
            "numeric" | "float4" | "float8" => (1 + place).to_string(),
            "text" | "varchar" | "bpchar" | "citext" | "name" => {
                let text = format!("canary{relation:04x}{number:x}{nonce:08x}{place}");
                let length = column.length.unwrap_or(text.len());
                let start = text.len().saturating_sub(length);
                format!("'{}'", &text[start..])
            }
            // As long as a SHA-256.
            "bytea" => format!(
                "'\\x{}'",
                format!("{nonce:08x}{relation:04x}{place:04x}").repeat(4)
            ),
            "date" => format!("current_date + {place}"),
            "timestamp" | "timestamptz" => format!("now() + interval '{place} seconds'"),
            "bool" => "false".into(),
            "json" | "jsonb" => "'{}'".into(),
            "inet" | "cidr" => format!("'127.0.0.{}'", 1 + place),
            "interval" => format!("'{place} seconds'"),
            "time" | "timetz" => format!("'00:00:0{}'", place % 10),
            "xml" => "'<a/>'".into(),
            "macaddr" => "'00:00:00:00:00:01'".into(),
            "bit" | "varbit" => "'0'".into(),
            "money" => "'1'".into(),
            "point" => "'(0,0)'".into(),
            "tsvector" => "'a'".into(),
            _ if column.category == "A" => "'{}'".into(),
            _ if column.category == "R" => "'empty'".into(),
            _ => match &column.labels {
                Some(labels) if !labels.is_empty() => literal(&labels[0]),
                _ if column.kind == "c" => "null".into(),
                _ => "''".into(),
            },
        }
    }
}

fn in_key_of_references(table: &Table, reference: &Reference, tenant: Option<i16>) -> bool {
    let refers = |number: &i16| {
        table
            .references
            .iter()
            .any(|other| other.columns.contains(number))
    };
    table.keys.iter().any(|key| {
        let mut others = key.columns.iter().filter(|number| Some(**number) != tenant);
        others
            .clone()
            .any(|number| reference.columns.contains(number))
            && others.all(refers)
    })
}

/// It comes to a value without one being named.
fn has_own_value(column: &Column) -> bool {
    column.has_default || column.identity || !column.not_null
}

fn is_optional(table: &Table, reference: &Reference, learned: &Learned) -> bool {
    !learned.keys.contains(&reference.name)
        && reference
            .columns
            .iter()
            .all(|number| table.column(*number).is_some_and(has_own_value))
}

/// The next candidate for one of the columns, like a counter: the first moves on, and when it comes round, the second.
fn next(learned: &mut Learned, table: &Table, columns: &[i16]) -> bool {
    for number in columns {
        let Some(column) = table.column(*number) else {
            continue;
        };
        let count = candidates(table, column).len();
        let taken = learned.taken.entry(*number).or_insert(0);
        learned.wanted.insert(*number);
        if *taken + 1 < count.max(1) {
            *taken += 1;
            return true;
        }
        *taken = 0;
    }
    false
}

/// `insert into .. values ..`
pub(super) fn insert(table: &Table, values: &Values) -> String {
    if values.is_empty() {
        return format!("insert into {} default values", table.name);
    }
    let mut names = Vec::new();
    let mut overriding = "";
    for number in values.keys() {
        if let Some(column) = table.column(*number) {
            names.push(column.name.as_str());
            if column.always {
                overriding = "overriding system value ";
            }
        }
    }
    let values: Vec<&str> = values.values().map(String::as_str).collect();
    format!(
        "insert into {} ({}) {overriding}values ({})",
        table.name,
        names.join(", "),
        values.join(", ")
    )
}

pub(super) fn outside(table: &str, function: &str) -> String {
    format!(
        "a trigger of {table} calls {function}, which reaches outside: no rollback would undo it"
    )
}
