//! What was found, for people.

use std::fmt::Write as _;

use rowhouse::tables::probe::{Past, Plan, Relation, Report, Verdict};

use super::certificate::Checked;
use crate::output::table;

const BOLD: &str = "1";
const DIM: &str = "2";

/// What will be done.
pub fn plan(plan: &Plan) -> String {
    let mut text = format!(
        "Probing {} as {}: {} tables, at most {} s.\n\
         Each in a transaction that is rolled back: two canary tenants, rows of theirs, then the attacks. No row of \
         anybody else's is written; no lock above ROW EXCLUSIVE; none is waited for longer than 200 ms.\n\
         What is refused is in the server's log, as from \"rowhouse probe\".",
        plan.database,
        plan.login,
        plan.tables.len(),
        plan.limit
    );
    for (what, names) in [
        ("Triggers that will run, and be rolled back", &plan.triggers),
        (
            "Of these, those that say NOTIFY: it is not sent",
            &plan.notify,
        ),
        (
            "Of these, those that reach outside, which no rollback undoes: their tables are left out",
            &plan.reach_out,
        ),
        ("Sequences that may move on", &plan.sequences),
    ] {
        if !names.is_empty() {
            write!(text, "\n{what}: {}.", few(names)).unwrap_or_default();
        }
    }
    text
}

/// The first ones, and how many more.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A relation that is through.
pub fn progress(relation: &Relation) -> String {
    format!(
        "{:<9} {:>3} attempts  {}",
        word(relation.verdict),
        relation.attempts,
        relation.relation
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Leak => "LEAK",
        Verdict::NotTried => "not tried",
    }
}

/// The whole answer.
pub fn report(report: &Report, colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let mut page = table(
        &[
            "VERDICT",
            "RELATION",
            "CLASS",
            "ATTEMPTS",
            "LEAKS",
            "NOT TRIED",
        ],
        report.relations.iter().map(|relation| {
            vec![
                word(relation.verdict).into(),
                relation.relation.clone(),
                relation.class.clone(),
                relation.attempts.to_string(),
                relation.leaks.to_string(),
                relation.not_tried.to_string(),
            ]
        }),
    );
    if !report.untried.is_empty() {
        write!(page, "\n\n{}", paint(BOLD, "Not tried")).unwrap_or_default();
        for untried in &report.untried {
            write!(
                page,
                "\n  {}  {} attempts: {}\n    {}",
                untried.relation,
                untried.attempts.len(),
                untried.reason,
                paint(DIM, &untried.attempts.join(", "))
            )
            .unwrap_or_default();
        }
    }
    if !report.leaked.is_empty() {
        write!(page, "\n\n{}", paint("1;31", "LEAKS")).unwrap_or_default();
        for leak in &report.leaked {
            write!(
                page,
                "\n  {}  {} by {} {}, context: {}\n    {}",
                paint(BOLD, &leak.relation),
                leak.operation,
                leak.path,
                leak.object,
                leak.attack,
                leak.answer
            )
            .unwrap_or_default();
        }
    }
    let is_whole = report.incomplete.is_empty();
    let colour = match report.verdict {
        Verdict::Held if is_whole => "1;32",
        Verdict::Held => "1;33",
        _ => "1;31",
    };
    let summary = format!(
        "{}{}: {} attempts, {} leaks, {} not tried, in {:.1} s.",
        word(report.verdict),
        if is_whole { "" } else { ", but not complete" },
        report.attempts,
        report.leaks,
        report.not_tried,
        report.seconds
    );
    write!(page, "\n\n{}", paint(colour, &summary)).unwrap_or_default();
    page
}

/// Why "held" does not speak for all that was asked for.
pub fn incomplete(report: &Report) -> String {
    format!(
        "The probe is not complete: of {} nothing, or not everything, could be tried: {}.",
        report.incomplete.len(),
        few(&report.incomplete)
    )
}

/// Earlier runs.
pub fn history(past: &[Past]) -> String {
    table(
        &[
            "AT",
            "VERDICT",
            "ATTEMPTS",
            "LEAKS",
            "NOT TRIED",
            "SECONDS",
            "CATALOGUE",
        ],
        past.iter().map(|line| {
            vec![
                format!("{:.0}", line.at),
                if line.complete {
                    word(line.verdict).to_owned()
                } else {
                    format!("{}, in part", word(line.verdict))
                },
                line.attempts.to_string(),
                line.leaks.to_string(),
                line.not_tried.to_string(),
                format!("{:.1}", line.seconds),
                line.catalogue_hash.chars().take(12).collect(),
            ]
        }),
    )
}

/// A certificate that was looked at.
pub fn checked(checked: &Checked) -> String {
    match &checked.report {
        Some(report) if checked.valid => format!(
            "Valid, signed by {}.\n{}: database {}, {}, PostgreSQL {}, catalogue {}\n{} attempts, {} leaks, {} not tried, {} relations.",
            checked.public_key.as_deref().unwrap_or_default(),
            word(report.verdict),
            report.database,
            report.at,
            report.server_version,
            report.catalogue_hash,
            report.attempts,
            report.leaks,
            report.not_tried,
            report.relations.len()
        ),
        _ => format!(
            "Refused: {}.",
            checked.why.as_deref().unwrap_or("it is not valid")
        ),
    }
}
