//! How a [`Shot`] is made: the control first, then each context that an attacker can come to, each behind a savepoint; and
//! what is made of the answer.

use futures_util::TryStreamExt as _;

use super::aim::{OTHER, Shot};
use super::facts::Target;
use super::rows::NO_RIGHT;
use super::stage::{Answer, Refusal, Stage, refused};
use super::{Attack, Attempt, NO_TIME, Operation, Path, Prober, Verdict};
use crate::error::Result;

impl Prober {
    /// The control, then each context.
    pub(super) async fn shoot(&mut self, target: &Target, shot: &Shot) -> Result<()> {
        if self.is_late() {
            self.untried(
                target,
                shot.path,
                &shot.object,
                shot.operation,
                shot.attacks,
                NO_TIME,
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
