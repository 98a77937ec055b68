//! Findings for people: by level, each with its mend.

use std::fmt::Write as _;

use rowhouse::tables::doctor::{Finding, Level};

use super::Counts;
use crate::output::tame;

const BOLD: &str = "1";
const DIM: &str = "2";

/// The whole answer. `hidden`: how many stand in the baseline.
pub fn text(findings: &[Finding], hidden: usize, colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let counts = Counts::of(findings);
    let mut page = String::new();
    for level in Level::ALL {
        let count = counts.of_level(*level);
        if count == 0 {
            continue;
        }
        let heading = format!("{} ({count})", heading(*level));
        writeln!(page, "{}", paint(colour(*level), &heading)).unwrap_or_default();
        for finding in findings.iter().filter(|found| found.level == *level) {
            writeln!(
                page,
                "\n  {} {}  {}\n    {}\n    {}",
                paint(BOLD, &tame(&finding.object)),
                tame(&finding.what),
                paint(DIM, &format!("[{}]", finding.rule)),
                paint(DIM, &tame(&finding.why)),
                tame(&finding.mend)
            )
            .unwrap_or_default();
        }
        page.push('\n');
    }
    page.push_str(&summary(&counts, hidden));
    page
}

fn heading(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "1;31",
        Level::Warning => "1;33",
        Level::Info => "1;34",
    }
}

fn summary(counts: &Counts, hidden: usize) -> String {
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let mut line = format!(
        "{}, {}, {} for information",
        plural(counts.of_level(Level::Error), "error"),
        plural(counts.of_level(Level::Warning), "warning"),
        counts.of_level(Level::Info),
    );
    if hidden > 0 {
        write!(line, "; {hidden} in the baseline").unwrap_or_default();
    }
    line.push('.');
    line
}
