//! What is done beside the requests: mail is sent, tenants that were left half set up are completed, trails are sealed.
//!
//! Invariants: any number of processes work on one database, and none does what another has claimed; a claim outlasts an
//! attempt; no transaction is open while a mail server is spoken to; whoever falls is followed when his claim ends.

use std::time::Duration;

use rowhouse::jobs::{self, Kind};
use rowhouse::{Operator, Result, Rowhouse, audit, mail, provisioning};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Settings;
use crate::mail::mailer::{Mailer, Refusal};

/// How many mails a process sends at once.
const LANES: usize = 4;
/// How often somebody who found nothing to do looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The same after an error of the database.
const AFTER_ERROR: Duration = Duration::from_secs(2);
/// No two attempts at a mail lie further apart.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// The tasks of this process.
pub struct Worker {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Worker {
    /// Starts them. Without a mailer, mail waits for a process that has one.
    pub fn start(house: &Rowhouse, mailer: Option<Mailer>, settings: &Settings) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let completion = Completion {
            house: house.clone(),
        };
        tasks.spawn(until(stopping.clone(), move || {
            completion.clone().go_on_with_one()
        }));
        if settings.audit_seal_every > 0 {
            let every = Duration::from_secs(settings.audit_seal_every);
            tasks.spawn(seal_trails(house.clone(), every, stopping.clone()));
        }
        if !house.may_send_mail() {
            tracing::warn!("no mail is sent by this process: set mailer_url");
        } else if let Some(mailer) = mailer {
            let post = Post {
                house: house.clone(),
                mailer,
                attempts: settings.mail_attempts,
                retry: Duration::from_secs(settings.mail_retry.into()),
                link: settings.invitation_link(),
            };
            for _ in 0..LANES {
                let post = post.clone();
                tasks.spawn(until(stopping.clone(), move || post.clone().send_one()));
            }
        } else {
            tracing::warn!("no mail is sent: set mail_host, or name a data folder");
        }
        Self { tasks, stop }
    }

    /// Lets them finish what they are at, for `grace` at most.
    pub async fn end(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!("something was still under way at the end");
        }
    }
}

/// Chains what came into the tenants' trails meanwhile.
async fn seal_trails(house: Rowhouse, every: Duration, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        match audit::seal_everywhere(&house).await {
            Ok(all) if all.sealed == 0 => {}
            Ok(all) => tracing::info!(rows = all.sealed, "trails sealed"),
            Err(error) => tracing::error!(%error, "the trails could not be sealed"),
        }
    }
}

/// Does `work` again and again; without a pause as long as there is something to do.
async fn until<F: Future<Output = Result<bool>>>(
    mut stopping: watch::Receiver<bool>,
    work: impl Fn() -> F,
) {
    while !*stopping.borrow() {
        let pause = match work().await {
            Ok(true) => continue,
            Ok(false) => LOOK_AGAIN,
            Err(error) => {
                tracing::warn!(%error, "the worker could not look for work");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// Sends mail.
#[derive(Clone)]
struct Post {
    house: Rowhouse,
    mailer: Mailer,
    attempts: i32,
    retry: Duration,
    /// What an invitation's mail holds.
    link: String,
}

impl Post {
    /// One mail, if one is due.
    async fn send_one(self) -> Result<bool> {
        // Twice what an attempt takes: the other half is for noting how it went.
        let Some(taken) = mail::take(&self.house, self.mailer.timeout() * 2, &self.link).await?
        else {
            return Ok(false);
        };
        let outcome = self.mailer.send(&taken).await;
        let noted = match &outcome {
            Ok(()) => mail::sent(&self.house, &taken).await?,
            Err(refusal) => {
                let again = (!refusal.for_good && taken.attempt < self.attempts)
                    .then(|| back_off(self.retry, taken.attempt));
                mail::failed(&self.house, &taken, &refusal.why, again).await?
            }
        };
        let (mail_id, attempt) = (taken.id, taken.attempt);
        if let Err(Refusal { why, for_good }) = outcome {
            tracing::warn!(%mail_id, attempt, noted, for_good, why, "mail not sent");
        } else {
            tracing::info!(%mail_id, attempt, noted, "mail sent");
        }
        Ok(true)
    }
}

/// Completes tenants.
#[derive(Clone)]
struct Completion {
    house: Rowhouse,
}

impl Completion {
    /// One tenant, to its end or to a step that fails, if one is due: a transaction for each step, so that a fall costs one of
    /// them.
    async fn go_on_with_one(self) -> Result<bool> {
        let begin = async || {
            let operator = Operator::local("worker");
            self.house.begin_platform_as(operator).await
        };
        let mut tx = begin().await?;
        let Some(job) = jobs::claim(&mut tx, Kind::Provision, provisioning::LEASE).await? else {
            return Ok(false);
        };
        tx.commit().await?;
        loop {
            let mut tx = begin().await?.inside(job.tenant).await?;
            let run = provisioning::step(&mut tx).await?;
            tx.commit().await?;
            if run.last_error.is_some() {
                return Ok(true);
            }
            if run.status == provisioning::Status::Done {
                tracing::info!(tenant_id = %job.tenant, "tenant provisioned");
                return Ok(true);
            }
        }
    }
}

/// Twice as long each time.
fn back_off(first: Duration, attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(20);
    first
        .checked_mul(1 << doublings)
        .map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_and_none_longer_than_six_hours() {
        let waits: Vec<u64> = [1, 2, 3, 10, 11, 12, 1000]
            .into_iter()
            .map(|attempt| back_off(Duration::from_secs(30), attempt).as_secs())
            .collect();
        assert_eq!(waits, [30, 60, 120, 15360, 21600, 21600, 21600]);
    }
}
