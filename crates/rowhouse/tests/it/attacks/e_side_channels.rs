//! E: what can be learned without reading a row.

use super::{
    THEIRS, allowed, alpha, attacker, beta, checks, enter, heard, noisy, refused,
    says_nothing_of_beta, sees, sees_mine, touches, walled,
};
use crate::world::World;

checks![
    e01_the_tenant_is_a_condition_of_the_index,
    e02_statistics_of_values_are_not_readable,
    e03_the_texts_of_others_hold_no_values,
    e05_nothing_is_announced,
    e06_a_foreign_row_is_answered_like_a_missing_one,
    the_floor_is_asked_before_the_callers_conditions,
    no_condition_of_the_callers_is_tried_on_a_foreign_row,
    no_condition_of_the_callers_is_tried_on_a_row_of_another_project,
];

pub async fn e01_the_tenant_is_a_condition_of_the_index(world: &World) {
    let root = world.superuser().await;
    walled(&root, "big").await;
    let mine = alpha(world);
    root.batch_execute(&format!(
        "alter table big drop constraint big_tenant; -- the other 49 tenants need not exist
         insert into big select case n % 50 when 0 then '{mine}' else md5((n % 50)::text) end::uuid, n, 'body' from generate_series(1, 20000) n;
         analyze big"
    ))
    .await
    .unwrap();
    let a = attacker(world).await;
    for sql in [
        "select * from big",
        "select * from big where id = 50",
        "select * from big where body = 'body' order by id limit 10",
        "update big set body = body where id = 100",
        "select count(*) from big where id > 19900",
    ] {
        let plan = allowed(&a, &format!("explain (analyze, costs off) {sql}"))
            .await
            .join("\n");
        assert!(
            plan.contains("Index Cond: (") && plan.contains("tenant_id ="),
            "HOLE: not by index: {sql}\n{plan}"
        );
        let removed = plan
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "))
            .filter_map(|count| count.parse::<u64>().ok())
            .max();
        assert!(
            removed.unwrap_or(0) <= 400,
            "HOLE: it counts the rows of others: {sql}\n{plan}"
        );
        says_nothing_of_beta(&plan);
    }
    sees(&a, "select count(*) from big", &["400"]).await;
}

pub async fn e02_statistics_of_values_are_not_readable(world: &World) {
    let root = world.superuser().await;
    root.batch_execute(
        "insert into notes (tenant_id, id, body) select t.id, n, t.slug || ' common' from rowhouse.tenants t, generate_series(100, 200) n;
         create statistics both_columns (mcv) on id, body from notes; analyze notes; analyze rowhouse.resources; analyze rowhouse.tenants",
    )
    .await
    .unwrap();
    let statistics = "select count(*) > 0 from pg_stats where schemaname in ('public', 'rowhouse') and tablename in ('notes', 'resources', 'tenants')";
    let extended = "select count(*) > 0 from pg_stats_ext where tablename = 'notes'";
    sees(&root, statistics, &["t"]).await;
    sees(&root, extended, &["t"]).await;
    let a = attacker(world).await;
    sees(&a, statistics, &["f"]).await;
    sees(&a, extended, &["f"]).await;
    for catalogue in [
        "pg_statistic",
        "pg_statistic_ext_data",
        "pg_authid",
        "pg_user_mapping",
    ] {
        refused(&a, &format!("table {catalogue}"), "42501").await;
    }
    sees(&a, "select count(*) from notes", &["103"]).await;
}

pub async fn e03_the_texts_of_others_hold_no_values(world: &World) {
    let house = world.house.clone();
    let victim = world.beta.context();
    let busy = tokio::spawn(async move {
        house
            .query(
                &victim,
                "select body, pg_sleep(3)::text from notes where body = $1",
                &[&"beta two"],
            )
            .await
            .unwrap()
            .len()
    });
    let a = world.app().await;
    let look = "select query from pg_stat_activity where pid <> pg_backend_pid() and usename = session_user and datname = current_database()";
    let mut seen = String::new();
    for _ in 0..100 {
        seen = allowed(&a, look).await.join("\n");
        if seen.contains("pg_sleep") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(
        seen.contains("pg_sleep"),
        "the statement of the other is not even running: {seen}"
    );
    for secret in THEIRS
        .iter()
        .map(ToString::to_string)
        .chain([beta(world).to_string(), r"\x01".into()])
    {
        assert!(!seen.contains(&secret), "HOLE: it shows {secret}: {seen}");
    }
    assert_eq!(busy.await.unwrap(), 1);
    refused(&a, "table pg_stat_statements", "42P01 42501").await;
}

pub async fn e05_nothing_is_announced(world: &World) {
    let (a, mut messages) = noisy(world).await;
    // The names that somebody would guess, since one cannot listen to all.
    for channel in [
        "rowhouse",
        "rowhouse_changes",
        "tenants",
        "tenant_changed",
        "notes",
        "audit_log",
    ] {
        allowed(&a, &format!("listen {channel}")).await;
    }
    world
        .house
        .execute(
            &world.beta.context(),
            "insert into notes (id, body) values (9, 'beta nine')",
            &[],
        )
        .await
        .unwrap();
    world
        .house
        .execute(
            &world.beta.context(),
            "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'beta team')",
            &[],
        )
        .await
        .unwrap();
    let root = world.superuser().await;
    sees(
        &root,
        "select oid::regprocedure from pg_proc where pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and prosrc ~* 'notify'",
        &[],
    )
    .await;
    allowed(&a, "notify notes, 'own'").await;
    allowed(&a, "select 1").await;
    tokio::task::yield_now().await;
    let heard = heard(&mut messages);
    assert!(
        heard.contains("NOTIFY notes own"),
        "one does not even hear oneself: {heard}"
    );
    says_nothing_of_beta(&heard);
}

/// Byte for byte, and by the pages that are looked at. How long it takes is measured elsewhere.
pub async fn e06_a_foreign_row_is_answered_like_a_missing_one(world: &World) {
    let root = world.superuser().await;
    walled(&root, "big").await;
    let (mine, theirs) = (alpha(world), beta(world));
    root.batch_execute(&format!(
        "insert into big select case n % 2 when 0 then '{mine}' else '{theirs}' end::uuid, n, 'body' from generate_series(1, 20000) n; analyze big"
    ))
    .await
    .unwrap();
    let a = attacker(world).await;
    for sql in [
        "select body from big where id = $",
        "select body from big where id = $ for update",
        "update big set body = 'x' where id = $ returning id",
        "delete from big where id = $ returning id",
    ] {
        let foreign = sql.replace('$', "10001");
        let missing = sql.replace('$', "99999");
        touches(&a, &foreign, 0).await;
        touches(&a, &missing, 0).await;
        touches(&a, &sql.replace('$', "10002"), 1).await;
        let pages = async |sql: &str| -> Vec<String> {
            allowed(
                &a,
                &format!("explain (analyze, buffers, costs off, timing off, summary off) {sql}"),
            )
            .await
            .into_iter()
            .map(|line| line.replace("10001", "ID").replace("99999", "ID"))
            .take_while(|line| !line.starts_with("Planning"))
            .collect()
        };
        pages(&foreign).await;
        let (foreign, missing) = (pages(&foreign).await, pages(&missing).await);
        // A missing id may lie at the edge of the index: the same number of rows, not one more page read by far.
        assert_eq!(
            foreign.len(),
            missing.len(),
            "HOLE: {foreign:#?}\n{missing:#?}"
        );
    }
    sees_mine(&a).await;
    a.batch_execute("rollback").await.unwrap();
    enter(&a, world, &world.beta.context()).await;
    sees(&a, "select body from big where id = 10001", &["body"]).await;
}

/// A caller's own condition must not be tried on others' rows before the floor is asked: whether the floor was asked at
/// all would tell if one of them fits, and a search by halves would read their texts letter by letter.
pub async fn the_floor_is_asked_before_the_callers_conditions(world: &World) {
    let no_index =
        "set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off";
    let outside = world.app().await;
    outside.batch_execute(no_index).await.unwrap();
    for (table, condition) in [
        ("public.notes", "body > 'beta o' and body < 'beta p'"), // beta's row fits
        ("public.notes", "body > 'x' and body < 'y'"),           // none does
        ("rowhouse.resources", "title > 'beta' and title < 'bf'"),
        ("rowhouse.resources", "title > 'x' and title < 'y'"),
        ("rowhouse.resources", "project_id is null"), // all fit
        ("rowhouse.resources", "project_id is not null"),
        ("rowhouse.tenants", "slug > 'be' and slug < 'bf'"),
        ("rowhouse.tenants", "slug > 'xe' and slug < 'xf'"),
    ] {
        refused(
            &outside,
            &format!("select 1 from {table} where {condition}"),
            "RH001",
        )
        .await;
    }

    // Inside a tenant, the plan says that the floor was asked, whatever the condition.
    let inside = attacker(world).await;
    inside.batch_execute(no_index).await.unwrap();
    for range in ["> 'beta o' and body < 'beta p'", "> 'x' and body < 'y'"] {
        let plan = allowed(
            &inside,
            &format!("explain (analyze, costs off, timing off, summary off) select 1 from public.notes where body {range}"),
        )
        .await
        .join("\n");
        assert!(!plan.contains("never executed"), "HOLE: {plan}");
    }
    // What fits and is one's own is found.
    sees(
        &inside,
        "select body from public.notes where body > 'alpha o' and body < 'alpha p'",
        &["alpha one"],
    )
    .await;
}

/// Fails with 22012 on the first row that fits, whatever becomes of that row afterwards. Postgres takes it for leakproof:
/// nothing of the row goes into what fails.
fn trap(condition: &str) -> String {
    format!("case when {condition} then (select 1 / (random() * 0)::int) is null else false end")
}

/// Conditions on a note's text and what is in it that cost the planner half an operator, or nothing: `(fits a note of beta
/// only, fits a note of alpha, fits none)`.
const CHEAP: &[(&str, &str, &str)] = &[
    (
        "body > any ('{beta tw}')",
        "body > any ('{a}')",
        "body > any ('{c}')",
    ),
    (
        "('{\"beta two\": 1}'::jsonb)[body] is not null",
        "('{\"alpha two\": 1}'::jsonb)[body] is not null",
        "('{\"beta ten\": 1}'::jsonb)[body] is not null",
    ),
    (
        "('[3:3]={t}'::bool[])[id]",
        "('[2:2]={t}'::bool[])[id]",
        "('[4:4]={t}'::bool[])[id]",
    ),
];

/// Ways to come by rows that no index of the tenant's leads to.
const SCANS: &[&str] = &[
    "notes",
    "notes tablesample system (100)",
    "(select * from notes where ctid > '(0,0)') n",
    "(select * from notes tablesample system (100) union all select * from notes tablesample system (100)) n",
    "(select * from notes union all select * from notes) n",
];

/// A caller's own condition can be made to fail, or to wait, where it holds. Tried on others' rows, it would read them
/// letter by letter.
pub async fn no_condition_of_the_callers_is_tried_on_a_foreign_row(world: &World) {
    let no_index =
        "set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off";
    for cost in ["default", "0", "1000", "'0x1p-1074'"] {
        let settings = format!("{no_index}; set cpu_operator_cost = {cost}");
        let outside = world.app().await;
        outside.batch_execute(&settings).await.unwrap();
        let inside = world.app().await;
        inside.batch_execute(&settings).await.unwrap();
        enter(&inside, world, &world.alpha.context()).await;
        // Also after the settings were changed once more, behind the first statement over the wall.
        sees_mine(&inside).await;
        inside.batch_execute(&settings).await.unwrap();
        for scan in SCANS {
            for (theirs, mine, nobodys) in CHEAP {
                let select = |condition| format!("select 1 from {scan} where {}", trap(condition));
                for condition in [theirs, nobodys] {
                    sees(&inside, &select(condition), &[]).await;
                    refused(&outside, &select(condition), "RH001").await;
                }
                refused(&inside, &select(mine), "22012").await;
            }
        }
        for write in [
            "update notes set body = body where",
            "delete from notes where",
        ] {
            for (theirs, mine, _) in CHEAP {
                touches(&inside, &format!("{write} {}", trap(theirs)), 0).await;
                refused(&inside, &format!("{write} {}", trap(mine)), "22012").await;
            }
        }
        // In a transaction of its own, which read no other table yet.
        inside.batch_execute("rollback").await.unwrap();
        for slug in ["beta", "gamma"] {
            let ask = format!(
                "select 1 from rowhouse.tenants tablesample system (100) where {}",
                trap(&format!("slug = any ('{{{slug}}}')"))
            );
            refused(&outside, &ask, "RH001").await;
            inside.batch_execute(&settings).await.unwrap();
            enter(&inside, world, &world.alpha.context()).await;
            sees(&inside, &ask, &[]).await;
            inside.batch_execute("rollback").await.unwrap();
        }
    }
    // A plan that was made before the transaction, under settings of its own.
    let a = world.app().await;
    a.batch_execute(no_index).await.unwrap();
    for (n, (theirs, mine, _)) in CHEAP.iter().enumerate() {
        for (whose, condition) in [("theirs", theirs), ("mine", mine)] {
            a.batch_execute(&format!(
                "set plan_cache_mode = force_generic_plan; prepare {whose}_{n} as select 1 from notes where {}; set cpu_operator_cost = 1",
                trap(condition)
            ))
            .await
            .unwrap();
        }
    }
    enter(&a, world, &world.alpha.context()).await;
    for n in 0..CHEAP.len() {
        sees(&a, &format!("execute theirs_{n}"), &[]).await;
        refused(&a, &format!("execute mine_{n}"), "22012").await;
    }
}

/// Nor inside of a tenant, over the floor of projects.
pub async fn no_condition_of_the_callers_is_tried_on_a_row_of_another_project(world: &World) {
    let (mine, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let root = world.superuser().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.batch(&format!(
        "insert into rowhouse.projects (id, name) values ('{mine}', 'mine'), ('{other}', 'other')"
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    root.batch_execute(&format!(
        "create table tasks (tenant_id uuid not null default rowhouse.default_tenant(), project_id uuid not null, body text not null,
           constraint tasks_pkey primary key (tenant_id, project_id, body));
         alter table tasks owner to rowhouse_owner;
         select rowhouse.raise_wall('tasks', 'content', 'enforce', 'project_id');
         grant select on tasks to rowhouse_app;
         insert into tasks values ('{0}', '{mine}', 'own'), ('{0}', '{other}', 'secret')",
        alpha(world)
    ))
    .await
    .unwrap();
    let a = world.app().await;
    enter(&a, world, &world.alpha.context().in_project(mine.into())).await;
    let ask = |text: &str| {
        format!(
            "select body from tasks where {}",
            trap(&format!("body > any ('{{{text}}}')"))
        )
    };
    for text in ["secre", "sf"] {
        sees(&a, &ask(text), &[]).await;
    }
    refused(&a, &ask("ow"), "22012").await;
    sees(&a, "select body from tasks", &["own"]).await;
}
