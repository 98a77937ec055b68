//! The chain over a tenant's trail: what is sealed cannot be changed, removed or added to unnoticed, also by whom no policy binds.

use rowhouse::audit::{self, Verified};
use rowhouse::resources::{self, NewResource, ResourceType};
use rowhouse::{Error, TenantTx};

use crate::attacks::{alpha, attacker, checks, is_refused, refused, sees};
use crate::world::World;

checks![
    what_is_sealed_is_whole,
    a_row_that_was_changed_is_found,
    a_row_that_is_gone_is_found,
    a_row_that_was_slipped_in_is_found,
    a_seal_that_was_made_anew_is_found,
    the_trail_is_sealed_by_the_platform_only,
    two_at_once_seal_each_row_once,
    each_tenant_has_its_own_chain,
];

async fn inside(world: &World) -> TenantTx {
    world.house.begin_system(world.alpha.id).await.unwrap()
}

async fn seal(world: &World) -> i32 {
    let mut tx = inside(world).await;
    let sealed = audit::seal(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    sealed
}

async fn verify(world: &World) -> Verified {
    let mut tx = inside(world).await;
    let found = audit::verify(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    found
}

async fn happen(world: &World, times: usize) {
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for number in 0..times {
        resources::create(
            &mut tx,
            NewResource::new(ResourceType::Tag, format!("Number {number}")),
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

/// Three batches, and a tail of two rows.
async fn sealed(world: &World) {
    for _ in 0..3 {
        happen(world, 4).await;
        assert!(seal(world).await >= 4);
    }
    happen(world, 2).await;
    assert!(verify(world).await.whole);
}

async fn is_broken(world: &World, what_was_done: &str, seal: i64) {
    world
        .superuser()
        .await
        .batch_execute(&what_was_done.replace("{alpha}", &alpha(world).to_string()))
        .await
        .unwrap();
    let found = verify(world).await;
    assert!(
        !found.whole && found.broken.contains(&seal),
        "HOLE: not noticed: {what_was_done}: {found:?}"
    );
}

pub async fn what_is_sealed_is_whole(world: &World) {
    let before = verify(world).await;
    assert!(before.whole && before.seals == 0 && before.head.is_none());
    assert!(before.unsealed > 0 && before.unsealed_since.is_some());
    sealed(world).await;
    let found = verify(world).await;
    assert_eq!(
        (found.seals, found.unsealed, found.sealed),
        (3, 2, before.unsealed + 12)
    );
    assert!(seal(world).await == 2 && seal(world).await == 0);
    assert_eq!(verify(world).await.unsealed_since, None);
    assert_ne!(verify(world).await.head, found.head);
}

pub async fn a_row_that_was_changed_is_found(world: &World) {
    sealed(world).await;
    let one = "select id from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2 limit 1";
    is_broken(
        world,
        &format!("update rowhouse.audit_log set actor_id = gen_random_uuid() where id = ({one})"),
        2,
    )
    .await;
}

pub async fn a_row_that_is_gone_is_found(world: &World) {
    sealed(world).await;
    let one = "select id from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 3 limit 1";
    is_broken(
        world,
        &format!("delete from rowhouse.audit_log where id = ({one})"),
        3,
    )
    .await;
    is_broken(
        world,
        "delete from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 1",
        1,
    )
    .await;
}

pub async fn a_row_that_was_slipped_in_is_found(world: &World) {
    sealed(world).await;
    is_broken(
        world,
        "insert into rowhouse.audit_log (tenant_id, id, actor_id, action, seal)
         values ('{alpha}', gen_random_uuid(), gen_random_uuid(), 'keys.create', 1)",
        1,
    )
    .await;
}

/// A seal that fits its rows again no longer fits the one behind it.
pub async fn a_seal_that_was_made_anew_is_found(world: &World) {
    sealed(world).await;
    is_broken(
        world,
        "delete from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2
           and id <> (select min(id::text)::uuid from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2);
         update rowhouse.audit_seals s
         set rows = 1, digest = rowhouse.audit_chain(2, (select digest from rowhouse.audit_seals where tenant_id = '{alpha}' and number = 1),
           (select rowhouse.audit_digest(a) from rowhouse.audit_log a where tenant_id = '{alpha}' and seal = 2))
         where tenant_id = '{alpha}' and number = 2",
        3,
    )
    .await;
}

pub async fn the_trail_is_sealed_by_the_platform_only(world: &World) {
    sealed(world).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    is_refused(audit::seal(&mut tx).await, "not-permitted");
    let app = attacker(world).await;
    for attempt in [
        "select rowhouse.seal_audit(10)",
        "insert into rowhouse.audit_seals (number, rows, digest) values (9, 1, sha256(''))",
        "update rowhouse.audit_seals set rows = 0",
        "delete from rowhouse.audit_seals",
        "update rowhouse.audit_log set seal = null",
        "insert into rowhouse.audit_log (id, action, seal) values (gen_random_uuid(), 'keys.create', 1)",
    ] {
        refused(&app, attempt, "42501").await;
    }
    sees(&app, "select count(*) from rowhouse.audit_seals", &["3"]).await;
    // Another tenant's chain is its own.
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    assert_eq!(audit::verify(&mut tx).await.unwrap().seals, 0);
}

pub async fn two_at_once_seal_each_row_once(world: &World) {
    happen(world, 50).await;
    let one = async {
        let mut tx = inside(world).await;
        let sealed = audit::seal(&mut tx).await;
        tx.commit().await?;
        sealed
    };
    let other = async {
        let mut tx = inside(world).await;
        let sealed = audit::seal(&mut tx).await;
        tx.commit().await?;
        sealed
    };
    let (one, other): (Result<i32, Error>, Result<i32, Error>) = tokio::join!(one, other);
    let sealed = i64::from(one.unwrap() + other.unwrap() + seal(world).await);
    let found = verify(world).await;
    assert!(found.whole, "HOLE: {found:?}");
    assert_eq!((found.sealed, found.unsealed), (sealed, 0));
}

pub async fn each_tenant_has_its_own_chain(world: &World) {
    happen(world, 3).await;
    assert!(audit::seal_everywhere(&world.house).await.unwrap() >= 3);
    assert_eq!(audit::seal_everywhere(&world.house).await.unwrap(), 0);
    for tenant in [&world.alpha, &world.beta] {
        let mut tx = world.house.begin(&tenant.context()).await.unwrap();
        let found = audit::verify(&mut tx).await.unwrap();
        assert!(
            found.whole && found.seals == 1 && found.unsealed == 0,
            "HOLE: {}: {found:?}",
            tenant.slug
        );
    }
}
