//! No way around is made: neither an object that leads there, nor a change of what stands in the way.

use crate::attacks::{attacker, attempt, checks, refused, sees, sees_mine, touches};
use crate::world::{World, connect};

checks![
    b02_a_view_cannot_be_made_or_replaced,
    b06_nothing_can_be_created_in_a_schema_of_the_path,
    b08_a_partition_cannot_be_attached,
    b15_a_copy_of_a_table_without_its_policies_cannot_be_made,
    b16_rules_and_triggers_cannot_be_changed,
    b17_event_triggers_and_default_rights_cannot_be_made,
    b18_the_policies_of_a_table_cannot_be_changed,
    b18_no_role_drops_what_it_was_granted,
];

pub async fn b02_a_view_cannot_be_made_or_replaced(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create view public.all_notes as select * from notes",
        "create or replace view rowhouse.organizations as select id, slug, name, plan, status, created_at, updated_at from rowhouse.tenants",
        "alter view rowhouse.organizations set (security_invoker = false)",
        "create temporary view all_notes as select * from notes",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees(&a, "select slug from rowhouse.organizations", &["alpha"]).await;
}

pub async fn b06_nothing_can_be_created_in_a_schema_of_the_path(world: &World) {
    let a = attacker(world).await;
    for schema in ["public", "rowhouse", "rowhouse_private", "pg_catalog"] {
        for object in [
            format!("create function {schema}.sha256(text) returns text language sql return 'x'"),
            format!(
                "create operator {schema}.= (leftarg = uuid, rightarg = text, function = texteq)"
            ),
            format!("create type {schema}.uuid as (x int)"),
            format!("create domain {schema}.text as int"),
            format!("create cast (uuid as {schema}.text) with inout as implicit"),
            format!("create sequence {schema}.s"),
            format!("create collation {schema}.c from \"C\""),
        ] {
            refused(&a, &object, "42501 42710 42P17 42704 42883").await;
        }
    }
    refused(
        &a,
        "alter function rowhouse.bound_tenant() security invoker",
        "42501",
    )
    .await;
    sees(
        &a,
        "select n.nspname from pg_namespace n where has_schema_privilege(n.oid, 'create')",
        &[],
    )
    .await;
    sees_mine(&a).await;
}

pub async fn b08_a_partition_cannot_be_attached(world: &World) {
    world
        .superuser()
        .await
        .batch_execute(
            "create table events (tenant_id uuid not null, id int not null) partition by hash (tenant_id);
             alter table events owner to rowhouse_owner;
             select rowhouse.raise_wall('events', 'content', 'enforce');
             grant select, insert on events to rowhouse_app;
             create table lump (tenant_id uuid not null, id int not null); grant all on lump to rowhouse_app",
        )
        .await
        .unwrap();
    let a = attacker(world).await;
    refused(
        &a,
        "alter table events attach partition lump for values with (modulus 1, remainder 0)",
        "42501",
    )
    .await;
    refused(&a, "alter table notes inherit lump", "42501").await;
    refused(&a, "alter table lump inherit notes", "42501").await;
    touches(&a, "insert into lump values (gen_random_uuid(), 1)", 1).await;
}

pub async fn b15_a_copy_of_a_table_without_its_policies_cannot_be_made(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create table public.copy (like notes including all)",
        "create table public.copy as table notes",
        "select * into public.copy from notes",
        "alter table notes rename to old_notes",
        "drop table notes",
        "alter table notes disable row level security",
        "alter table notes no force row level security",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn b16_rules_and_triggers_cannot_be_changed(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create rule spy as on insert to notes do also notify spy",
        "create rule spy as on select to notes do instead select 1",
        "alter table rowhouse.teams disable trigger all",
        "drop trigger team_changed on rowhouse.teams",
        "alter table notes disable rule spy",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn b17_event_triggers_and_default_rights_cannot_be_made(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create event trigger spy on ddl_command_end execute function suppress_redundant_updates_trigger()",
        "alter default privileges for role rowhouse_owner grant select on tables to public",
        "grant select on notes to public",
        "grant rowhouse_owner to test_app",
    ] {
        // GRANT of what one does not hold is a warning without effect, or refused.
        if let Ok((_, _)) = attempt(&a, sql).await {
            assert!(sql.starts_with("grant select"), "HOLE: not refused: {sql}");
        }
    }
    sees(
        &a,
        "select count(*) from information_schema.table_privileges where table_name = 'notes' and grantee = 'PUBLIC'",
        &["0"],
    )
    .await;
    sees_mine(&a).await;
}

pub async fn b18_the_policies_of_a_table_cannot_be_changed(world: &World) {
    let a = attacker(world).await;
    for sql in [
        "create policy open on notes using (true)",
        "drop policy tenant_floor on notes",
        "alter policy tenant_floor on notes using (true)",
        "alter policy inside on rowhouse.teams to public",
    ] {
        refused(&a, sql, "42501").await;
    }
    sees_mine(&a).await;
}

/// DROP OWNED BY drops the policies that name nobody else, whosever the table is: in shadow those are the floors.
pub async fn b18_no_role_drops_what_it_was_granted(world: &World) {
    let superuser = world.superuser().await;
    let mode = async |mode: &str| {
        let set = format!("select rowhouse.set_mode('notes', '{mode}')");
        superuser.batch_execute(&set).await.unwrap();
    };
    let policies = async || {
        let all = "select count(*), coalesce(sum(cardinality(polroles)), 0) from pg_policy";
        let row = superuser.query_one(all, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    mode("shadow").await;
    let before = policies().await;
    for (login, role, owned) in [
        ("test_app", "none", "rowhouse_app"),
        ("test_app", "rowhouse_shadow", "rowhouse_shadow"),
        ("test_app", "rowhouse_enforced", "rowhouse_enforced"),
        ("test_app", "rowhouse_enforced", "rowhouse_app"),
        (
            "test_app",
            "rowhouse_enforced",
            "rowhouse_enforced, rowhouse_app",
        ),
        ("test_platform", "none", "rowhouse_platform"),
    ] {
        let attacker = connect(&world.url(login)).await;
        attacker
            .batch_execute(&format!("set role {role}"))
            .await
            .unwrap();
        refused(&attacker, &format!("drop owned by {owned}"), "42501").await;
        refused(
            &attacker,
            &format!("drop owned by {owned} cascade"),
            "42501",
        )
        .await;
        assert_eq!(policies().await, before, "HOLE: {login} as {role}, {owned}");
    }
    mode("enforce").await;
    sees_mine(&attacker(world).await).await;

    // Whoever may, takes them all: what is refused above would work.
    superuser
        .batch_execute("begin; drop owned by rowhouse_enforced, rowhouse_app; rollback")
        .await
        .unwrap();
}
