//! Makes up rows: out of the catalogue, for tables that nobody here has seen before.
//!
//! A row holds what it must (keys, and columns that are NOT NULL without a default) and nothing else. Values come by type,
//! or out of a CHECK that lists them; a constraint that objects has the next value tried for its columns, and what was
//! learned serves the rows after it. Rows that a foreign key needs are planted first. Where a key begins with the tenant,
//! both tenants get the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{Column, Facts, Reference, Table, Target};
use super::learned::Learned;
use super::stage::{Answer, Stage, literal};
use super::values::{candidates, own_value};
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
                leave_to_defaults(table, &mut values);
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
                    } else if !self
                        .learned
                        .entry(table.oid)
                        .or_default()
                        .hear(table, &refusal)
                    {
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
            leave_to_defaults(table, &mut values);
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
                    if !self
                        .learned
                        .entry(table.oid)
                        .or_default()
                        .hear(table, &refusal)
                    {
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
                Err(_) if learned.may_leave_out(table, reference) => continue,
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
            .unwrap_or_else(|| own_value(table, column, self.nonce, place))
    }
}

/// The columns that the app may not write, and need not.
fn leave_to_defaults(table: &Table, values: &mut Values) {
    values.retain(|number, _| {
        table
            .column(*number)
            .is_none_or(|column| column.may_insert || !column.has_own_value())
    });
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
