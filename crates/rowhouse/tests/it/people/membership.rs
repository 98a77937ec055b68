//! Who becomes a member and who stops being one, and that somebody is left who owns the tenant.

use rowhouse::members::{self, Changes, Role};
use rowhouse::projects::ProjectRole;
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Context, Error, projects, teams, users};

use super::{
    WHO, accept, add, invite, member, platform_inside, remove, set_role, ticket, user, user_of,
};
use crate::attacks::{allowed, attacker, checks, is_refused, refused, sees, touches};
use crate::world::World;

checks![
    nobody_is_added_by_sql_inside_the_tenant,
    the_platform_lets_nobody_in,
    the_platform_raises_nobody,
    a_tenant_keeps_its_last_owner,
    of_two_owners_who_go_at_once_one_stays,
    whoever_leaves_asks_nobody,
    a_member_is_added_once,
    names_of_members_are_the_tenants_own,
    a_tenant_keeps_its_last_workspace,
];

pub async fn nobody_is_added_by_sql_inside_the_tenant(world: &World) {
    let stranger = user(world, "stranger@example.com").await.uuid();
    let owners = ticket(world, &world.alpha.context()).await;
    let insert = format!(
        "insert into rowhouse.tenant_members (user_id, role) values ('{stranger}', 'member')"
    );
    let call = format!(
        "select rowhouse.add_member('{owners}', '{stranger}', 'member', gen_random_uuid())"
    );
    let a = attacker(world).await;
    for sql in [&insert, &call] {
        refused(&a, sql, "42501").await;
    }
    for private in [
        "rowhouse_private.add_session(gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '', now())",
        "rowhouse_private.as_oneself()",
        "rowhouse_private.close()",
        "rowhouse_private.end_sessions(gen_random_uuid(), gen_random_uuid())",
    ] {
        refused(&a, &format!("select {private}"), "42501").await;
    }
    let system = platform_inside(world, world.alpha.id).await;
    refused(&system, &insert, "42501").await;
    let outside = world.platform().await;
    allowed(&outside, &call).await;
}

/// It has no ticket of an owner's, and its own is worth nothing once there is one.
pub async fn the_platform_lets_nobody_in(world: &World) {
    let stranger = user(world, "operator@example.com").await;
    let mut tx = world.house.begin_platform().await.unwrap();
    let system = tx.system_of(world.alpha.id).await.unwrap();
    is_refused(
        members::add(&mut tx, &system, stranger, Role::Viewer).await,
        "support-access-required",
    );
    drop(tx);
    let forged = "01".repeat(107);
    let platform = world.platform().await;
    for ticket in [
        format!("\\x{forged}"),
        ticket(world, &Context::tenant(world.alpha.id)).await,
    ] {
        let call = format!(
            "select rowhouse.add_member('{ticket}', '{}', 'member', gen_random_uuid())",
            stranger.uuid()
        );
        refused(&platform, &call, "RH002 RH005").await;
    }
    let mut tx = world.house.begin_platform().await.unwrap();
    let nobodys = NewTenant::organization("nobodys", "Nobody's");
    let nobodys = tenants::create(&mut tx, nobodys).await.unwrap();
    let system = tx.system_of(nobodys.id).await.unwrap();
    for (role, email) in [
        (Role::Viewer, "first@example.com"),
        (Role::Owner, "second@example.com"),
    ] {
        let user = users::create(&mut tx, email, "Somebody").await.unwrap();
        members::add(&mut tx, &system, user.id, role).await.unwrap();
    }
    is_refused(
        members::add(&mut tx, &system, stranger, Role::Member).await,
        "support-access-required",
    );
}

/// An accomplice inside would do for it.
pub async fn the_platform_raises_nobody(world: &World) {
    let friend = member(world, "friend@example.com", Role::Member).await;
    let set = |role: &str| {
        format!(
            "update rowhouse.tenant_members set role = '{role}' where user_id = '{}'",
            user_of(&friend).uuid()
        )
    };
    let system = platform_inside(world, world.alpha.id).await;
    for role in ["admin", "owner"] {
        refused(&system, &set(role), "42501").await;
    }
    touches(&system, &set("viewer"), 1).await;
    refused(&system, &set("member"), "42501").await;
    let a = attacker(world).await;
    drop(system);
    touches(&a, &set("admin"), 1).await;
}

pub async fn a_tenant_keeps_its_last_owner(world: &World) {
    let (owner, me) = (world.alpha.owner, world.alpha.context());
    is_refused(set_role(world, &me, owner, Role::Admin).await, "last-owner");
    is_refused(remove(world, &me, owner).await, "last-owner");
    let a = attacker(world).await;
    for sql in [
        "delete from rowhouse.tenant_members",
        "update rowhouse.tenant_members set role = 'viewer'",
        "select rowhouse.leave()",
    ] {
        refused(&a, sql, "23514").await;
    }
    drop(a);
    let other = member(world, "other@example.com", Role::Owner).await;
    // Both at once, in one statement.
    let a = attacker(world).await;
    refused(&a, "delete from rowhouse.tenant_members", "23514").await;
    drop(a);
    // One who is gone from the platform owns nothing.
    let gone = |at: &str| {
        format!(
            "update rowhouse.users set deleted_at = {at} where id = '{}'",
            user_of(&other).uuid()
        )
    };
    let platform = world.platform().await;
    allowed(&platform, &gone("now()")).await;
    is_refused(remove(world, &me, owner).await, "last-owner");
    allowed(&platform, &gone("null")).await;
    set_role(world, &me, owner, Role::Admin).await.unwrap();
    is_refused(remove(world, &me, user_of(&other)).await, "not-permitted");
    remove(world, &other, owner).await.unwrap();
}

pub async fn of_two_owners_who_go_at_once_one_stays(world: &World) {
    for how in ["leave", "remove each other", "step down"] {
        let one = member(world, &format!("{}@one.example", how.len()), Role::Owner).await;
        let two = member(world, &format!("{}@two.example", how.len()), Role::Owner).await;
        let owner = world.alpha.owner;
        set_role(world, &one, owner, Role::Admin).await.unwrap();
        let begins = async |by: &Context, other: &Context| {
            let mut tx = world.house.begin(by).await?;
            match how {
                "leave" => members::remove(&mut tx, user_of(by)).await?,
                "step down" => {
                    let role = Role::Member;
                    members::update(&mut tx, user_of(by), &Changes { role }, None).await?;
                }
                _ => members::remove(&mut tx, user_of(other)).await?,
            }
            Ok::<_, Error>(tx)
        };
        let goes = async |by: &Context, other: &Context| begins(by, other).await?.commit().await;
        // The first has not committed yet when the second begins.
        let first = begins(&one, &two).await.unwrap();
        let first = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            first.commit().await
        };
        let (first, second) = tokio::join!(first, goes(&two, &one));
        assert!(
            first.is_err() || second.is_err(),
            "HOLE: nobody owns the tenant: {how}"
        );
        let left = if goes(&one, &one).await.is_err() {
            &one
        } else {
            &two
        };
        let root = world.superuser().await;
        let owners = allowed(
            &root,
            &format!(
                "select user_id from rowhouse.tenant_members where tenant_id = '{}' and role = 'owner'",
                world.alpha.id.uuid()
            ),
        )
        .await;
        assert_eq!(owners.len(), 1, "HOLE: {how}: {owners:?}");
        let left = if owners[0] == user_of(left).uuid().to_string() {
            left
        } else if owners[0] == user_of(&one).uuid().to_string() {
            &one
        } else {
            &two
        };
        set_role(world, left, owner, Role::Owner).await.unwrap();
        for each in [&one, &two] {
            drop(remove(world, &world.alpha.context(), user_of(each)).await);
        }
    }
}

pub async fn whoever_leaves_asks_nobody(world: &World) {
    let by = world.alpha.context();
    for role in [Role::Viewer, Role::Member, Role::Admin] {
        let me = member(world, &format!("{role}@example.com"), role).await;
        let id = user_of(&me);
        let mut tx = world.house.begin(&by).await.unwrap();
        let team = teams::create(&mut tx, &format!("of {role}")).await.unwrap();
        let project = projects::create(&mut tx, &format!("of {role}"))
            .await
            .unwrap();
        teams::add_member(&mut tx, team.id, id).await.unwrap();
        projects::set_role(&mut tx, project.id, id, ProjectRole::Admin)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        // One whose context only reads, and is not so by his role, does not.
        if role != Role::Viewer {
            let reading = remove(world, &me.clone().read_only(), id).await;
            is_refused(reading, "read-only");
        }
        let owner = world.alpha.owner;
        let others = remove(world, &me, owner).await;
        assert!(others.is_err(), "HOLE: an owner was removed by {role}");
        let mut tx = world.house.begin(&me).await.unwrap();
        members::remove(&mut tx, id).await.unwrap();
        if role == Role::Viewer {
            let wrote = tx.execute("update notes set body = body", &[]).await;
            is_refused(wrote, "read-only"); // he left, and may do no more than before
            continue;
        }
        tx.commit().await.unwrap();
        is_refused(world.house.query(&me, WHO, &[]).await, "not-a-member");
    }
    let viewer = Context::user(
        world.alpha.id,
        member(world, "v@example.com", Role::Viewer)
            .await
            .principal_id()
            .uuid()
            .into(),
    );
    remove(world, &viewer, user_of(&viewer)).await.unwrap();
    is_refused(world.house.query(&viewer, WHO, &[]).await, "not-a-member");
}

pub async fn a_member_is_added_once(world: &World) {
    let by = world.alpha.context();
    let (_, token) = invite(world, &by, "twice@example.com", Role::Member)
        .await
        .unwrap();
    is_refused(
        invite(world, &by, "Twice@Example.com", Role::Admin).await,
        "taken",
    );
    let user = user(world, "twice@example.com").await;
    add(world, user, Role::Viewer).await.unwrap();
    is_refused(add(world, user, Role::Member).await, "taken");
    is_refused(accept(world, &token).await, "taken");
    is_refused(
        invite(world, &by, "twice@example.com", Role::Admin).await,
        "taken",
    );
    let is = world
        .house
        .query(&Context::user(world.alpha.id, user), WHO, &[])
        .await
        .unwrap();
    assert_eq!(is[0].get::<_, &str>(1), "viewer", "HOLE");
}

pub async fn names_of_members_are_the_tenants_own(world: &World) {
    let a = attacker(world).await;
    let look = "select user_id from rowhouse.people()";
    sees(&a, look, &[&world.alpha.owner.uuid().to_string()]).await;
    refused(&a, "select email from rowhouse.users", "42501").await;
    let outside = world.app().await;
    refused(&outside, look, "RH001").await;
}

pub async fn a_tenant_keeps_its_last_workspace(world: &World) {
    let a = attacker(world).await;
    let delete = "update rowhouse.workspaces set deleted_at = now() where deleted_at is null";
    refused(&a, delete, "23514").await;
    allowed(&a, "insert into rowhouse.workspaces (id, kind, name) values ('00000000-0000-0000-0000-00000000000f', 'tenant', 'other')").await;
    refused(&a, delete, "23514").await;
    touches(&a, &format!("{delete} and name = 'other'"), 1).await;
}
