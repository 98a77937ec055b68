//! Who manages a tenant, and what neither he nor the platform may do with it.

use rowhouse::Context;
use rowhouse::ids::UserId;
use rowhouse::members::Role;
use rowhouse::tables::{self, Mode};
use rowhouse::tenants::{self, NewTenant, Status};
use uuid::Uuid;

use super::{WHO, add_member, matrix, set_status, ticket};
use crate::attacks::{MY_RESOURCE, allowed, checks, enter, is_refused, refused, sees, touches};
use crate::world::World;

checks![
    the_platform_manages_a_suspended_tenant,
    a_removed_manager_leaves_nothing_behind,
    an_admin_makes_and_unmakes_no_owner,
    the_platform_makes_no_key_for_a_tenant_with_an_owner,
    the_platform_widens_no_key_of_a_tenant_with_an_owner,
    a_revoked_key_stays_revoked,
    ids_of_the_registry_never_change,
    a_name_once_taken_is_its_takers,
    whose_an_address_is_only_the_platform_asks,
    a_table_that_has_lost_a_floor_changes_its_mode_no_more_and_is_listed_so,
];

/// So that it can revoke a key, remove a member, write into the trail and let the tenant go on.
pub async fn the_platform_manages_a_suspended_tenant(world: &World) {
    set_status(world, Status::Suspended).await;
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    tx.batch("insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'clean-up')")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "tenant-not-active",
    );
    set_status(world, Status::Active).await;
    world
        .house
        .query(&world.alpha.context(), WHO, &[])
        .await
        .unwrap();
}

/// Not from a transaction that he had open when he was removed, or demoted.
pub async fn a_removed_manager_leaves_nothing_behind(world: &World) {
    let m = matrix(world).await;
    let key = Uuid::from_u128(0xc3);
    let plant = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{key}', 'mine', 'tk_', sha256('{key}'), 'h')"
    );
    let befriend = format!(
        "update rowhouse.tenant_members set role = 'admin' where user_id = '{}'",
        m.viewer.uuid()
    );
    let share = format!(
        "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{MY_RESOURCE}', '{}', 'admin')",
        m.viewer.uuid()
    );
    let hand_on = format!(
        "update rowhouse.resources set owner_id = '{}' where id = '{MY_RESOURCE}'",
        m.viewer.uuid()
    );
    let again = ticket(world, &Context::user(world.alpha.id, m.admin), 60).await;
    let again = format!(
        r"with given as ({share} returning 1) select rowhouse.enter('\x{}') from given",
        hex::encode(again.as_bytes())
    );
    for end in [
        "update rowhouse.tenant_members set role = 'member' where user_id =",
        "delete from rowhouse.tenant_members where user_id =",
    ] {
        for isolation in ["read committed", "repeatable read"] {
            let admin = world.app().await;
            enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
            if isolation == "repeatable read" {
                admin.batch_execute("rollback").await.unwrap();
                admin
                    .batch_execute("begin isolation level repeatable read")
                    .await
                    .unwrap();
                let ticket = ticket(world, &Context::user(world.alpha.id, m.admin), 60).await;
                admin
                    .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
                    .await
                    .unwrap();
            }
            let mut owner = world.house.begin(&world.alpha.context()).await.unwrap();
            owner
                .batch(&format!("{end} '{}'", m.admin.uuid()))
                .await
                .unwrap();
            owner.commit().await.unwrap();
            for attempt in [
                &plant,
                &befriend,
                &share,
                &hand_on,
                "update rowhouse.resources set visibility = 'private'",
                "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'mine')",
                "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'mine')",
            ] {
                refused(&admin, attempt, "RH005 40001 25001").await;
            }
            // Nor by entering again, as what he is now, in the statement that gives it.
            refused(&admin, &again, "RH005 40001 25001").await;
            drop(admin);
            let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
            tx.execute(
                "delete from rowhouse.tenant_members where user_id = $1",
                &[&m.admin],
            )
            .await
            .unwrap();
            tx.commit().await.unwrap();
            add_member(world, m.admin, Role::Admin).await;
        }
    }
    let admin = world.app().await;
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    allowed(&admin, &plant).await;
    allowed(&admin, &befriend).await;
    allowed(&admin, &share).await;
    touches(&admin, &hand_on, 1).await;
    admin.batch_execute("rollback").await.unwrap();
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    allowed(&admin, &again).await;
}

/// Not himself either, nor from a transaction that he had open as an owner.
pub async fn an_admin_makes_and_unmakes_no_owner(world: &World) {
    let m = matrix(world).await;
    let role = |of: UserId, to: &str| {
        format!(
            "update rowhouse.tenant_members set role = '{to}' where user_id = '{}'",
            of.uuid()
        )
    };
    let remove = |user: UserId| {
        format!(
            "delete from rowhouse.tenant_members where user_id = '{}'",
            user.uuid()
        )
    };
    let admin = world.app().await;
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    for attempt in [
        role(m.admin, "owner"),
        role(m.viewer, "owner"),
        role(world.alpha.owner, "viewer"),
        remove(world.alpha.owner),
    ] {
        refused(&admin, &attempt, "42501").await;
    }
    allowed(&admin, &role(m.viewer, "admin")).await;
    admin.batch_execute("rollback").await.unwrap();

    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, &role(m.admin, "owner")).await;
    owner.batch_execute("commit").await.unwrap();
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, &role(m.admin, "admin")).await;
    owner.batch_execute("commit").await.unwrap();
    refused(&admin, &role(m.viewer, "owner"), "42501").await;
}

/// It could come in as that key. While there is no owner, somebody has to.
pub async fn the_platform_makes_no_key_for_a_tenant_with_an_owner(world: &World) {
    let m = matrix(world).await;
    let system = world.platform().await;
    enter(
        &system,
        world,
        &Context::principal(world.alpha.id, m.system.into()),
    )
    .await;
    let make = |n: u128| {
        let id = Uuid::from_u128(n);
        format!(
            "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{id}', 'k', 'tk_', sha256('{id}'), 'h')"
        )
    };
    refused(&system, &make(0xc4), "42501").await;
    // Nor does it make room for itself first.
    for owners in [
        "update rowhouse.tenant_members set role = 'member' where role = 'owner'",
        "delete from rowhouse.tenant_members where role = 'owner'",
        "update rowhouse.tenant_members set role = 'owner' where role = 'admin'",
    ] {
        refused(&system, owners, "42501").await;
    }
    allowed(
        &system,
        "update rowhouse.tenant_members set role = 'viewer' where role = 'admin'",
    )
    .await;
    system.batch_execute("rollback").await.unwrap();
    let mut tx = world.house.begin_platform().await.unwrap();
    let founded = tenants::create(&mut tx, NewTenant::organization("nobodys", "Nobody's"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin_system(founded.id).await.unwrap();
    tx.batch(&make(0xc5)).await.unwrap();
    tx.commit().await.unwrap();
}

/// Nor does it keep one alive that it made before there was an owner, and knows.
pub async fn the_platform_widens_no_key_of_a_tenant_with_an_owner(world: &World) {
    let m = matrix(world).await;
    let set = |what: &str| {
        format!(
            "update rowhouse.api_keys set {what} where id = '{}'",
            m.key.uuid()
        )
    };
    let narrow = [
        set("permissions = '[\"read\"]'"),
        set("expires_at = now() + interval '1 hour'"),
        set("expires_at = now() + interval '1 minute'"),
    ];
    let widen = [
        set("permissions = '[\"read\", \"write\"]'"),
        set("expires_at = now() + interval '1 day'"),
        set("expires_at = null"),
        set("scopes = '{\"projects\": []}'"),
    ];
    let context = Context::principal(world.alpha.id, m.system.into());
    let system = world.platform().await;
    enter(&system, world, &context).await;
    for sql in &narrow {
        allowed(&system, sql).await;
    }
    for sql in &widen {
        refused(&system, sql, "42501").await;
    }
    allowed(&system, &set("revoked_at = now()")).await;
    system.batch_execute("rollback").await.unwrap();
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    for sql in narrow.iter().chain(&widen) {
        allowed(&owner, sql).await;
    }
}

/// Whoever revoked it counts on that.
pub async fn a_revoked_key_stays_revoked(world: &World) {
    let m = matrix(world).await;
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, "update rowhouse.api_keys set revoked_at = now()").await;
    owner.batch_execute("commit").await.unwrap();
    let system = world.platform().await;
    let context = Context::principal(world.alpha.id, m.system.into());
    for (client, context) in [(&owner, &world.alpha.context()), (&system, &context)] {
        enter(client, world, context).await;
        refused(
            client,
            "update rowhouse.api_keys set revoked_at = null",
            "42501",
        )
        .await;
        client.batch_execute("rollback").await.unwrap();
    }
    let key = Context::key(world.alpha.id, m.key);
    is_refused(world.house.query(&key, WHO, &[]).await, "not-a-member");
}

/// A tenant or user that took another's id would take what stands under it.
pub async fn ids_of_the_registry_never_change(world: &World) {
    let platform = world.platform().await;
    for table in ["tenants", "users"] {
        refused(
            &platform,
            &format!("update rowhouse.{table} set id = gen_random_uuid()"),
            "42501",
        )
        .await;
        allowed(
            &platform,
            &format!("update rowhouse.{table} set name = name"),
        )
        .await;
    }
}

pub async fn a_name_once_taken_is_its_takers(world: &World) {
    let platform = world.platform().await;
    let rename = |from: &str, to: &str| {
        format!("update rowhouse.tenants set slug = '{to}' where slug = '{from}'")
    };
    allowed(&platform, &rename("alpha", "omega")).await;
    refused(&platform, &rename("beta", "alpha"), "23505").await;
    refused(&platform, &rename("beta", "omega"), "23505").await;
    allowed(&platform, &rename("omega", "alpha")).await;
    let address = |to: &str| {
        format!(
            "update rowhouse.users set email = '{to}' where id = '{}'",
            world.beta.owner.uuid()
        )
    };
    allowed(&platform, &address("Somebody@Example.com")).await;
    allowed(&platform, &address("somebody@example.com")).await;
    let theirs = allowed(
        &platform,
        &format!(
            "select email from rowhouse.users where id = '{}'",
            world.alpha.owner.uuid()
        ),
    )
    .await;
    refused(&platform, &address(&theirs[0].to_uppercase()), "23505").await;
}

pub async fn whose_an_address_is_only_the_platform_asks(world: &World) {
    let platform = world.platform().await;
    allowed(
        &platform,
        &format!(
            "update rowhouse.users set email = 'somebody@example.com' where id = '{}'",
            world.beta.owner.uuid()
        ),
    )
    .await;
    let ask = "select count(*) from rowhouse.locate('email', sha256('somebody@example.com'))";
    sees(&platform, ask, &["1"]).await;
    let app = world.app().await;
    sees(&app, ask, &["0"]).await;
    sees(
        &app,
        "select count(*) from rowhouse.locate('slug', sha256('beta'))",
        &["1"],
    )
    .await;
}

pub async fn a_table_that_has_lost_a_floor_changes_its_mode_no_more_and_is_listed_so(
    world: &World,
) {
    let mut owner = world.owner().await;
    for (table, floor) in [
        ("rowhouse.resources", "project_floor"),
        ("rowhouse.resources", "tenant_floor_update"),
        ("rowhouse.teams", "tenant_floor"),
        ("rowhouse.idempotency_keys", "own_floor"),
    ] {
        for mode in [Mode::Enforce, Mode::Off] {
            let tx = owner.begin().await.unwrap();
            let stands = async || {
                let listed = tables::list(&tx).await.unwrap();
                let named =
                    |one: &&tables::Managed| format!("{}.{}", one.schema, one.table) == table;
                listed.iter().find(named).unwrap().stands
            };
            assert!(stands().await, "{table}");
            tables::set_mode(&tx, table, Mode::Shadow).await.unwrap();
            tx.batch_execute(&format!("drop policy {floor} on {table}"))
                .await
                .unwrap();
            assert!(!stands().await, "HOLE: {table} stands without {floor}");
            match tables::set_mode(&tx, table, mode).await {
                Ok(()) => panic!("HOLE: {table} without {floor} is {mode:?}"),
                Err(error) => assert!(error.to_string().contains(floor), "{error}"),
            }
            tx.rollback().await.unwrap();
        }
    }
}
