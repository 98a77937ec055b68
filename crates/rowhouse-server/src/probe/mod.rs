//! `rowhouse probe`: attacks the wall of a live database, ours or not, and says what held.
//!
//! Exit code 0: held; 1: a leak, or a certificate that is not what it says; 2: it could not be tried, or only in part, or the
//! command line cannot be understood. So a script can tell an open wall from a database that is down.

mod certificate;
mod job;
mod page;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rowhouse::tables::probe::{self, Options, Report, Sides, Verdict};
use rowhouse::{Error, Owner, Result, Secret};

use crate::config::Settings;
use crate::connection::{Place, Target};
use crate::output::{self, Output};
pub use job::{owner_url, spawn};

/// What `probe` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Only these tables (default: every one whose rows belong to tenants)
    #[arg(long = "table", value_name = "NAME")]
    tables: Vec<String>,
    /// The most that all of it may take; what is left then is not tried
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// Milliseconds to rest after each table, for the load beside it
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pause: u64,
    /// Do not call functions that run with their owner's rights
    #[arg(long)]
    no_functions: bool,
    /// A column that holds a row's tenant, besides the names that are known
    #[arg(long, value_name = "NAME")]
    tenant_column: Vec<String>,
    /// The login that attacks (default: the one of --app-url, or Rowhouse's)
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Connection URL of the login that attacks, for what only its own session shows
    #[arg(long, value_name = "URL")]
    app_url: Option<String>,
    /// SQL that opens the attacker's context, in a database without Rowhouse, such as `set app.org = '1'`
    #[arg(
        long,
        value_name = "SQL",
        requires = "as_b",
        conflicts_with = "tenant_a_url"
    )]
    as_a: Option<String>,
    /// SQL that opens the context of the tenant whose rows it is after
    #[arg(long, value_name = "SQL", requires = "as_a")]
    as_b: Option<String>,
    /// Connection URL of the attacker's login, where each tenant has one
    #[arg(long, value_name = "URL", requires = "tenant_b_url")]
    tenant_a_url: Option<String>,
    /// Connection URL of the login of the tenant whose rows it is after
    #[arg(long, value_name = "URL", requires = "tenant_a_url")]
    tenant_b_url: Option<String>,
    /// The attacker's tenant, where its rows do not show it
    #[arg(long, value_name = "ID", requires = "tenant_b")]
    tenant_a: Option<String>,
    /// The tenant whose rows it is after
    #[arg(long, value_name = "ID", requires = "tenant_a")]
    tenant_b: Option<String>,
    /// Show what earlier runs found
    #[arg(long)]
    history: bool,
    /// Write a signed certificate of what was found: .json, or .html to be read. It speaks for the whole wall
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tables", "no_functions"])]
    certificate: Option<PathBuf>,
    /// Verify a certificate, and say what it says
    #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate", "history", "dry_run"])]
    check: Option<PathBuf>,
    /// The key that signs, made when it is not there (default: certificate.key in the data folder or in ~/.config/rowhouse)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// With --check: the key that is believed, as 64 hex digits (default: that of --key)
    #[arg(long, value_name = "HEX", requires = "check")]
    public_key: Option<String>,
}

/// Says what it will do, does it, prints what it found.
pub async fn run(
    target: &Target,
    settings: &Settings,
    arguments: Arguments,
    out: Output,
) -> Result<ExitCode> {
    let key = certificate::KeyFile::at(arguments.key.as_deref(), target.data.as_deref());
    if let Some(file) = &arguments.check {
        return check(file, &key, arguments.public_key.as_deref(), out);
    }
    let place = target.place(settings)?;
    let mut owner = place.owner().await?;
    if arguments.history {
        let past = probe::past(&mut owner, 50).await?;
        out.show(&past, |past| page::history(past))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = options(&place, settings, &arguments).await?;
    let plan = probe::plan(&mut owner, &options).await?;
    if arguments.dry_run {
        out.show(&plan, page::plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    // A key that cannot be read is told before minutes were spent.
    let signer = match &arguments.certificate {
        Some(file) => Some((certificate::Form::of(file)?, file, key.read_or_make()?)),
        None => None,
    };
    aside(&page::plan(&plan))?;
    let shows_progress = !out.json && std::io::stderr().is_terminal();
    let report = probe::run(&mut owner, &options, |relation| {
        if shows_progress {
            // Whoever cannot see progress goes without.
            drop(aside(&page::progress(relation)));
        }
    })
    .await?;
    // A few tables are not a probe of the wall.
    if arguments.tables.is_empty() {
        probe::record(&mut owner, &report).await?;
    }
    let passes_for_whole = report.verdict == Verdict::Leak || report.incomplete.is_empty();
    if let Some((form, file, signer)) = signer.as_ref().filter(|_| passes_for_whole) {
        certificate::write(*form, file, signer, &report)?;
    }
    show(&report, out)?;
    if !passes_for_whole {
        aside(&page::incomplete(&report))?;
        if signer.is_some() {
            aside("No certificate was written: it would speak for the whole wall.")?;
        }
        return Ok(ExitCode::from(2));
    }
    Ok(match report.verdict {
        Verdict::Held => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

fn show(report: &Report, out: Output) -> Result<()> {
    if out.json {
        return out.show(report, |_| String::new());
    }
    let colours = std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    output::line(&page::report(report, colours))
}

/// On stderr: stdout holds the answer alone.
fn aside(text: &str) -> Result<()> {
    match writeln!(std::io::stderr(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Config(format!("stderr: {error}")))
        }
        _ => Ok(()),
    }
}

fn check(
    file: &std::path::Path,
    key: &certificate::KeyFile,
    believed: Option<&str>,
    out: Output,
) -> Result<ExitCode> {
    let checked = certificate::check(file, key, believed)?;
    out.show(&checked, page::checked)?;
    Ok(if checked.valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn options(place: &Place, settings: &Settings, arguments: &Arguments) -> Result<Options> {
    let is_foreign = arguments.as_a.is_some() || arguments.tenant_a_url.is_some();
    let app: Option<Secret> = match &arguments.app_url {
        Some(url) => Some(url.as_str().into()),
        None if is_foreign => None,
        None => app_of(place, settings).await?,
    };
    let sides = match (
        &arguments.as_a,
        &arguments.as_b,
        &arguments.tenant_a_url,
        &arguments.tenant_b_url,
    ) {
        (Some(a), Some(b), ..) => Sides::Settings {
            a: a.clone(),
            b: b.clone(),
        },
        (.., Some(a), Some(b)) => Sides::Logins {
            a: login_of(&a.as_str().into()).await?,
            b: login_of(&b.as_str().into()).await?,
        },
        _ => Sides::Rowhouse,
    };
    let login = match (&arguments.login, &app, &sides) {
        (Some(login), ..) => login.clone(),
        (None, Some(app), _) => login_of(app).await?,
        (None, None, Sides::Logins { a, .. }) => a.clone(),
        // The owner's URL is then the application's own.
        _ => login_of(place.owner_url()?).await?,
    };
    Ok(Options {
        sides,
        tenants: arguments.tenant_a.clone().zip(arguments.tenant_b.clone()),
        app,
        tenant_columns: arguments.tenant_column.clone(),
        tables: arguments.tables.clone(),
        functions: !arguments.no_functions,
        limit: Duration::from_secs(arguments.limit),
        pause: Duration::from_millis(arguments.pause),
        ..Options::new(login)
    })
}

/// The app's URL, where Rowhouse is there and it can be found.
async fn app_of(place: &Place, settings: &Settings) -> Result<Option<Secret>> {
    let mut owner = place.owner().await?;
    let is_ours: bool = owner
        .client()
        .query_one(
            "select to_regclass('rowhouse.managed_tables') is not null",
            &[],
        )
        .await?
        .get(0);
    if !is_ours {
        return Ok(None);
    }
    Ok(Some(place.logins(settings).await?.app))
}

/// Connects as a login: so that a wrong URL is told here, and its name is the server's.
async fn login_of(url: &Secret) -> Result<String> {
    let mut session = Owner::connect(url.clone()).await?;
    Ok(session
        .client()
        .query_one("select session_user::text", &[])
        .await?
        .get(0))
}
