//! P05 to P08, P11 and P12: a context of another project is forged, mixed, kept, or met by the next borrower.

use std::time::Duration;

use rowhouse::projects::{self, ProjectRole};
use rowhouse::{Context, resources};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    BODIES, MINE, MY_RESOURCE, THEIR_RESOURCE, THEIRS, inside, nothing_changed, scene, shut,
};
use crate::attacks::{
    allowed, alpha, attempt, checks, enter, is_refused, lone, refused, sees, touches,
};
use crate::people::user_of;
use crate::world::{World, cluster};

checks![
    p05_a_forged_list_of_projects_is_refused,
    p05_savepoints_and_exceptions_bring_back_no_other_project,
    p06_a_ticket_narrowed_to_one_project_is_in_no_other,
    p07_parts_of_two_tickets_for_two_projects_do_not_fit_together,
    p08_who_left_a_project_is_out_at_the_next_transaction,
    p11_a_kept_plan_answers_the_project_that_executes_it,
    p11_parallel_workers_are_bound_to_the_callers_projects,
    p12_what_is_held_does_not_meet_who_is_in_another_project,
];

/// Enters once more, in the same transaction.
async fn enter_again(client: &Client, world: &World, who: &Context) {
    let ticket = world
        .house
        .ticket(who, Duration::from_mins(1))
        .await
        .unwrap();
    allowed(
        client,
        &format!("select rowhouse.enter('{}')", ticket.reveal()),
    )
    .await;
}

/// The context with another list of projects in it, field by field.
async fn forged(client: &Client, projects: &str, fields: &[usize]) -> String {
    let context = allowed(client, "select current_setting('app.context')")
        .await
        .remove(0);
    let mut parts: Vec<&str> = context.split(';').collect();
    for field in fields {
        parts[*field] = projects;
    }
    parts.join(";")
}

pub async fn p05_a_forged_list_of_projects_is_refused(world: &World) {
    let s = scene(world).await;
    let both = format!("{{{},{}}}", s.apollo, s.gemini);
    let other = format!("{{{}}}", s.gemini);
    for list in [both.as_str(), &other, "{}"] {
        for fields in [&[2][..], &[4], &[5], &[2, 4, 5]] {
            for local in [true, false] {
                let a = inside(world, &s.ann).await;
                sees(&a, BODIES, MINE).await;
                let context = forged(&a, list, fields).await;
                let is = allowed(&a, "select current_setting('app.context')").await;
                if is[0] == context {
                    continue; // she has it already
                }
                allowed(
                    &a,
                    &format!("select set_config('app.context', '{context}', {local})"),
                )
                .await;
                for sql in [
                    BODIES,
                    "select rowhouse.current_projects()",
                    "select title from rowhouse.resources",
                    "table rowhouse.deployments",
                    "update tasks set body = 'x'",
                ] {
                    shut(&a, sql, "RH002").await;
                }
            }
        }
    }
    // Inside the very statement that reads.
    let a = inside(world, &s.ann).await;
    let context = forged(&a, &both, &[2]).await;
    for sql in [
        format!(
            "select body from tasks where set_config('app.context', '{context}', true) is not null"
        ),
        format!(
            "with f as materialized (select set_config('app.context', '{context}', true) as c) select body from f, tasks where c is not null"
        ),
    ] {
        a.batch_execute("savepoint clean").await.unwrap();
        if let Ok((mut rows, _)) = attempt(&a, &sql).await {
            rows.sort();
            assert_eq!(rows, MINE, "HOLE: {sql}");
        }
        a.batch_execute("rollback to savepoint clean")
            .await
            .unwrap();
    }
    sees(&a, BODIES, MINE).await;
    let g = inside(world, &s.gil).await;
    sees(&g, BODIES, THEIRS).await;
}

pub async fn p05_savepoints_and_exceptions_bring_back_no_other_project(world: &World) {
    let s = scene(world).await;
    let a = inside(world, &s.ann).await;
    let context = forged(&a, &format!("{{{}}}", s.gemini), &[2, 4]).await;
    a.batch_execute("savepoint clean").await.unwrap();
    allowed(&a, &format!("set local app.context = '{context}'")).await;
    a.batch_execute("savepoint forged").await.unwrap();
    enter_again(&a, world, &s.ann).await;
    sees(&a, BODIES, MINE).await;
    a.batch_execute("rollback to savepoint forged")
        .await
        .unwrap();
    shut(&a, BODIES, "RH002").await;
    a.batch_execute("rollback to savepoint clean")
        .await
        .unwrap();
    sees(&a, BODIES, MINE).await;
    for block in [
        format!(
            "begin perform set_config('app.context', '{context}', true); raise exception 'x'; exception when others then null; end"
        ),
        format!(
            "begin perform set_config('app.context', '{context}', false); perform from tasks; exception when others then null; end"
        ),
    ] {
        sees(&a, &format!("do $$ {block} $$; {BODIES}"), MINE).await;
    }
    // A second ticket, undone: the first one's projects, and no others.
    let owner = world.alpha.context();
    a.batch_execute("rollback").await.unwrap();
    enter(&a, world, &owner.clone().in_project(s.apollo.into())).await;
    a.batch_execute("savepoint first").await.unwrap();
    enter_again(&a, world, &owner.in_project(s.gemini.into())).await;
    sees(&a, BODIES, THEIRS).await;
    a.batch_execute("rollback to savepoint first")
        .await
        .unwrap();
    sees(&a, BODIES, MINE).await;
}

pub async fn p06_a_ticket_narrowed_to_one_project_is_in_no_other(world: &World) {
    let s = scene(world).await;
    let owner = world.alpha.context();
    let whole = inside(world, &owner).await;
    let all: Vec<&str> = MINE.iter().chain(THEIRS).copied().collect();
    sees(&whole, BODIES, &all).await;
    let a = inside(world, &owner.clone().in_project(s.apollo.into())).await;
    sees(&a, BODIES, MINE).await;
    let resources = "select title from rowhouse.resources where project_id is not null";
    sees(&a, resources, &["apollo plan"]).await;
    for sql in [
        format!(
            "insert into tasks (project_id, id, body) values ('{}', 9, 'x')",
            s.gemini
        ),
        format!(
            "update tasks set project_id = '{}', id = 100 where id = 1",
            s.gemini
        ),
        format!(
            "update rowhouse.resources set project_id = '{}' where id = '{MY_RESOURCE}'",
            s.gemini
        ),
    ] {
        shut(&a, &sql, "42501").await;
        touches(
            &a,
            &sql.replace(&s.gemini.to_string(), &s.apollo.to_string()),
            1,
        )
        .await;
    }
    // And nobody narrows his way into one.
    let gemini = s.ann.clone().in_project(s.gemini.into());
    is_refused(
        world.house.query(&gemini, BODIES, &[]).await,
        "not-a-member",
    );
    let rows = world
        .house
        .query(&s.gil.clone().in_project(s.gemini.into()), BODIES, &[])
        .await;
    assert_eq!(rows.unwrap().len(), THEIRS.len());
}

pub async fn p07_parts_of_two_tickets_for_two_projects_do_not_fit_together(world: &World) {
    let s = scene(world).await;
    let settings = ["tenant_id", "user_id", "context", "seal"];
    let read = async |a: &Client| -> Vec<String> {
        let mut values = Vec::new();
        for setting in settings {
            let sql = format!("select current_setting('app.{setting}')");
            values.push(allowed(a, &sql).await.remove(0));
        }
        values
    };
    // One who got hold of both tickets, in one transaction: each seal is good here, for its own context.
    let a = inside(world, &s.ann).await;
    let hers = read(&a).await;
    enter_again(&a, world, &s.gil).await;
    sees(&a, BODIES, THEIRS).await;
    let his = read(&a).await;
    let set = async |values: &[&String]| {
        for (setting, value) in settings.iter().zip(values) {
            let sql = format!("select set_config('app.{setting}', '{value}', true)");
            allowed(&a, &sql).await;
        }
    };
    for mix in 1..15_usize {
        let mixed: Vec<&String> = (0..4)
            .map(|n| if mix >> n & 1 == 0 { &hers[n] } else { &his[n] })
            .collect();
        set(&mixed).await;
        if [&hers, &his]
            .iter()
            .any(|whole| whole.iter().eq(mixed.iter().copied()))
        {
            continue; // the tenant is the same
        }
        shut(&a, BODIES, "RH002").await;
    }
    set(&hers.iter().collect::<Vec<_>>()).await;
    sees(&a, BODIES, MINE).await;
}

pub async fn p08_who_left_a_project_is_out_at_the_next_transaction(world: &World) {
    let s = scene(world).await;
    let owner = world.alpha.context();
    let narrowed = s.gil.clone().in_project(s.gemini.into());
    let tickets = [
        world
            .house
            .ticket(&s.gil, Duration::from_hours(1))
            .await
            .unwrap(),
        world
            .house
            .ticket(&narrowed, Duration::from_hours(1))
            .await
            .unwrap(),
    ];
    let app = world.app().await;
    let with = async |ticket: usize| {
        app.batch_execute("rollback; begin").await.unwrap();
        attempt(
            &app,
            &format!("select rowhouse.enter('{}')", tickets[ticket].reveal()),
        )
        .await
    };
    for ticket in [0, 1] {
        with(ticket).await.unwrap();
        sees(&app, BODIES, THEIRS).await;
    }
    let mut tx = world.house.begin(&owner).await.unwrap();
    projects::remove_member(&mut tx, s.gemini.into(), user_of(&s.gil))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    with(0).await.unwrap();
    sees(&app, BODIES, &[]).await;
    sees(
        &app,
        "select title from rowhouse.resources where project_id is not null",
        &[],
    )
    .await;
    let out = with(1)
        .await
        .expect_err("HOLE: a ticket for a project that he left");
    assert_eq!(out.code, "RH005", "HOLE: {out:?}");
    // Back in as a viewer, he reads, and writes what is the project's no more.
    let mut tx = world.house.begin(&owner).await.unwrap();
    projects::set_role(
        &mut tx,
        s.gemini.into(),
        user_of(&s.gil),
        ProjectRole::Viewer,
    )
    .await
    .unwrap();
    resources::revoke(
        &mut tx,
        THEIR_RESOURCE.parse::<Uuid>().unwrap().into(),
        s.gil.principal_id(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    with(1).await.unwrap();
    sees(&app, BODIES, THEIRS).await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'x' where id = '{THEIR_RESOURCE}'"),
        0,
    )
    .await;
    // With the project everybody is out of it, its owner's tickets too.
    let mut tx = world.house.begin(&owner).await.unwrap();
    projects::delete(&mut tx, s.gemini.into(), None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    with(0).await.unwrap();
    sees(&app, BODIES, &[]).await;
    let whole = inside(world, &owner).await;
    sees(&whole, BODIES, MINE).await;
    nothing_changed(world).await;
}

pub async fn p11_a_kept_plan_answers_the_project_that_executes_it(world: &World) {
    let s = scene(world).await;
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        let a = world.app().await;
        a.batch_execute(&format!("set plan_cache_mode = {mode}"))
            .await
            .unwrap();
        enter(&a, world, &s.gil).await;
        allowed(&a, &format!("prepare all_bodies as {BODIES}; prepare one (int) as select body from tasks where id = $1")).await;
        for _ in 0..7 {
            sees(&a, "execute all_bodies", THEIRS).await;
            sees(&a, "execute one (1)", &["secret one"]).await;
        }
        // Also one who enters again, and a cursor that was made and not read before.
        a.batch_execute("declare late cursor for table tasks")
            .await
            .unwrap();
        enter_again(&a, world, &s.ann).await;
        sees(&a, "execute all_bodies", MINE).await;
        sees(&a, "execute one (1)", &["apollo one"]).await;
        let late = allowed(&a, "fetch all from late").await;
        assert_eq!(late.len(), MINE.len(), "HOLE: {late:?}");
        assert!(
            late.iter().all(|row| row.contains("apollo")),
            "HOLE: {late:?}"
        );
        a.batch_execute("commit").await.unwrap();
        refused(&a, "execute all_bodies", "RH001").await;
        enter(&a, world, &Context::tenant(world.alpha.id)).await;
        sees(&a, "execute all_bodies", &[]).await;
    }
}

pub async fn p11_parallel_workers_are_bound_to_the_callers_projects(world: &World) {
    let s = scene(world).await;
    let root = world.superuser().await;
    root.batch_execute(&format!(
        "insert into tasks select '{0}', case n % 3 when 0 then '{1}' else '{2}' end::uuid, n, case n % 3 when 0 then 'apollo' else 'secret' end
         from generate_series(10, 3009) n;
         analyze tasks",
        alpha(world),
        s.apollo,
        s.gemini
    ))
    .await
    .unwrap();
    let forced = if cluster().major() < 16 {
        "force_parallel_mode"
    } else {
        "debug_parallel_query"
    };
    let a = world.app().await;
    a.batch_execute(&format!(
        "set {forced} = on; set parallel_leader_participation = off; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
         set min_parallel_table_scan_size = 0; set max_parallel_workers_per_gather = 2; set enable_indexscan = off; set enable_bitmapscan = off"
    ))
    .await
    .unwrap();
    let count = "select count(*), count(*) filter (where body like 'secret%') from tasks";
    // The second evaluates the context in the workers, row by row.
    for sql in [
        count.to_owned(),
        format!("{count} where project_id = any (rowhouse.current_projects())"),
    ] {
        for (who, answer) in [(&s.ann, "1002|0"), (&s.gil, "2003|2003")] {
            enter(&a, world, who).await;
            let plan = allowed(&a, &format!("explain (analyze, costs off) {sql}"))
                .await
                .join("\n");
            assert!(
                plan.contains("Workers Launched: 1") || plan.contains("Workers Launched: 2"),
                "not parallel:\n{plan}"
            );
            sees(&a, &sql, &[answer]).await;
            a.batch_execute("rollback").await.unwrap();
        }
    }
}

pub async fn p12_what_is_held_does_not_meet_who_is_in_another_project(world: &World) {
    let s = scene(world).await;
    let house = lone(world).await;
    for (leave, look) in [
        (
            format!("declare held cursor with hold for {BODIES}"),
            "select count(*) from pg_cursors where is_holdable",
        ),
        (
            format!("prepare theirs as {BODIES}"),
            "select count(*) from pg_prepared_statements where from_sql",
        ),
    ] {
        let mut tx = house.begin(&s.gil).await.unwrap();
        tx.batch(&leave).await.unwrap();
        tx.commit().await.unwrap();
        let bodies = async |who: &Context| -> Vec<String> {
            let rows = house.query(who, BODIES, &[]).await;
            let rows = rows.unwrap_or_else(|error| {
                panic!("HOLE: the next borrower was hurt by {leave}: {error:?}")
            });
            rows.iter().map(|row| row.get(0)).collect()
        };
        assert_eq!(bodies(&s.ann).await, MINE, "HOLE: after {leave}");
        let left = house.query(&s.ann, look, &[]).await.unwrap();
        assert_eq!(left[0].get::<_, i64>(0), 0, "HOLE: left by {leave}");
        assert_eq!(bodies(&s.gil).await, THEIRS);
    }
}
