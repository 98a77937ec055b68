//! Outside referees: pgrls (`PyPI`), a linter and prover of others, and splinter, the linter of Supabase, as the Postgres
//! language server ships it (npm). `scripts/referees` installs both, says where they are, and runs these tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::process::Command;

use rowhouse::tables::doctor::Options;

use super::{Base, Fixture, Place, all, available};
use crate::world::cluster;

const TABLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/doctor-side-by-side.md"
);

/// What the referees say of our schema and is accepted: tool, rule, which objects, and why. Whatever else they say is red,
/// and so is a line here that nothing needs any more.
const ACCEPTED: &[(&str, &str, &str, &str)] = &[
    (
        "pgrls",
        "SEC001",
        "rowhouse_private.",
        "no login has a right on these tables; the functions of the wall read them",
    ),
    (
        "pgrls",
        "SEC001",
        "rowhouse.schema_history",
        "the names of the migrations; only the owner has a right on it",
    ),
    (
        "pgrls",
        "SEC038",
        "",
        "looks at each permissive policy alone: the restrictive floor is joined to all of them, see the proof below",
    ),
    ("pgrls", "SEC008", "", "the same"),
    ("pgrls", "SEC005", "", "the same"),
    ("pgrls", "SEC028", "", "the same"),
    ("pgrls", "SEC020", "", "the same"),
    (
        "pgrls",
        "SEC010",
        "rowhouse.resource_acl.going",
        "on purpose: it lets entries go with a member, and none be written",
    ),
    (
        "pgrls",
        "SEC013",
        "",
        "the triggers keep membership and keys alive; their functions belong to a role that owns no table",
    ),
    (
        "pgrls",
        "SEC014",
        "",
        "the functions of the wall: their owner owns no table and is bound by every policy",
    ),
    (
        "pgrls",
        "SEC015",
        "rowhouse.bound_tenant",
        "called for each walled relation of a statement, too often for a SET clause: every name in it is qualified, and a test proves it",
    ),
    ("pgrls", "SEC015", "rowhouse.enter", "the same"),
    (
        "pgrls",
        "PERF003",
        "",
        "the indexes begin with the tenant, and the column that it misses comes behind it",
    ),
    (
        "pgrls",
        "PERF004",
        "",
        "a question about the row: `pair` is written out when the plan is made, the others are of resources, one at a time; the index goes by the tenant",
    ),
    (
        "pgrls",
        "VIEW002",
        "",
        "views with security_invoker hide no row of their own accord; the policies below them are the barrier",
    ),
    (
        "splinter",
        "functionSearchPathMutable",
        "",
        "functions that are parsed when made, or that qualify every name (a test proves it)",
    ),
    (
        "splinter",
        "multiplePermissivePolicies",
        "",
        "one for whoever is inside, one for its managers: which of them applies is what they say",
    ),
    (
        "splinter",
        "unindexedForeignKeys",
        "",
        "the index that it misses begins with the tenant, which is the first column of the key",
    ),
    (
        "splinter",
        "unusedIndex",
        "",
        "a database that was made a second ago has used none",
    ),
];

/// The floor as the prover can read it, and weaker than it stands. `(tenant_id, true) = (select f(), true)` is
/// `tenant_id = f()`; `floor_first()` is true; who may do what inside the tenant is left out (`true`), so that what is
/// proved of this holds of the real thing all the more. It wants the tenant's condition in the permissive policies, which
/// are joined with every restrictive one of their command: so those are written into them. Where a floor is missing,
/// nothing is written, and the proof fails.
const TRANSLATE: &str = r"
    do $$
    declare
      p record;
    begin
      create temp table floor as
      select polrelid, polcmd, e.found as reads, e.written as writes
      from pg_policy f
      cross join lateral (
        select regexp_replace(replace(pg_get_expr(f.polqual, f.polrelid), 'rowhouse.floor_first() AND ', ''), t.pattern, t.plain) as found,
          regexp_replace(pg_get_expr(f.polwithcheck, f.polrelid), t.pattern, t.plain) as written
        from (values ('\((\w+), true\) = \( SELECT rowhouse\.(?:bound|writable)_tenant\(\) AS \w+,\s+true\)', '\1 = (select rowhouse.bound_tenant())')) t (pattern, plain)
      ) e
      where not f.polpermissive and f.polroles = '{0}' and f.polname like 'tenant\_floor%';
      for p in
        select format('%I on %s', polname, polrelid::regclass) as policy, polcmd, polrelid,
          (select string_agg(f.reads, ' and ') from floor f where f.polrelid = q.polrelid and f.polcmd in ('*', q.polcmd)) as found,
          (select string_agg(coalesce(f.writes, f.reads), ' and ') from floor f where f.polrelid = q.polrelid and f.polcmd in ('*', q.polcmd)) as written
        from pg_policy q
        where polpermissive and polrelid::regclass::text not in (select polrelid::regclass::text from pg_policy where polname = 'platform')
      loop
        execute format('alter policy %s %s %s', p.policy,
          case when p.polcmd <> 'a' then format('using (%s)', coalesce(p.found, 'true')) end,
          case when p.polcmd in ('*', 'a', 'w') then format('with check (%s)', coalesce(p.written, 'true')) end);
      end loop;
      for p in
        select format('%I on %s', polname, polrelid::regclass) as policy from pg_policy where not polpermissive
      loop
        execute format('drop policy %s', p.policy);
      end loop;
    end $$";

struct Tools {
    /// The folder in which pip put pgrls and what it needs.
    pgrls: PathBuf,
    /// The program of the Postgres language server.
    pgls: PathBuf,
}

impl Tools {
    fn found() -> Self {
        let path = |name: &str| {
            PathBuf::from(
                std::env::var_os(name).unwrap_or_else(|| panic!("{name}: run scripts/referees")),
            )
        };
        Self {
            pgrls: path("ROWHOUSE_PGRLS"),
            pgls: path("ROWHOUSE_PGLS"),
        }
    }

    async fn pgrls(&self, place: &Place, arguments: &[&str]) -> Value {
        let schemas = match place.base {
            Base::Ours => "public,rowhouse,rowhouse_private",
            Base::Shop | Base::Bare => "public,shop",
        };
        let out = Command::new(self.pgrls.join("bin/pgrls"))
            .args(arguments)
            .args([
                "--database-url",
                &cluster().superuser(&place.database),
                "--schemas",
                schemas,
                "--format",
                "json",
            ])
            .env("PYTHONPATH", &self.pgrls)
            .current_dir(std::env::temp_dir())
            .output()
            .await
            .unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or_else(|error| {
            panic!(
                "pgrls {arguments:?}: {error}: {}",
                String::from_utf8_lossy(&out.stderr)
            )
        })
    }

    /// Rule and object of each error and warning.
    async fn pgrls_lint(&self, place: &Place) -> BTreeSet<(String, String)> {
        let said = self
            .pgrls(place, &["lint", "--min-severity", "warning"])
            .await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        said["violations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["severity"] != "info")
            .map(|one| (text(&one["rule_id"]), text(&one["location"])))
            .collect()
    }

    /// Table and verdict.
    async fn pgrls_verify(&self, place: &Place, mode: &str) -> Vec<(String, String)> {
        let arguments = [
            "verify",
            "--mode",
            mode,
            "--auth-function",
            "rowhouse.bound_tenant",
            "--auth-function",
            "shop.tenant",
        ];
        let said = self.pgrls(place, &arguments).await;
        let tables = said["tables"]
            .as_array()
            .or_else(|| said["results"].as_array())
            .unwrap_or_else(|| panic!("{said}"));
        tables
            .iter()
            .map(|one| {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                let verdict = match text("verdict").as_str() {
                    "leak" => "LEAK",
                    "unverified" => "UNVERIFIED",
                    "isolated" | "proven" => "PROVEN",
                    other => panic!("{other}"),
                };
                (text("table"), verdict.to_owned())
            })
            .collect()
    }

    /// Rule and message of each finding.
    async fn splinter(&self, place: &Place) -> BTreeSet<(String, String)> {
        let out = Command::new(&self.pgls)
            .args([
                "dblint",
                "--colors=off",
                "--max-diagnostics=none",
                "--connection-string",
                &cluster().superuser(&place.database),
            ])
            .current_dir(std::env::temp_dir())
            .output()
            .await
            .unwrap();
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("Command completed"), "{said}");
        let mut findings = BTreeSet::new();
        let mut rule = String::new();
        for line in said.lines() {
            if let Some(rest) = line.strip_prefix("splinter/") {
                rule = rest.split([' ', '/']).nth(1).unwrap_or_default().to_owned();
            } else if let Some(what) = ["  ! ", "  × ", "  i ", "  ✖ "]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
                && !rule.is_empty()
            {
                findings.insert((std::mem::take(&mut rule), what.replace(['\\', '`'], "")));
            }
        }
        findings
    }
}

fn accepted(tool: &str, rule: &str, object: &str) -> Option<usize> {
    ACCEPTED.iter().position(|(by, known, start, _)| {
        *by == tool && *known == rule && (start.is_empty() || object.starts_with(start))
    })
}

#[tokio::test]
#[ignore = "needs scripts/referees"]
async fn in_our_schema_they_find_nothing_that_is_not_explained() {
    let tools = Tools::found();
    let place = Place::new(Base::Ours).await;
    let mut needed = BTreeSet::new();
    let mut new = Vec::new();
    for (tool, findings) in [
        ("pgrls", tools.pgrls_lint(&place).await),
        ("splinter", tools.splinter(&place).await),
    ] {
        println!("{tool}: {} findings", findings.len());
        for (rule, object) in findings {
            match accepted(tool, &rule, &object) {
                Some(line) => {
                    needed.insert(line);
                }
                None => new.push(format!("{tool} {rule}: {object}")),
            }
        }
    }
    assert!(new.is_empty(), "{}", new.join("\n"));
    let stale: Vec<_> = ACCEPTED
        .iter()
        .enumerate()
        .filter(|(line, _)| !needed.contains(line))
        .map(|(_, entry)| entry)
        .collect();
    assert!(stale.is_empty(), "nothing needs these any more: {stale:?}");
    place.remove().await;
}

#[tokio::test]
#[ignore = "needs scripts/referees"]
async fn of_our_schema_each_floor_is_proved_and_one_that_is_gone_is_not() {
    let tools = Tools::found();
    let place = Place::new(Base::Ours).await;
    // As it stands: it leaks nowhere. What the prover cannot read, it says.
    for mode in ["anon", "cross-tenant", "write"] {
        let verdicts = tools.pgrls_verify(&place, mode).await;
        assert!(verdicts.len() > 15, "{verdicts:?}");
        assert!(
            verdicts.iter().all(|(_, verdict)| verdict != "LEAK"),
            "{mode}: {verdicts:?}"
        );
        report(mode, &verdicts);
    }
    // Translated, with every floor still there: each table that has a tenant is proved.
    place.sql(TRANSLATE).await.unwrap();
    let without_tenant = [
        "rowhouse.jobs",
        "rowhouse.locator",
        "rowhouse.managed_tables",
        "rowhouse.operator_requests",
        "rowhouse.operator_tokens",
        "rowhouse.platform_audit",
        "rowhouse.probes",
        "rowhouse.tenants",
        "rowhouse.users",
    ];
    for mode in ["cross-tenant", "write"] {
        let verdicts = tools.pgrls_verify(&place, mode).await;
        report(&format!("{mode}, translated"), &verdicts);
        let unproved: Vec<_> = verdicts
            .iter()
            .filter(|(table, verdict)| {
                verdict != "PROVEN" && !without_tenant.contains(&table.as_str())
            })
            .collect();
        assert!(unproved.is_empty(), "{mode}: {unproved:?}");
        assert!(verdicts.iter().all(|(_, verdict)| verdict != "LEAK"));
    }
    place.remove().await;

    // And the proof is one: without its floor, a table is not proved.
    let open = Place::new(Base::Ours).await;
    open.sql(
        "drop policy tenant_floor on public.notes; drop policy tenant_floor on rowhouse.teams",
    )
    .await
    .unwrap();
    open.sql(TRANSLATE).await.unwrap();
    let verdicts = tools.pgrls_verify(&open, "cross-tenant").await;
    for table in ["public.notes", "rowhouse.teams"] {
        let (_, verdict) = verdicts.iter().find(|(name, _)| name == table).unwrap();
        assert_ne!(verdict, "PROVEN", "{table}");
    }
    open.remove().await;
}

fn report(mode: &str, verdicts: &[(String, String)]) {
    let count = |wanted: &str| {
        verdicts
            .iter()
            .filter(|(_, verdict)| verdict == wanted)
            .count()
    };
    println!(
        "{mode}: {} proven, {} leak, {} unverified",
        count("PROVEN"),
        count("LEAK"),
        count("UNVERIFIED")
    );
}

/// What each tool says of a place. Names of the fixture's roles and database differ from place to place.
async fn said(tools: &Tools, place: &Place) -> [BTreeSet<String>; 3] {
    // Splinter looks at what Supabase's two roles may do: here they may what the application may.
    place
        .sql(
            "do $$ begin
               if to_regrole('authenticated') is null then create role authenticated nologin; create role anon nologin; create role service_role nologin bypassrls; end if;
               if to_regrole('{app}') is not null then grant {app} to authenticated; end if;
             end $$;
             alter database {db} set pgrst.db_schemas = 'public,shop'",
        )
        .await
        .unwrap();
    let plain = |text: String| {
        text.replace(&place.fill("{db}"), "db")
            .replace(place.fill("{app}").trim_end_matches("_app"), "role")
    };
    // Roles belong to the whole server: those of a place beside this one say nothing of it.
    let own = |text: &String| !text.contains("doctor_");
    let mut pgrls: BTreeSet<String> = tools
        .pgrls_lint(place)
        .await
        .into_iter()
        .map(|(rule, object)| plain(format!("{rule} {object}")))
        .filter(own)
        .collect();
    for mode in ["cross-tenant", "write"] {
        for (table, verdict) in tools.pgrls_verify(place, mode).await {
            if verdict == "LEAK" {
                pgrls.insert(format!("verify --mode {mode} {table}"));
            }
        }
    }
    let splinter = tools
        .splinter(place)
        .await
        .into_iter()
        .filter(|(rule, _)| rule != "unusedIndex")
        .map(|(rule, what)| plain(format!("{rule} {what}")))
        .filter(own)
        .collect();
    let doctor = place
        .doctor(&Options::default())
        .await
        .into_iter()
        .map(|one| plain(format!("{} {}", one.rule, one.object)))
        .collect();
    [pgrls, splinter, doctor]
}

/// One of each rule, the first in the list.
async fn compared() -> Vec<Fixture> {
    let mut rules = BTreeSet::new();
    let mut chosen = Vec::new();
    for fixture in all() {
        if fixture.base == Base::Shop && available(&fixture).await && rules.insert(fixture.rule) {
            chosen.push(fixture);
        }
    }
    chosen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/referees"]
async fn the_side_by_side_table_is_what_the_tools_say() {
    let tools = Tools::found();
    let untouched = Place::new(Base::Shop).await;
    let before = said(&tools, &untouched).await;
    untouched.remove().await;
    let fixtures = compared().await;
    let lines: Vec<[Vec<String>; 3]> = futures_util::stream::iter(&fixtures)
        .map(|fixture| line(&tools, &before, fixture))
        .buffered(3)
        .collect()
        .await;
    let mut page = String::new();
    let mut found = [0; 3];
    for (fixture, line) in fixtures.iter().zip(lines) {
        write!(page, "| `{}` ", fixture.rule).unwrap();
        for (rules, count) in line.iter().zip(&mut found) {
            *count += usize::from(!rules.is_empty());
            write!(page, "| {} ", rules.join(", ")).unwrap();
        }
        page.push_str("|\n");
    }
    let page = format!(
        "{HEAD}\n| hole | pgrls | splinter | doctor |\n|---|---|---|---|\n{page}| **found of {}** | **{}** | **{}** | **{}** |\n",
        fixtures.len(),
        found[0],
        found[1],
        found[2]
    );
    if std::env::var_os("ROWHOUSE_WRITE_TABLE").is_some() {
        std::fs::write(TABLE, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(TABLE).unwrap(), page);
    assert_eq!(found[2], fixtures.len(), "doctor finds its own fixtures");
}

/// By tool: the rules that speak of the hole, and neither of the same thing done well nor of the place without either.
async fn line(
    tools: &Tools,
    before: &[BTreeSet<String>; 3],
    fixture: &Fixture,
) -> [Vec<String>; 3] {
    let of = async |text: &str| {
        let place = Place::new(fixture.base).await;
        place.sql(text).await.unwrap();
        let after = said(tools, &place).await;
        place.remove().await;
        after
    };
    let hole = of(fixture.hole).await;
    let mended = if fixture.mended.is_empty() {
        before.clone()
    } else {
        of(fixture.mended).await
    };
    [0, 1, 2].map(|tool| {
        hole[tool]
            .iter()
            .filter(|one| !before[tool].contains(*one) && !mended[tool].contains(*one))
            .map(|one| first_words(one).to_owned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    })
}

/// The rule, and of a proof its mode.
fn first_words(said: &str) -> &str {
    let words = if said.starts_with("verify --mode ") {
        3
    } else {
        1
    };
    said.match_indices(' ')
        .nth(words - 1)
        .map_or(said, |(end, _)| &said[..end])
}

const HEAD: &str = "\
# Side by side

Written by `make referees.table`. Each line is a database in which nothing is open, with one hole torn into it: the first
fixture of each rule of `rowhouse doctor` that is about any database (`crates/rowhouse/tests/it/doctor/fixtures.rs`,
`crates/rowhouse/tests/it/doctor/login_fixtures.rs`). A cell names the rules that speak with the hole, and speak neither
without it nor where the same thing was done well; an empty cell is a hole that was not told from what is no hole.

The holes are doctor's own, so that doctor finds all of them says nothing of doctor; what the others find in them is what
this page is for. They look for things that doctor does not: pgrls proves what a policy lets through, splinter knows
Supabase. Use them beside it.

- pgrls 0.57.1: `lint` (errors and warnings), `verify --mode cross-tenant` and `--mode write` (leaks), told the function
  that says the tenant (`--auth-function`).
- splinter: as `postgres-language-server dblint` 0.25.5 ships it, with Supabase's roles there, `authenticated` a
  member of the application's role, and `pgrst.db_schemas` set.
";
