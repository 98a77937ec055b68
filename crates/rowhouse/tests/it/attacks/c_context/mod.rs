//! C: the context is forged, replayed, kept, or met by the next borrower of a connection.

pub mod forged;
pub mod keys;
pub mod left_behind;

use std::time::Duration;

use rowhouse::Context;
use tokio_postgres::Client;

use super::{
    MINE, THEIRS, allowed, alpha, attacker, attempt, beta, checks, enter, nothing_changed, refused,
    sees, sees_mine, touches,
};
use crate::world::{World, cluster};

checks![
    c07_a_second_ticket_replaces_the_first_wholly,
    c07_a_refused_ticket_leaves_the_context_as_it_was,
    c07_a_platforms_ticket_is_refused_to_the_application,
    c08_savepoints_and_exceptions_bring_back_nothing_foreign,
    c17_parallel_workers_are_bound,
    c18_a_generic_plan_answers_the_tenant_that_executes_it,
    c23_transactions_in_one_text_stay_in_their_own_tenant,
];

const SETTINGS: [&str; 4] = ["tenant_id", "user_id", "context", "seal"];

/// The four settings of the transaction.
async fn context_of(client: &Client) -> [String; 4] {
    let mut values = SETTINGS.map(|_| String::new());
    for (value, setting) in values.iter_mut().zip(SETTINGS) {
        *value = allowed(client, &format!("select current_setting('app.{setting}')"))
            .await
            .remove(0);
    }
    values
}

/// Sets all four, for the transaction or for the session.
async fn set_context(client: &Client, values: &[String; 4], local: bool) {
    for (value, setting) in values.iter().zip(SETTINGS) {
        client
            .execute(
                "select set_config($1, $2, $3)",
                &[&format!("app.{setting}"), value, &local],
            )
            .await
            .unwrap();
    }
}

/// Every way to ask something of the wall fails with RH002.
async fn is_not_believed(a: &Client) {
    for sql in [
        "select body from public.notes",
        "select title from rowhouse.resources",
        "table rowhouse.tenants",
        "table rowhouse.teams",
        "update public.notes set body = 'x'",
        "delete from public.notes",
        "select rowhouse.current_tenant()",
        "select rowhouse.current_user_id()",
        "select rowhouse.current_projects()",
        "select rowhouse.caller_principals()",
        "select rowhouse.caller_role()",
        "select rowhouse.bound_tenant()",
        "select rowhouse.writable_tenant()",
    ] {
        refused(a, sql, "RH002").await;
    }
    // The default of tenant_id may already stumble over what is no UUID.
    refused(
        a,
        "insert into public.notes (id, body) values (9, 'x')",
        "RH002 22P02",
    )
    .await;
}

pub async fn c07_a_second_ticket_replaces_the_first_wholly(world: &World) {
    let a = attacker(world).await;
    let whole = "select rowhouse.current_tenant(), rowhouse.current_user_id(), rowhouse.caller_role(), rowhouse.current_principal()";
    let (t, u) = (alpha(world), world.alpha.owner.uuid());
    sees(&a, whole, &[&format!("{t}|{u}|owner|{u}")]).await;
    let ticket = world
        .house
        .ticket(
            &Context::tenant(world.alpha.id).read_only(),
            Duration::from_mins(1),
        )
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    sees(&a, whole, &[&format!("{t}|null|tenant|{t}")]).await;
    refused(&a, "update notes set body = body", "RH006").await;
    let back = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", back.reveal())).await;
    touches(&a, "update notes set body = body", 2).await;
}

pub async fn c07_a_refused_ticket_leaves_the_context_as_it_was(world: &World) {
    let a = attacker(world).await;
    let stranger = Context::user(world.beta.id, world.alpha.owner);
    let ticket = world
        .house
        .ticket(&stranger, Duration::from_mins(1))
        .await
        .unwrap();
    refused(
        &a,
        &format!("select rowhouse.enter('{}')", ticket.reveal()),
        "RH005",
    )
    .await;
    sees_mine(&a).await;
    // Caught inside the statement, too.
    let caught = format!(
        "do $$ begin perform rowhouse.enter('{}'); exception when others then null; end $$; select body from notes order by 1",
        ticket.reveal()
    );
    sees(&a, &caught, MINE).await;
}

pub async fn c07_a_platforms_ticket_is_refused_to_the_application(world: &World) {
    let platform = world.platform().await;
    let system = platform
        .query_one(
            "select rowhouse.service_principal($1, 'system')",
            &[&world.alpha.id],
        )
        .await
        .unwrap()
        .get::<_, uuid::Uuid>(0);
    let context = Context::principal(world.alpha.id, system.into());
    let ticket = world
        .house
        .ticket(&context, Duration::from_mins(1))
        .await
        .unwrap();
    let enter = format!("select rowhouse.enter('{}')", ticket.reveal());
    refused(&attacker(world).await, &enter, "RH005").await;
    allowed(&platform, &enter).await;
}

pub async fn c08_savepoints_and_exceptions_bring_back_nothing_foreign(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    a.batch_execute("savepoint clean").await.unwrap();
    allowed(&a, &format!("set local app.tenant_id = '{theirs}'")).await;
    a.batch_execute("savepoint forged").await.unwrap();
    let ticket = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    sees_mine(&a).await;
    a.batch_execute("rollback to savepoint forged")
        .await
        .unwrap();
    is_not_believed(&a).await;
    a.batch_execute("rollback to savepoint clean")
        .await
        .unwrap();
    sees_mine(&a).await;
    for block in [
        format!(
            "begin perform set_config('app.tenant_id', '{theirs}', true); raise exception 'x'; exception when others then null; end"
        ),
        format!(
            "begin perform set_config('app.tenant_id', '{theirs}', false); perform from notes; exception when others then null; end"
        ),
    ] {
        sees(
            &a,
            &format!("do $$ {block} $$; select body from notes order by 1"),
            MINE,
        )
        .await;
    }
    a.batch_execute("commit").await.unwrap();
    refused(&a, "table notes", "RH001").await;
    nothing_changed(world).await;
}

pub async fn c17_parallel_workers_are_bound(world: &World) {
    let root = world.superuser().await;
    super::walled(&root, "big").await;
    let (mine, theirs) = (alpha(world), beta(world));
    root.batch_execute(&format!(
        "insert into big select case n % 3 when 0 then '{mine}' else '{theirs}' end::uuid, n, case n % 3 when 0 then 'alpha' else 'beta' end from generate_series(1, 3000) n;
         analyze big"
    ))
    .await
    .unwrap();
    let a = world.app().await;
    let forced = if cluster().major() < 16 {
        "force_parallel_mode"
    } else {
        "debug_parallel_query"
    };
    a.batch_execute(&format!(
        "set {forced} = on; set parallel_leader_participation = off; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
         set min_parallel_table_scan_size = 0; set min_parallel_index_scan_size = 0; set max_parallel_workers_per_gather = 2; set enable_indexscan = off; set enable_bitmapscan = off"
    ))
    .await
    .unwrap();
    enter(&a, world, &world.alpha.context()).await;
    for sql in [
        "select count(*), min(body), max(body) from big",
        // Evaluated in the workers, row by row.
        "select count(*), min(body), max(body) from big where tenant_id = rowhouse.bound_tenant() and rowhouse.current_user_id() is not null",
    ] {
        let plan = allowed(&a, &format!("explain (analyze, costs off) {sql}"))
            .await
            .join("\n");
        assert!(
            plan.contains("Workers Launched: 1") || plan.contains("Workers Launched: 2"),
            "not parallel:\n{plan}"
        );
        sees(&a, sql, &["1000|alpha|alpha"]).await;
    }
    allowed(&a, &format!("set local app.tenant_id = '{theirs}'")).await;
    refused(&a, "select count(*) from big", "RH002").await;
}

pub async fn c18_a_generic_plan_answers_the_tenant_that_executes_it(world: &World) {
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        let a = world.app().await;
        a.batch_execute(&format!("set plan_cache_mode = {mode}"))
            .await
            .unwrap();
        enter(&a, world, &world.alpha.context()).await;
        allowed(&a, "prepare mine as select body from notes order by 1; prepare one (int) as select body from notes where id = $1").await;
        for _ in 0..7 {
            sees(&a, "execute mine", MINE).await;
            sees(&a, "execute one (1)", &["alpha one"]).await;
        }
        a.batch_execute("commit").await.unwrap();
        refused(&a, "execute mine", "RH001").await;
        enter(&a, world, &world.beta.context()).await;
        sees(&a, "execute mine", THEIRS).await;
        sees(&a, "execute one (1)", &["beta one"]).await;
        a.batch_execute("rollback; begin; set local role rowhouse_enforced")
            .await
            .unwrap();
        refused(&a, "execute mine", "RH001").await;
    }
}

/// They share `transaction_timestamp()`, which the seal holds: so a context can be carried on, but only one's own, and
/// no further than to the end of the text.
pub async fn c23_transactions_in_one_text_stay_in_their_own_tenant(world: &World) {
    let a = world.app().await;
    let ticket = world
        .house
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    let keep = "do $$ declare s text; begin foreach s in array '{tenant_id,user_id,context,seal}'::text[] loop
        perform set_config('app.' || s, current_setting('app.' || s), false); end loop; end $$";
    let text = format!(
        "begin; select rowhouse.enter('{}'); {keep}; commit; begin; select body from notes order by 1; commit",
        ticket.reveal()
    );
    match attempt(&a, &text).await {
        Ok((rows, _)) => super::says_nothing_of_beta(&rows.join("\n")),
        Err(refusal) => assert_eq!(refusal.code, "RH002", "HOLE: {refusal:?}"),
    }
    drop(a.batch_execute("rollback").await);
    is_not_believed(&a).await;
    let forged = text.replace(
        "commit; begin;",
        &format!("commit; begin; set app.tenant_id = '{}';", beta(world)),
    );
    let refusal = attempt(&a, &forged)
        .await
        .expect_err("HOLE: a forged context was believed");
    assert_eq!(refusal.code, "RH002", "HOLE: {refusal:?}");
}
