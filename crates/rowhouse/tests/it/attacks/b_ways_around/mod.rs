//! B: a way around the table.

pub mod changes;

use super::{
    MINE, alpha, attacker, attempt, beta, cannot_leave_its_database, checks, enter, refused, sees,
    sees_mine, sees_theirs, touches, walled, weak,
};
use crate::world::{World, connect};

checks![
    b01_our_views_show_the_callers_tenant_only,
    b03_a_materialized_view_is_not_readable,
    b04_inner_functions_cannot_be_called,
    b05_names_and_operators_of_the_callers_are_not_used,
    b07_a_partition_is_bound_when_addressed_directly,
    b09_no_way_out_and_back_in_as_somebody_else,
    b10_trails_and_copies_are_behind_the_wall,
    b11_large_objects_hold_nothing_of_ours,
    b12_every_way_to_read_a_table_is_bound,
    b12_copy_into_a_walled_table_is_refused,
    b13_the_log_of_changes_is_not_readable,
    b14_a_login_with_a_servers_role_is_refused,
    b14_a_login_that_watches_the_server_is_refused,
    b20_the_platform_deletes_no_tenant_and_reads_no_content,
];

pub async fn b01_our_views_show_the_callers_tenant_only(world: &World) {
    let a = attacker(world).await;
    sees(&a, "select slug from rowhouse.organizations", &["alpha"]).await;
    sees(
        &a,
        "select org_id, user_id from rowhouse.org_members",
        &[&format!("{}|{}", alpha(world), world.alpha.owner.uuid())],
    )
    .await;
    enter_beta(world, &a).await;
    sees(&a, "select slug from rowhouse.organizations", &["beta"]).await;
}

async fn enter_beta(world: &World, a: &tokio_postgres::Client) {
    a.batch_execute("rollback").await.unwrap();
    enter(a, world, &world.beta.context()).await;
}

pub async fn b03_a_materialized_view_is_not_readable(world: &World) {
    world
        .superuser()
        .await
        .batch_execute("create materialized view public.heap as select * from notes")
        .await
        .unwrap();
    let a = attacker(world).await;
    refused(&a, "table heap", "42501").await;
    refused(&a, "refresh materialized view heap", "42501").await;
    refused(
        &a,
        "create materialized view public.mine as select * from notes",
        "42501",
    )
    .await;
    sees_mine(&a).await;
}

pub async fn b04_inner_functions_cannot_be_called(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    for call in [
        "rowhouse_private.new_key()".to_owned(),
        format!(r"rowhouse_private.seal('\x00', '{theirs}', '', 'w')"),
        format!("rowhouse_private.open('{theirs}', null, 'w;owner;{{}};{{}}')"),
        r"rowhouse_private.enter_closely('\x00')".into(),
        "rowhouse_private.second_look()".into(),
        format!("rowhouse_private.refresh('{theirs}', '{theirs}')"),
        "rowhouse_private.refuse_while_bound()".into(),
        "rowhouse.rotate_seal()".into(),
        "rowhouse.set_mode('public.notes', 'off')".into(),
        "rowhouse.raise_wall('public.notes', 'content', 'off')".into(),
        format!("rowhouse.service_principal('{theirs}', 'job')"),
        format!("rowhouse.found_tenant('{theirs}', 'x', 'x', 'personal', 'free', '{theirs}')"),
    ] {
        refused(&a, &format!("select {call}"), "42501").await;
    }
    // The one he may call says nothing to him: he is no key.
    sees(&a, "select rowhouse.own_key_hash() is null", &["t"]).await;
    sees_mine(&a).await;
}

/// Even where somebody gave the attacker a schema of his own.
pub async fn b05_names_and_operators_of_the_callers_are_not_used(world: &World) {
    world.superuser().await.batch_execute(EVIL).await.unwrap();
    let a = world.app().await;
    for path in ["evil, pg_catalog", "evil, rowhouse, public, pg_catalog"] {
        a.batch_execute(&format!("set search_path = {path}"))
            .await
            .unwrap();
        enter(&a, world, &world.alpha.context()).await;
        // The evil ones are what he gets himself, so they are in force.
        sees(
            &a,
            "select current_setting('app.tenant_id', true) operator(pg_catalog.=) 'evil'",
            &["t"],
        )
        .await;
        sees(&a, "select '\\x01'::bytea = '\\x02'::bytea", &["t"]).await;
        sees(
            &a,
            "select body from public.notes order by body collate \"C\"",
            MINE,
        )
        .await;
        for setting in ["tenant_id", "user_id", "context", "seal"] {
            let value = if setting == "tenant_id" {
                beta(world).to_string()
            } else {
                "w;owner;{};{}".into()
            };
            a.batch_execute("savepoint clean").await.unwrap();
            a.batch_execute(&format!(
                "select pg_catalog.set_config('app.{setting}', '{value}', true)"
            ))
            .await
            .unwrap();
            refused(&a, "select body from public.notes", "RH002").await;
            refused(&a, "select rowhouse.current_projects()", "RH002").await;
            a.batch_execute("rollback to savepoint clean")
                .await
                .unwrap();
        }
        // A ticket that is not one.
        refused(
            &a,
            r"select rowhouse.enter(pg_catalog.decode(pg_catalog.repeat('01', 107), 'hex'))",
            "RH002",
        )
        .await;
        refused(&a, "select rowhouse.enter(null)", "RH002").await;
        touches(
            &a,
            "insert into public.notes (id, body) values (9, 'nine')",
            1,
        )
        .await;
        a.batch_execute("rollback").await.unwrap();
        refused(&a, "select body from public.notes", "RH001").await;
    }
}

/// Everything that our functions could stumble over, if they looked names up on the caller's path.
const EVIL: &str = "
create schema evil;
grant usage on schema evil to public;
set search_path = evil, pg_catalog;
create function evil.yes(bytea, bytea) returns boolean language sql immutable return true;
create function evil.yes(text, text) returns boolean language sql immutable return true;
create function evil.yes(uuid, uuid) returns boolean language sql immutable return true;
create function evil.yes(timestamptz, timestamptz) returns boolean language sql immutable return true;
create function evil.yes(integer, integer) returns boolean language sql immutable return true;
create operator evil.= (leftarg = bytea, rightarg = bytea, function = evil.yes);
create operator evil.= (leftarg = text, rightarg = text, function = evil.yes);
create operator evil.<> (leftarg = text, rightarg = text, function = evil.yes);
create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.yes);
create operator evil.<> (leftarg = uuid, rightarg = uuid, function = evil.yes);
create operator evil.= (leftarg = integer, rightarg = integer, function = evil.yes);
create operator evil.> (leftarg = bytea, rightarg = bytea, function = evil.yes);
create operator evil.<= (leftarg = bytea, rightarg = bytea, function = evil.yes);
create operator evil.> (leftarg = timestamptz, rightarg = timestamptz, function = evil.yes);
create function evil.same(bytea, bytea) returns bytea language sql immutable return '\\x00'::bytea;
create operator evil.|| (leftarg = bytea, rightarg = bytea, function = evil.same);
create function evil.one(text, text) returns text language sql immutable return 'evil';
create operator evil.|| (leftarg = text, rightarg = text, function = evil.one);
create function evil.current_setting(text, boolean) returns text language sql stable return 'evil';
create function evil.current_setting(text) returns text language sql stable return 'evil';
create function evil.set_config(text, text, boolean) returns text language sql volatile return 'evil';
create function evil.sha256(bytea) returns bytea language sql immutable return '\\x00'::bytea;
create function evil.substring(bytea, integer) returns bytea language sql immutable return '\\x00'::bytea;
create function evil.substring(bytea, integer, integer) returns bytea language sql immutable return '\\x00'::bytea;
create function evil.get_byte(bytea, integer) returns integer language sql immutable return 119;
create function evil.encode(bytea, text) returns text language sql immutable return 'evil';
create function evil.textsend(text) returns bytea language sql immutable return '\\x00'::bytea;
create function evil.timestamptz_send(timestamptz) returns bytea language sql immutable return '\\x00'::bytea;
create function evil.transaction_timestamp() returns timestamptz language sql stable return '2000-01-01'::timestamptz;
create function evil.clock_timestamp() returns timestamptz language sql stable return '2000-01-01'::timestamptz;
create function evil.starts_with(text, text) returns boolean language sql immutable return true;
create function evil.split_part(text, text, integer) returns text language sql immutable return '{}';
create domain evil.uuid as pg_catalog.text;
create domain evil.bytea as pg_catalog.text;
create domain evil.text as pg_catalog.bytea;
create table evil.keyring (seal_key pg_catalog.bytea, ticket_head pg_catalog.bytea);
create view evil.liveness as select 1 as lookup;
grant select on all tables in schema evil to public;
";

pub async fn b07_a_partition_is_bound_when_addressed_directly(world: &World) {
    let root = world.superuser().await;
    let (mine, theirs) = (alpha(world), beta(world));
    root.batch_execute(&format!(
        "create table events (tenant_id uuid not null default rowhouse.default_tenant(), id int not null, body text not null,
           constraint events_pkey primary key (tenant_id, id)) partition by hash (tenant_id);
         create table events_0 partition of events for values with (modulus 1, remainder 0);
         create table heirs () inherits (notes);
         insert into events values ('{mine}', 1, 'alpha one'), ('{theirs}', 1, 'beta one');
         insert into heirs values ('{mine}', 4, 'alpha four'), ('{theirs}', 4, 'beta four');
         alter table events owner to rowhouse_owner; alter table events_0 owner to rowhouse_owner; alter table heirs owner to rowhouse_owner;
         select rowhouse.raise_wall('events', 'content', 'enforce');
         grant select on events to rowhouse_app"
    ))
    .await
    .unwrap();
    let a = attacker(world).await;
    sees(&a, "select body from events", &["alpha one"]).await;
    sees(
        &a,
        "select body from notes order by 1",
        &["alpha four", "alpha one", "alpha two"],
    )
    .await;
    refused(&a, "table events_0", "42501").await;
    refused(&a, "table heirs", "42501").await;
    a.batch_execute("rollback").await.unwrap();
    root.batch_execute(
        "select rowhouse.raise_wall('events_0', 'content', 'enforce'), rowhouse.raise_wall('heirs', 'content', 'enforce');
         grant select on events_0, heirs to rowhouse_app",
    )
    .await
    .unwrap();
    let a = attacker(world).await;
    sees(&a, "select body from events_0", &["alpha one"]).await;
    sees(&a, "select body from heirs", &["alpha four"]).await;
}

pub async fn b09_no_way_out_and_back_in_as_somebody_else(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create extension dblink",
        "create extension postgres_fdw",
        "create foreign data wrapper w",
        "copy notes to '/tmp/notes'",
        "copy notes to program 'cat'",
        "copy notes from '/etc/passwd'",
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('/')",
        "load '/tmp/x.so'",
        "create language c",
        "set session authorization postgres",
        "set role rowhouse_owner",
        "set role rowhouse_definer",
        "set role rowhouse_platform",
        "set role pg_read_all_data",
        "set session_replication_role = replica",
    ] {
        refused(&a, sql, "42501 42710 0A000 58P01").await;
    }
    refused(
        &world.app().await,
        "alter system set row_security = off",
        "42501",
    )
    .await;
    sees(
        &a,
        "select fdwname from pg_foreign_data_wrapper where has_foreign_data_wrapper_privilege(oid, 'usage')",
        &[],
    )
    .await;
    sees_mine(&a).await;
}

pub async fn b10_trails_and_copies_are_behind_the_wall(world: &World) {
    for tenant in [&world.alpha, &world.beta] {
        let text = format!("{}.deed", tenant.slug);
        world
            .house
            .execute(
                &tenant.context(),
                "insert into rowhouse.audit_log (id, action) values (gen_random_uuid(), $1)",
                &[&text],
            )
            .await
            .unwrap();
    }
    let a = attacker(world).await;
    sees(
        &a,
        "select action, actor_id from rowhouse.audit_log where action <> 'tenants.create'",
        &[&format!("alpha.deed|{}", world.alpha.owner.uuid())],
    )
    .await;
    for sql in [
        "update rowhouse.audit_log set action = 'x'",
        "delete from rowhouse.audit_log",
        "insert into rowhouse.audit_log (id, action, actor_id) values (gen_random_uuid(), 'x', gen_random_uuid())",
        "insert into rowhouse.audit_log (id, action, on_behalf_of) values (gen_random_uuid(), 'x', gen_random_uuid())",
        "table rowhouse.locator",
        "table rowhouse.users",
        "table rowhouse.operator_tokens",
        "table rowhouse.platform_audit",
        "table rowhouse_private.keyring",
        "table rowhouse_private.liveness",
        "select digest from rowhouse.api_keys",
        "select secret_hash from rowhouse.api_keys",
    ] {
        refused(&a, sql, "42501").await;
    }
}

pub async fn b11_large_objects_hold_nothing_of_ours(world: &World) {
    let root = world.superuser().await;
    sees(
        &root,
        "select count(*) from pg_largeobject_metadata",
        &["0"],
    )
    .await;
    let a = attacker(world).await;
    sees_mine(&a).await;
    for sql in [
        r"select lo_from_bytea(0, '\x616c706861')",
        "select lo_create(0)",
        "select lo_creat(-1)",
    ] {
        refused(&a, sql, "42501").await;
    }
    cannot_leave_its_database(world).await;
}

pub async fn b12_every_way_to_read_a_table_is_bound(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    for sql in [
        "select body from notes order by 1",
        "select n.body from only notes n order by 1",
        "select (n).body from notes n order by 1",
        "select body from (table notes) n order by 1",
        "with n as materialized (table notes) select body from n order by 1",
        "select body from notes union select body from notes order by 1",
        "declare c cursor for select body from notes order by 1; fetch all from c",
        "declare s scroll cursor for select body from notes order by body desc; fetch last from s; fetch backward all from s; move absolute 0 from s",
        "update notes set body = body returning body",
        "delete from notes returning body",
        "select body from notes tablesample system (100) order by 1",
        "select m.body from notes n join lateral (select body from notes where id = n.id) m on true order by 1",
    ] {
        a.batch_execute("savepoint clean").await.unwrap();
        let (mut rows, _) = attempt(&a, sql).await.unwrap();
        rows.sort();
        assert_eq!(rows, MINE, "HOLE: {sql}");
        a.batch_execute("rollback to savepoint clean")
            .await
            .unwrap();
    }
    for sql in [
        format!("select table_to_xml('notes', true, false, '')::text like '%{theirs}%'"),
        format!("select schema_to_xml('public', true, false, '')::text like '%{theirs}%'"),
        format!("select query_to_xml('select * from notes', true, false, '')::text like '%{theirs}%'"),
        "select string_agg(n::text, ',') like '%beta%' from notes n".into(),
        "select ts_stat('select to_tsvector(body) from notes')::text like '%beta%' order by 1 desc limit 1".into(),
        "select exists (select from pg_stats where most_common_vals::text like '%beta%' or histogram_bounds::text like '%beta%')".into(),
    ] {
        if sql.contains("_to_xml") && attempt(&a, &sql).await.is_err() {
            continue; // a server built without XML
        }
        sees(&a, &sql, &["f"]).await;
    }
    reads_by_copy(&a, "copy notes (body) to stdout").await;
    reads_by_copy(&a, "copy (select body from notes) to stdout").await;
    reads_by_copy(&a, "copy (delete from notes returning body) to stdout").await;
}

async fn reads_by_copy(a: &tokio_postgres::Client, sql: &str) {
    use futures_util::TryStreamExt;
    let bytes: Vec<_> = a.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    let mut rows: Vec<_> = bytes
        .iter()
        .map(|line| String::from_utf8_lossy(line).trim().to_owned())
        .collect();
    rows.sort();
    assert_eq!(rows, MINE, "HOLE: {sql}");
}

pub async fn b12_copy_into_a_walled_table_is_refused(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "copy notes (tenant_id, id, body) from stdin",
        "copy notes (id, body) from stdin",
        "copy rowhouse.resources (id) from stdin",
    ] {
        refused(&a, sql, "0A000").await;
    }
    touches(
        &a,
        "insert into notes (id, body) select n, 'x' from generate_series(10, 19) n",
        10,
    )
    .await;
}

pub async fn b13_the_log_of_changes_is_not_readable(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "select pg_create_logical_replication_slot('s', 'test_decoding')",
        "select * from pg_logical_slot_peek_changes('s', null, null)",
        "create publication p for table notes",
        "create subscription s connection 'dbname=x' publication p with (connect = false, slot_name = none)",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
    sees(
        &world.superuser().await,
        "select count(*) from pg_publication",
        &["0"],
    )
    .await;
    sees(
        &a,
        "select rolreplication, rolbypassrls, rolsuper from pg_roles where rolname = session_user",
        &["f|f|f"],
    )
    .await;
}

pub async fn b14_a_login_with_a_servers_role_is_refused(world: &World) {
    for role in [
        "pg_read_all_data",
        "pg_write_all_data",
        "pg_read_server_files",
        "pg_write_server_files",
        "pg_execute_server_program",
        "pg_signal_backend",
        "pg_checkpoint",
    ] {
        weak(world, role, &format!("grant {role} to {{login}}"), role).await;
    }
    weak(
        world,
        "by_group",
        "create role {login}_group; grant pg_read_all_data to {login}_group; grant {login}_group to {login}",
        "pg_read_all_data",
    )
    .await;
}

/// They read what other logins' sessions are doing.
pub async fn b14_a_login_that_watches_the_server_is_refused(world: &World) {
    for role in ["pg_monitor", "pg_read_all_stats", "pg_read_all_settings"] {
        weak(world, role, &format!("grant {role} to {{login}}"), role).await;
    }
}

pub async fn b20_the_platform_deletes_no_tenant_and_reads_no_content(world: &World) {
    let platform = world.platform().await;
    walled(&world.superuser().await, "more").await;
    for sql in [
        "delete from rowhouse.tenants",
        "delete from rowhouse.users",
        "truncate rowhouse.tenants cascade",
        "table rowhouse.resources",
        "table rowhouse.resource_acl",
        "table public.notes",
        "table public.more",
        "insert into rowhouse.resources (id) values (gen_random_uuid())",
        "update rowhouse.platform_audit set action = 'x'",
        "table rowhouse_private.keyring",
        "set role rowhouse_app",
    ] {
        refused(&platform, sql, "42501").await;
    }
    sees(
        &platform,
        "select slug from rowhouse.tenants order by 1",
        &["alpha", "beta"],
    )
    .await;
    let beta = connect(&world.url("test_app")).await;
    enter(&beta, world, &world.beta.context()).await;
    sees_theirs(&beta).await;
}
