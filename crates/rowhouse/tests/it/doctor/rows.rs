//! What docs/doctor.md claims, row by row of the threat model: each is shown by a fixture, or it says why none can be.

use std::collections::BTreeSet;

use super::{all, answers};

const DOCTOR: &str = include_str!("../../../../../docs/doctor.md");
const THREATS: &str = include_str!("../../../../../docs/threat-model.md");

/// Of a rule that claims several rows: the row, and words of the hole by which a fixture of the rule shows it.
const SHOWN: &[(&str, &str, &str)] = &[
    ("login-bypasses-rls", "A02", "alter role {app} bypassrls"),
    (
        "login-bypasses-rls",
        "A03",
        "grant {extra}_between to {app}",
    ),
    ("login-owns-tables", "A01", "alter role {owner} login"),
    ("login-owns-tables", "A03", "grant {owner} to {app}"),
    ("login-has-server-role", "B14", "pg_execute_server_program"),
    ("login-has-server-role", "B14", "pg_read_all_data"),
    ("login-has-server-role", "E03", "pg_monitor"),
    ("login-has-settings", "C14", "session_replication_role"),
    ("login-has-settings", "C16", "alter role {app} set"),
    ("rls-not-forced", "A01", "alter role {owner} login"),
    ("rls-not-forced", "B01", "no force row level security"),
    ("rls-not-forced", "B04", "no force row level security"),
    ("policy-open", "A09", "everybody on shop.notes"),
    (
        "policy-open",
        "A10",
        "for insert to {app} with check (true)",
    ),
    ("policy-widened", "A09", "or is_public"),
    ("policy-widened", "A12", "or true"),
    ("view-with-owners-rights", "B01", "create view shop.titles"),
    ("view-with-owners-rights", "B02", "create view shop.titles"),
    (
        "definer-without-search-path",
        "B05",
        "language plpgsql security definer as",
    ),
    (
        "definer-without-search-path",
        "C13",
        "set search_path = shop as",
    ),
    ("cascade-crosses-tenants", "D05", "on delete set null"),
    (
        "cascade-crosses-tenants",
        "B20",
        "references shop.tenants on delete cascade",
    ),
    ("function-reaches-out", "B09", "create extension dblink"),
    ("function-reaches-out", "B11", "pg_read_file"),
    ("function-reaches-out", "B14", "pg_read_file"),
    ("right-beyond-rows", "A04", "grant truncate"),
    ("right-beyond-rows", "A05", "grant trigger"),
    ("right-beyond-rows", "A06", "grant references"),
    (
        "create-on-schema",
        "B06",
        "create on schema public to public",
    ),
    ("create-on-schema", "A06", "create on schema shop to {app}"),
    ("temporary-tables", "C12", "grant temporary"),
    ("temporary-tables", "B05", "grant temporary"),
    ("default-privileges", "B17", "alter default privileges"),
    ("default-privileges", "A07", "grant all on tables to {app}"),
    ("table-in-no-class", "A07", "create table shop.queue"),
    ("table-in-no-class", "B10", "payload text"),
    ("unique-without-tenant", "D01", "add unique (body)"),
    ("unique-without-tenant", "D02", "primary key"),
    ("unique-without-tenant", "D03", "add unique (body)"),
    ("unique-without-tenant", "D08", "exclude using"),
    (
        "foreign-key-without-tenant",
        "D04",
        "references shop.notes (id)",
    ),
    (
        "foreign-key-without-tenant",
        "D06",
        "references shop.notes (id)",
    ),
    ("index-not-led-by-tenant", "E01", "id uuid primary key"),
    (
        "index-not-led-by-tenant",
        "E06",
        "create index on shop.notes (body)",
    ),
    ("plan-filters-tenant", "E01", "tenant_id::text"),
    ("plan-filters-tenant", "E06", "tenant_id::text"),
    ("rowhouse-function-changed", "B04", "function"),
    ("rowhouse-function-changed", "B05", "function"),
    ("rowhouse-unclassified", "A07", "create table"),
    ("rowhouse-unclassified", "B10", "create table"),
];

/// The rows that a cell names: `A01, B04 to B06 (and why)`.
fn rows(cell: &str) -> Vec<String> {
    let words: Vec<&str> = cell
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let parsed = |word: &str| {
        let number: u32 = word.get(1..)?.parse().ok()?;
        let letter = word.chars().next().filter(char::is_ascii_uppercase)?;
        Some((letter, number))
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some((letter, number)) = parsed(word) else {
            continue;
        };
        let range = at >= 2 && words[at - 1] == "to";
        let first = if range { parsed(words[at - 2]) } else { None };
        let first = first.map_or(number, |(_, first)| first);
        found.extend((first..=number).map(|number| format!("{letter}{number:02}")));
    }
    found
}

/// The cells of the lines of a table, from a heading of the page on to the next.
fn table(page: &'static str, heading: &str) -> Vec<Vec<&'static str>> {
    let from = page.find(heading).unwrap() + heading.len();
    let part = &page[from..];
    let part = &part[..part.find("\n## ").unwrap_or(part.len())];
    part.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("|--"))
        .map(|line| line.split('|').skip(1).map(str::trim).collect())
        .collect()
}

/// (rule, row), as the page claims them.
fn claimed() -> BTreeSet<(String, String)> {
    table(DOCTOR, "\n## Rules\n")
        .iter()
        .flat_map(|cells| {
            let rule = cells[0].trim_matches('`').to_owned();
            rows(cells[1])
                .into_iter()
                .map(move |row| (rule.clone(), row))
        })
        .collect()
}

#[test]
fn cells_are_understood() {
    assert_eq!(
        rows("E04, E07 to E09, F"),
        ["E04", "E07", "E07", "E08", "E09"]
    );
    assert_eq!(rows("B15 (bodies in SQL, texts of views)"), ["B15"]);
    assert!(claimed().contains(&("rls-off".into(), "A08".into())));
    assert!(claimed().len() > 80);
}

#[test]
fn each_row_is_found_or_it_is_said_why_not() {
    let mut spoken_of: BTreeSet<String> = claimed().into_iter().map(|(_, row)| row).collect();
    for cells in table(DOCTOR, "\n## What no catalogue tells\n") {
        assert!(!cells[1].is_empty(), "{} has no reason", cells[0]);
        spoken_of.extend(rows(cells[0]));
    }
    let asked: BTreeSet<String> = table(THREATS, "\n## Appendix: every row\n")
        .iter()
        .flat_map(|cells| rows(cells[0]))
        .filter(|row| !row.starts_with('F')) // the application's own
        .collect();
    assert!(asked.len() > 80, "{asked:?}");
    let missing: Vec<_> = asked.difference(&spoken_of).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(DOCTOR.contains("| `server-minor` | G |"));
}

#[test]
fn each_row_that_is_claimed_has_a_fixture() {
    let fixtures = all();
    let claimed = claimed();
    for (rule, row) in &claimed {
        // Both are tried by tests of their own, in answers.rs.
        if answers::BY_SUBSTITUTION.contains(&rule.as_str()) || rule == "rows-refer-to-nothing" {
            continue;
        }
        let of_rule = fixtures.iter().filter(|one| one.rule == rule);
        assert!(of_rule.count() > 0, "{rule} has no fixture");
        let is_its_only_one = claimed.iter().filter(|(other, _)| other == rule).count() == 1;
        assert!(
            is_its_only_one || SHOWN.iter().any(|(of, by, _)| of == rule && by == row),
            "no fixture is said to show {row} of {rule}"
        );
    }
    for (rule, row, words) in SHOWN {
        let pair = ((*rule).to_owned(), (*row).to_owned());
        assert!(claimed.contains(&pair), "{rule} claims no {row}");
        let shown = fixtures
            .iter()
            .any(|one| one.rule == *rule && one.hole.contains(words));
        assert!(shown, "{rule}: no hole with {words}, for {row}");
    }
}
