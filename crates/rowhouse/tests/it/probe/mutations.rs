//! Our own wall, with one piece taken away at a time: what the probe sees, and what it cannot.

use futures_util::{StreamExt as _, stream};
use rowhouse::tables::probe::{self, Options, Report, Verdict};
use rowhouse::tables::{Assign, Protect};

use super::{leaks, options};
use crate::tables::{build, protect};
use crate::world::{World, cluster};

/// What is done to the wall, and the beginning of a leak that is told then.
const SEEN: &[(&str, &str)] = &[
    // The floor.
    ("drop policy tenant_floor on notes", "table read other public.notes"),
    ("alter table notes disable row level security", "table delete other public.notes"),
    ("select rowhouse.set_mode('notes', 'shadow')", "table update none public.notes"),
    ("select rowhouse.set_mode('notes', 'off')", "table copy other public.notes"),
    ("alter policy tenant_floor on notes to rowhouse_platform", "table read other public.notes"),
    ("alter policy tenant_floor on notes with check (true)", "table insert other public.notes"),
    (
        "drop policy tenant_floor on notes;
         create policy tenant_floor on notes as restrictive for select to public using (tenant_id = (select rowhouse.bound_tenant()))",
        "table insert other public.notes",
    ),
    (
        "drop policy tenant_floor on notes; create policy tenant_floor on notes for all to public
           using (tenant_id = (select rowhouse.bound_tenant()))",
        "table read other public.notes",
    ),
    (
        "drop policy tenant_floor on notes; drop policy tenant_floor_update on notes;
         create policy a on notes as restrictive for select to public using (tenant_id = (select rowhouse.bound_tenant()));
         create policy b on notes as restrictive for insert to public with check (tenant_id = (select rowhouse.bound_tenant()));
         create policy c on notes as restrictive for update to public using (tenant_id = (select rowhouse.bound_tenant())) with check (true);
         grant update (tenant_id) on notes to rowhouse_app",
        "table move other public.notes",
    ),
    (
        "alter policy tenant_floor on notes using (current_setting('app.tenant_id', true) is null
           or tenant_id::text = current_setting('app.tenant_id', true))",
        "connection read none public.notes",
    ),
    (
        "alter policy tenant_floor on notes using (tenant_id::text = current_setting('app.tenant_id', true))",
        "table read forged public.notes",
    ),
    (
        "alter policy tenant_floor on notes using (coalesce(current_setting('app.tenant_id', true), '') = ''
           or tenant_id::text = current_setting('app.tenant_id', true))",
        "table read none public.notes",
    ),
    // The functions of the floor.
    (
        "create or replace function rowhouse.bound_tenant() returns uuid language sql stable parallel safe security definer
           return current_setting('app.tenant_id')::uuid",
        "table read replayed public.notes",
    ),
    (
        "create or replace function rowhouse_private.is_ours(ticket bytea) returns boolean language sql stable return true",
        "table read forged public.notes",
    ),
    (
        "create or replace view rowhouse_private.context with (security_invoker = true) as
         select true as fits, current_setting('app.tenant_id', true) as tenant from rowhouse_private.keyring k",
        "table read forged public.notes",
    ),
    (
        "create function mine() returns uuid language sql immutable return current_setting('app.tenant_id')::uuid;
         alter policy tenant_floor on notes using (tenant_id = (select mine()))",
        "table read leftover public.notes",
    ),
    (
        "create or replace function rowhouse.residue(ours bigint default 0) returns text[] language plpgsql as $$ begin return '{}'; end $$",
        "connection read leftover holdable cursor",
    ),
    // Ways around it.
    (
        "create view all_notes as select * from notes; grant select on all_notes to rowhouse_app",
        "view read other public.all_notes",
    ),
    (
        "create view counted as select body, count(*) from notes group by 1; create view above as select * from counted;
         grant select on above to rowhouse_app",
        "view read other public.above",
    ),
    (
        "create view all_notes as select * from notes; grant select, update, delete on all_notes to rowhouse_app",
        "view delete other public.all_notes",
    ),
    (
        "create materialized view kept as select * from notes; grant select on kept to rowhouse_app",
        "view read other public.kept",
    ),
    (
        "create function every_note() returns setof notes language sql security definer as 'select * from notes'",
        "function read other public.every_note",
    ),
    (
        "create function notes_of(tenant uuid) returns table (body text) language plpgsql security definer
           as $$ begin return query select n.body from notes n where n.tenant_id = tenant; end $$",
        "function read other public.notes_of",
    ),
    (
        "create table notes_of_old () inherits (notes); grant select, insert, update, delete on notes_of_old to rowhouse_app",
        "table read other public.notes_of_old",
    ),
    // The ground beside it.
    (
        "create table stray (tenant_id uuid not null, body text); grant select on stray to rowhouse_app",
        "table read other public.stray",
    ),
    ("grant insert on kinds to rowhouse_app", "table insert other public.kinds"),
    (
        "create policy open on rowhouse.users for select to rowhouse_app using (true); grant select on rowhouse.users to rowhouse_app",
        "table read other rowhouse.users",
    ),
    (
        "grant usage on schema rowhouse_private to public; grant select on rowhouse_private.keyring to public",
        "table read none rowhouse_private.keyring",
    ),
    ("alter policy bound_one on rowhouse.tenants using (true)", "table read other rowhouse.tenants"),
    // Keys.
    (
        "alter table notes drop constraint notes_folder_id_fkey; alter table folders add unique (id);
         alter table notes add constraint loose foreign key (folder_id) references folders (id)",
        "table reference other public.notes (loose)",
    ),
];

/// What opens nothing to the app's own login today, or what may not be tried: it is for `doctor` to say.
const NOT_SEEN: &[&str] = &[
    // It binds the owner, who the login is not.
    "alter table notes no force row level security",
    // What tenant_floor says too; alone, it binds readers.
    "drop policy tenant_floor_update on notes",
    // The floor is restrictive.
    "create policy open on notes for all to public using (true) with check (true)",
    // Only a lock that stops everybody would show it.
    "grant truncate on notes to rowhouse_app",
    "grant references, trigger on notes to rowhouse_app",
    // Nobody can call it, and a function that nobody named cannot be told from one that is meant.
    "create function hidden() returns setof notes language sql security definer as 'select * from notes';
     revoke execute on function hidden() from public",
    // The owner of the view is bound as everybody is, and sees nothing.
    "alter view rowhouse.org_members reset (security_invoker)",
];

/// So much is missing that two tenants cannot even be founded: that is an error, and not "held".
const NOT_PROBED: &[&str] = &[
    "alter function rowhouse.bound_tenant() immutable",
    "alter function rowhouse.enter(bytea) rename to entered",
    "delete from rowhouse_private.keyring",
];

/// The tables that a leak is about; none: all of them, and what is around.
fn tables_of(expected: &str) -> Vec<String> {
    let named = |table: &&&str| expected.ends_with(&format!(" public.{table}"));
    match ["stray", "notes_of_old", "kinds"].iter().find(named) {
        Some(table) => vec![(*table).to_owned()],
        None if expected.contains(" public.") => vec!["notes".to_owned()],
        None => Vec::new(),
    }
}

async fn probed(world: &World, tables: Vec<String>) -> Report {
    let options = Options {
        tables,
        ..options(world).await
    };
    probe::run(&mut world.owner().await, &options, |_| {})
        .await
        .unwrap()
}

async fn world() -> World {
    let world = World::new().await;
    build(
        &world,
        "create table folders (id int primary key, name text not null);
         create table notes (id int primary key, folder_id int not null references folders, body text not null);
         create table kinds (id int primary key, name text not null);
         insert into folders values (1, 'f');
         insert into notes values (1, 1, 'of alpha');
         insert into kinds values (1, 'plain')",
    )
    .await;
    let content = |table| Protect::content(table, Assign::Tenant(world.alpha.id));
    protect(
        &world,
        &[
            content("folders"),
            content("notes"),
            Protect::shared("kinds"),
        ],
    )
    .await
    .unwrap();
    world
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn each_piece_that_is_missing_is_a_leak() {
    let missed: Vec<String> = stream::iter(SEEN)
        .map(async |(mutation, expected)| {
            let world = world().await;
            build(&world, mutation).await;
            let report = probed(&world, tables_of(expected)).await;
            let leaks = leaks(&report);
            let told = leaks.iter().any(|leak| leak.starts_with(expected));
            (!told || report.verdict != Verdict::Leak).then(|| {
                format!(
                    "{mutation}\n  wanted {expected}\n  told {leaks:#?}\n  untried {:#?}",
                    report
                        .untried
                        .iter()
                        .filter(|u| u.relation.starts_with("public"))
                        .collect::<Vec<_>>()
                )
            })
        })
        .buffer_unordered(3)
        .filter_map(async |missed| missed)
        .collect()
        .await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn what_it_cannot_see_it_calls_held() {
    let world = world().await;
    let tables = || vec!["notes".to_owned(), "rowhouse.tenant_members".to_owned()];
    assert_eq!(probed(&world, tables()).await.verdict, Verdict::Held);
    for mutation in NOT_SEEN {
        build(&world, mutation).await;
        let report = probed(&world, tables()).await;
        assert_eq!(leaks(&report), [""; 0], "{mutation}");
    }
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_wall_that_cannot_be_probed_is_not_called_held() {
    for mutation in NOT_PROBED {
        let world = world().await;
        build(&world, mutation).await;
        let options = options(&world).await;
        let probed = probe::run(&mut world.owner().await, &options, |_| {}).await;
        assert!(probed.is_err(), "{mutation}: {probed:?}");
    }
}

/// Partitions by name, each with rights of its own.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_partition_that_lacks_the_wall_is_a_leak() {
    let world = World::new().await;
    build(
        &world,
        "create table events (tenant_id uuid not null default rowhouse.default_tenant() references rowhouse.tenants (id),
           id uuid not null, at timestamptz not null, body text not null, primary key (tenant_id, id, at)) partition by range (at);
         create table events_past partition of events for values from (minvalue) to ('2020-01-01');
         create table events_now partition of events for values from ('2020-01-01') to (maxvalue);
         alter table events owner to rowhouse_owner;
         grant select, insert, update (body), delete on events to rowhouse_app;
         select rowhouse.raise_wall('events', 'content', 'enforce')",
    )
    .await;
    let events = || vec!["events".to_owned()];
    assert_eq!(leaks(&probed(&world, events()).await), [""; 0]);

    build(
        &world,
        &format!(
            "grant select, insert, update, delete on events_now, events_past to rowhouse_app;
             insert into events values ('{}', gen_random_uuid(), '2019-01-01', 'old')",
            world.alpha.id.uuid()
        ),
    )
    .await;
    let report = probed(&world, events()).await;
    let leaks = leaks(&report);
    for expected in [
        "partition read other public.events_now",
        "partition insert none public.events_now",
        "partition delete forged public.events_now",
        "partition read other public.events_past",
    ] {
        assert!(
            leaks.iter().any(|leak| leak.starts_with(expected)),
            "{expected}: {leaks:#?}"
        );
    }
    let table = |leak: &&String| leak.starts_with("table");
    assert_eq!(leaks.iter().filter(table).count(), 0, "{leaks:#?}");
}

/// Roles belong to the whole server, so this login is the test's own.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_login_that_may_become_what_no_policy_binds_is_a_leak() {
    let world = world().await;
    let superuser = world.superuser().await;
    superuser
        .batch_execute(
            "create role probe_login login password 'test'; grant rowhouse_app, rowhouse_shadow to probe_login",
        )
        .await
        .unwrap();
    let own = Options {
        app: Some(cluster().url("probe_login", &world.database).into()),
        login: "probe_login".into(),
        ..options(&world).await
    };
    let run = async || {
        probe::run(&mut world.owner().await, &own, |_| {})
            .await
            .unwrap()
    };
    let before = run().await;
    assert_eq!(leaks(&before), [""; 0]);
    superuser
        .batch_execute("grant rowhouse_owner to probe_login")
        .await
        .unwrap();
    let member = run().await;
    superuser
        .batch_execute("revoke rowhouse_owner from probe_login; alter role probe_login bypassrls")
        .await
        .unwrap();
    let bypasses = run().await;
    superuser
        .batch_execute("drop owned by probe_login; drop role probe_login")
        .await
        .unwrap();
    let becomes = "connection read other set role \"rowhouse_owner\"";
    assert!(
        leaks(&member).iter().any(|leak| leak.starts_with(becomes)),
        "{:#?}",
        leaks(&member)
    );
    assert!(
        leaks(&bypasses)
            .iter()
            .any(|leak| leak.starts_with("table read other public.notes")),
        "{:#?}",
        leaks(&bypasses)
    );
}
