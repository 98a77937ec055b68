//! As whom a key speaks: who says so, and what becomes of it with the key.

use std::time::Duration;

use rowhouse::ids::KeyId;
use rowhouse::keys;
use rowhouse::members::Role;
use rowhouse::personas::{self, Filter, NewPersonaMapping};
use rowhouse::{Context, Error};
use uuid::Uuid;

use crate::attacks::{attacker, checks, enter, is_refused, refused, sees, touches};
use crate::people::{member, remove, user_of};
use crate::wall::make_key;
use crate::world::{Tenant, World};

checks![
    personas_are_for_those_who_manage_to_say,
    a_key_speaks_as_a_persona_once,
    who_was_removed_gives_no_persona,
    a_revoked_key_is_given_no_persona,
    a_key_that_takes_the_place_of_another_speaks_as_the_same,
];

const PERSONA: Uuid = Uuid::from_u128(0x9e);

async fn key(world: &World, tenant: &Tenant) -> KeyId {
    let mut tx = world.house.begin(&tenant.context()).await.unwrap();
    let key = KeyId::new();
    make_key(&mut tx, key.uuid(), r#"'["write"]'"#).await;
    tx.commit().await.unwrap();
    key
}

fn mapping(key: KeyId) -> String {
    format!(
        "insert into rowhouse.persona_mappings (id, api_key_id, persona_id, name)
         values (gen_random_uuid(), '{}', '{PERSONA}', 'concierge')",
        key.uuid()
    )
}

async fn map(world: &World, by: &Context, key: KeyId) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    let new = NewPersonaMapping {
        api_key_id: key,
        persona_id: PERSONA,
        name: "concierge".into(),
    };
    personas::create(&mut tx, &new).await?;
    tx.commit().await
}

pub async fn personas_are_for_those_who_manage_to_say(world: &World) {
    let (mine, theirs) = (
        key(world, &world.alpha).await,
        key(world, &world.beta).await,
    );
    let seen = "select name from rowhouse.persona_mappings";
    for role in [Role::Owner, Role::Admin] {
        let manager = member(world, &format!("{role}@example.com"), role).await;
        let client = world.app().await;
        enter(&client, world, &manager).await;
        touches(&client, &mapping(mine), 1).await;
        touches(
            &client,
            "update rowhouse.persona_mappings set name = 'x'",
            1,
        )
        .await;
        touches(&client, "delete from rowhouse.persona_mappings", 1).await;
        // Another tenant's key is none.
        refused(&client, &mapping(theirs), "23503").await;
    }
    map(world, &world.alpha.context(), mine).await.unwrap();
    let bob = member(world, "bob@example.com", Role::Member).await;
    for context in [bob, Context::key(world.alpha.id, mine)] {
        let client = world.app().await;
        enter(&client, world, &context).await;
        sees(&client, seen, &["concierge"]).await;
        refused(&client, &mapping(mine), "42501").await;
        touches(
            &client,
            "update rowhouse.persona_mappings set name = 'x'",
            0,
        )
        .await;
        touches(&client, "delete from rowhouse.persona_mappings", 0).await;
        is_refused(map(world, &context, mine).await, "not-permitted");
    }
    let beta = world.app().await;
    enter(&beta, world, &world.beta.context()).await;
    sees(&beta, seen, &[]).await;
    touches(&beta, "delete from rowhouse.persona_mappings", 0).await;
}

pub async fn a_key_speaks_as_a_persona_once(world: &World) {
    let owner = world.alpha.context();
    let (one, two) = (
        key(world, &world.alpha).await,
        key(world, &world.alpha).await,
    );
    map(world, &owner, one).await.unwrap();
    is_refused(map(world, &owner, one).await, "taken");
    map(world, &owner, two).await.unwrap();
    let theirs = key(world, &world.beta).await;
    map(world, &world.beta.context(), theirs).await.unwrap();
    let a = attacker(world).await;
    refused(&a, &mapping(one), "23505").await;
    for column in ["api_key_id", "persona_id"] {
        let sql = format!("update rowhouse.persona_mappings set {column} = {column}");
        refused(&a, &sql, "42501").await;
    }
}

pub async fn who_was_removed_gives_no_persona(world: &World) {
    let mine = key(world, &world.alpha).await;
    let admin = member(world, "admin@example.com", Role::Admin).await;
    let late = world.app().await;
    enter(&late, world, &admin).await;
    remove(world, &world.alpha.context(), user_of(&admin))
        .await
        .unwrap();
    refused(&late, &mapping(mine), "RH005").await;
}

pub async fn a_revoked_key_is_given_no_persona(world: &World) {
    let owner = world.alpha.context();
    let (mine, other) = (
        key(world, &world.alpha).await,
        key(world, &world.alpha).await,
    );
    map(world, &owner, mine).await.unwrap();
    for id in [mine, other] {
        let mut tx = world.house.begin(&owner).await.unwrap();
        keys::revoke(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
    }
    let a = attacker(world).await;
    refused(&a, &mapping(other), "RH010").await;
    drop(a);
    is_refused(map(world, &owner, other).await, "wrong-state");
    // What it spoke as is still told, and can be taken away.
    let mut tx = world.house.begin(&owner).await.unwrap();
    let of = Filter {
        key: Some(mine),
        ..Filter::default()
    };
    let told = personas::list(&mut tx, &of, 50).await.unwrap();
    assert_eq!(told.len(), 1, "HOLE: what a revoked key spoke as is gone");
    personas::delete(&mut tx, told[0].id, Some(told[0].updated_at))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

pub async fn a_key_that_takes_the_place_of_another_speaks_as_the_same(world: &World) {
    let owner = world.alpha.context();
    let old = key(world, &world.alpha).await;
    map(world, &owner, old).await.unwrap();
    let mut tx = world.house.begin(&owner).await.unwrap();
    let new = keys::reroll(&mut tx, old, Duration::ZERO).await.unwrap();
    let of = Filter {
        persona: Some(PERSONA),
        ..Filter::default()
    };
    let told = personas::list(&mut tx, &of, 50).await.unwrap();
    tx.commit().await.unwrap();
    let speak: std::collections::BTreeSet<KeyId> =
        told.iter().map(|mapping| mapping.api_key_id).collect();
    assert_eq!(speak, [old, new.key.id].into(), "HOLE: {told:?}");
}
