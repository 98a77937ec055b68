//! The probe as a job of `serve` and `up`: at an interval, and soon after the wall was changed.
//!
//! Of several processes one probes: whoever gets the lock. The others find the line of history and wait.

use std::time::Duration;

use rowhouse::tables::probe::{self, Options, Verdict};
use rowhouse::{Error, Owner, Result, Secret};

/// How soon a change of the wall is seen.
const LOOK: Duration = Duration::from_mins(1);

/// On the history and not an advisory one, which the app's login could hold, so that nobody would probe any more.
const LOCK: &str = "lock table rowhouse.probes in share update exclusive mode nowait";
/// Another has it.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Probes every `every` seconds and after each change of the catalogue, until the process ends. `owner`: the owner's URL.
pub fn spawn(owner: Secret, app: Secret, every: u64) {
    let pause = LOOK.min(Duration::from_secs(every.max(1)));
    tokio::spawn(async move {
        loop {
            if let Err(error) = look(&owner, &app, every).await {
                tracing::warn!(%error, "the scheduled probe could not be made");
            }
            tokio::time::sleep(pause).await;
        }
    });
}

async fn look(owner_url: &Secret, app: &Secret, every: u64) -> Result<()> {
    // The lock lasts as long as this connection.
    let mut second = Owner::connect(owner_url.clone()).await?;
    let lock = second.begin().await?;
    if let Err(error) = lock.batch_execute(LOCK).await.map_err(Error::from) {
        let taken = error.sqlstate() == Some(LOCK_NOT_AVAILABLE);
        return if taken { Ok(()) } else { Err(error) };
    }
    let mut owner = Owner::connect(owner_url.clone()).await?;
    if !probe::due(&mut owner, every).await? {
        return Ok(());
    }
    let login: String = Owner::connect(app.clone())
        .await?
        .client()
        .query_one("select session_user::text", &[])
        .await?
        .get(0);
    let options = Options {
        app: Some(app.clone()),
        ..Options::new(login)
    };
    let report = probe::run(&mut owner, &options, |_| {}).await?;
    probe::record(&mut owner, &report).await?;
    let (attempts, leaks, not_tried) = (report.attempts, report.leaks, report.not_tried);
    let catalogue = &report.catalogue_hash;
    if report.verdict == Verdict::Held && !report.incomplete.is_empty() {
        let left_out = report.incomplete.join("; ");
        tracing::warn!(attempts, leaks, not_tried, %catalogue, %left_out, "probe: held, but not complete");
    } else if report.verdict == Verdict::Held {
        tracing::info!(attempts, leaks, not_tried, %catalogue, "probe: held");
    } else {
        for leak in &report.leaked {
            tracing::error!(
                relation = %leak.relation,
                object = %leak.object,
                path = %leak.path,
                operation = %leak.operation,
                attack = %leak.attack,
                "probe: LEAK"
            );
        }
        tracing::error!(attempts, leaks, not_tried, %catalogue, "probe: LEAK");
    }
    Ok(())
}

/// The owner's URL, without which nothing can be probed.
pub fn owner_url(url: Result<&Secret>) -> Result<Secret> {
    url.cloned().map_err(|_| {
        Error::Config(
            "probe_every needs the owner's URL: the probe plants rows of its canaries. Set database_url, or probe_every = 0"
                .into(),
        )
    })
}
