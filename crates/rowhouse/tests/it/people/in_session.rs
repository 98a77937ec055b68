//! Who opens a session, whose it is, and how it ends.

use std::time::Duration;

use rowhouse::ids::UserId;
use rowhouse::members::Role;
use rowhouse::projects::ProjectRole;
use rowhouse::{Context, projects, sessions, teams};

use super::{
    add, end, member, platform_inside, remove, session, set_role, through, ticket, user_of,
};
use crate::attacks::{allowed, attacker, checks, enter, is_refused, refused, sees};
use crate::world::World;

checks![
    nobody_inside_opens_a_session,
    a_session_is_for_a_ticket_that_nothing_narrows,
    a_session_ends_for_good,
    a_session_ends_with_the_membership,
    a_session_ends_with_the_user,
    each_session_ends_by_itself_on_its_own,
    sessions_are_their_users_own,
    a_session_that_was_ended_leaves_nothing_behind,
];

/// It would open its user's other tenants too.
pub async fn nobody_inside_opens_a_session(world: &World) {
    let me = world.alpha.owner.uuid();
    let ticket = ticket(world, &world.alpha.context()).await;
    let insert = format!(
        "insert into rowhouse.sessions (id, user_id, digest, expires_at) values (gen_random_uuid(), '{me}', sha256('mine'), now() + interval '1 day')"
    );
    let call = format!(
        "select rowhouse.open_session('{ticket}', gen_random_uuid(), sha256('mine'), now() + interval '1 day', gen_random_uuid())"
    );
    session(world, &world.alpha.context()).await;
    let a = attacker(world).await;
    let system = platform_inside(world, world.alpha.id).await;
    for client in [&a, &system] {
        for sql in [
            insert.as_str(),
            "update rowhouse.sessions set digest = sha256('mine')",
            "update rowhouse.sessions set revoked_at = null",
            "update rowhouse.sessions set expires_at = now() + interval '20 days'",
            "select digest from rowhouse.sessions",
            "delete from rowhouse.sessions",
        ] {
            refused(client, sql, "42501").await;
        }
    }
    refused(&a, &call, "42501").await;
    let platform = world.platform().await;
    refused(
        &platform,
        &call.replace("now() + interval '1 day'", "now() + interval '31 days'"),
        "23514",
    )
    .await;
    allowed(&platform, &call).await;
}

pub async fn a_session_is_for_a_ticket_that_nothing_narrows(world: &World) {
    let me = member(world, "me@example.com", Role::Member).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let project = projects::create(&mut tx, "apollo").await.unwrap();
    projects::set_role(&mut tx, project.id, user_of(&me), ProjectRole::Viewer)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (id, _) = session(world, &me).await;
    for narrowed in [
        me.clone().read_only(),
        me.clone().in_project(project.id),
        Context::session(world.alpha.id, user_of(&me), id),
        Context::tenant(world.alpha.id),
    ] {
        let mut tx = world.house.begin_platform().await.unwrap();
        let made = sessions::open(&mut tx, &narrowed, Duration::from_hours(1), None).await;
        is_refused(made, "not-permitted");
    }
    for stranger in [
        Context::user(world.beta.id, user_of(&me)),
        Context::user(world.alpha.id, UserId::new()),
    ] {
        let mut tx = world.house.begin_platform().await.unwrap();
        let made = sessions::open(&mut tx, &stranger, Duration::from_hours(1), None).await;
        is_refused(made, "not-a-member");
    }
    let viewer = member(world, "viewer@example.com", Role::Viewer).await;
    let (_, token) = session(world, &viewer).await;
    assert_eq!(through(&world.house, &token).await.unwrap().1, "viewer");
}

pub async fn a_session_ends_for_good(world: &World) {
    let owner = world.alpha.context();
    let admin = member(world, "admin@example.com", Role::Admin).await;
    let viewer = member(world, "viewer@example.com", Role::Viewer).await;
    let other = member(world, "other@example.com", Role::Member).await;
    let (id, token) = session(world, &viewer).await;
    let (_, stays) = session(world, &viewer).await;
    // Not by another member, nor from another tenant; nor by one who only reads and is not so by his role.
    is_refused(end(world, &other, id).await, "not-found");
    is_refused(end(world, &world.beta.context(), id).await, "not-found");
    is_refused(
        end(world, &admin.clone().read_only(), id).await,
        "read-only",
    );
    through(&world.house, &token).await.unwrap();
    end(world, &viewer, id).await.unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");
    through(&world.house, &stays).await.unwrap();
    is_refused(end(world, &viewer, id).await, "not-found");
    // What changes about him brings no session back.
    set_role(world, &owner, user_of(&viewer), Role::Member)
        .await
        .unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");

    let (of_member, token) = session(world, &other).await;
    end(world, &admin, of_member).await.unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");
    let (of_owner, token) = session(world, &owner).await;
    is_refused(end(world, &admin, of_owner).await, "not-permitted");
    through(&world.house, &token).await.unwrap();
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    sessions::revoke(&mut tx, of_owner).await.unwrap();
    tx.commit().await.unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");
    is_refused(
        through(&world.house, "ses_00000000000000000000000000000000").await,
        "not-a-member",
    );
}

/// Also for one who comes back.
pub async fn a_session_ends_with_the_membership(world: &World) {
    let me = member(world, "me@example.com", Role::Member).await;
    let (_, token) = session(world, &me).await;
    through(&world.house, &token).await.unwrap();
    remove(world, &world.alpha.context(), user_of(&me))
        .await
        .unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");
    add(world, user_of(&me), Role::Member).await.unwrap();
    is_refused(through(&world.house, &token).await, "not-a-member");
    let (_, token) = session(world, &me).await;
    through(&world.house, &token).await.unwrap();
}

pub async fn a_session_ends_with_the_user(world: &World) {
    let me = member(world, "me@example.com", Role::Member).await;
    let (_, token) = session(world, &me).await;
    let gone = |at: &str| {
        format!(
            "update rowhouse.users set deleted_at = {at} where id = '{}'",
            user_of(&me).uuid()
        )
    };
    let platform = world.platform().await;
    allowed(&platform, &gone("now()")).await;
    is_refused(through(&world.house, &token).await, "not-a-member");
    let mut tx = world.house.begin_platform().await.unwrap();
    is_refused(
        sessions::open(&mut tx, &me, Duration::from_hours(1), None).await,
        "not-a-member",
    );
    drop(tx);
    allowed(&platform, &gone("null")).await;
    is_refused(through(&world.house, &token).await, "not-a-member");
    let (_, token) = session(world, &me).await;
    through(&world.house, &token).await.unwrap();
}

/// A change of what its user may do prolongs none.
pub async fn each_session_ends_by_itself_on_its_own(world: &World) {
    let me = member(world, "me@example.com", Role::Member).await;
    let short = async {
        let mut tx = world.house.begin_platform().await.unwrap();
        let made = sessions::open(&mut tx, &me, Duration::from_secs(2), None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        made.secret.reveal().to_owned()
    };
    let short = short.await;
    let (_, long) = session(world, &me).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let team = teams::create(&mut tx, "night shift").await.unwrap();
    teams::add_member(&mut tx, team.id, user_of(&me))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for token in [&short, &long] {
        let context = sessions::authenticate(&world.house, token).await.unwrap();
        let rows = world
            .house
            .query(
                &context,
                "select cardinality(rowhouse.caller_principals())",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(
            rows[0].get::<_, i32>(0),
            3,
            "HOLE: a session misses its user's team"
        );
    }
    tokio::time::sleep(Duration::from_millis(2100)).await;
    is_refused(through(&world.house, &short).await, "not-a-member");
    through(&world.house, &long).await.unwrap();
    through(&world.house, &session(world, &me).await.1)
        .await
        .unwrap();
}

pub async fn sessions_are_their_users_own(world: &World) {
    let me = member(world, "me@example.com", Role::Member).await;
    let other = member(world, "other@example.com", Role::Member).await;
    let (id, _) = session(world, &me).await;
    let (id, owner) = (id.uuid().to_string(), world.alpha.context());
    let app = world.app().await;
    for (context, rows) in [
        (&me, &[id.as_str()][..]),
        (&other, &[]),
        (&owner, &[&id]),
        (&world.beta.context(), &[]),
        (&Context::tenant(world.alpha.id), &[]),
    ] {
        enter(&app, world, context).await;
        sees(&app, "select id from rowhouse.sessions", rows).await;
        app.batch_execute("rollback").await.unwrap();
    }
}

/// From a transaction that was open when it ended.
pub async fn a_session_that_was_ended_leaves_nothing_behind(world: &World) {
    let admin = member(world, "admin@example.com", Role::Admin).await;
    let (id, token) = session(world, &admin).await;
    let (_, other) = session(world, &admin).await;
    let plant = "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values (gen_random_uuid(), 'k', 'tk_', sha256('x'), 'h')";
    let stolen = world.app().await;
    enter(
        &stolen,
        world,
        &sessions::authenticate(&world.house, &token).await.unwrap(),
    )
    .await;
    end(world, &admin, id).await.unwrap();
    refused(&stolen, plant, "RH005").await;
    refused(&stolen, "select rowhouse.invite(gen_random_uuid(), 'x@example.com', 'admin', now() + interval '1 day', gen_random_uuid())", "RH005").await;
    let mine = world.app().await;
    enter(
        &mine,
        world,
        &sessions::authenticate(&world.house, &other).await.unwrap(),
    )
    .await;
    allowed(&mine, plant).await;
}
