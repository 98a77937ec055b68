//! The attempts on one table: each operation, in each context, by the table's own name and by its partitions'.
//!
//! Everything aims at rows of the other side. `aim.rs` says what is tried, `shoot.rs` tries it.

use std::sync::Arc;

use super::aim::{Aim, EVERY, ONLY_OTHER, OTHER, OWN, PLANTED, Shot, by_key};
use super::facts::{Reference, Table, Target};
use super::rows::{Slot, Wish, insert, outside};
use super::shoot::said;
use super::stage::{Answer, literal};
use super::{Attack, Attempt, NO_TIME, Operation, Path, Prober, Verdict};
use crate::error::{Error, Result};

impl Prober {
    /// Everything that is tried on a table, in one transaction.
    pub async fn table(&mut self, target: &Target) -> Result<()> {
        if self.is_late() {
            self.nothing(target, NO_TIME);
            return Ok(());
        }
        self.in_one_transaction(target).await?;
        self.on_a_fresh_session(target).await
    }

    async fn in_one_transaction(&mut self, target: &Target) -> Result<()> {
        let table = match self.rows.facts.table(&self.stage.client, target.oid).await {
            Ok(table) => table,
            Err(Error::Schema(why)) => {
                self.nothing(target, &why);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let ways = self.rows.facts.ways(&self.stage.client, target.oid).await?;
        if target.class == "shared" {
            return self.shared(target, &table).await;
        }
        if let Some(trigger) = table.reaches_out() {
            self.nothing(target, &outside(&trigger.table, &trigger.function));
            return Ok(());
        }
        if target.tenant.is_none() {
            self.nothing(target, "which column holds the tenant was not recognised");
            return Ok(());
        }
        self.stage.begin().await?;
        let tried = self.inside(target, &table, &ways).await;
        self.rows.forget();
        match tried {
            Ok(()) => self.stage.rollback().await,
            // The line may be broken: then the server has rolled back.
            Err(error) => {
                drop(self.stage.rollback().await);
                Err(error)
            }
        }
    }

    async fn inside(
        &mut self,
        target: &Target,
        table: &Arc<Table>,
        ways: &[super::facts::Way],
    ) -> Result<()> {
        for (side, slot) in PLANTED {
            if self.is_late() {
                self.nothing(target, NO_TIME);
                return Ok(());
            }
            let planted = self.rows.plant(&self.stage, target.oid, side, slot).await?;
            match planted {
                Ok(()) => {}
                Err(_) if slot == Slot::Own => {} // a table with one row a tenant
                Err(reason) => return self.existing(target, table, &reason).await,
            }
        }
        let Some(aim) = Aim::at(self, target, table) else {
            self.nothing(
                target,
                "the planted rows cannot be told from those that are there",
            );
            return Ok(());
        };
        self.try_table(target, table, &aim).await?;
        self.try_references(target, table).await?;
        self.try_leaves(target, table, &aim).await?;
        for way in ways {
            self.try_way(target, table, way).await?;
        }
        Ok(())
    }

    /// The table by its own name.
    async fn try_table(&mut self, target: &Target, table: &Arc<Table>, aim: &Aim) -> Result<()> {
        for shot in aim.shots(Path::Table, &table.name, table) {
            self.shoot(target, &shot).await?;
        }
        self.try_insert(target, table, Path::Table, &table.name, aim)
            .await
    }

    async fn try_insert(
        &mut self,
        target: &Target,
        table: &Arc<Table>,
        path: Path,
        object: &str,
        aim: &Aim,
    ) -> Result<()> {
        if self.is_late() {
            self.untried(target, path, object, Operation::Insert, EVERY, NO_TIME);
            return Ok(());
        }
        let wish = Wish {
            side: OTHER,
            slot: Slot::Extra,
            reference: None,
        };
        let learned = self.rows.remember(table.oid);
        let settled = self.rows.settled(&self.stage, table, wish).await?;
        let values = self.rows.fresh(&self.stage, table, wish).await?;
        self.rows.put_back(table.oid, learned);
        let values = match settled.and(values) {
            Ok(values) => values,
            Err(reason) => {
                self.untried(target, path, object, Operation::Insert, EVERY, &reason);
                return Ok(());
            }
        };
        let sql = insert(table, &values).replacen(&table.name, object, 1);
        let truth = if self.stage.is_ours {
            aim.truth.clone()
        } else {
            by_key(table, &values).map(|key| {
                format!(
                    "select count(*) from {} where {} = {} and {key}",
                    table.name, aim.tenant, aim.tenants[OTHER]
                )
            })
        };
        let shot = Shot {
            path,
            object: object.to_owned(),
            operation: Operation::Insert,
            sql,
            control: None,
            truth,
            attacks: EVERY,
            read_only: false,
        };
        self.shoot(target, &shot).await
    }

    /// A row of one's own that refers to the other side's.
    async fn try_references(&mut self, target: &Target, table: &Arc<Table>) -> Result<()> {
        let tenant = target
            .tenant
            .as_deref()
            .and_then(|name| table.number_of(name));
        for reference in &table.references {
            let leads_to_tenants = self
                .rows
                .target(reference.parent)
                .is_some_and(|parent| parent.tenant.is_some() && parent.class != "shared");
            let only_tenant = reference
                .columns
                .iter()
                .all(|number| Some(*number) == tenant);
            if !leads_to_tenants || only_tenant || reference.parent == target.oid {
                continue;
            }
            let what = format!("{} ({})", table.name, reference.name);
            let (sql, control) = match self.referring(table, reference, tenant).await? {
                Ok(statements) => statements,
                Err(reason) => {
                    self.untried(
                        target,
                        Path::Table,
                        &what,
                        Operation::Reference,
                        ONLY_OTHER,
                        &reason,
                    );
                    continue;
                }
            };
            let shot = Shot {
                path: Path::Table,
                object: what,
                operation: Operation::Reference,
                sql,
                control: Some((control, OTHER)),
                truth: None,
                attacks: ONLY_OTHER,
                read_only: false,
            };
            self.shoot(target, &shot).await?;
        }
        Ok(())
    }

    /// A row of the attacker's that refers to the other side's own parent, and the same of the other side's.
    async fn referring(
        &mut self,
        table: &Arc<Table>,
        reference: &Reference,
        tenant: Option<i16>,
    ) -> Result<Result<(String, String), String>> {
        if self.is_late() {
            return Ok(Err(NO_TIME.to_owned()));
        }
        let planted = self
            .rows
            .plant(&self.stage, reference.parent, OTHER, Slot::Own)
            .await?;
        if let Err(reason) = planted {
            return Ok(Err(reason));
        }
        let wish = |side| Wish {
            side,
            slot: Slot::Extra,
            reference: Some((reference, OTHER, Slot::Own)),
        };
        let learned = self.rows.remember(table.oid);
        let settled = self.rows.settled(&self.stage, table, wish(OTHER)).await?;
        let theirs = self.rows.fresh(&self.stage, table, wish(OTHER)).await?;
        let own = self.rows.fresh(&self.stage, table, wish(OWN)).await?;
        self.rows.put_back(table.oid, learned);
        if let Err(reason) = settled {
            return Ok(Err(reason));
        }
        let (theirs, own) = match (theirs, own) {
            (Ok(theirs), Ok(own)) => (theirs, own),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
        };
        let is_named = reference
            .columns
            .iter()
            .all(|number| Some(*number) == tenant || own.contains_key(number));
        Ok(if is_named {
            Ok((insert(table, &own), insert(table, &theirs)))
        } else {
            Err("the login has no right to say what the row refers to".into())
        })
    }

    /// The partitions, by name: the one that holds the planted rows in every way, the others by what is in them.
    async fn try_leaves(&mut self, target: &Target, table: &Arc<Table>, aim: &Aim) -> Result<()> {
        if table.leaves.is_empty() {
            return Ok(());
        }
        if self.is_late() {
            for leaf in &table.leaves {
                self.untried(
                    target,
                    Path::Partition,
                    &leaf.name,
                    Operation::Read,
                    EVERY,
                    NO_TIME,
                );
            }
            return Ok(());
        }
        let sql = format!(
            "{}; select tableoid from {} where {} limit 1",
            self.stage.leave(),
            table.name,
            aim.other
        );
        let lands: Option<u32> = self.stage.ask(&sql).await?.and_then(|oid| oid.parse().ok());
        for leaf in &table.leaves {
            if !leaf.select {
                self.untried(
                    target,
                    Path::Partition,
                    &leaf.name,
                    Operation::Read,
                    ONLY_OTHER,
                    "the login has no right on it",
                );
            } else if Some(leaf.oid) == lands {
                for shot in aim.shots(Path::Partition, &leaf.name, table) {
                    self.shoot(target, &shot).await?;
                }
                self.try_insert(target, table, Path::Partition, &leaf.name, aim)
                    .await?;
            } else {
                self.try_existing(target, Path::Partition, &leaf.name)
                    .await?;
            }
        }
        Ok(())
    }

    /// No row could be planted: the rows that are there.
    async fn existing(&mut self, target: &Target, table: &Table, reason: &str) -> Result<()> {
        for operation in Operation::ALL {
            if *operation != Operation::Read {
                self.untried(
                    target,
                    Path::Table,
                    &target.name,
                    *operation,
                    ONLY_OTHER,
                    reason,
                );
            }
        }
        self.try_existing(target, Path::Table, &target.name).await?;
        for leaf in &table.leaves {
            self.try_existing(target, Path::Partition, &leaf.name)
                .await?;
        }
        Ok(())
    }

    /// Rows that were there before: none is the attacker's, who came a moment ago. Only read.
    pub(super) async fn try_existing(
        &mut self,
        target: &Target,
        path: Path,
        object: &str,
    ) -> Result<()> {
        if self.is_late() {
            self.untried(
                target,
                path,
                object,
                Operation::Read,
                &[Attack::None, Attack::Other],
                NO_TIME,
            );
            return Ok(());
        }
        let (sql, control) = match (&target.tenant, self.stage.is_ours) {
            (_, true) => (
                format!("select from {object} limit 1"),
                format!("{}; select from {object} limit 1", self.stage.leave()),
            ),
            (Some(tenant), false) => {
                let sql = format!(
                    "select from {object} where {tenant} = {} limit 1",
                    literal(&self.stage.sides[OTHER].tenant)
                );
                (
                    sql.clone(),
                    format!("{}; {sql}", self.stage.become_side(OTHER)),
                )
            }
            (None, false) => {
                self.nothing(target, "no row could be made");
                return Ok(());
            }
        };
        let is_there = self.behind(&control).await?;
        if !is_there.has_rows() {
            let reason = match is_there {
                Answer::Rows(_) => "no planted row is in it, and it is empty".to_owned(),
                refused @ Answer::Refused(_) => format!("the control did not work: {refused}"),
            };
            self.untried(
                target,
                path,
                object,
                Operation::Read,
                &[Attack::None, Attack::Other],
                &reason,
            );
            return Ok(());
        }
        for attack in [Attack::None, Attack::Other] {
            let shot = Shot {
                path,
                object: object.to_owned(),
                operation: Operation::Read,
                sql: sql.clone(),
                control: None,
                truth: None,
                attacks: &[],
                read_only: true,
            };
            self.attack(target, &shot, attack).await?;
        }
        Ok(())
    }

    /// Shared reference data: everybody reads it, nobody writes it.
    async fn shared(&mut self, target: &Target, table: &Table) -> Result<()> {
        let Some(column) = table.columns.iter().find(|column| !column.generated) else {
            self.nothing(target, "it has no column");
            return Ok(());
        };
        self.stage.begin().await?;
        let (name, column) = (&table.name, &column.name);
        for (operation, sql) in [
            (
                Operation::Insert,
                format!("insert into {name} select * from {name} where false"),
            ),
            (
                Operation::Update,
                format!("update {name} set {column} = {column} where false"),
            ),
            (Operation::Delete, format!("delete from {name} where false")),
        ] {
            // Rights are looked at before rows: it is enough that the statement may run.
            let control = format!("{}; {sql}", self.stage.leave());
            let control = self.behind(&control).await?;
            let made = self
                .behind(&format!("{}; {sql}", self.stage.become_side(OWN)))
                .await?;
            let (verdict, answer) = match (control, made) {
                (Answer::Refused(refusal), _) => (
                    Verdict::NotTried,
                    format!("the control did not work: {}", refusal.message),
                ),
                (_, Answer::Refused(refusal)) if refusal.state == "42501" => {
                    (Verdict::Held, said(&refusal))
                }
                (_, Answer::Refused(refusal)) => (
                    Verdict::NotTried,
                    format!("it ended for another reason: {}", said(&refusal)),
                ),
                (_, Answer::Rows(_)) => (
                    Verdict::Leak,
                    "a tenant may write what all tenants read".to_owned(),
                ),
            };
            self.attempts.push(Attempt {
                relation: target.name.clone(),
                path: Path::Table,
                object: target.name.clone(),
                operation,
                attack: Attack::Other,
                verdict,
                answer,
            });
        }
        self.stage.rollback().await
    }

    /// Nothing of a table could be tried.
    fn nothing(&mut self, target: &Target, reason: &str) {
        for operation in Operation::ALL {
            self.untried(
                target,
                Path::Table,
                &target.name,
                *operation,
                ONLY_OTHER,
                reason,
            );
        }
    }
}
