//! The wall from inside: what a tenant's transaction sees.

use rowhouse::resources::{self, NewResource, ResourceType};

use crate::world::World;

#[tokio::test]
async fn a_context_sees_its_own_tenant_and_no_other() {
    let world = World::new().await;
    for (mine, name) in [(&world.alpha, "ALPHA"), (&world.beta, "BETA")] {
        let rows = world
            .house
            .query(
                &mine.context(),
                "select name from rowhouse.organizations",
                &[],
            )
            .await
            .unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(names, [name]);
    }
}

/// A caller's own condition must not be tried on others' rows before the floor is asked: whether the floor was asked at
/// all would tell if one of them fits, and a search by halves would read their texts letter by letter.
#[tokio::test]
async fn a_callers_condition_is_not_tried_on_foreign_rows_before_the_floor() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    resources::create(&mut tx, NewResource::new(ResourceType::Prompt, "Quarterly"))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let attacker = world.app().await;
    attacker
        .batch_execute("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off")
        .await
        .unwrap();
    for (table, condition) in [
        ("rowhouse.resources", "title > 'Q' and title < 'R'"), // beta's row fits
        ("rowhouse.resources", "title > 'X' and title < 'Y'"), // none does
        ("rowhouse.resources", "project_id is null"),          // beta's row fits
        ("rowhouse.resources", "project_id is not null"),
        ("rowhouse.tenants", "slug > 'be' and slug < 'bf'"),
        ("rowhouse.tenants", "slug > 'xe' and slug < 'xf'"),
    ] {
        let answer = attacker
            .query(&format!("select 1 from {table} where {condition}"), &[])
            .await
            .unwrap_err();
        assert_eq!(
            answer.code().map(tokio_postgres::error::SqlState::code),
            Some("RH001"),
            "{table}: {condition}"
        );
    }

    // Inside a tenant, the plan says that the floor was asked, whatever the condition.
    let mut tx = world
        .house
        .begin(&world.alpha.context().read_only())
        .await
        .unwrap();
    tx.batch("set local enable_indexscan = off; set local enable_bitmapscan = off")
        .await
        .unwrap();
    for range in ["title > 'Q' and title < 'R'", "title > 'X' and title < 'Y'"] {
        let plan = tx
            .query(&format!("explain (analyze, costs off, timing off, summary off) select 1 from rowhouse.resources where {range}"), &[])
            .await
            .unwrap();
        let plan: String = plan
            .iter()
            .map(|row| row.get::<_, String>(0) + "\n")
            .collect();
        assert!(!plan.contains("never executed"), "{plan}");
    }
    // The control: what fits and is one's own is found.
    let mut tx = world
        .house
        .begin(&world.beta.context().read_only())
        .await
        .unwrap();
    let found = tx
        .query(
            "select title from rowhouse.resources where title > 'Q' and title < 'R'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}
