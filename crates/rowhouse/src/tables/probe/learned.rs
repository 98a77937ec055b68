//! What a table that refuses a row says about the next one.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Column, Reference, Table};
use super::stage::Refusal;
use super::values::candidates;

/// What was learned of a table from the rows that it refused.
#[derive(Default, Clone)]
pub(super) struct Learned {
    /// Which candidate to take.
    pub taken: BTreeMap<i16, usize>,
    /// Columns that want a value although the catalogue does not say so.
    pub wanted: BTreeSet<i16>,
    /// Foreign keys likewise.
    pub keys: BTreeSet<String>,
    /// Nothing but a key that begins with the tenant may be the same on both sides: something else is unique, elsewhere.
    pub distinct: bool,
}

impl Learned {
    /// What a refusal says about the next try; false when there is nothing left to try.
    pub fn hear(&mut self, table: &Table, refusal: &Refusal) -> bool {
        let constraint = refusal.constraint.as_deref().unwrap_or_default();
        match refusal.state.as_str() {
            "23502" => refusal
                .column
                .as_ref()
                .and_then(|name| table.columns.iter().find(|column| column.plain == *name))
                .is_some_and(|column| self.wanted.insert(column.number)),
            "23503" => self.keys.insert(constraint.to_owned()),
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
                self.next(table, &columns)
            }
            "23505" if !self.distinct => {
                self.distinct = true;
                true
            }
            // A value that does not fit its type: whose, is not said.
            state if state.starts_with("22") => {
                let all: Vec<i16> = table.columns.iter().map(|column| column.number).collect();
                self.next(table, &all)
            }
            _ => false,
        }
    }

    /// Whether a row does without this foreign key.
    pub fn may_leave_out(&self, table: &Table, reference: &Reference) -> bool {
        !self.keys.contains(&reference.name)
            && reference
                .columns
                .iter()
                .all(|number| table.column(*number).is_some_and(Column::has_own_value))
    }

    /// The next candidate for one of the columns, like a counter: the first moves on, and when it comes round, the second.
    fn next(&mut self, table: &Table, columns: &[i16]) -> bool {
        for number in columns {
            let Some(column) = table.column(*number) else {
                continue;
            };
            let count = candidates(table, column).len();
            let taken = self.taken.entry(*number).or_insert(0);
            self.wanted.insert(*number);
            if *taken + 1 < count.max(1) {
                *taken += 1;
                return true;
            }
            *taken = 0;
        }
        false
    }
}
