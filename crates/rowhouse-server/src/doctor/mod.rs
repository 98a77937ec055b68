//! `rowhouse doctor`: what is open in the row security of a database, ours or not.
//!
//! Exit code 0: nothing of level error that is not in the baseline; 1: something is; 2: it could not be asked, or the
//! command line cannot be understood. So a script can tell a bad database from one that is down. A rule that could not
//! be asked is a warning, since the others were; where none could, or one with `--strict`, that is 2 as well.

mod baseline;
mod page;
mod sarif;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use rowhouse::Result;
use rowhouse::tables::doctor::{self, Finding, Level, Options};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{self, Output};

/// What `doctor` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Answer with SARIF 2.1.0
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Findings that are known: what stands in this file (an earlier answer with --json) is not shown and does not count
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all findings of now to this file, as a baseline for later
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// A column that holds a row's tenant, besides the names that are known
    #[arg(long, value_name = "NAME")]
    tenant_column: Vec<String>,
    /// A setting that holds the context; then a policy that reads only other settings does not ask for a tenant
    #[arg(long, value_name = "NAME")]
    setting: Vec<String>,
    /// A login that an application uses (default: those with rights on tables of tenants)
    #[arg(long, value_name = "NAME")]
    login: Vec<String>,
    /// Ask only this rule
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// Exit code 2 where one rule could not be asked (otherwise: where none could)
    #[arg(long)]
    strict: bool,
    /// Count rows that refer to nothing: this reads the tables
    #[arg(long)]
    count: bool,
    /// The most that one statement may take: all rules together, where that fails each half of them, and so on
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
}

/// Asks, compares with the baseline, prints.
pub async fn run(
    target: &Target,
    settings: &Settings,
    arguments: Arguments,
    out: Output,
) -> Result<ExitCode> {
    // A baseline that cannot be read is told before a minute was spent.
    let known = match &arguments.baseline {
        Some(file) => baseline::read(file)?,
        None => baseline::Baseline::default(),
    };
    let options = Options {
        tenant_columns: arguments.tenant_column,
        settings: arguments.setting,
        logins: arguments.login,
        rules: arguments.rules,
        count: arguments.count,
        seconds: arguments.seconds,
    };
    let mut owner = target.place(settings)?.guest().await?;
    let findings = doctor::run(owner.client(), &options).await?;
    let unasked = unasked(&findings);
    let asked = match options.rules.len() {
        0 => doctor::RULES.len(),
        _ => options.rules.iter().collect::<BTreeSet<_>>().len(),
    };
    // Whatever the baseline knows of it: what was not asked was not found closed.
    let blind = unasked >= asked || (arguments.strict && unasked > 0);
    if let Some(file) = &arguments.write_baseline {
        baseline::write(file, &findings)?;
    }
    let (new, hidden) = known.split(findings);
    if arguments.sarif {
        Output { json: true }.show(&sarif::log(&new), |_| String::new())?;
    } else if out.json {
        let counts = Counts::of(&new);
        out.show(
            &json!({ "findings": new, "counts": counts.as_json(hidden) }),
            |_| String::new(),
        )?;
    } else {
        let colours = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        output::line(&page::text(&new, hidden, colours))?;
    }
    Ok(match Counts::of(&new).of_level(Level::Error) {
        0 if blind => ExitCode::from(2),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

/// How many rules could not be asked.
fn unasked(findings: &[Finding]) -> usize {
    let rules: BTreeSet<&str> = findings
        .iter()
        .filter(|found| found.is_unasked())
        .map(|found| found.rule.as_str())
        .collect();
    rules.len()
}

/// How many findings of each level.
struct Counts([usize; 3]);

impl Counts {
    fn of(findings: &[Finding]) -> Self {
        let mut counts = [0; 3];
        for (count, level) in counts.iter_mut().zip(Level::ALL) {
            *count = findings
                .iter()
                .filter(|found| found.level == *level)
                .count();
        }
        Self(counts)
    }

    fn of_level(&self, level: Level) -> usize {
        Level::ALL
            .iter()
            .zip(self.0)
            .find_map(|(one, count)| (*one == level).then_some(count))
            .unwrap_or(0)
    }

    fn as_json(&self, hidden: usize) -> serde_json::Value {
        json!({
            "error": self.of_level(Level::Error),
            "warning": self.of_level(Level::Warning),
            "info": self.of_level(Level::Info),
            "baseline": hidden,
        })
    }
}
