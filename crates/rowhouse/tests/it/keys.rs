//! API keys: shown once, found by digest, refused from the next transaction after they were revoked.

use std::time::Duration;

use rowhouse::ids::ProjectId;
use rowhouse::keys::{self, Environment, NewKey, Permission, Scopes};
use rowhouse::{Error, Rowhouse, projects};

use crate::world::{World, config};

#[tokio::test]
async fn a_key_enters_its_tenant_until_it_is_revoked_on_every_process() {
    let world = World::new().await;
    let other_process = Rowhouse::connect(config(&world.database)).await.unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let new = NewKey {
        environment: Environment::Sandbox,
        ..NewKey::new("ci", &[Permission::Read, Permission::Write])
    };
    let made = keys::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    assert!(made.secret.reveal().starts_with("tk_") && made.secret.reveal().len() == 35);

    for house in [&world.house, &other_process] {
        let context = keys::authenticate(house, made.secret.reveal())
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
    keys::revoke(&mut tx, made.key.id).await.unwrap();
    tx.commit().await.unwrap();
    for house in [&world.house, &other_process] {
        // The digest is still remembered; the database is asked all the same.
        let context = keys::authenticate(house, made.secret.reveal())
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
    let made = keys::create(&mut tx, NewKey::new("reader", &[Permission::Read]))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let context = keys::authenticate(&world.house, made.secret.reveal())
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

    let mut wrong = made.secret.reveal().to_owned();
    wrong.replace_range(34..35, if wrong.ends_with('a') { "b" } else { "a" });
    for text in [
        wrong.as_str(),
        "",
        "tk_",
        "tk_short",
        &made.secret.reveal().to_uppercase(),
        &made.secret.reveal()[..34],
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

/// Whoever has SQL inside his tenant may write a hash that takes days to check, while the keys of others wait.
#[tokio::test]
async fn a_hash_that_costs_more_than_ours_is_not_checked() {
    let world = World::new().await;
    let (cheap, dear) = (
        format!("tk_{}", "a".repeat(32)),
        format!("tk_{}", "b".repeat(32)),
    );
    let made = bcrypt::hash(&cheap, 4).unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for (secret, hash) in [(&cheap, &made), (&dear, &format!("$2b$31${}", &made[7..]))] {
        tx.execute(
            "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash)
             values (gen_random_uuid(), 'planted', 'tk_', sha256(convert_to($1, 'UTF8')), $2)",
            &[secret, hash],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    keys::authenticate(&world.house, &cheap).await.unwrap();
    let answered = tokio::time::timeout(
        Duration::from_secs(10),
        keys::authenticate(&world.house, &dear),
    );
    assert!(matches!(answered.await, Ok(Err(Error::NotAMember))));
}

/// Makes and commits a key, and enters as it.
async fn with_key(world: &World, new: NewKey) -> (keys::MadeKey, rowhouse::Context) {
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let made = keys::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    let context = keys::authenticate(&world.house, made.secret.reveal())
        .await
        .unwrap();
    (made, context)
}

#[tokio::test]
async fn a_key_with_scopes_is_in_its_projects_only() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let apollo = projects::create(&mut tx, "apollo").await.unwrap().id;
    let gemini = projects::create(&mut tx, "gemini").await.unwrap().id;
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    let theirs = projects::create(&mut tx, "theirs").await.unwrap().id;
    tx.commit().await.unwrap();

    let scoped = |projects: &[ProjectId]| NewKey {
        scopes: Scopes {
            projects: Some(projects.to_vec()),
        },
        ..NewKey::new("ci", &[Permission::Read])
    };
    let projects_of = async |context: &rowhouse::Context| -> Vec<ProjectId> {
        let sql = "select rowhouse.current_projects()";
        world.house.query(context, sql, &[]).await.unwrap()[0].get(0)
    };
    let (made, context) = with_key(&world, scoped(&[gemini, gemini])).await;
    assert_eq!(made.key.scopes.projects, Some(vec![gemini]));
    assert_eq!(projects_of(&context).await, [gemini]);
    let (_, context) = with_key(&world, scoped(&[])).await;
    assert!(projects_of(&context).await.is_empty());
    let (_, context) = with_key(&world, NewKey::new("all", &[Permission::Read])).await;
    assert_eq!(projects_of(&context).await, [apollo, gemini]);

    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let foreign = keys::create(&mut tx, scoped(&[theirs])).await;
    assert!(
        matches!(foreign, Err(Error::NotFound("project"))),
        "{foreign:?}"
    );
}

#[tokio::test]
async fn an_old_key_goes_on_beside_the_new_one_for_the_overlap() {
    let world = World::new().await;
    let (old, as_old) = with_key(&world, NewKey::new("ci", &[Permission::Read])).await;
    let reroll = async |overlap| {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let made = keys::reroll(&mut tx, old.key.id, overlap).await;
        if made.is_ok() {
            tx.commit().await.unwrap();
        }
        made
    };
    let next = reroll(Duration::from_mins(5)).await.unwrap();
    assert_ne!(next.key.id, old.key.id);
    assert_eq!(next.key.name, "ci");
    let as_next = keys::authenticate(&world.house, next.secret.reveal())
        .await
        .unwrap();
    for context in [&as_old, &as_next] {
        world.house.query(context, "select 1", &[]).await.unwrap();
    }
    reroll(Duration::ZERO).await.unwrap();
    let refused = world.house.query(&as_old, "select 1", &[]).await;
    assert!(matches!(refused, Err(Error::NotAMember)), "{refused:?}");
    world.house.query(&as_next, "select 1", &[]).await.unwrap();
    let ended = reroll(Duration::ZERO).await;
    assert!(matches!(ended, Err(Error::NotFound("key"))), "{ended:?}");
}

/// Also in the process that made it, which does not work out a second time that it fits.
#[tokio::test]
async fn a_keys_first_use_is_noted_wherever_that_is() {
    let world = World::new().await;
    let elsewhere = Rowhouse::connect(config(&world.database)).await.unwrap();
    for house in [&world.house, &elsewhere] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let new = NewKey::new("ci", &[Permission::Read]);
        let made = keys::create(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let unused = keys::get(&mut tx, made.key.id).await.unwrap();
        assert_eq!(unused.last_used_at, None);
        keys::authenticate(house, made.secret.reveal())
            .await
            .unwrap();
        let noted = async {
            while keys::get(&mut tx, made.key.id)
                .await
                .unwrap()
                .last_used_at
                .is_none()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), noted)
            .await
            .expect("its use was not noted");
    }
}

#[tokio::test]
async fn a_key_whose_transaction_failed_opens_nothing() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let new = NewKey::new("ci", &[Permission::Read]);
    let made = keys::create(&mut tx, new).await.unwrap();
    tx.rollback().await;
    let refused = keys::authenticate(&world.house, made.secret.reveal()).await;
    assert!(matches!(refused, Err(Error::NotAMember)), "{refused:?}");
}

#[tokio::test]
async fn a_list_of_keys_says_when_each_was_last_used() {
    let world = World::new().await;
    let (made, context) = with_key(&world, NewKey::new("ci", &[Permission::Read])).await;
    world
        .house
        .query(&context, "select rowhouse.key_used()", &[])
        .await
        .unwrap();
    for (tenant, expected) in [(&world.alpha, 1), (&world.beta, 0)] {
        let mut tx = world.house.begin(&tenant.context()).await.unwrap();
        let listed = keys::list(&mut tx, None, 50).await.unwrap();
        assert_eq!(listed.len(), expected);
        for key in listed {
            assert!(key.last_used_at.is_some());
            assert_eq!(
                keys::get(&mut tx, made.key.id).await.unwrap(),
                key,
                "alone and in the list"
            );
        }
    }
}
