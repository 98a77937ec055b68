//! A: the wall is not there, or not for everybody.

pub mod logins;

use super::{
    MINE, alpha, as_login, attacker, beta, checks, enter, login, nothing_changed, refused, sees,
    sees_mine, touches, walled,
};
use crate::world::World;

checks![
    a01_the_tables_owner_sees_nothing_of_a_tenant,
    a04_truncate_is_refused_on_every_table,
    a05_a_trigger_on_a_walled_table_is_refused,
    a06_no_table_that_references_a_walled_one_can_be_made,
    a07_a_table_made_by_hand_is_not_readable,
    a08_policies_without_row_security_are_shown_as_off,
    a09_a_permissive_policy_added_later_widens_nothing,
    a10_every_command_is_bound,
    a10_a_reader_changes_nothing,
    a11_a_row_of_another_tenant_cannot_be_written,
    a11_a_row_cannot_be_moved_even_with_the_right_to_the_column,
    a12_without_a_context_nothing_is_seen_or_written,
    a13_an_unset_context_is_none_on_a_fresh_and_on_a_used_connection,
    a14_a_row_without_tenant_is_refused,
    a15_a_cached_plan_does_not_keep_the_tenant_it_was_made_for,
    a16_a_leaky_function_sees_no_foreign_row,
    a16_an_error_of_a_cast_shows_no_foreign_row,
    a17_the_floor_binds_every_role,
];

pub async fn a01_the_tables_owner_sees_nothing_of_a_tenant(world: &World) {
    let root = world.superuser().await;
    root.batch_execute("create policy all_rows on notes for all to rowhouse_owner using (true)")
        .await
        .unwrap();
    root.batch_execute("set role rowhouse_owner").await.unwrap();
    refused(&root, "select body from public.notes", "RH001").await;
    refused(&root, "delete from public.notes", "RH001").await;
    sees_mine(&attacker(world).await).await;
}

pub async fn a04_truncate_is_refused_on_every_table(world: &World) {
    let a = attacker(world).await;
    refused(&a, "truncate public.notes", "42501").await;
    for table in tables(world).await {
        refused(&a, &format!("truncate {table} cascade"), "42501").await;
    }
    touches(&a, "delete from public.notes where id = 1", 1).await;
}

pub async fn a05_a_trigger_on_a_walled_table_is_refused(world: &World) {
    let a = attacker(world).await;
    let trigger = |table: &str| {
        format!(
            "create trigger spy after insert on {table} for each row execute function suppress_redundant_updates_trigger()"
        )
    };
    refused(&a, &trigger("public.notes"), "42501").await;
    for table in tables(world).await {
        refused(&a, &trigger(&table), "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn a06_no_table_that_references_a_walled_one_can_be_made(world: &World) {
    let a = attacker(world).await;
    for place in [
        "public.",
        "rowhouse.",
        "rowhouse_private.",
        "temporary ",
        "unlogged public.",
    ] {
        let (kind, schema) = place.split_once(' ').unwrap_or(("", place));
        refused(
            &a,
            &format!("create {kind} table {schema}probe (tenant_id uuid, id int, foreign key (tenant_id, id) references public.notes)"),
            "42501",
        )
        .await;
    }
    refused(&a, "create schema mine", "42501").await;
    // Even a table of his own could not reference one of ours.
    sees(
        &a,
        "select has_table_privilege('public.notes', 'references')",
        &["f"],
    )
    .await;
    sees_mine(&a).await;
}

pub async fn a07_a_table_made_by_hand_is_not_readable(world: &World) {
    let root = world.superuser().await;
    root.batch_execute("create table public.by_hand (id int); create table rowhouse.by_hand (id int); set role rowhouse_owner; create table rowhouse.by_owner (id int)")
        .await
        .unwrap();
    let a = attacker(world).await;
    for table in ["public.by_hand", "rowhouse.by_hand", "rowhouse.by_owner"] {
        refused(&a, &format!("table {table}"), "42501").await;
    }
    sees_mine(&a).await;
}

pub async fn a08_policies_without_row_security_are_shown_as_off(world: &World) {
    let a = attacker(world).await;
    let state = "select m.mode, c.relrowsecurity, c.relforcerowsecurity from rowhouse.managed_tables m, pg_class c where m.table_name = 'notes' and c.oid = 'public.notes'::regclass";
    sees(&a, state, &["enforce|t|t"]).await;
    a.batch_execute("rollback").await.unwrap();
    let root = world.superuser().await;
    for (mode, enabled) in [("off", "f"), ("shadow", "t"), ("enforce", "t")] {
        root.batch_execute(&format!(
            "select rowhouse.set_mode('public.notes', '{mode}')"
        ))
        .await
        .unwrap();
        sees(&root, state, &[&format!("{mode}|{enabled}|t")]).await;
    }
}

pub async fn a09_a_permissive_policy_added_later_widens_nothing(world: &World) {
    world
        .superuser()
        .await
        .batch_execute("create policy open on notes for all to public using (true) with check (true); create policy open on rowhouse.teams for all to public using (true) with check (true)")
        .await
        .unwrap();
    let a = attacker(world).await;
    sees_mine(&a).await;
    touches(&a, "update notes set body = body", 2).await;
    refused(
        &a,
        &format!(
            "insert into notes (tenant_id, id, body) values ('{}', 9, 'x')",
            beta(world)
        ),
        "42501",
    )
    .await;
}

pub async fn a10_every_command_is_bound(world: &World) {
    let root = world.superuser().await;
    root.batch_execute("grant update on notes to rowhouse_app")
        .await
        .unwrap();
    let a = attacker(world).await;
    let theirs = beta(world);
    sees_mine(&a).await;
    for (sql, rows) in [
        (
            format!("update notes set body = 'x' where tenant_id = '{theirs}'"),
            0,
        ),
        ("update notes set body = body".into(), 2),
        (format!("delete from notes where tenant_id = '{theirs}'"), 0),
        (
            "select from notes where body like 'beta%' for update".into(),
            0,
        ),
        (
            "select from notes where body like 'beta%' for key share".into(),
            0,
        ),
        (
            "insert into notes (id, body) values (7, 'alpha seven')".into(),
            1,
        ),
        ("delete from notes where id = 7".into(), 1),
    ] {
        touches(&a, &sql, rows).await;
    }
    merge_is_bound(world, &a).await;
    a.batch_execute("commit").await.unwrap();
    nothing_changed(world).await;
}

async fn merge_is_bound(world: &World, a: &tokio_postgres::Client) {
    let theirs = beta(world);
    let merge = |then: &str| {
        format!(
            "merge into notes n using (values ('{theirs}'::uuid, 1)) v (t, i) on n.tenant_id = v.t and n.id = v.i {then}"
        )
    };
    for then in [
        "when matched then delete",
        "when matched then update set body = 'x'",
        "when not matched then do nothing",
    ] {
        touches(a, &merge(then), 0).await;
    }
    refused(
        a,
        &merge("when not matched then insert (tenant_id, id, body) values (t, 77, 'x')"),
        "42501",
    )
    .await;
}

pub async fn a10_a_reader_changes_nothing(world: &World) {
    let a = world.app().await;
    enter(&a, world, &world.alpha.context().read_only()).await;
    sees_mine(&a).await;
    for sql in [
        "insert into notes (id, body) values (9, 'x')",
        "update notes set body = 'x'",
        "delete from notes",
        "select from notes for update",
        "update rowhouse.tenant_members set role = 'viewer'",
        "delete from rowhouse.resource_acl",
    ] {
        refused(&a, sql, "RH006").await;
    }
    touches(
        &a,
        "insert into rowhouse.audit_log (id, action) values (gen_random_uuid(), 'notes.read')",
        1,
    )
    .await;
    enter_again(world, &a).await;
    touches(&a, "update notes set body = body", 2).await;
}

async fn enter_again(world: &World, a: &tokio_postgres::Client) {
    a.batch_execute("rollback").await.unwrap();
    enter(a, world, &world.alpha.context()).await;
}

pub async fn a11_a_row_of_another_tenant_cannot_be_written(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    for sql in [
        format!("insert into notes (tenant_id, id, body) values ('{theirs}', 9, 'x')"),
        format!("insert into notes (tenant_id, id, body) select '{theirs}', 9, 'x' from notes"),
        format!("update notes set tenant_id = '{theirs}'"),
        format!(
            "insert into notes (id, body) values (1, 'x') on conflict (tenant_id, id) do update set tenant_id = '{theirs}'"
        ),
        format!(
            "insert into rowhouse.audit_log (tenant_id, id, action) values ('{theirs}', gen_random_uuid(), 'x')"
        ),
        format!(
            "insert into rowhouse.teams (tenant_id, id, name) values ('{theirs}', gen_random_uuid(), 'x')"
        ),
    ] {
        refused(&a, &sql, "42501").await;
    }
    touches(
        &a,
        &format!(
            "insert into notes (tenant_id, id, body) values ('{}', 9, 'alpha nine')",
            alpha(world)
        ),
        1,
    )
    .await;
    a.batch_execute("rollback").await.unwrap();
    nothing_changed(world).await;
}

pub async fn a11_a_row_cannot_be_moved_even_with_the_right_to_the_column(world: &World) {
    world
        .superuser()
        .await
        .batch_execute("grant update on notes to rowhouse_app")
        .await
        .unwrap();
    let a = attacker(world).await;
    let theirs = beta(world);
    refused(
        &a,
        &format!("update notes set tenant_id = '{theirs}', id = id + 100"),
        "42501",
    )
    .await;
    refused(
        &a,
        &format!("insert into notes (id, body) values (1, 'x') on conflict (tenant_id, id) do update set tenant_id = '{theirs}', id = 101"),
        "42501",
    )
    .await;
    touches(&a, "update notes set id = id + 100", 2).await;
}

pub async fn a12_without_a_context_nothing_is_seen_or_written(world: &World) {
    let a = world.app().await;
    for sql in [
        "select body from public.notes",
        "table rowhouse.teams",
        "table rowhouse.tenants",
        "update notes set body = 'x'",
        "delete from notes",
        "insert into notes (id, body) values (9, 'x')",
        "select rowhouse.bound_tenant()",
        "select rowhouse.writable_tenant()",
    ] {
        refused(&a, sql, "RH001 42501").await;
    }
    sees(
        &a,
        "select rowhouse.current_tenant() is null, rowhouse.current_user_id() is null, rowhouse.current_projects(), rowhouse.caller_principals(), rowhouse.caller_role() is null",
        &["t|t|{}|{}|t"],
    )
    .await;
    enter(&a, world, &world.alpha.context()).await;
    sees_mine(&a).await;
}

pub async fn a13_an_unset_context_is_none_on_a_fresh_and_on_a_used_connection(world: &World) {
    let a = world.app().await;
    refused(&a, "select body from notes", "RH001").await; // fresh: the settings are NULL
    for end in ["commit", "rollback"] {
        enter(&a, world, &world.alpha.context()).await;
        sees_mine(&a).await;
        a.batch_execute(end).await.unwrap();
        // used: the settings are ''
        sees(&a, "select current_setting('app.tenant_id', true)", &[""]).await;
        refused(&a, "select body from notes", "RH001").await;
        sees(&a, "select rowhouse.current_tenant() is null", &["t"]).await;
        refused(
            &a,
            "insert into notes (id, body) values (9, 'x')",
            "RH001 42501 23502",
        )
        .await;
    }
    nothing_changed(world).await;
}

pub async fn a14_a_row_without_tenant_is_refused(world: &World) {
    let a = attacker(world).await;
    refused(
        &a,
        "insert into notes (tenant_id, id, body) values (null, 9, 'x')",
        "42501 23502",
    )
    .await;
    refused(
        &world.superuser().await,
        "insert into notes (tenant_id, id, body) values (null, 9, 'x')",
        "23502",
    )
    .await;
    touches(&a, "insert into notes (id, body) values (9, 'x')", 1).await;
}

pub async fn a15_a_cached_plan_does_not_keep_the_tenant_it_was_made_for(world: &World) {
    let a = attacker(world).await;
    let mine = a
        .prepare("select body from notes order by 1")
        .await
        .unwrap();
    for _ in 0..7 {
        let rows = a.query(&mine, &[]).await.unwrap();
        assert_eq!(rows.len(), MINE.len(), "HOLE");
    }
    a.batch_execute("commit").await.unwrap();
    enter(&a, world, &world.beta.context()).await;
    let rows = a.query(&mine, &[]).await.unwrap();
    let bodies: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        bodies,
        super::THEIRS,
        "HOLE: a plan of alpha's answered beta"
    );
}

pub async fn a16_a_leaky_function_sees_no_foreign_row(world: &World) {
    world
        .superuser()
        .await
        .batch_execute(
            "create function public.leak(text, text default '') returns boolean language plpgsql cost 0.000001 as $$
             begin
               if $1 like 'beta%' then raise exception 'seen: %', $1; end if;
               return true;
             end $$;
             create operator public.<<< (leftarg = text, rightarg = text, function = public.leak)",
        )
        .await
        .unwrap();
    let a = attacker(world).await;
    for sql in [
        "select body from notes where leak(body) order by 1",
        "select body from notes where body <<< 'x' order by 1",
        "select n.body from notes n join notes m on leak(m.body) and m.id = n.id and m.tenant_id = n.tenant_id order by 1",
        "select body from (select body from notes where leak(body) offset 0) n order by 1",
    ] {
        sees(&a, sql, MINE).await;
    }
}

pub async fn a16_an_error_of_a_cast_shows_no_foreign_row(world: &World) {
    let a = attacker(world).await;
    let refusal = refused(&a, "select body::int from notes", "22P02").await;
    assert!(refusal.said.contains("alpha"), "{refusal:?}");
    touches(
        &a,
        "select from notes where 1 / (case when body like 'beta%' then 0 else 1 end) = 1",
        2,
    )
    .await;
}

pub async fn a17_the_floor_binds_every_role(world: &World) {
    let other = login(world, "stranger").await;
    let root = world.superuser().await;
    root.batch_execute(&format!(
        "revoke rowhouse_app, rowhouse_shadow from {other};
         grant select, delete on notes to {other}, rowhouse_platform, rowhouse_definer;
         create policy open on notes to public using (true) with check (true)"
    ))
    .await
    .unwrap();
    let stranger = as_login(world, &other).await;
    refused(&stranger, "table notes", "RH001").await;
    refused(&stranger, "delete from notes", "RH001").await;
    refused(&world.platform().await, "table notes", "RH001").await;
    root.batch_execute("set role rowhouse_definer")
        .await
        .unwrap();
    refused(&root, "table notes", "RH001").await;
    sees_mine(&attacker(world).await).await;
    enter(&stranger, world, &world.alpha.context()).await;
    sees_mine(&stranger).await;
    walled(&world.superuser().await, "later").await;
}

/// Every table of ours.
async fn tables(world: &World) -> Vec<String> {
    let root = world.superuser().await;
    super::allowed(
        &root,
        "select oid::regclass from pg_class where relkind in ('r', 'p') and relnamespace = 'rowhouse'::regnamespace",
    )
    .await
}
