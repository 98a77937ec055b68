//! What the probe does to a database: nothing that stays, and nothing that others wait for.

use std::time::Duration;

use rowhouse::tables::probe::{self, Options, Sides, Verdict};
use rowhouse::tables::{Assign, Protect};
use tokio_postgres::Client;

use rowhouse::Owner;
use rowhouse::embedded::{Embedded, Options as Server};

use super::{options, probed};
use crate::pool::bouncer::Bouncer;
use crate::tables::{build, protect};
use crate::world::{World, connect};

/// Every row of every table, as one hash; the history of probes aside.
async fn content(client: &Client) -> Vec<String> {
    let tables = client
        .query(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relname <> 'probes'
             order by 1",
            &[],
        )
        .await
        .unwrap();
    let mut lines = Vec::new();
    for row in tables {
        let table: String = row.get(0);
        let sql = format!(
            "select concat('{table} ', count(*), md5(string_agg(t::text, ',' order by t::text))) from {table} t"
        );
        lines.push(client.query_one(&sql, &[]).await.unwrap().get(0));
    }
    lines
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn nothing_is_left_behind_and_the_history_says_what_was_found() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    let before = content(&superuser).await;
    let report = probed(&world).await;
    assert_eq!(content(&superuser).await, before);

    let mut owner = world.owner().await;
    assert!(probe::due(&mut owner, 3600).await.unwrap(), "never probed");
    probe::record(&mut owner, &report).await.unwrap();
    let past = probe::past(&mut owner, 10).await.unwrap();
    assert_eq!(past.len(), 1);
    assert_eq!(
        (past[0].verdict, past[0].attempts),
        (Verdict::Held, i32::try_from(report.attempts).unwrap())
    );
}

/// The hash is that of the catalogue: it changes with the wall, and with nothing else.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_probe_is_due_when_the_wall_was_changed() {
    let world = World::new().await;
    build(&world, "create table notes (id int primary key, body text)").await;
    protect(&world, &[Protect::content("notes", Assign::Empty)])
        .await
        .unwrap();
    let mut owner = world.owner().await;
    let hash = async |owner: &mut Owner| probe::catalogue_hash(owner).await.unwrap();
    for change in [
        "drop policy tenant_floor_delete on notes",
        "alter table notes no force row level security",
        "grant truncate on notes to rowhouse_app",
        "create view open as select * from notes",
        "alter table notes add column more text",
        "create function f() returns int language sql return 1",
        "create or replace function f() returns int language sql return 2",
        "alter function f() security definer",
        "create function on_ddl() returns event_trigger language plpgsql as $$ begin end $$",
        "create event trigger watch on sql_drop execute function on_ddl()",
        "alter event trigger watch disable",
        "create foreign data wrapper away; create server elsewhere foreign data wrapper away options (host 'a')",
        "alter server elsewhere options (set host 'b')",
        "grant usage on foreign server elsewhere to rowhouse_app",
        "create user mapping for rowhouse_app server elsewhere",
        "create publication told for table notes",
        "alter publication told set (publish = 'insert')",
        "alter publication told drop table notes",
        "alter publication told add tables in schema public",
        "do $$ begin execute format('grant temporary on database %I to rowhouse_app', current_database()); end $$",
        "do $$ begin execute format('alter role test_app in database %I set row_security = off', current_database()); end $$",
    ] {
        // Roles of other tests come and go beside this one, with settings of theirs.
        let mut before = hash(&mut owner).await;
        loop {
            let again = hash(&mut owner).await;
            if again == before {
                break;
            }
            before = again;
        }
        let mut changed = before.clone();
        build(&world, change).await;
        // What came from beside goes again; what was changed here stays.
        for _ in 0..3 {
            changed = hash(&mut owner).await;
        }
        assert_ne!(changed, before, "{change}");
    }
}

/// What `serve` asks every minute: not due after a probe, due again once the wall was changed.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn after_a_probe_none_is_due_until_the_wall_is_changed() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let only = Options {
        tables: vec!["rowhouse.teams".into()],
        ..options(&world).await
    };
    let mut report = probe::run(&mut owner, &only, |_| {}).await.unwrap();
    let mut is_due = true;
    // Roles of other tests come and go between the two looks.
    for _ in 0..20 {
        report.catalogue_hash = probe::catalogue_hash(&mut owner).await.unwrap();
        probe::record(&mut owner, &report).await.unwrap();
        is_due = probe::due(&mut owner, 3600).await.unwrap();
        if !is_due {
            break;
        }
    }
    assert!(!is_due, "it was probed a moment ago");
    assert!(
        probe::due(&mut owner, 0).await.unwrap(),
        "its time has come"
    );
    build(&world, "create table stray (id int)").await;
    assert!(
        probe::due(&mut owner, 3600).await.unwrap(),
        "the wall was changed"
    );
}

/// A sequence counts the calls: no rollback takes one back.
const OUTSIDE: &str = "
    create sequence calls;
    create function dblink_exec(text) returns bigint language sql volatile security definer
      set search_path = pg_catalog, pg_temp as $$ select nextval('public.calls') $$;
    create function call_home() returns trigger language plpgsql as
      $$ begin perform public.dblink_exec('x'); return coalesce(new, old); end $$;";

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_view_that_a_trigger_writes_is_not_written() {
    let world = World::new().await;
    build(
        &world,
        "create table notes (id int primary key, body text not null)",
    )
    .await;
    protect(&world, &[Protect::content("notes", Assign::Empty)])
        .await
        .unwrap();
    build(&world, OUTSIDE).await;
    build(
        &world,
        "create view todo with (security_invoker = true) as select * from notes;
         create trigger home instead of update or delete on todo for each row execute function call_home();
         create view above with (security_invoker = true) as select * from todo;
         grant select, update, delete on todo, above to rowhouse_app",
    )
    .await;
    let only = Options {
        tables: vec!["notes".into()],
        ..options(&world).await
    };
    let report = probe::run(&mut world.owner().await, &only, |_| {})
        .await
        .unwrap();
    let called: bool = world
        .superuser()
        .await
        .query_one("select is_called from calls", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!called, "{:#?}", report.untried);
    let is_untried = |attempt: &str, why: &str| {
        report.untried.iter().any(|untried| {
            untried.reason.contains(why) && untried.attempts.iter().any(|made| made == attempt)
        })
    };
    for view in ["public.todo", "public.above"] {
        for operation in ["update", "delete"] {
            let attempt = format!("view {operation} other ({view})");
            assert!(
                is_untried(&attempt, "INSTEAD OF"),
                "{attempt}: {:#?}",
                report.untried
            );
        }
        // It is read all the same.
        let read = format!("view read other ({view})");
        assert!(!is_untried(&read, ""), "{read}: {:#?}", report.untried);
    }
}

/// Killed in the middle: the server rolls back, and the next run finds nothing in its way.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_probe_that_is_killed_leaves_nothing() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    let before = content(&superuser).await;
    for after in [20, 120, 400, 900] {
        let (mut owner, options) = (world.owner().await, options(&world).await);
        let run = probe::run(&mut owner, &options, |_| {});
        // Dropped: its connections close without a word, as those of a killed process do.
        let ended = tokio::time::timeout(Duration::from_millis(after), run).await;
        drop(ended);
        drop(owner);
    }
    nobody_probes(&superuser).await; // or one that is going already would be ended for the one that comes
    // The server ends the session itself, in the middle of an attempt.
    let (mut owner, options) = (world.owner().await, options(&world).await);
    let kill = async {
        loop {
            let killed = superuser
                .query(
                    "select pg_terminate_backend(pid) from pg_stat_activity
                     where application_name = 'rowhouse probe' and datname = current_database() and query like '%savepoint%'",
                    &[],
                )
                .await
                .unwrap();
            if !killed.is_empty() {
                break;
            }
        }
    };
    let (ended, ()) = tokio::join!(probe::run(&mut owner, &options, |_| {}), kill);
    assert!(ended.is_err());
    nobody_probes(&superuser).await;
    assert_eq!(content(&superuser).await, before);
    let prepared: i64 = superuser
        .query_one("select count(*) from pg_prepared_xacts", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(prepared, 0);
    assert_eq!(probed(&world).await.verdict, Verdict::Held);
}

async fn nobody_probes(superuser: &Client) {
    loop {
        let left: i64 = superuser
            .query_one(
                "select count(*) from pg_stat_activity where application_name = 'rowhouse probe' and datname = current_database()",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// While it runs, it holds no lock above ROW EXCLUSIVE on any table, and locks no row that was there.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn it_takes_no_strong_lock() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    let mut modes = std::collections::BTreeSet::new();
    let (mut owner, options) = (world.owner().await, options(&world).await);
    let mut run = std::pin::pin!(probe::run(&mut owner, &options, |_| {}));
    let report = loop {
        tokio::select! {
            report = &mut run => break report.unwrap(),
            rows = superuser.query(
                "select distinct l.mode from pg_locks l join pg_stat_activity a using (pid)
                 where a.application_name = 'rowhouse probe' and a.datname = current_database() and l.locktype = 'relation'",
                &[],
            ) => modes.extend(rows.unwrap().iter().map(|row| row.get::<_, String>(0))),
        }
    };
    assert_eq!(report.verdict, Verdict::Held);
    let weak = ["AccessShareLock", "RowShareLock", "RowExclusiveLock"];
    assert!(
        modes.contains("RowExclusiveLock")
            && modes.iter().all(|mode| weak.contains(&mode.as_str())),
        "{modes:?}"
    );
}

/// A table that somebody has locked is not waited for, and not called held.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_locked_table_is_not_waited_for() {
    let world = World::new().await;
    build(&world, "create table notes (id int primary key, body text)").await;
    protect(&world, &[Protect::content("notes", Assign::Empty)])
        .await
        .unwrap();
    let blocker = world.superuser().await;
    blocker
        .batch_execute("begin; lock table notes in access exclusive mode")
        .await
        .unwrap();
    let options = Options {
        tables: vec!["notes".into(), "rowhouse.teams".into()],
        ..options(&world).await
    };
    let began = std::time::Instant::now();
    let report = probe::run(&mut world.owner().await, &options, |_| {})
        .await
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(
        report.relations[0].verdict,
        Verdict::NotTried,
        "{report:#?}"
    );
    assert_eq!(report.relations[1].verdict, Verdict::Held, "{report:#?}");
    assert_eq!(report.incomplete.len(), 1, "{:?}", report.incomplete);
    assert!(
        report.incomplete[0].starts_with("public.notes: "),
        "{:?}",
        report.incomplete
    );
    blocker.batch_execute("rollback").await.unwrap();
}

/// What there is no time for is said, and nothing is asked of the database for it: not even a rest is waited for.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn at_its_limit_it_stops() {
    let world = World::new().await;
    let options = Options {
        limit: Duration::from_secs(3),
        pause: Duration::from_mins(1),
        ..options(&world).await
    };
    let mut owner = world.owner().await;
    let run = probe::run(&mut owner, &options, |_| {});
    let report = tokio::time::timeout(Duration::from_secs(30), run)
        .await
        .expect("the limit of three seconds was not kept")
        .unwrap();
    // The rest after the first table takes what time was left.
    assert!(report.relations[0].attempts > 0, "{report:#?}");
    for relation in &report.relations[1..] {
        let reasons: Vec<&str> = report
            .untried
            .iter()
            .filter(|untried| untried.relation == relation.relation)
            .map(|untried| untried.reason.as_str())
            .collect();
        assert_eq!(
            (relation.attempts, reasons),
            (0, vec!["no time was left"]),
            "{relation:?}"
        );
        let left_out = format!("{}: no time was left", relation.relation);
        assert!(report.incomplete.contains(&left_out), "{report:#?}");
    }
    assert_eq!(report.verdict, Verdict::Held);
    assert!(report.incomplete.len() > 10, "{:?}", report.incomplete);
}

/// What the probe leaves on a connection, a pooler would lend to somebody else.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_pooler_in_between_is_refused_by_name() {
    let world = World::new().await;
    let direct = world.url("test_app");
    for mode in ["transaction", "statement"] {
        // One that lets everybody in, whatever he asks for.
        let ignores = "ignore_startup_parameters = options";
        let bouncer = Bouncer::start_with(mode, true, ignores).await;
        let pooled = bouncer.url(&direct);
        // The login's connection alone.
        let behind = Options {
            app: Some(pooled.clone().into()),
            ..options(&world).await
        };
        let refused = probe::run(&mut world.owner().await, &behind, |_| {}).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("a pooler (PgBouncer"), "{mode}: {said}");
        // The one that plants: before anything is said of its rights.
        let mut owner = Owner::connect(pooled).await.unwrap();
        let said = probe::run(&mut owner, &options(&world).await, |_| {})
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains("a pooler (PgBouncer"), "{mode}: {said}");
    }
    // As it comes, it refuses what it does not know, and says nothing of itself.
    let bouncer = Bouncer::start("transaction", true).await;
    let refused = Owner::connect(bouncer.url(&direct)).await;
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("a pooler's answer"), "{said}");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_standby_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let primary = Embedded::start(Server::new(&data)).await.unwrap();
    connect(&primary.superuser_url())
        .await
        .batch_execute(
            "create role app login; create table notes (tenant_id int not null, body text); grant select on notes to app",
        )
        .await
        .unwrap();
    primary.stop().await.unwrap();
    std::fs::write(data.join("postgres/standby.signal"), "").unwrap();
    let standby = Embedded::start(Server::new(&data)).await.unwrap();
    let foreign = Options {
        sides: Sides::Settings {
            a: "set app.tenant = '1'".into(),
            b: "set app.tenant = '2'".into(),
        },
        ..Options::new("app")
    };
    let mut owner = Owner::connect(standby.superuser_url()).await.unwrap();
    let said = probe::run(&mut owner, &foreign, |_| {})
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("a standby") && said.contains("run it on the primary"),
        "{said}"
    );
    standby.stop().await.unwrap();
}
