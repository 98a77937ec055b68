//! Names that look alike, as docs/api.md says: which are one, and which are two.

use rowhouse::{projects, teams};

use crate::attacks::is_refused;
use crate::world::World;

#[tokio::test]
async fn a_name_is_taken_byte_for_byte() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for name in ["Caf\u{E9}", "Cafe\u{301}", "caf\u{E9}"] {
        projects::create(&mut tx, name).await.unwrap();
        teams::create(&mut tx, name).await.unwrap();
    }
    for name in ["Caf\u{E9}", "Cafe\u{301}"] {
        is_refused(
            tx.attempt(async |tx| projects::create(tx, name).await)
                .await,
            "taken",
        );
        is_refused(
            tx.attempt(async |tx| teams::create(tx, name).await).await,
            "taken",
        );
    }
    tx.commit().await.unwrap();
    // Another tenant's names take nothing.
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    projects::create(&mut tx, "Caf\u{E9}").await.unwrap();
    tx.commit().await.unwrap();
}
