//! The wall from inside: what a tenant's transaction sees.

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
