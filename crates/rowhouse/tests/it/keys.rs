//! API keys: shown once, found by digest, refused from the next transaction after they were revoked.

use rowhouse::keys::{self, Environment, Permission};
use rowhouse::{Error, Rowhouse};

use crate::world::{World, config};

#[tokio::test]
async fn a_key_enters_its_tenant_until_it_is_revoked_on_every_process() {
    let world = World::new().await;
    let other_process = Rowhouse::connect(config(&world.database)).await.unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let key = keys::create(
        &mut tx,
        "ci",
        &[Permission::Read, Permission::Write],
        Environment::Sandbox,
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert!(key.secret.reveal().starts_with("tk_") && key.secret.reveal().len() == 35);

    for house in [&world.house, &other_process] {
        let context = keys::authenticate(house, key.secret.reveal())
            .await
            .unwrap();
        let rows = house
            .query(
                &context,
                "select rowhouse.current_tenant(), rowhouse.caller_role()",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(rows[0].get::<_, rowhouse::ids::TenantId>(0), world.alpha.id);
        assert_eq!(rows[0].get::<_, &str>(1), "key");
    }

    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    keys::revoke(&mut tx, key.id).await.unwrap();
    tx.commit().await.unwrap();
    for house in [&world.house, &other_process] {
        // The digest is still remembered; the database is asked all the same.
        let context = keys::authenticate(house, key.secret.reveal())
            .await
            .unwrap();
        let refused = house.query(&context, "select 1", &[]).await;
        assert!(matches!(refused, Err(Error::NotAMember)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_reading_key_writes_nothing_and_a_wrong_one_opens_nothing() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let key = keys::create(
        &mut tx,
        "reader",
        &[Permission::Read],
        Environment::Production,
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let context = keys::authenticate(&world.house, key.secret.reveal())
        .await
        .unwrap();
    let write = world
        .house
        .execute(&context, "update rowhouse.resources set title = 'x'", &[])
        .await;
    assert!(matches!(write, Err(Error::ReadOnly)), "{write:?}");
    let read = world
        .house
        .query(&context, "select count(*) from rowhouse.resources", &[])
        .await;
    assert_eq!(read.unwrap()[0].get::<_, i64>(0), 0);

    let mut wrong = key.secret.reveal().to_owned();
    wrong.replace_range(34..35, if wrong.ends_with('a') { "b" } else { "a" });
    for text in [
        wrong.as_str(),
        "",
        "tk_",
        "tk_short",
        &key.secret.reveal().to_uppercase(),
        &key.secret.reveal()[..34],
    ] {
        assert!(
            matches!(
                keys::authenticate(&world.house, text).await,
                Err(Error::NotAMember)
            ),
            "{text}"
        );
    }
}
