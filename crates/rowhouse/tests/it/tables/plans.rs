//! Plans behind the wall: the floor is an index condition, and parallel plans stay.

use rowhouse::tables::{Assign, Protect};
use rowhouse::{Context, TenantTx};
use serde_json::Value;

use super::{build, protect};
use crate::world::World;

async fn plan(tx: &mut TenantTx, sql: &str) -> Value {
    tx.one(&format!("explain (format json) {sql}"), &[])
        .await
        .unwrap()
        .get(0)
}

/// Everything that a plan says under `key`, at any depth.
fn said<'v>(plan: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match plan {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == key {
                    found.push(value);
                }
                said(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| said(item, key, found)),
        _ => {}
    }
}

fn all<'v>(plan: &'v Value, key: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    said(plan, key, &mut found);
    found
}

/// A tenth of a percent of the rows is alpha's, the rest is beta's.
async fn lopsided() -> World {
    let world = World::new().await;
    build(
        &world,
        &format!(
            "create table note (id int primary key, tenant_id uuid not null, kind text not null, at timestamptz not null, body text);
             insert into note
             select n, case when n % 1000 = 0 then '{}'::uuid else '{}'::uuid end, 'k' || n % 7, now() - n * interval '1 second', repeat('x', 50)
             from generate_series(1, 100000) n;
             create index note_by_time on note (at desc);
             create index note_by_kind on note (kind, at) where kind <> 'k6';
             analyze note",
            world.alpha.id.uuid(),
            world.beta.id.uuid()
        ),
    )
    .await;
    protect(&world, &[Protect::content("note", Assign::Empty)])
        .await
        .unwrap();
    build(&world, "analyze note").await;
    world
}

#[tokio::test]
async fn the_floor_is_an_index_condition_for_small_tenants_and_large_ones() {
    let world = lopsided().await;
    for (tenant, rows) in [(&world.alpha, 100), (&world.beta, 99_900)] {
        let mut tx = world.house.begin(&tenant.context()).await.unwrap();
        let own = format!("tenant_id = '{}' and ", tenant.id.uuid());
        for own in ["", own.as_str()] {
            for sql in [
                format!("select * from note where {own} id = 5000"),
                format!("select * from note where {own} true order by at desc limit 50"),
                format!(
                    "select * from note where {own} kind = 'k3' and at > now() - interval '1 minute'"
                ),
                format!("update note set body = 'y' where {own} id = 5000"),
                format!("delete from note where {own} id = 5000"),
            ] {
                let plan = plan(&mut tx, &sql).await;
                let conditions = all(&plan, "Index Cond");
                assert!(
                    !conditions.is_empty()
                        && conditions
                            .iter()
                            .all(|it| it.as_str().unwrap().contains("tenant_id = ")),
                    "{rows} rows, {sql}: {plan:#}"
                );
                let filters = all(&plan, "Filter");
                assert!(
                    filters
                        .iter()
                        .all(|it| !it.as_str().unwrap().contains("tenant_id")),
                    "{rows} rows, {sql}: {plan:#}"
                );
            }
        }
        let counted: i64 = tx
            .one("select count(*) from note", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(counted, rows);
        tx.rollback().await;
    }
}

#[tokio::test]
async fn parallel_plans_are_not_lost_and_see_the_same() {
    let world = lopsided().await;
    let context: Context = world.beta.context();
    let mut tx = world.house.begin(&context).await.unwrap();
    tx.batch(
        "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0;
         set local min_parallel_index_scan_size = 0; set local max_parallel_workers_per_gather = 2",
    )
    .await
    .unwrap();
    let sql = "select count(*), count(distinct tenant_id) from note where body like 'x%'";
    let plan = plan(&mut tx, "select count(*) from note where body like 'x%'").await;
    assert_eq!(
        all(&plan, "Workers Planned").first().map(|it| it.as_i64()),
        Some(Some(2)),
        "{plan:#}"
    );
    let row = tx.one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (99_900, 1));
    tx.rollback().await;
}
