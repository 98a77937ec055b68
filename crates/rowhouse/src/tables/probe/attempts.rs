//! The attempts on one table: each operation, in each context, by the table's own name and by its partitions'.
//!
//! Everything aims at rows of side 1. A [`Shot`] is the statement; it is made as side 1 first (the control), then in each
//! context that an attacker can come to.

use std::sync::Arc;
use std::time::Instant;

use futures_util::TryStreamExt as _;

use super::facts::{Reference, Table, Target, WayKind};
use super::rows::{NO_RIGHT, Slot, Values, Wish, insert, outside};
use super::stage::{Answer, Refusal, Stage, literal, refused};
use super::{Attack, Attempt, Operation, Path, Prober, Verdict};
use crate::error::{Error, Result};

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
const PLANTED: [(usize, Slot); 4] = [
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

impl Prober {
    /// Everything that is tried on a table, in one transaction.
    pub async fn table(&mut self, target: &Target) -> Result<()> {
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
            self.nothing(target, &outside(&table.name, &trigger.function));
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
            match way.kind {
                WayKind::View => self.try_view(target, table, way).await?,
                WayKind::Materialized => self.try_materialized(target, way).await?,
                WayKind::Function if self.functions => {
                    self.try_function(target, way).await?;
                }
                WayKind::Function => {}
            }
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

    /// The control, then each context.
    pub(super) async fn shoot(&mut self, target: &Target, shot: &Shot) -> Result<()> {
        if Instant::now() >= self.deadline {
            self.untried(
                target,
                shot.path,
                &shot.object,
                shot.operation,
                shot.attacks,
                "no time was left",
            );
            return Ok(());
        }
        let (sql, side) = match &shot.control {
            Some((sql, side)) => (sql, *side),
            None => (&shot.sql, OTHER),
        };
        let opened = format!("{}{}", self.stage.become_side(side), shot.guard());
        let control = self.one(&opened, sql, shot.is_copy()).await?;
        let works = match control {
            Ok(answer) if answer.has_rows() => None,
            Ok(Answer::Refused(refusal))
                if refusal.state == "42501" && refusal.message.starts_with("permission denied") =>
            {
                Some(NO_RIGHT.to_owned())
            }
            Ok(answer) => Some(format!("the control did not work: {answer}")),
            Err(refusal) => Some(format!(
                "the other tenant could not be entered: {}",
                said(&refusal)
            )),
        };
        if let Some(reason) = works {
            self.untried(
                target,
                shot.path,
                &shot.object,
                shot.operation,
                shot.attacks,
                &reason,
            );
            return Ok(());
        }
        for attack in shot.attacks {
            self.attack(target, shot, *attack).await?;
        }
        Ok(())
    }

    /// One attempt.
    pub(super) async fn attack(
        &mut self,
        target: &Target,
        shot: &Shot,
        attack: Attack,
    ) -> Result<()> {
        let opened = match self.stage.become_attacker(attack) {
            Ok(opened) => format!("{opened}{}", shot.guard()),
            Err(reason) => {
                self.untried(
                    target,
                    shot.path,
                    &shot.object,
                    shot.operation,
                    &[attack],
                    reason,
                );
                return Ok(());
            }
        };
        let made = if attack == Attack::Leftover {
            self.leftover(&opened, shot).await?
        } else {
            self.judged(&opened, shot).await?
        };
        let (verdict, answer) = match made {
            Ok((answer, harmless)) => judge(shot.operation, &answer, harmless),
            Err(refusal) => (
                Verdict::NotTried,
                format!("the context could not be opened: {}", said(&refusal)),
            ),
        };
        self.attempts.push(Attempt {
            relation: target.name.clone(),
            path: shot.path,
            object: shot.object.clone(),
            operation: shot.operation,
            attack,
            verdict,
            answer,
        });
        Ok(())
    }

    /// The statement, and whether what it wrote did not reach the other side.
    async fn judged(&self, opened: &str, shot: &Shot) -> Result<Result<(Answer, bool), Refusal>> {
        let before = self.truth(shot).await?;
        let stage = &self.stage;
        if let Answer::Refused(refusal) = stage.say(&format!("savepoint attempt; {opened}")).await?
        {
            back(stage).await?;
            return Ok(Err(refusal));
        }
        let answer = last(stage, &shot.sql, shot.is_copy()).await?;
        let harmless = match (&before, &answer) {
            (Some(before), Answer::Rows(_)) => {
                stage.say(&stage.leave()).await?;
                self.truth(shot).await?.as_ref() == Some(before)
            }
            _ => false,
        };
        back(stage).await?;
        // A write that says 0 rows and yet changed the other's.
        let answer = match answer {
            Answer::Rows(0) if before.is_some() && !harmless => Answer::Rows(1),
            answer => answer,
        };
        Ok(Ok((answer, harmless)))
    }

    async fn truth(&self, shot: &Shot) -> Result<Option<String>> {
        match &shot.truth {
            Some(sql) if self.stage.bypasses => self.stage.ask(sql).await,
            _ => Ok(None),
        }
    }

    /// Prepared and executed in the other tenant, executed again in one's own: the plan is the one of before.
    async fn leftover(&self, opened: &str, shot: &Shot) -> Result<Result<(Answer, bool), Refusal>> {
        let stage = &self.stage;
        let before = self.truth(shot).await?;
        let prepare = format!(
            "savepoint attempt; {}; prepare rowhouse_probe as {}; savepoint once; execute rowhouse_probe; \
             rollback to savepoint once",
            stage.become_side(OTHER),
            shot.sql
        );
        let made = match stage.say(&prepare).await? {
            Answer::Refused(refusal) => Err(refusal),
            Answer::Rows(_) => match stage.say(opened).await? {
                Answer::Refused(refusal) => Err(refusal),
                Answer::Rows(_) => {
                    let answer = stage.say("execute rowhouse_probe").await?;
                    let harmless = match (&before, &answer) {
                        (Some(before), Answer::Rows(_)) => {
                            stage.say(&stage.leave()).await?;
                            self.truth(shot).await?.as_ref() == Some(before)
                        }
                        _ => false,
                    };
                    Ok((answer, harmless))
                }
            },
        };
        back(stage).await?;
        stage
            .say("savepoint attempt; deallocate rowhouse_probe")
            .await?;
        back(stage).await?;
        Ok(made)
    }

    /// A text behind a savepoint.
    pub(super) async fn behind(&self, sql: &str) -> Result<Answer> {
        let answer = self.stage.say(&format!("savepoint attempt; {sql}")).await?;
        back(&self.stage).await?;
        Ok(answer)
    }

    /// A statement in a context, behind a savepoint. The inner error: the context could not be opened.
    pub(super) async fn one(
        &self,
        opened: &str,
        sql: &str,
        copy: bool,
    ) -> Result<Result<Answer, Refusal>> {
        let stage = &self.stage;
        if let Answer::Refused(refusal) = stage.say(&format!("savepoint attempt; {opened}")).await?
        {
            back(stage).await?;
            return Ok(Err(refusal));
        }
        let answer = last(stage, sql, copy).await?;
        back(stage).await?;
        Ok(Ok(answer))
    }

    pub(super) fn untried(
        &mut self,
        target: &Target,
        path: Path,
        object: &str,
        operation: Operation,
        attacks: &[Attack],
        reason: &str,
    ) {
        for attack in attacks {
            self.attempts.push(Attempt {
                relation: target.name.clone(),
                path,
                object: object.to_owned(),
                operation,
                attack: *attack,
                verdict: Verdict::NotTried,
                answer: reason.to_owned(),
            });
        }
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

async fn last(stage: &Stage, sql: &str, copy: bool) -> Result<Answer> {
    if !copy {
        return stage.say(sql).await;
    }
    let lines = async {
        let stream = std::pin::pin!(stage.client.copy_out(sql).await?);
        stream.try_fold(0, async |lines, _| Ok(lines + 1)).await
    };
    match lines.await {
        Ok(lines) => Ok(Answer::Rows(lines)),
        Err(error) => refused(error),
    }
}

async fn back(stage: &Stage) -> Result<()> {
    stage
        .client
        .batch_execute("rollback to savepoint attempt; release savepoint attempt")
        .await?;
    Ok(())
}

/// `harmless`: what was written did not reach the other side.
fn judge(operation: Operation, answer: &Answer, harmless: bool) -> (Verdict, String) {
    match answer {
        Answer::Rows(0) => (Verdict::Held, answer.to_string()),
        Answer::Rows(_) if harmless && matches!(operation, Operation::Insert) => (
            Verdict::Held,
            "written, but not into the other tenant".into(),
        ),
        Answer::Rows(_) => (Verdict::Leak, answer.to_string()),
        Answer::Refused(refusal) => {
            let state = refusal.state.as_str();
            // A right, a policy, a view's CHECK OPTION; a setting that is not there, or is no tenant's id; what a function
            // of the wall raises: Rowhouse's, plpgsql's, or states of somebody's own. Everything else (a timeout, a key that
            // is taken, an aborted transaction) says nothing.
            let by_the_wall = matches!(state, "42501" | "42704" | "44000")
                || ["22", "28", "P0"]
                    .iter()
                    .any(|class| state.starts_with(class))
                || state.starts_with(|c: char| c.is_ascii_uppercase() && !"FHPX".contains(c))
                || state == "23503" && operation == Operation::Reference;
            if by_the_wall {
                (Verdict::Held, said(refusal))
            } else {
                (
                    Verdict::NotTried,
                    format!("it ended for another reason: {}", said(refusal)),
                )
            }
        }
    }
}

pub(super) fn said(refusal: &Refusal) -> String {
    format!("{} {}", refusal.state, refusal.message)
}

impl Shot {
    fn is_copy(&self) -> bool {
        self.operation == Operation::Copy
    }

    fn guard(&self) -> &'static str {
        if self.read_only {
            "; set local transaction_read_only = on"
        } else {
            ""
        }
    }
}

/// Conditions that name the planted rows of a table.
pub(super) struct Aim {
    /// The other side's.
    pub other: String,
    /// One row of each side's, whose key the other does not have.
    movable: [String; 2],
    /// What the owner asks to see whether the other side's rows are what they were.
    truth: Option<String>,
    tenant: String,
    tenants: [String; 2],
}

impl Aim {
    fn at(prober: &Prober, target: &Target, table: &Table) -> Option<Self> {
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
    fn shots(&self, path: Path, object: &str, table: &Table) -> Vec<Shot> {
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
fn by_key(table: &Table, values: &Values) -> Option<String> {
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
