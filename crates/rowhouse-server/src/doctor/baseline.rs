//! The findings that a team knows of and lives with. A baseline is an answer of `doctor --json`; rule, object and what
//! was found make a finding the same one, so a table that gets worse is told again.

use std::collections::BTreeSet;
use std::path::Path;

use rowhouse::tables::doctor::Finding;
use rowhouse::{Error, Result};
use serde::Deserialize;
use serde_json::json;

/// Rule, object, what.
#[derive(Default)]
pub struct Baseline(BTreeSet<(String, String, String)>);

#[derive(Deserialize)]
struct File {
    findings: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    rule: String,
    object: String,
    what: String,
}

impl Baseline {
    /// What is new, and how many are known.
    pub fn split(&self, findings: Vec<Finding>) -> (Vec<Finding>, usize) {
        let all = findings.len();
        let new: Vec<Finding> = findings
            .into_iter()
            .filter(|found| {
                let key = (found.rule.clone(), found.object.clone(), found.what.clone());
                !self.0.contains(&key)
            })
            .collect();
        let known = all - new.len();
        (new, known)
    }
}

/// Reads one; it must be there.
pub fn read(file: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::Config(format!("{} cannot be read: {error}", file.display())))?;
    let known: File = serde_json::from_str(&text).map_err(|error| {
        Error::Config(format!(
            "{} is no baseline ({error}): make one with --write-baseline",
            file.display()
        ))
    })?;
    Ok(Baseline(
        known
            .findings
            .into_iter()
            .map(|known| (known.rule, known.object, known.what))
            .collect(),
    ))
}

/// Writes all of them, one finding a few lines, so that a change can be read in a diff.
pub fn write(file: &Path, findings: &[Finding]) -> Result<()> {
    let text = serde_json::to_string_pretty(&json!({ "findings": findings }))
        .map_err(|error| Error::Config(format!("cannot be shown as JSON: {error}")))?;
    std::fs::write(file, text + "\n")
        .map_err(|error| Error::Config(format!("{} cannot be written: {error}", file.display())))
}
