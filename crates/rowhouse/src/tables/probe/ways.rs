//! Ways around a table: views and materialized views that read it, functions that run with their owner's rights.
//!
//! What they show is recognised by the tenant's id in some column, or by a value that only the other side's own row has.

use super::aim::{EVERY, NOT_LEFTOVER, ONLY_OTHER, OTHER, OWN, Shot};
use super::facts::{Table, Target, Way, WayKind};
use super::rows::Slot;
use super::stage::{ident, literal};
use super::{NO_TIME, Operation, Path, Prober};
use crate::error::Result;

/// Shorter ones stand in other rows by chance.
const SHORTEST_MARK: usize = 8;

impl Prober {
    /// Takes it, or says why not.
    pub(super) async fn try_way(
        &mut self,
        target: &Target,
        table: &Table,
        way: &Way,
    ) -> Result<()> {
        let (path, attacks) = match way.kind {
            WayKind::View | WayKind::Materialized => (Path::View, EVERY),
            WayKind::Function => (Path::Function, NOT_LEFTOVER),
        };
        let why_not = match &way.why_not {
            Some(why) => Some(why.as_str()),
            None if path == Path::Function && !self.functions => {
                Some("functions were not to be called")
            }
            None if self.is_late() => Some(NO_TIME),
            None => None,
        };
        if let Some(why) = why_not {
            self.untried(target, path, &way.name, Operation::Read, attacks, why);
            return Ok(());
        }
        match way.kind {
            WayKind::View => self.try_view(target, table, way).await,
            WayKind::Materialized => self.try_materialized(target, way).await,
            WayKind::Function => self.try_function(target, way).await,
        }
    }

    /// A view: read in every context, written where it lets itself be written.
    pub(super) async fn try_view(
        &mut self,
        target: &Target,
        table: &Table,
        way: &Way,
    ) -> Result<()> {
        let column = self.column_of(way, target).await?;
        let marks = self.marks(target, table);
        let condition = match (&column, marks.is_empty()) {
            (Some(column), _) => format!(
                "{column}::text = {}",
                literal(&self.stage.sides[OTHER].tenant)
            ),
            (None, false) => format!("seen::text like any (array[{}])", marks.join(", ")),
            (None, true) => {
                self.untried(
                    target,
                    Path::View,
                    &way.name,
                    Operation::Read,
                    EVERY,
                    "nothing of the planted rows can be recognised in it",
                );
                return Ok(());
            }
        };
        let shot = |operation, sql, attacks| Shot {
            path: Path::View,
            object: way.name.clone(),
            operation,
            sql,
            control: None,
            truth: None,
            attacks,
            read_only: false,
        };
        let read = shot(
            Operation::Read,
            format!("select from {} seen where {condition} limit 1", way.name),
            EVERY,
        );
        self.shoot(target, &read).await?;
        // Among rows that are there, a view has no key to tell the planted one by.
        let Some(column) = column.filter(|_| self.stage.is_ours) else {
            return Ok(());
        };
        if way.otherwise {
            for (operation, is_given) in [
                (Operation::Update, way.updates),
                (Operation::Delete, way.deletes),
            ] {
                let attacks = if is_given { NOT_LEFTOVER } else { &[] };
                self.untried(
                    target,
                    Path::View,
                    &way.name,
                    operation,
                    attacks,
                    "a trigger INSTEAD OF or a rule writes it, and what that reaches is not known",
                );
            }
            return Ok(());
        }
        if way.deletes {
            let sql = format!("delete from {} where {condition}", way.name);
            self.shoot(target, &shot(Operation::Delete, sql, NOT_LEFTOVER))
                .await?;
        }
        if way.updates {
            let sql = format!(
                "update {} set {column} = {column} where {condition}",
                way.name
            );
            self.shoot(target, &shot(Operation::Update, sql, NOT_LEFTOVER))
                .await?;
        }
        Ok(())
    }

    /// The column of a view that holds the tenant: of the same name, or whichever does.
    async fn column_of(&mut self, way: &Way, target: &Target) -> Result<Option<String>> {
        let tenant = literal(&self.stage.sides[OTHER].tenant);
        if let Some(name) = &target.tenant {
            let sql = format!(
                "select from {} where {name}::text = {tenant} limit 1",
                way.name
            );
            let opened = self.stage.become_side(OTHER);
            if let Ok(answer) = self.one(&opened, &sql, false).await?
                && answer.has_rows()
            {
                return Ok(Some(name.clone()));
            }
        }
        let sql = format!(
            "savepoint attempt; {}; select e.key from {} v, jsonb_each_text(to_jsonb(v)) e where e.value = {tenant} limit 1",
            self.stage.become_side(OTHER),
            way.name
        );
        let found = self.stage.ask(&sql).await?;
        self.stage
            .say("rollback to savepoint attempt; release savepoint attempt")
            .await?;
        Ok(found.map(|name| ident(&name)))
    }

    /// Values of the other side's own row that no other row has, as patterns.
    fn marks(&self, target: &Target, table: &Table) -> Vec<String> {
        let Some(own) = self.rows.planted(target.oid, OTHER, Slot::Own) else {
            return Vec::new();
        };
        let others: Vec<_> = [(OWN, Slot::Shared), (OTHER, Slot::Shared)]
            .into_iter()
            .filter_map(|(side, slot)| self.rows.planted(target.oid, side, slot))
            .collect();
        own.iter()
            .filter(|(number, value)| {
                table
                    .column(**number)
                    .is_some_and(|column| Some(&column.name) != target.tenant.as_ref())
                    && !others.iter().any(|row| row.get(number) == Some(value))
            })
            .map(|(_, value)| value.trim_matches('\''))
            .filter(|value| {
                value.len() >= SHORTEST_MARK
                    && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            })
            .map(|value| format!("'%{value}%'"))
            .collect()
    }

    /// A materialized view holds what was there at its last refresh: of a canary, nothing.
    pub(super) async fn try_materialized(&mut self, target: &Target, way: &Way) -> Result<()> {
        if self.stage.is_ours {
            self.try_existing(target, Path::View, &way.name).await
        } else {
            let tenant = literal(&self.stage.sides[OTHER].tenant);
            let Some(column) = self.column_of(way, target).await? else {
                self.untried(
                    target,
                    Path::View,
                    &way.name,
                    Operation::Read,
                    ONLY_OTHER,
                    "nothing of the other tenant is in it",
                );
                return Ok(());
            };
            let shot = Shot {
                path: Path::View,
                object: way.name.clone(),
                operation: Operation::Read,
                sql: format!(
                    "select from {} where {column}::text = {tenant} limit 1",
                    way.name
                ),
                control: None,
                truth: None,
                attacks: EVERY,
                read_only: false,
            };
            self.shoot(target, &shot).await
        }
    }

    /// A function with its owner's rights, asked for the other tenant.
    pub(super) async fn try_function(&mut self, target: &Target, way: &Way) -> Result<()> {
        let Some(table) = self.table_of(target).await? else {
            return Ok(());
        };
        let marks = self.marks(target, &table);
        if marks.is_empty() {
            self.untried(
                target,
                Path::Function,
                &way.name,
                Operation::Read,
                NOT_LEFTOVER,
                "nothing of the planted rows can be recognised in what it answers",
            );
            return Ok(());
        }
        let tenant = &self.stage.sides[OTHER].tenant;
        let is_number = tenant.parse::<i64>().is_ok();
        let is_uuid = tenant.parse::<uuid::Uuid>().is_ok();
        let mut arguments = way.arguments.clone();
        for (kind, fits) in [
            ("uuid", is_uuid),
            ("text", true),
            ("varchar", true),
            ("int4", is_number),
            ("int8", is_number),
        ] {
            let value = if fits {
                format!("{}::{kind}", literal(tenant))
            } else {
                format!("null::{kind}")
            };
            arguments = arguments.replace(&format!("{{tenant:{kind}}}"), &value);
        }
        let shot = Shot {
            path: Path::Function,
            object: way.name.clone(),
            operation: Operation::Read,
            sql: format!(
                "select from {}({arguments}) seen where seen::text like any (array[{}]) limit 1",
                way.name,
                marks.join(", ")
            ),
            control: None,
            truth: None,
            attacks: NOT_LEFTOVER,
            read_only: true,
        };
        self.shoot(target, &shot).await
    }

    async fn table_of(&mut self, target: &Target) -> Result<Option<std::sync::Arc<Table>>> {
        Ok(Some(
            self.rows
                .facts
                .table(&self.stage.client, target.oid)
                .await?,
        ))
    }
}
