//! The chain over a tenant's trail: what is sealed cannot be changed, removed or added to unnoticed, also by whom no policy binds.

use std::time::Duration;

use rowhouse::audit::{self, Sealed, Verified};
use rowhouse::resources::{self, NewResource, ResourceType};
use rowhouse::{Error, Rowhouse, TenantTx};

use crate::attacks::{allowed, alpha, attacker, checks, config_of, is_refused, refused, sees};
use crate::world::World;

checks![
    what_is_sealed_is_whole,
    a_row_that_was_changed_is_found,
    a_row_that_is_gone_is_found,
    a_row_that_was_slipped_in_is_found,
    a_seal_that_was_made_anew_is_found,
    the_trail_is_sealed_by_the_platform_only,
    two_at_once_seal_each_row_once,
    two_sealers_at_once_do_not_fail,
    each_tenant_has_its_own_chain,
    no_lock_of_a_tenants_holds_up_the_sealing,
    no_row_is_too_long_to_be_sealed,
    a_trail_that_cannot_be_sealed_holds_up_no_other,
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

async fn seal_everywhere(world: &World) -> Sealed {
    audit::seal_everywhere(&world.house).await.unwrap()
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
    let second = elsewhere(world).await;
    let other = async {
        let mut tx = second.begin_system(world.alpha.id).await.unwrap();
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

/// The second began before the first was done; one time there is more to seal for it, one time there is not.
pub async fn two_sealers_at_once_do_not_fail(world: &World) {
    let elsewhere = elsewhere(world).await;
    for more in [0_u8, 3] {
        happen(world, 5).await;
        let mut first = inside(world).await;
        assert!(audit::seal(&mut first).await.unwrap() >= 5);
        happen(world, more.into()).await;
        let second = async {
            let mut tx = elsewhere.begin_system(world.alpha.id).await.unwrap();
            let sealed = audit::seal(&mut tx).await?;
            tx.commit().await?;
            Ok::<_, Error>(sealed)
        };
        let done = async {
            while !waits(world).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            first.commit().await.unwrap();
        };
        let (sealed, ()) = tokio::join!(second, done);
        assert!(matches!(sealed, Ok(0)), "HOLE: {more}: {sealed:?}");
        let found = verify(world).await;
        assert!(found.whole, "HOLE: {found:?}");
        assert_eq!(found.unsealed, i64::from(more));
        assert_eq!(seal(world).await, i32::from(more));
    }
}

/// Another process, with connections of its own.
async fn elsewhere(world: &World) -> Rowhouse {
    Rowhouse::connect(config_of(world)).await.unwrap()
}

async fn waits(world: &World) -> bool {
    let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    world
        .superuser()
        .await
        .query_one(waiting, &[])
        .await
        .unwrap()
        .get(0)
}

pub async fn each_tenant_has_its_own_chain(world: &World) {
    happen(world, 3).await;
    assert!(seal_everywhere(world).await.sealed >= 3);
    assert_eq!(seal_everywhere(world).await, Sealed::default());
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

/// He takes what he can while the platform seals: advisory locks by the tenant's name, and, were he let, rows and tables.
pub async fn no_lock_of_a_tenants_holds_up_the_sealing(world: &World) {
    happen(world, 3).await;
    let tenant = alpha(world);
    let app = attacker(world).await;
    let squat = format!(
        "select count(pg_advisory_lock(hashtextextended('{tenant}', n))), count(pg_advisory_lock(n)) from generate_series(0, 100) n"
    );
    allowed(&app, &squat).await;
    for lock in [
        "select from rowhouse.audit_log for update",
        "select from rowhouse.audit_log for key share",
        "select from rowhouse.audit_seals for update",
        "select from rowhouse.audit_seals for key share",
        "select from rowhouse.tenants for update",
        "lock table rowhouse.audit_log in share mode",
        "lock table rowhouse.audit_seals in access exclusive mode",
    ] {
        refused(&app, lock, "42501").await;
    }
    // A row of his own that is not there for the others yet holds up nobody.
    let row =
        "insert into rowhouse.audit_log (id, action) values (gen_random_uuid(), 'keys.create')";
    allowed(&app, row).await;
    let sealed = tokio::time::timeout(Duration::from_secs(10), seal(world)).await;
    assert!(sealed.is_ok_and(|rows| rows >= 3), "HOLE: not sealed");
    app.batch_execute("commit").await.unwrap();
    assert_eq!(seal(world).await, 1);
    assert!(verify(world).await.whole);
}

pub async fn no_row_is_too_long_to_be_sealed(world: &World) {
    let app = attacker(world).await;
    let row = |action: &str, request: &str, detail: &str| {
        format!(
            "insert into rowhouse.audit_log (id, action, request_id, detail)
             values (gen_random_uuid(), {action}, {request}, to_jsonb({detail}))"
        )
    };
    for (action, request, detail) in [
        ("repeat('a', 101)", "null", "1"),
        ("repeat('é', 51)", "null", "1"),
        ("'a.b'", "repeat('a', 501)", "1"),
        ("'a.b'", "null", "repeat('a', 65535)"),
        ("'a.b'", "null", "repeat('a', 200000000)"),
    ] {
        refused(&app, &row(action, request, detail), "23514").await;
    }
    allowed(
        &app,
        &row("repeat('a', 100)", "repeat('a', 500)", "repeat('a', 65534)"),
    )
    .await;
    app.batch_execute("commit").await.unwrap();
    assert!(seal(world).await > 0 && verify(world).await.whole);
}

/// Whichever comes first.
pub async fn a_trail_that_cannot_be_sealed_holds_up_no_other(world: &World) {
    let last = "insert into rowhouse.audit_seals (tenant_id, number, rows, digest) values ($1, $2, 1, sha256(''))";
    let root = world.superuser().await;
    for (broken, other) in [(&world.alpha, &world.beta), (&world.beta, &world.alpha)] {
        root.execute(last, &[&broken.id, &i64::MAX]).await.unwrap();
        root.execute("update rowhouse.audit_log set seal = null", &[])
            .await
            .unwrap();
        let all = seal_everywhere(world).await;
        assert!(
            all.sealed > 0 && all.failed == [broken.id],
            "HOLE: {}: {all:?}",
            other.slug
        );
        root.execute("delete from rowhouse.audit_seals", &[])
            .await
            .unwrap();
    }
}
