//! The probe: says "held" where the wall stands, "leak" where a piece of it is missing, and leaves nothing behind.

use rowhouse::tables::probe::{self, Options, Report, Verdict};

use crate::world::World;

/// As the binary does it: the owner's session, and one of the app's.
pub async fn probe(world: &World) -> Report {
    let options = Options {
        app: Some(world.url("test_app").into()),
        ..Options::new("test_app")
    };
    probe::run(&mut world.owner().await, &options, |_| {})
        .await
        .unwrap()
}

#[tokio::test]
async fn our_own_schema_holds() {
    let world = World::new().await;
    let report = probe(&world).await;
    for relation in &report.relations {
        println!("{relation:?}");
    }
    for untried in &report.untried {
        println!("{untried:?}");
    }
    println!("{:?} {} {} {}", report.leaked, report.attempts, report.not_tried, report.seconds);
    assert_eq!(report.verdict, Verdict::Held, "{:?}", report.leaked);
}
