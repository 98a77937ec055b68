//! What is tried on a table: a [`Shot`] is a statement that is after rows of the other side.

use super::facts::{Table, Target};
use super::rows::{Slot, Values};
use super::stage::literal;
use super::{Attack, Operation, Path, Prober};

/// The attacker's side and the other one.
pub(super) const OWN: usize = 0;
pub(super) const OTHER: usize = 1;

/// A statement that is after rows of the other side.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub path: Path,
    pub object: String,
    pub operation: Operation,
    pub sql: String,
    /// What has to work, and in which side, where it is not the statement itself as the other side.
    pub control: Option<(String, usize)>,
    /// A row that was written counts only if it has reached the other side: this query of the owner's tells.
    pub truth: Option<String>,
    pub attacks: &'static [Attack],
    pub read_only: bool,
}

/// Whose rows are planted; the last two only where a tenant can have a second row.
pub(super) const PLANTED: [(usize, Slot); 4] = [
    (OTHER, Slot::Shared),
    (OWN, Slot::Shared),
    (OTHER, Slot::Own),
    (OWN, Slot::Own),
];

pub(super) const EVERY: &[Attack] = &[
    Attack::None,
    Attack::Forged,
    Attack::Replayed,
    Attack::Other,
    Attack::Leftover,
];
pub(super) const NOT_LEFTOVER: &[Attack] = &[
    Attack::None,
    Attack::Forged,
    Attack::Replayed,
    Attack::Other,
];
pub(super) const ONLY_OTHER: &[Attack] = &[Attack::Other];

/// Conditions that name the planted rows of a table.
pub(super) struct Aim {
    /// The other side's.
    pub other: String,
    /// One row of each side's, whose key the other does not have.
    movable: [String; 2],
    /// What the owner asks to see whether the other side's rows are what they were.
    pub truth: Option<String>,
    pub tenant: String,
    pub tenants: [String; 2],
}

impl Aim {
    pub fn at(prober: &Prober, target: &Target, table: &Table) -> Option<Self> {
        let tenant = target.tenant.clone()?;
        let tenants = [OWN, OTHER].map(|side| literal(&prober.stage.sides[side].tenant));
        // By their keys, where these are known. A canary's rows are all ours.
        let named: Option<Vec<String>> = PLANTED
            .iter()
            .filter_map(|(side, slot)| prober.rows.planted(target.oid, *side, *slot))
            .map(|values| by_key(table, values))
            .collect();
        // What is moved must not meet a row of the same key.
        let movable = [OWN, OTHER].map(|side| {
            prober
                .rows
                .planted(target.oid, side, Slot::Own)
                .and_then(|values| by_key(table, values))
        });
        let keys = match named {
            Some(named) => format!(" and ({})", named.join(" or ")),
            None if prober.stage.is_ours => String::new(),
            None => return None,
        };
        let other = format!("{tenant} = {}{keys}", tenants[OTHER]);
        let movable = [OWN, OTHER].map(|side| {
            movable[side].as_ref().map_or_else(
                || format!("{tenant} = {}{keys}", tenants[side]),
                |key| format!("{tenant} = {} and {key}", tenants[side]),
            )
        });
        Some(Self {
            movable,
            truth: Some(format!(
                "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {} t where {}",
                table.name,
                if prober.stage.is_ours {
                    format!("{tenant} = {}", tenants[OTHER])
                } else {
                    other.clone()
                }
            )),
            other,
            tenant,
            tenants,
        })
    }

    /// Reads and writes of what is planted, by a name of the table.
    pub fn shots(&self, path: Path, object: &str, table: &Table) -> Vec<Shot> {
        let shot = |operation, sql: String, control, attacks| Shot {
            path,
            object: object.to_owned(),
            operation,
            sql,
            control,
            truth: matches!(
                operation,
                Operation::Update | Operation::Delete | Operation::Move
            )
            .then(|| self.truth.clone())
            .flatten(),
            attacks,
            read_only: false,
        };
        let (tenant, other) = (&self.tenant, &self.other);
        let [own, theirs] = &self.movable;
        let writable = table
            .columns
            .iter()
            .filter(|column| column.may_update && !column.generated && !column.identity)
            .find(|column| column.name != *tenant && column.may_select)
            .or_else(|| table.columns.iter().find(|column| column.may_update))
            .or_else(|| table.columns.first())
            .map_or("tableoid", |column| column.name.as_str());
        let rewrite =
            |found: &str| format!("update {object} set {writable} = {writable} where {found}");
        // Whoever reads a column to find the row has what is written checked as a reader, too: so this one reads none.
        let blind = |column: &str, after: &str| {
            format!(
                "declare rowhouse_move cursor for select from {object} where {own}; move in rowhouse_move; \
                 update {object} set {column} = {after} where current of rowhouse_move"
            )
        };
        vec![
            shot(
                Operation::Move,
                blind(tenant, &self.tenants[OTHER]),
                Some((blind(writable, writable), OWN)),
                ONLY_OTHER,
            ),
            shot(
                Operation::Read,
                format!("select from {object} where {other} limit 1"),
                None,
                EVERY,
            ),
            shot(
                Operation::Copy,
                format!("copy (select {tenant} from {object} where {other} limit 1) to stdout"),
                None,
                NOT_LEFTOVER,
            ),
            shot(Operation::Update, rewrite(other), None, EVERY),
            shot(
                Operation::Move,
                format!(
                    "update {object} set {tenant} = {} where {own}",
                    self.tenants[OTHER]
                ),
                Some((rewrite(own), OWN)),
                ONLY_OTHER,
            ),
            shot(
                Operation::Move,
                format!(
                    "update {object} set {tenant} = {} where {theirs}",
                    self.tenants[OWN]
                ),
                Some((rewrite(theirs), OTHER)),
                ONLY_OTHER,
            ),
            shot(
                Operation::Delete,
                format!("delete from {object} where {other}"),
                None,
                EVERY,
            ),
        ]
    }
}

/// The row, by the columns of a key whose values are known.
pub(super) fn by_key(table: &Table, values: &Values) -> Option<String> {
    let key = table
        .keys
        .iter()
        .filter(|key| !key.columns.is_empty())
        .find(|key| key.columns.iter().all(|number| values.contains_key(number)))?;
    let parts: Vec<String> = key
        .columns
        .iter()
        .filter_map(|number| {
            Some(format!(
                "{} = {}",
                table.column(*number)?.name,
                values.get(number)?
            ))
        })
        .collect();
    Some(format!("({})", parts.join(" and ")))
}
