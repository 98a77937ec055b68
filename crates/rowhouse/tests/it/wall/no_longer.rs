//! Whoever was let in is refused from the next transaction on, on every node.

use rowhouse::Context;
use rowhouse::members::Role;
use rowhouse::tenants::{self, Status};
use uuid::Uuid;

use super::{WHO, add_member, another, matrix, set_status, ticket};
use crate::attacks::{MINE, checks, is_refused, notes_through, refused, sees_mine};
use crate::world::World;

checks![
    a_suspended_tenant_is_refused_on_every_node,
    a_removed_member_is_refused_on_every_node,
    a_revoked_key_is_refused_on_every_node,
    a_snapshot_from_before_lets_nobody_in,
    an_expired_key_is_refused,
    a_tenant_placed_elsewhere_is_refused,
    an_unknown_tenant_is_refused_like_a_stranger,
    a_deleted_team_gives_no_rights,
    a_deleted_user_is_refused,
    a_tenant_marked_as_deleted_is_refused,
];

pub async fn a_suspended_tenant_is_refused_on_every_node(world: &World) {
    let other = another(world).await;
    let mine = world.alpha.context();
    for status in [
        Status::Suspended,
        Status::Deleting,
        Status::Provisioning,
        Status::Deleted,
    ] {
        for house in [&world.house, &other] {
            assert_eq!(notes_through(house, &mine).await, MINE);
        }
        set_status(world, status).await;
        for house in [&world.house, &other] {
            is_refused(house.query(&mine, WHO, &[]).await, "tenant-not-active");
            is_refused(
                house
                    .query(&Context::tenant(world.alpha.id), WHO, &[])
                    .await,
                "tenant-not-active",
            );
            assert_eq!(
                notes_through(house, &world.beta.context()).await,
                crate::attacks::THEIRS
            );
        }
        set_status(world, Status::Active).await;
    }
}

pub async fn a_removed_member_is_refused_on_every_node(world: &World) {
    let m = matrix(world).await;
    let other = another(world).await;
    let viewer = Context::user(world.alpha.id, m.viewer);
    for house in [&world.house, &other] {
        assert_eq!(notes_through(house, &viewer).await, MINE);
    }
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    tx.execute(
        "delete from rowhouse.tenant_members where user_id = $1",
        &[&m.viewer],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    for house in [&world.house, &other] {
        is_refused(house.query(&viewer, WHO, &[]).await, "not-a-member");
        assert_eq!(notes_through(house, &world.alpha.context()).await, MINE);
    }
    // Taken back, he is who he was.
    add_member(world, m.viewer, Role::Member).await;
    for house in [&world.house, &other] {
        let rows = house
            .query(&viewer, "select rowhouse.caller_role()", &[])
            .await
            .unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), "member");
    }
}

pub async fn a_revoked_key_is_refused_on_every_node(world: &World) {
    let m = matrix(world).await;
    let other = another(world).await;
    let key = Context::key(world.alpha.id, m.key);
    for house in [&world.house, &other] {
        assert_eq!(notes_through(house, &key).await, MINE);
    }
    let revoke = "update rowhouse.api_keys set revoked_at = now() where id = $1";
    is_refused(
        world
            .house
            .execute(&Context::user(world.alpha.id, m.viewer), revoke, &[&m.key])
            .await,
        "read-only",
    );
    assert_eq!(
        world
            .house
            .execute(&world.alpha.context(), revoke, &[&m.key])
            .await
            .unwrap(),
        1
    );
    for house in [&world.house, &other] {
        is_refused(house.query(&key, WHO, &[]).await, "not-a-member");
    }
}

/// A transaction may take over the snapshot of one that is still open, in which he has not been removed yet.
pub async fn a_snapshot_from_before_lets_nobody_in(world: &World) {
    let m = matrix(world).await;
    let admin = Context::user(world.alpha.id, m.admin);
    for end in ["removed", "suspended"] {
        let ticket = ticket(world, &admin, 60).await;
        let (keeper, app) = (world.app().await, world.app().await);
        keeper
            .batch_execute("begin isolation level repeatable read")
            .await
            .unwrap();
        let snapshot: String = keeper
            .query_one("select pg_export_snapshot()", &[])
            .await
            .unwrap()
            .get(0);
        let begin =
            format!("begin isolation level repeatable read; set transaction snapshot '{snapshot}'");
        let enter = format!("select rowhouse.enter('{}')", ticket.reveal());
        app.batch_execute(&begin).await.unwrap();
        app.batch_execute(&enter).await.unwrap();
        sees_mine(&app).await;
        app.batch_execute("rollback").await.unwrap();
        if end == "removed" {
            let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
            let removal = "delete from rowhouse.tenant_members where user_id = $1";
            tx.execute(removal, &[&m.admin]).await.unwrap();
            tx.commit().await.unwrap();
        } else {
            set_status(world, Status::Suspended).await;
        }
        app.batch_execute(&begin).await.unwrap();
        refused(&app, &enter, "40001").await;
        app.batch_execute("rollback").await.unwrap();
        // One that only reads takes no locks: its seal is good for the next transaction of the same text, which may write.
        app.batch_execute(&format!("{begin}; set transaction read only"))
            .await
            .unwrap();
        refused(&app, &enter, "25006").await;
        app.batch_execute("rollback").await.unwrap();
        if end == "removed" {
            add_member(world, m.admin, Role::Admin).await;
        } else {
            set_status(world, Status::Active).await;
        }
    }
}

pub async fn an_expired_key_is_refused(world: &World) {
    let m = matrix(world).await;
    let key = Context::key(world.alpha.id, m.key);
    let expire = async |when: &str| {
        let sql = format!("update rowhouse.api_keys set expires_at = {when}");
        world
            .house
            .execute(&world.alpha.context(), &sql, &[])
            .await
            .unwrap();
    };
    expire("clock_timestamp() + interval '1 hour'").await;
    assert_eq!(notes_through(&world.house, &key).await, MINE);
    expire("clock_timestamp() - interval '1 microsecond'").await;
    is_refused(world.house.query(&key, WHO, &[]).await, "not-a-member");
    expire("null").await;
    assert_eq!(notes_through(&world.house, &key).await, MINE);
}

pub async fn a_tenant_placed_elsewhere_is_refused(world: &World) {
    let mut tx = world.house.begin_platform().await.unwrap();
    tx.execute(
        "update rowhouse.tenants set placement = 'there' where id = $1",
        &[&world.alpha.id],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "not-placed-here",
    );
    assert_eq!(
        notes_through(&world.house, &world.beta.context()).await,
        crate::attacks::THEIRS
    );
}

pub async fn an_unknown_tenant_is_refused_like_a_stranger(world: &World) {
    let unknown = Context::user(rowhouse::ids::TenantId::new(), world.alpha.owner);
    let foreign = Context::user(world.beta.id, world.alpha.owner);
    let said = async |context: &Context| {
        let error = world.house.query(context, WHO, &[]).await.unwrap_err();
        format!("{} {error:?}", error.code())
    };
    assert_eq!(
        said(&unknown).await,
        said(&foreign).await,
        "HOLE: it tells which tenants exist"
    );
    // Also of a suspended tenant, of which the stranger knows nothing.
    let mut tx = world.house.begin_system(world.beta.id).await.unwrap();
    tenants::set_status(&mut tx, Status::Suspended, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        said(&unknown).await,
        said(&foreign).await,
        "HOLE: it tells which tenants exist"
    );
}

pub async fn a_deleted_team_gives_no_rights(world: &World) {
    let m = matrix(world).await;
    let member = Context::user(world.alpha.id, m.member);
    let stands_for = "select rowhouse.caller_principals()";
    let before: Vec<Uuid> = world.house.query(&member, stands_for, &[]).await.unwrap()[0].get(0);
    assert!(before.contains(&m.team));
    let delete = "update rowhouse.teams set deleted_at = now() where id = $1";
    world
        .house
        .execute(&world.alpha.context(), delete, &[&m.team])
        .await
        .unwrap();
    let after: Vec<Uuid> = world.house.query(&member, stands_for, &[]).await.unwrap()[0].get(0);
    assert!(
        !after.contains(&m.team),
        "HOLE: a deleted team still gives its rights"
    );
}

pub async fn a_deleted_user_is_refused(world: &World) {
    let m = matrix(world).await;
    let member = Context::user(world.alpha.id, m.member);
    assert_eq!(notes_through(&world.house, &member).await, MINE);
    let mut tx = world.house.begin_platform().await.unwrap();
    tx.execute(
        "update rowhouse.users set deleted_at = now() where id = $1",
        &[&m.member],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    is_refused(world.house.query(&member, WHO, &[]).await, "not-a-member");
}

pub async fn a_tenant_marked_as_deleted_is_refused(world: &World) {
    let platform = world.platform().await;
    let set = async |deleted_at: &str| {
        platform
            .batch_execute(&format!(
                "update rowhouse.tenants set deleted_at = {deleted_at} where id = '{}'",
                world.alpha.id.uuid()
            ))
            .await
            .unwrap();
        world.house.query(&world.alpha.context(), WHO, &[]).await
    };
    is_refused(set("now()").await, "tenant-not-active");
    set("null").await.unwrap();
}
