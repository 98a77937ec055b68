//! `rowhouse tenants provision`: one tenant, a user's own, or thousands in one run.
//!
//! Invariant: a tenant is founded and set up in one transaction, so a run that was killed leaves whole tenants and none that
//! is half one; one of which a step failed says so, and is a worker's to go on with; the same command again goes on where it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rowhouse::ids::TenantId;
use rowhouse::provisioning::{self, Run, Status, StepStatus};
use rowhouse::tenants::{self, Kind, NewTenant, PlanTier};
use rowhouse::{Error, Result, Rowhouse, TenantTx, users};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::Output;
use crate::tenants::cli::operator;

/// What is to be set up.
#[derive(Args)]
pub struct Provision {
    #[command(flatten)]
    which: Which,
    /// Who is invited as first owner; of many tenants, `{slug}` in it stands for each one's slug (default: nobody)
    #[arg(long, value_name = "EMAIL", conflicts_with_all = ["personal", "file"])]
    admin: Option<String>,
    /// How the slugs begin that --count makes
    #[arg(long, value_name = "TEXT", default_value = "tenant")]
    prefix: String,
    /// free, team, business or enterprise; of tenants that are not there yet
    #[arg(long, default_value_t = PlanTier::Free)]
    plan: PlanTier,
    /// How many tenants at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Slug or id of a tenant; a slug that leads nowhere is founded
    tenant: Option<String>,
    /// The address of a user, who gets a Personal Org and a Personal Workspace
    #[arg(long, value_name = "EMAIL")]
    personal: Option<String>,
    /// This many tenants, named by --prefix and a number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
    /// A tenant a line: slug, and where it is to have one, behind a comma each, its first owner's address and its name
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A tenant that is to be there afterwards.
struct Wanted {
    slug: String,
    name: String,
    admin: Option<String>,
}

/// What became of one.
#[derive(Serialize)]
struct Provisioned {
    tenant: TenantId,
    slug: String,
    #[serde(flatten)]
    run: Run,
}

/// What became of many.
#[derive(Serialize)]
struct Report {
    founded: u32,
    found: u32,
    failed: Vec<Failure>,
    seconds: f64,
    per_second: f64,
}

#[derive(Serialize)]
struct Failure {
    slug: String,
    code: &'static str,
    detail: String,
}

impl Provision {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let place = target.place(settings)?;
        // The platform's login has a quarter of the pool.
        let mut settings = settings.clone();
        settings.pool_size = usize::from(self.jobs) * 4;
        let house = place.house(&settings).await?;
        if let Some(email) = &self.which.personal {
            return one(&personal(&house, email).await?, out);
        }
        if let Some(slug) = &self.which.tenant {
            let wanted = Wanted {
                slug: slug.clone(),
                name: slug.clone(),
                admin: self.admin.clone(),
            };
            let (done, _) = provision(&house, &wanted, self.plan).await?;
            return one(&done, out);
        }
        let wanted = match &self.which.file {
            Some(file) => from_file(file)?,
            None => self.numbered(),
        };
        many(house, wanted, self.plan, self.jobs, out).await
    }

    fn numbered(&self) -> Vec<Wanted> {
        (1..=self.which.count.unwrap_or(0))
            .map(|n| {
                let slug = format!("{}-{n:05}", self.prefix);
                Wanted {
                    name: slug.clone(),
                    admin: self
                        .admin
                        .as_ref()
                        .map(|admin| admin.replace("{slug}", &slug)),
                    slug,
                }
            })
            .collect()
    }
}

fn from_file(path: &Path) -> Result<Vec<Wanted>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Config(format!("{} cannot be read: {error}", path.display())))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(3, ',').map(str::trim);
            let mut part = || parts.next().filter(|part| !part.is_empty());
            let slug = part().unwrap_or_default().to_owned();
            Wanted {
                admin: part().map(str::to_owned),
                name: part().unwrap_or(&slug).to_owned(),
                slug,
            }
        })
        .collect())
}

async fn personal(house: &Rowhouse, email: &str) -> Result<Provisioned> {
    let mut tx = house.begin_platform_as(operator()).await?;
    let user = users::by_email(&mut tx, email).await?;
    let (tenant, mut tx) = provisioning::personal(tx, user).await?;
    let run = to_the_end(&mut tx).await?;
    tx.commit().await?;
    Ok(Provisioned {
        tenant: tenant.id,
        slug: tenant.slug,
        run,
    })
}

/// Whether it had to be founded, too.
async fn provision(
    house: &Rowhouse,
    wanted: &Wanted,
    plan: PlanTier,
) -> Result<(Provisioned, bool)> {
    match attempt(house, wanted, plan).await {
        // Somebody founded it at the same moment.
        Err(Error::Taken { field: "slug" }) => attempt(house, wanted, plan).await,
        other => other,
    }
}

async fn attempt(house: &Rowhouse, wanted: &Wanted, plan: PlanTier) -> Result<(Provisioned, bool)> {
    let mut tx = house.begin_platform_as(operator()).await?;
    let (tenant, founded) = match tenants::find(&mut tx, &wanted.slug).await {
        Ok(tenant) => (tenant, false),
        Err(Error::NotFound(_)) => {
            let new = NewTenant {
                slug: wanted.slug.clone(),
                name: wanted.name.clone(),
                kind: Kind::Organization,
                plan,
                owner: None,
            };
            (tenants::create(&mut tx, new).await?, true)
        }
        Err(error) => return Err(error),
    };
    let mut tx = tx.inside(tenant.id).await?;
    provisioning::start(&mut tx, wanted.admin.as_deref()).await?;
    let run = to_the_end(&mut tx).await?;
    tx.commit().await?;
    let done = Provisioned {
        tenant: tenant.id,
        slug: tenant.slug,
        run,
    };
    Ok((done, founded))
}

/// Or to the first step that fails.
async fn to_the_end(tx: &mut TenantTx) -> Result<Run> {
    loop {
        let run = provisioning::step(tx).await?;
        if run.status == Status::Done || run.last_error.is_some() {
            return Ok(run);
        }
    }
}

/// What is told of a run that is not done.
fn unfinished(run: &Run) -> Option<Error> {
    let step = run.steps.iter().find(|s| s.status != StepStatus::Done)?;
    let code = run.last_error.as_deref().unwrap_or_default();
    Some(Error::WrongState(format!(
        "step {} failed ({code}): the log says more, and the same command tries it again",
        step.name
    )))
}

fn one(done: &Provisioned, out: Output) -> Result<()> {
    out.show(done, |done| {
        let steps: Vec<String> = done
            .run
            .steps
            .iter()
            .map(|step| format!("  {:<12}{}", step.name.as_str(), step.status))
            .collect();
        format!("{}  {}\n{}", done.tenant, done.slug, steps.join("\n"))
    })?;
    unfinished(&done.run).map_or(Ok(()), Err)
}

async fn many(
    house: Rowhouse,
    wanted: Vec<Wanted>,
    plan: PlanTier,
    jobs: u16,
    out: Output,
) -> Result<()> {
    let bar = ProgressBar::new(wanted.len() as u64).with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} tenants  {per_sec}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let began = Instant::now();
    let places = Arc::new(Semaphore::new(jobs.into()));
    let mut tasks = JoinSet::new();
    for wanted in wanted {
        let (house, bar) = (house.clone(), bar.clone());
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        tasks.spawn(async move {
            let done = match provision(&house, &wanted, plan).await {
                Ok((done, founded)) => unfinished(&done.run).map_or(Ok(founded), Err),
                Err(error) => Err(error),
            };
            bar.inc(1);
            drop(place);
            done.map_err(|error| Failure {
                slug: wanted.slug,
                code: error.code(),
                detail: error.to_string(),
            })
        });
    }
    let mut report = Report {
        founded: 0,
        found: 0,
        failed: Vec::new(),
        seconds: 0.0,
        per_second: 0.0,
    };
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|error| Error::Config(format!("a task broke off: {error}")))? {
            Ok(true) => report.founded += 1,
            Ok(false) => report.found += 1,
            Err(failure) => report.failed.push(failure),
        }
    }
    bar.finish_and_clear();
    report.seconds = began.elapsed().as_secs_f64();
    report.per_second = f64::from(report.founded + report.found) / report.seconds.max(0.001);
    report.failed.sort_by(|a, b| a.slug.cmp(&b.slug));
    out.show(&report, describe)?;
    match report.failed.len() {
        0 => Ok(()),
        failed => Err(Error::Config(format!(
            "{failed} tenants were not set up: see above, and run the same command again"
        ))),
    }
}

fn describe(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} founded, {} found, {} failed; {:.1} s, {:.0} a second",
        report.founded,
        report.found,
        report.failed.len(),
        report.seconds,
        report.per_second
    )];
    lines.extend(
        report
            .failed
            .iter()
            .map(|failure| format!("  {}  {}", failure.slug, failure.detail)),
    );
    lines.join("\n")
}
