//! C09 to C16, and C20 to C24: what somebody leaves on a connection, in a login or in the server meets the next one.

use std::time::Duration;

use rowhouse::{Owner, migrate};

use super::{SETTINGS, context_of, is_not_believed};
use crate::attacks::{
    MINE, THEIRS, allowed, as_login, attacker, cannot_leave_its_database, checks, enter,
    is_refused, login, lone, notes_through, nothing_changed, refused, sees, sees_mine, start,
    touches, weak,
};
use crate::world::World;

checks![
    c09_a_session_setting_does_not_meet_the_next_borrower,
    c12_no_temporary_table_can_be_made,
    c13_nothing_temporary_shadows_ours,
    c14_what_is_set_does_not_meet_the_next_borrower,
    c14_row_security_off_shows_nothing,
    c15_what_is_held_does_not_meet_the_next_borrower,
    c16_a_login_with_stored_settings_is_refused,
    c16_a_stored_setting_that_changes_what_statements_mean_is_refused,
    c16_a_stored_context_binds_nothing,
    c20_no_transaction_can_be_prepared,
    c21_another_session_cannot_be_ended,
    c22_a_lock_of_the_applications_holds_up_no_migration,
    c24_a_swapped_prepared_statement_does_not_meet_the_next_borrower,
    c24_a_thrown_away_prepared_statement_does_not_hurt_the_next_borrower,
    c24_a_thrown_away_statement_is_missed_among_others,
];

pub async fn c09_a_session_setting_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    let pid: i32 = tx.one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    // The context of beta, kept for the session: app.* survives COMMIT.
    tx.batch("do $$ declare s text; begin foreach s in array '{tenant_id,user_id,context,seal}'::text[] loop
              perform set_config('app.' || s, current_setting('app.' || s), false); end loop; end $$")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let rows = house
        .query(
            &world.alpha.context(),
            "select pg_backend_pid(), (select count(*) from notes), rowhouse.current_user_id()",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i64>(1), 2, "HOLE");
    assert_eq!(
        rows[0].get::<_, uuid::Uuid>(2),
        world.alpha.owner.uuid(),
        "HOLE"
    );
    assert_eq!(
        rows[0].get::<_, i32>(0),
        pid,
        "it was the same connection: nothing was left on it"
    );
    // What the last borrower set is gone, not only overruled: see c14.
}

pub async fn c12_no_temporary_table_can_be_made(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create temporary table notes (id int)",
        "create table pg_temp.notes (id int)",
        "create temporary sequence s",
        "create temporary view notes as select 1",
        "select 1 as id into temporary notes",
        "create temp table notes as select 1",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn c13_nothing_temporary_shadows_ours(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create function pg_temp.sha256(bytea) returns bytea language sql return $1",
        "create domain pg_temp.uuid as text",
        "create type pg_temp.bytea as (x int)",
        "create operator pg_temp.= (leftarg = uuid, rightarg = uuid, function = uuid_ne)",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
    let house = lone(world).await;
    let rows = house
        .query(
            &world.alpha.context(),
            "select current_setting('search_path')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        rows[0].get::<_, &str>(0),
        "public,pg_temp",
        "HOLE: pg_temp is looked through first"
    );
}

pub async fn c14_what_is_set_does_not_meet_the_next_borrower(world: &World) {
    world
        .superuser()
        .await
        .batch_execute("create schema evil; grant usage on schema evil to public; create table evil.notes (body text); grant all on evil.notes to public; insert into evil.notes values ('evil')")
        .await
        .unwrap();
    let house = lone(world).await;
    let settings = "select name || ' = ' || setting from pg_settings where source not in ('default', 'configuration file', 'command line', 'override', 'environment variable') and name not like 'app.%' order by 1";
    let fresh: Vec<String> = names(&house, world, settings).await;
    for leave in [
        "set search_path = evil",
        "set role rowhouse_enforced",
        "set row_security = off",
        "set default_transaction_read_only = on",
        "set default_transaction_isolation = 'serializable'",
        "set session characteristics as transaction read only",
        "set session authorization default",
        "set plan_cache_mode = force_generic_plan",
        "set datestyle = 'SQL, DMY'",
        "set standard_conforming_strings = off",
        "set timezone = 'Asia/Tokyo'",
        "set statement_timeout = '1ms'",
        "set client_encoding = 'LATIN1'",
        "set app.tenant_id = 'x'",
        "set transform_null_equals = on",
        "select set_config('search_path', 'evil', false), set_config('role', 'rowhouse_enforced', false)",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.query("select body from public.notes", &[])
            .await
            .unwrap();
        tx.batch(leave).await.unwrap();
        drop(tx.commit().await);
        let seen = names(&house, world, "select body from notes order by 1").await;
        assert_eq!(seen, MINE, "HOLE: after {leave}");
        assert_eq!(
            names(&house, world, settings).await,
            fresh,
            "HOLE: after {leave}"
        );
        let who = names(&house, world, "select current_user || '|' || session_user").await;
        assert_eq!(who, ["test_app|test_app"], "HOLE: after {leave}");
    }
    for refused in [
        "set session_replication_role = replica",
        "set session authorization postgres",
        "set role rowhouse_owner",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        is_refused(tx.batch(refused).await, "not-permitted");
    }
    nothing_changed(world).await;
}

async fn names(house: &rowhouse::Rowhouse, world: &World, sql: &str) -> Vec<String> {
    house
        .query(&world.alpha.context(), sql, &[])
        .await
        .unwrap_or_else(|error| panic!("HOLE: the next borrower was hurt: {sql}: {error:?}"))
        .iter()
        .map(|row| row.get(0))
        .collect()
}

pub async fn c14_row_security_off_shows_nothing(world: &World) {
    let a = attacker(world).await;
    allowed(&a, "set local row_security = off").await;
    for sql in ["table notes", "delete from notes", "table rowhouse.tenants"] {
        refused(&a, sql, "42501").await;
    }
    allowed(&a, "set local row_security = on").await;
    sees_mine(&a).await;
}

pub async fn c15_what_is_held_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    for (leave, look) in [
        (
            "declare held cursor with hold for select body from notes",
            "select count(*)::text from pg_cursors where is_holdable",
        ),
        (
            "prepare mine as select body from notes",
            "select count(*)::text from pg_prepared_statements where from_sql",
        ),
        (
            "listen gossip",
            "select count(*)::text from pg_listening_channels()",
        ),
    ] {
        let closed = house.connections_closed();
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.batch(leave).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            notes_through(&house, &world.alpha.context()).await,
            MINE,
            "HOLE: after {leave}"
        );
        let left = names(&house, world, look).await;
        assert_eq!(
            left,
            ["0"],
            "HOLE: the next borrower meets what was left by {leave}"
        );
        assert_eq!(
            house.connections_closed(),
            closed + 1,
            "HOLE: the connection was kept after {leave}"
        );
    }
    // Locks are taken off it, so there is no need to close it.
    let closed = house.connections_closed();
    for lock in [
        "select pg_advisory_lock(1)",
        "select pg_advisory_lock_shared(1, 2)",
    ] {
        let mut tx = house.begin(&world.beta.context()).await.unwrap();
        tx.batch(lock).await.unwrap();
        tx.commit().await.unwrap();
        let held = "select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
        assert_eq!(
            names(&house, world, held).await,
            ["0"],
            "HOLE: the next borrower meets what was left by {lock}"
        );
    }
    for _ in 0..3 {
        assert_eq!(notes_through(&house, &world.beta.context()).await, THEIRS);
    }
    assert_eq!(
        house.connections_closed(),
        closed,
        "a clean connection is kept"
    );
}

pub async fn c16_a_login_with_stored_settings_is_refused(world: &World) {
    for (name, sql) in [
        ("tenant", "alter role {login} set app.tenant_id = 'x'"),
        ("path", "alter role {login} set search_path = evil"),
        (
            "path_here",
            "alter role {login} in database {database} set search_path = evil",
        ),
        ("role", "alter role {login} set role = rowhouse_enforced"),
        ("rls", "alter role {login} set row_security = off"),
        (
            "isolation",
            "alter role {login} set default_transaction_isolation = 'serializable'",
        ),
    ] {
        weak(world, name, sql, "settings are stored").await;
    }
}

/// The login may store settings for itself, and they come back after `reset all`: whoever writes dates, texts or
/// comparisons on a later connection would mean something else by them.
pub async fn c16_a_stored_setting_that_changes_what_statements_mean_is_refused(world: &World) {
    for (name, setting) in [
        ("dates", "datestyle = 'SQL, DMY'"),
        ("strings", "standard_conforming_strings = off"),
        ("nulls", "transform_null_equals = on"),
        ("zone", "timezone = 'Asia/Tokyo'"),
        ("timeout", "statement_timeout = '1ms'"),
    ] {
        let login = login(world, name).await;
        drop(start(world, &login).await.unwrap());
        let itself = as_login(world, &login).await;
        allowed(&itself, &format!("alter role {login} set {setting}")).await;
        match start(world, &login).await {
            Ok(_) => panic!(
                "HOLE: a setting that one tenant stored for the login meets the others: {setting}"
            ),
            Err(error) => assert_eq!(error.code(), "weak-login", "{error}"),
        }
    }
}

pub async fn c16_a_stored_context_binds_nothing(world: &World) {
    let login = login(world, "self").await;
    let first = as_login(world, &login).await;
    enter(&first, world, &world.alpha.context()).await;
    let kept = context_of(&first).await;
    first.batch_execute("commit").await.unwrap();
    let root = world.superuser().await;
    for (value, setting) in kept.iter().zip(SETTINGS) {
        let store = format!("alter role {login} set app.{setting} = '{value}'");
        refused(&first, &store, "42501").await;
        allowed(&root, &store).await; // where somebody else does it for him
    }
    let second = as_login(world, &login).await;
    is_not_believed(&second).await;
    enter(&second, world, &world.alpha.context()).await;
    sees_mine(&second).await;
}

pub async fn c20_no_transaction_can_be_prepared(world: &World) {
    let a = attacker(world).await;
    touches(&a, "insert into notes (id, body) values (9, 'x')", 1).await;
    let prepared = a.simple_query("prepare transaction 'mine'").await;
    assert!(prepared.is_err(), "HOLE: a transaction was prepared");
    drop(a.batch_execute("rollback").await);
    refused(&a, "commit prepared 'mine'", "42704").await;
    nothing_changed(world).await;
}

pub async fn c21_another_session_cannot_be_ended(world: &World) {
    let victim = world.app().await;
    let pid = allowed(&victim, "select pg_backend_pid()").await.remove(0);
    let a = attacker(world).await;
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        refused(&a, &format!("select {function}({pid})"), "42501").await;
    }
    cannot_leave_its_database(world).await;
    sees(&victim, "select 1", &["1"]).await;
    sees_mine(&a).await;
}

pub async fn c22_a_lock_of_the_applications_holds_up_no_migration(world: &World) {
    let a = attacker(world).await;
    // Every key that a migration was seen to take.
    allowed(&a, "select pg_advisory_lock(1380931400, n), pg_advisory_lock(1380931400::bigint << 32 | n) from generate_series(0, 9) n").await;
    let mut owner: Owner = world.owner().await;
    let done = tokio::time::timeout(Duration::from_secs(10), migrate::run(&mut owner)).await;
    assert!(
        done.is_ok(),
        "HOLE: a lock of the application's holds up a migration for ever"
    );
    sees_mine(&a).await;
}

pub async fn c24_a_swapped_prepared_statement_does_not_meet_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    let statements = tx
        .query("select name from pg_prepared_statements where statement like '%notes%' or statement like '%enter%'", &[])
        .await
        .unwrap();
    assert!(!statements.is_empty(), "there is nothing to swap");
    for row in statements {
        let name: String = row.get(0);
        tx.batch(&format!(
            "deallocate \"{name}\"; prepare \"{name}\" as select 'swapped'::text as body"
        ))
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
    nothing_changed(world).await;
}

pub async fn c24_a_thrown_away_prepared_statement_does_not_hurt_the_next_borrower(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    tx.batch("deallocate all").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
}

/// The driver prepares statements of its own, to learn of types that it does not know: they must not make up in number
/// for one of ours that is gone.
pub async fn c24_a_thrown_away_statement_is_missed_among_others(world: &World) {
    let house = lone(world).await;
    let sql = "select body from public.notes order by 1";
    for _ in 0..2 {
        house.query(&world.alpha.context(), sql, &[]).await.unwrap();
    }
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    tx.query("select null::pg_catalog.pg_class", &[])
        .await
        .unwrap();
    let name: String = tx
        .one("select name from pg_prepared_statements where statement like '%public.notes%' and statement not like '%pg_prepared%'", &[])
        .await
        .unwrap()
        .get(0);
    tx.batch(&format!("deallocate \"{name}\"")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        notes_through(&house, &world.alpha.context()).await,
        MINE,
        "HOLE"
    );
}
