//! Twenty single changes to our own schema, and who sees each: the table of `docs/doctor.md`. Both columns are what a run
//! of doctor and a run of probe say; nothing in them is known beforehand but the rule.

use std::fmt::Write as _;

use rowhouse::Owner;
use rowhouse::tables::doctor::{Level, Options};
use rowhouse::tables::probe::{self, Verdict};

use super::{Base, Place};
use crate::world::cluster;

/// What was done, in which SQL, and the rule that says so; or why there is none.
const TWENTY: &[(&str, &str, Result<&str, &str>)] = &[
    (
        "a floor is dropped",
        "drop policy tenant_floor on public.notes",
        Ok("rowhouse-policies-drifted"),
    ),
    (
        "a floor lets everybody read",
        "alter policy tenant_floor on rowhouse.tenant_members using (true)",
        Ok("rowhouse-policies-drifted"),
    ),
    (
        "a floor lets everybody write",
        "alter policy tenant_floor on public.notes with check (true)",
        Ok("rowhouse-policies-drifted"),
    ),
    (
        "a floor binds one role",
        "alter policy tenant_floor on rowhouse.workspaces to rowhouse_app",
        Ok("rowhouse-policies-drifted"),
    ),
    (
        "FORCE is off",
        "alter table rowhouse.teams no force row level security",
        Ok("rowhouse-table-drifted"),
    ),
    (
        "row-level security is off",
        "alter table public.notes disable row level security",
        Ok("rowhouse-table-drifted"),
    ),
    (
        "a table is in mode off",
        "select rowhouse.set_mode('public.notes', 'off')",
        Ok("rowhouse-not-enforced"),
    ),
    (
        "a view with its owner's rights",
        "create view public.titles as select * from public.notes; grant select on public.titles to rowhouse_app",
        Ok("view-with-owners-rights"),
    ),
    (
        "a materialized view",
        "create materialized view public.totals as select count(*) from rowhouse.resources; grant select on public.totals to rowhouse_app",
        Ok("materialized-view"),
    ),
    (
        "a definer function of a superuser's",
        "create function public.total() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return (select count(*) from public.notes); end $$",
        Ok("definer-bypasses"),
    ),
    (
        "a trigger of a superuser's",
        "create function public.copied() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin return null; end $$;
         create trigger copied after insert on public.notes for each row execute function public.copied()",
        Ok("trigger-with-owners-rights"),
    ),
    (
        "TRUNCATE is granted",
        "grant truncate on public.notes to rowhouse_app",
        Ok("right-beyond-rows"),
    ),
    (
        "rows may be moved: UPDATE on the tenant's column",
        "grant update (tenant_id) on rowhouse.teams to rowhouse_app",
        Ok("rowhouse-table-drifted"),
    ),
    (
        "a child of a walled table",
        "create table public.old_notes () inherits (public.notes); grant select on public.old_notes to rowhouse_app",
        Ok("partition-open"),
    ),
    (
        "a table in no class",
        "create table public.drafts (id int); grant select, insert on public.drafts to rowhouse_app",
        Ok("rowhouse-unclassified"),
    ),
    (
        "the trigger that lets a revoked key out is gone",
        "drop trigger key_changed on rowhouse.api_keys",
        Ok("rowhouse-schema-drifted"),
    ),
    (
        "the keys of the seal can be read",
        "grant select on rowhouse_private.keyring to rowhouse_app",
        Ok("rowhouse-inside-open"),
    ),
    (
        "the context is believed without its seal",
        "create or replace function rowhouse.bound_tenant() returns uuid language plpgsql stable parallel safe security definer
         as $$ begin return current_setting('app.tenant_id', true)::uuid; end $$",
        Ok("rowhouse-function-changed"),
    ),
    (
        "every ticket is ours",
        "create or replace function rowhouse_private.is_ours(ticket bytea) returns boolean language sql stable return true",
        Err("a body in SQL is kept parsed, and each version of Postgres prints it differently"),
    ),
    (
        "the view behind `bound_tenant()` says that every seal fits",
        "create or replace view rowhouse_private.context with (security_invoker = true) as
         select true as fits, current_setting('app.tenant_id', true) as tenant from rowhouse_private.keyring k",
        Err("a view's text, likewise"),
    ),
];

/// What probe does not see, and why: where it says "held", it must be one of these.
const HELD: &[(&str, &str)] = &[
    (
        "a floor binds one role",
        "the login that attacks has that role",
    ),
    ("FORCE is off", "it binds the owner alone"),
    (
        "a definer function of a superuser's",
        "in a number no row can be recognised",
    ),
    ("a trigger of a superuser's", "it does nothing yet"),
    (
        "TRUNCATE is granted",
        "only a lock that stops everybody would show it",
    ),
    (
        "rows may be moved: UPDATE on the tenant's column",
        "the floor still refuses the move",
    ),
    ("a table in no class", "no column of it holds a tenant"),
    (
        "the trigger that lets a revoked key out is gone",
        "no key is revoked",
    ),
    (
        "the keys of the seal can be read",
        "their schema is still closed",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make test.long"]
async fn of_twenty_changes_to_our_schema_each_is_seen_by_whom_the_page_says() {
    let mut lines = String::new();
    for (what, sql, sees) in TWENTY {
        let place = Place::new(Base::Ours).await;
        place.sql(sql).await.unwrap();
        let found = place.doctor(&Options::default()).await;
        let serious: Vec<&str> = found
            .iter()
            .filter(|one| one.level != Level::Info)
            .filter(|one| !one.object.starts_with("role world_")) // of a test that runs beside
            .filter(|one| one.rule != "server-minor") // of the server, and of no change
            .map(|one| one.rule.as_str())
            .collect();
        let doctor = match sees {
            Ok(rule) => {
                assert!(serious.contains(rule), "{what}: {serious:?}");
                format!("`{rule}`")
            }
            Err(why) => {
                assert!(serious.is_empty(), "{what}: {serious:?}");
                format!("no: {why}")
            }
        };
        let probe = probed(what, &place).await;
        assert!(
            sees.is_ok() || !probe.starts_with("no: "),
            "nobody sees {what}"
        );
        writeln!(lines, "| {what} | {doctor} | {probe} |").unwrap();
        place.remove().await;
    }
    let page = include_str!("../../../../../docs/doctor.md");
    assert!(page.contains(&lines), "docs/doctor.md has not:\n{lines}");
}

/// The first attempt that leaked, as the page has it.
async fn probed(what: &str, place: &Place) -> String {
    let options = probe::Options {
        app: Some(cluster().url("test_app", &place.database).into()),
        ..probe::Options::new("test_app")
    };
    let mut owner = Owner::connect(cluster().superuser(&place.database))
        .await
        .unwrap();
    let report = probe::run(&mut owner, &options, |_| {}).await.unwrap();
    assert_eq!(report.incomplete, [""; 0], "{what}");
    report.leaked.first().map_or_else(
        || {
            assert_eq!(report.verdict, Verdict::Held, "{what}");
            let why = HELD.iter().find(|(held, _)| *held == what);
            format!("no: {}", why.map_or("nobody knows why", |(_, why)| why))
        },
        |leak| {
            format!(
                "{} by {} `{}`, context {}",
                leak.operation, leak.path, leak.object, leak.attack
            )
        },
    )
}
