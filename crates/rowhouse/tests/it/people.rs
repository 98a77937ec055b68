//! How people come in and go: members, invitations, sessions. The attacker runs SQL as the app's login inside alpha, or as the
//! platform's login; beside each refusal stands who may.

use std::time::Duration;

use rowhouse::ids::{InvitationId, ProjectId, SessionId, TenantId, UserId};
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::{self, Changes, Role};
use rowhouse::projects::ProjectRole;
use rowhouse::sessions::{self, RequestContext};
use rowhouse::tenants::{self, Kind, NewTenant, Status};
use rowhouse::{Context, Error, Rowhouse, keys, projects, teams, users, workspaces};
use tokio_postgres::Client;

use crate::attacks::{
    allowed, as_login, attacker, checks, enter, heard, is_refused, noisy, refused, sees, touches,
};
use crate::world::World;

checks![
    nobody_is_added_by_sql_inside_the_tenant,
    the_platform_lets_nobody_in,
    the_platform_raises_nobody,
    a_tenant_keeps_its_last_owner,
    of_two_owners_who_go_at_once_one_stays,
    whoever_leaves_asks_nobody,
    an_invitation_is_good_once,
    an_invitation_ends,
    an_invitation_is_as_good_as_its_inviter,
    an_invitation_is_for_the_user_of_its_address,
    an_invitation_opens_none_of_the_other_tenants_of_whom_it_brings,
    an_address_has_one_form,
    whoever_is_new_gets_a_tenant_of_his_own,
    an_admin_invites_no_owner,
    the_platform_invites_while_there_is_no_owner,
    nobody_inside_learns_an_invitations_token,
    invitations_are_for_those_who_manage,
    a_suspended_tenant_takes_nobody_in,
    a_member_is_added_once,
    nobody_inside_opens_a_session,
    a_session_is_for_a_ticket_that_nothing_narrows,
    a_session_ends_for_good,
    a_session_ends_with_the_membership,
    a_session_ends_with_the_user,
    each_session_ends_by_itself_on_its_own,
    sessions_are_their_users_own,
    a_session_that_was_ended_leaves_nothing_behind,
    where_else_somebody_belongs_only_the_platform_asks,
    a_caller_may_ask_for_what_the_database_lets_him_enter,
    a_user_switches_by_a_session_only,
    nobody_switches_while_he_is_shown_out,
    who_is_shown_out_while_he_switches_is_out,
    nobody_who_is_being_deleted_gets_a_session,
    what_is_another_tenants_is_in_no_field,
    names_of_members_are_the_tenants_own,
    a_tenant_keeps_its_last_workspace,
    a_projects_admin_says_who_is_in_it,
    a_projects_admin_says_nothing_beyond_it,
    who_no_longer_administers_a_project_says_nothing,
];

const WHO: &str = "select rowhouse.current_user_id()::text, rowhouse.caller_role()";

async fn user(world: &World, email: &str) -> UserId {
    let mut tx = world.house.begin_platform().await.unwrap();
    let user = users::create(&mut tx, email, "Somebody").await.unwrap();
    tx.commit().await.unwrap();
    user.id
}

/// A new member of alpha.
pub async fn member(world: &World, email: &str, role: Role) -> Context {
    let user = user(world, email).await;
    add(world, user, role).await.unwrap();
    Context::user(world.alpha.id, user)
}

async fn add(world: &World, user: UserId, role: Role) -> Result<(), Error> {
    let mut tx = world.house.begin_platform().await?;
    members::add(&mut tx, &world.alpha.context(), user, role).await?;
    tx.commit().await
}

pub async fn remove(world: &World, by: &Context, user: UserId) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    members::remove(&mut tx, user).await?;
    tx.commit().await
}

async fn set_role(world: &World, by: &Context, user: UserId, role: Role) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    members::update(&mut tx, user, &Changes { role }, None).await?;
    tx.commit().await
}

pub fn user_of(context: &Context) -> UserId {
    context.principal_id().uuid().into()
}

/// What came by mail, as nobody but the test's superuser reads it.
pub async fn token(world: &World, email: &str) -> String {
    let root = world.superuser().await;
    let sql = format!(
        "select token from rowhouse.outbox where recipient = '{email}' order by created_at desc limit 1"
    );
    allowed(&root, &sql).await.remove(0)
}

async fn invite(
    world: &World,
    by: &Context,
    email: &str,
    role: Role,
) -> Result<(InvitationId, String), Error> {
    let mut tx = world.house.begin(by).await?;
    let new = NewInvitation::new(email, role);
    let made = invitations::create(&mut tx, new).await?;
    tx.commit().await?;
    Ok((made.id, token(world, email).await))
}

async fn accept(world: &World, token: &str) -> Result<invitations::Accepted, Error> {
    invitations::accept(&world.house, token, "Somebody", None).await
}

/// A session of this member of alpha.
async fn session(world: &World, who: &Context) -> (SessionId, String) {
    let mut tx = world.house.begin_platform().await.unwrap();
    let made = sessions::open(&mut tx, who, Duration::from_hours(1), None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    (made.id, made.secret.reveal().to_owned())
}

/// Who a session's token lets in, as what.
async fn through(house: &Rowhouse, token: &str) -> Result<(Option<String>, String), Error> {
    let context = sessions::authenticate(house, token).await?;
    let rows = house.query(&context, WHO, &[]).await?;
    Ok((rows[0].get(0), rows[0].get(1)))
}

/// The platform's login inside alpha.
pub async fn platform_inside(world: &World, tenant: TenantId) -> Client {
    let mut tx = world.house.begin_platform().await.unwrap();
    let system = tx.system_of(tenant).await.unwrap();
    tx.commit().await.unwrap();
    let client = world.platform().await;
    enter(&client, world, &system).await;
    client
}

async fn ticket(world: &World, context: &Context) -> String {
    let ticket = world.house.ticket(context, Duration::from_mins(1)).await;
    ticket.unwrap().reveal()
}

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
        let goes = async |by: &Context, other: &Context| match how {
            "leave" => remove(world, by, user_of(by)).await,
            "step down" => set_role(world, by, user_of(by), Role::Member).await,
            _ => remove(world, by, user_of(other)).await,
        };
        for _ in 0..2 {
            let (first, second) = tokio::join!(goes(&one, &two), goes(&two, &one));
            assert!(
                first.is_err() || second.is_err(),
                "HOLE: nobody owns the tenant: {how}"
            );
        }
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

pub async fn an_invitation_is_good_once(world: &World) {
    user(world, "known@example.com").await;
    let by = world.alpha.context();
    for email in ["known@example.com", "new@example.com"] {
        let (_, token) = invite(world, &by, email, Role::Member).await.unwrap();
        let first = world.platform().await;
        first.batch_execute("begin").await.unwrap();
        let call = format!(
            "select rowhouse.accept_invitation('{token}', gen_random_uuid(), 'N', gen_random_uuid(), sha256('{email}'), now() + interval '1 hour', gen_random_uuid())"
        );
        allowed(&first, &call).await;
        let first = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            first.batch_execute("commit").await.unwrap();
        };
        let (second, ()) = tokio::join!(accept(world, &token), first);
        is_refused(second, "invitation-over");
        is_refused(accept(world, &token).await, "invitation-over");
    }
    let (_, token) = invite(world, &by, "other@example.com", Role::Member)
        .await
        .unwrap();
    let came = accept(world, &token).await.unwrap();
    assert_eq!(came.tenant.id, world.alpha.id);
    let who = through(&world.house, came.session.secret.reveal())
        .await
        .unwrap();
    assert_eq!(
        who,
        (Some(came.user_id.uuid().to_string()), "member".to_owned())
    );
    for nothing in [
        "",
        "invite_",
        &token[..20],
        &token.to_uppercase(),
        &format!("{token}0"),
        &format!("invite_{}", "0".repeat(48)),
    ] {
        is_refused(accept(world, nothing).await, "not-found");
    }
}

pub async fn an_invitation_ends(world: &World) {
    let by = world.alpha.context();
    let (late, token) = invite(world, &by, "late@example.com", Role::Member)
        .await
        .unwrap();
    let root = world.superuser().await;
    let expires = |at: &str| {
        format!(
            "update rowhouse.invitations set expires_at = {at} where id = '{}'",
            late.uuid()
        )
    };
    allowed(&root, &expires("clock_timestamp() - interval '1 second'")).await;
    is_refused(accept(world, &token).await, "invitation-over");
    allowed(&root, &expires("clock_timestamp() + interval '1 hour'")).await;
    accept(world, &token).await.unwrap();

    let (gone, token) = invite(world, &by, "gone@example.com", Role::Member)
        .await
        .unwrap();
    let mut tx = world.house.begin(&by).await.unwrap();
    invitations::revoke(&mut tx, gone).await.unwrap();
    is_refused(invitations::revoke(&mut tx, gone).await, "invitation-over");
    is_refused(invitations::revoke(&mut tx, late).await, "invitation-over");
    tx.commit().await.unwrap();
    is_refused(accept(world, &token).await, "invitation-over");
    // For good.
    let a = attacker(world).await;
    refused(
        &a,
        "update rowhouse.invitations set revoked_at = null",
        "42501",
    )
    .await;
    // And nobody makes one that lasts.
    let forever = "select rowhouse.invite(gen_random_uuid(), 'x@example.com', 'member', now() + interval '31 days', gen_random_uuid())";
    refused(&a, forever, "23514").await;
    allowed(&a, &forever.replace("31 days", "30 days")).await;
}

/// Who was removed or demoted since brings nobody in, also when he is back.
pub async fn an_invitation_is_as_good_as_its_inviter(world: &World) {
    let owner = world.alpha.context();
    let admin = member(world, "admin@example.com", Role::Admin).await;
    let id = user_of(&admin);
    let (_, removed) = invite(world, &admin, "a@example.com", Role::Admin)
        .await
        .unwrap();
    remove(world, &owner, id).await.unwrap();
    is_refused(accept(world, &removed).await, "invitation-over");
    add(world, id, Role::Admin).await.unwrap();
    is_refused(accept(world, &removed).await, "invitation-over");

    let (_, demoted) = invite(world, &admin, "b@example.com", Role::Member)
        .await
        .unwrap();
    set_role(world, &owner, id, Role::Member).await.unwrap();
    is_refused(accept(world, &demoted).await, "invitation-over");
    set_role(world, &owner, id, Role::Owner).await.unwrap();
    is_refused(accept(world, &demoted).await, "invitation-over");

    let (_, of_owner) = invite(world, &admin, "c@example.com", Role::Owner)
        .await
        .unwrap();
    let (_, of_admin) = invite(world, &admin, "d@example.com", Role::Member)
        .await
        .unwrap();
    set_role(world, &owner, id, Role::Admin).await.unwrap();
    is_refused(accept(world, &of_owner).await, "invitation-over");
    accept(world, &of_admin).await.unwrap();

    // Gone from the platform, and not from the tenant.
    let (_, of_gone) = invite(world, &admin, "e@example.com", Role::Member)
        .await
        .unwrap();
    let gone = |at: &str| {
        format!(
            "update rowhouse.users set deleted_at = {at} where id = '{}'",
            id.uuid()
        )
    };
    let platform = world.platform().await;
    allowed(&platform, &gone("now()")).await;
    is_refused(accept(world, &of_gone).await, "invitation-over");
    allowed(&platform, &gone("null")).await;
    accept(world, &of_gone).await.unwrap();
}

pub async fn an_invitation_is_for_the_user_of_its_address(world: &World) {
    let by = world.alpha.context();
    // Beta's owner comes as who he is, whatever the case of his address.
    let theirs = allowed(
        &world.superuser().await,
        &format!(
            "select upper(email) from rowhouse.users where id = '{}'",
            world.beta.owner.uuid()
        ),
    )
    .await
    .remove(0);
    let (_, token) = invite(world, &by, &theirs, Role::Viewer).await.unwrap();
    let came = accept(world, &token).await.unwrap();
    assert_eq!(
        came.user_id, world.beta.owner,
        "HOLE: two users of one address"
    );

    // Who has another address now is not the one who reads mail at the old.
    let moved = user(world, "old@example.com").await;
    let platform = world.platform().await;
    let set = |what: &str| {
        format!(
            "update rowhouse.users set {what} where id = '{}'",
            moved.uuid()
        )
    };
    let (_, token) = invite(world, &by, "old@example.com", Role::Member)
        .await
        .unwrap();
    allowed(&platform, &set("email = 'new@example.com'")).await;
    is_refused(accept(world, &token).await, "invitation-over");
    allowed(
        &platform,
        &set("email = 'old@example.com', deleted_at = now()"),
    )
    .await;
    is_refused(accept(world, &token).await, "invitation-over");
    allowed(&platform, &set("deleted_at = null")).await;
    assert_eq!(accept(world, &token).await.unwrap().user_id, moved);

    // Two tenants invite one who is new, and he accepts both at once.
    let (_, one) = invite(world, &by, "both@example.com", Role::Member)
        .await
        .unwrap();
    let (_, two) = invite(
        world,
        &world.beta.context(),
        "Both@example.com",
        Role::Member,
    )
    .await
    .unwrap();
    let (one, two) = tokio::join!(accept(world, &one), accept(world, &two));
    assert_eq!(one.unwrap().user_id, two.unwrap().user_id);
}

/// Whoever runs a tenant chooses whom to invite. If accepting made him that person everywhere, a mail that is opened by the wrong
/// one would open all that the right one has.
pub async fn an_invitation_opens_none_of_the_other_tenants_of_whom_it_brings(world: &World) {
    let known = member(world, "known@example.com", Role::Admin).await;
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    let new = NewInvitation::new("known@example.com", Role::Viewer);
    invitations::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    let came = accept(world, &token(world, "known@example.com").await)
        .await
        .unwrap();
    assert_eq!(Context::user(world.alpha.id, came.user_id), known);

    let here = sessions::authenticate(&world.house, came.session.secret.reveal())
        .await
        .unwrap();
    is_refused(
        sessions::switch(&world.house, &here, world.alpha.id).await,
        "not-permitted",
    );
    let seen = RequestContext::of_session(&world.house, &here)
        .await
        .unwrap();
    let seen: Vec<TenantId> = seen
        .memberships
        .iter()
        .map(|there| there.tenant_id)
        .collect();
    assert_eq!(seen, [world.beta.id], "HOLE: where else he belongs");
    // The other way round he goes: by the session that he had, or is given by who signs him in.
    let mut tx = world.house.begin_platform().await.unwrap();
    let own = sessions::open(&mut tx, &known, Duration::from_mins(5), None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let own = sessions::authenticate(&world.house, own.secret.reveal())
        .await
        .unwrap();
    sessions::switch(&world.house, &own, world.beta.id)
        .await
        .unwrap();
}

/// The Kelvin sign is a `k` in lower case: mail for the one would go elsewhere than to the other.
pub async fn an_address_has_one_form(world: &World) {
    member(world, "kate@example.com", Role::Member).await;
    for twin in [
        "\u{212a}ate@example.com",
        "\u{ff4b}ate@example.com",
        "kat\u{130}@example.com",
    ] {
        let invited = invite(world, &world.beta.context(), twin, Role::Viewer).await;
        is_refused(invited.map(drop), "invalid");
        let mut tx = world.house.begin_platform().await.unwrap();
        is_refused(users::create(&mut tx, twin, "Twin").await, "invalid");
        drop(tx);
        let b = world.app().await;
        enter(&b, world, &world.beta.context()).await;
        let call = format!(
            "select rowhouse.invite(gen_random_uuid(), '{twin}', 'viewer', now() + interval '1 day', gen_random_uuid())"
        );
        refused(&b, &call, "23514").await;
        let insert = format!(
            "insert into rowhouse.users (id, email, name) values (gen_random_uuid(), '{twin}', 'Twin')"
        );
        refused(&as_login(world, "test_platform").await, &insert, "23514").await;
    }
    invite(
        world,
        &world.beta.context(),
        "KATE@example.com",
        Role::Viewer,
    )
    .await
    .unwrap();
}

pub async fn whoever_is_new_gets_a_tenant_of_his_own(world: &World) {
    const OWN: &str = "select count(*) from rowhouse.tenants where kind = 'personal'";
    let root = world.superuser().await;
    let by = world.alpha.context();
    // Who is known has one or not: that is for whoever made him to say.
    user(world, "known@example.com").await;
    let (_, token) = invite(world, &by, "known@example.com", Role::Member)
        .await
        .unwrap();
    accept(world, &token).await.unwrap();
    sees(&root, OWN, &["0"]).await;
    // Two tenants invite one who is new, and he accepts both at once.
    let (_, one) = invite(world, &by, "new@example.com", Role::Viewer)
        .await
        .unwrap();
    let (_, two) = invite(
        world,
        &world.beta.context(),
        "New@example.com",
        Role::Member,
    )
    .await
    .unwrap();
    let (one, two) = tokio::join!(accept(world, &one), accept(world, &two));
    let (one, two) = (one.unwrap(), two.unwrap());
    sees(&root, OWN, &["1"]).await;
    let mut tx = world.house.begin_platform().await.unwrap();
    let belongs = sessions::memberships(&mut tx, one.user_id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(belongs.len(), 3);
    let own = belongs.iter().find(|there| there.kind == Kind::Personal);
    let own = own.expect("a tenant of his own");
    assert_eq!((own.name.as_str(), own.role), ("Personal Org", Role::Owner));
    sees(
        &root,
        "select count(*) from rowhouse.users where home_tenant_id is not null",
        &["1"],
    )
    .await;
    // He switches there, where his own workspace is, by the session of the invitation that made him: to the other he was known.
    // What else he is given waits for a worker.
    let mut switched = 0;
    for came in [one, two] {
        let session = sessions::authenticate(&world.house, came.session.secret.reveal())
            .await
            .unwrap();
        let Ok(there) = sessions::switch(&world.house, &session, own.tenant_id).await else {
            continue;
        };
        switched += 1;
        let inside = sessions::authenticate(&world.house, there.secret.reveal())
            .await
            .unwrap();
        let mut tx = world.house.begin(&inside).await.unwrap();
        let spaces = workspaces::list(&mut tx, None, 50).await.unwrap();
        assert_eq!(spaces[0].name, "Personal Workspace");
        assert_eq!(spaces[0].owner_id, Some(came.user_id));
    }
    assert_eq!(switched, 1);
    sees(
        &root,
        "select count(*) from rowhouse.provisioning_runs r join rowhouse.jobs j using (tenant_id) where j.kind = 'provision' and r.status = 'running'",
        &["1"],
    )
    .await;
    // Who does not get in founds nothing.
    let (id, token) = invite(world, &by, "late@example.com", Role::Member)
        .await
        .unwrap();
    let mut tx = world.house.begin(&by).await.unwrap();
    invitations::revoke(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    is_refused(accept(world, &token).await, "invitation-over");
    sees(&root, OWN, &["1"]).await;
}

pub async fn an_admin_invites_no_owner(world: &World) {
    let admin = member(world, "admin@example.com", Role::Admin).await;
    is_refused(
        invite(world, &admin, "x@example.com", Role::Owner).await,
        "not-permitted",
    );
    let (_, token) = invite(world, &admin, "x@example.com", Role::Admin)
        .await
        .unwrap();
    accept(world, &token).await.unwrap();
    for role in [Role::Member, Role::Viewer] {
        let nobody = member(world, &format!("{role}@example.com"), role).await;
        let tried = invite(world, &nobody, "y@example.com", Role::Viewer).await;
        assert!(
            matches!(&tried, Err(error) if ["not-a-member", "read-only", "not-permitted"].contains(&error.code())),
            "HOLE: {role} invites: {tried:?}"
        );
    }
    let (_, token) = invite(world, &world.alpha.context(), "z@example.com", Role::Owner)
        .await
        .unwrap();
    accept(world, &token).await.unwrap();
}

/// And what it made then is worth nothing once there is one.
pub async fn the_platform_invites_while_there_is_no_owner(world: &World) {
    let mut tx = world.house.begin_platform().await.unwrap();
    let new = NewTenant::organization("fresh", "Fresh");
    let fresh = tenants::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    let as_platform = async |tenant: TenantId, email: &str, role: Role| -> Result<String, Error> {
        let mut tx = world.house.begin_system(tenant).await?;
        invitations::create(&mut tx, NewInvitation::new(email, role)).await?;
        tx.commit().await?;
        Ok(token(world, email).await)
    };
    is_refused(
        as_platform(world.alpha.id, "x@example.com", Role::Viewer).await,
        "support-access-required",
    );
    let first = as_platform(fresh.id, "first@example.com", Role::Owner)
        .await
        .unwrap();
    let own = as_platform(fresh.id, "operator@example.com", Role::Admin)
        .await
        .unwrap();
    accept(world, &first).await.unwrap();
    is_refused(accept(world, &own).await, "invitation-over");
}

/// Whoever knows one becomes the person that it was sent to, in each of this person's tenants.
pub async fn nobody_inside_learns_an_invitations_token(world: &World) {
    let (a, mut log) = noisy(world).await;
    enter(&a, world, &world.alpha.context()).await;
    a.batch_execute(
        "set client_min_messages = debug5; set debug_print_parse = on; set debug_print_rewritten = on; set debug_print_plan = on;
         set plan_cache_mode = force_custom_plan",
    )
    .await
    .unwrap();
    let call = "select rowhouse.invite(gen_random_uuid(), 'victim@example.com', 'member', now() + interval '1 day', gen_random_uuid())";
    for _ in 0..3 {
        allowed(&a, call).await;
    }
    // What fails after it was made tells nothing either.
    refused(
        &a,
        &call.replace("'victim@", "'victim' || repeat('x', 300) || '@"),
        "23514",
    )
    .await;
    for sql in [
        "select text from rowhouse.outbox",
        "select token from rowhouse.outbox",
        "insert into rowhouse.outbox (id, recipient, subject, text, token) values (gen_random_uuid(), 'eve@example.com', 's', 't', 'x')",
        "select digest from rowhouse.invitations",
        "insert into rowhouse.invitations (id, email, role, digest, expires_at) values (gen_random_uuid(), 'victim@example.com', 'member', sha256('mine'), now())",
        "update rowhouse.invitations set digest = sha256('mine')",
        "update rowhouse.invitations set email = 'victim@example.com'",
        "update rowhouse.invitations set accepted_at = now()",
        "select rowhouse.accept_invitation('x', gen_random_uuid(), 'n', gen_random_uuid(), '', now(), gen_random_uuid())",
    ] {
        refused(&a, sql, "42501").await;
    }
    a.batch_execute("commit").await.unwrap();
    let said = heard(&mut log);
    assert!(
        said.len() > 1000,
        "nothing was said: the test proves nothing"
    );
    let numbers = said.split_whitespace().collect::<Vec<_>>().join(" "); // lines break anywhere
    let all = "select token from rowhouse.outbox";
    let all = allowed(&world.superuser().await, all).await;
    assert_eq!(all.len(), 3);
    for made in &all {
        assert!(
            !said.contains(made),
            "HOLE: the token is in a plan or a message"
        );
        let bytes: Vec<String> = made.bytes().map(|byte| byte.to_string()).collect();
        assert!(
            !numbers.contains(&bytes[7..23].join(" ")),
            "HOLE: the token is in a plan, as numbers"
        );
    }
    let made = token(world, "victim@example.com").await;
    sees(&a, "select 1", &["1"]).await;
    accept(world, &made).await.unwrap();
    // Nor the platform, which reads mails, by the row.
    let system = platform_inside(world, world.alpha.id).await;
    refused(&system, "select digest from rowhouse.invitations", "42501").await;
    refused(
        &system,
        "update rowhouse.invitations set accepted_at = now()",
        "42501",
    )
    .await;
}

pub async fn invitations_are_for_those_who_manage(world: &World) {
    let member = member(world, "member@example.com", Role::Member).await;
    invite(
        world,
        &world.alpha.context(),
        "guest@example.com",
        Role::Viewer,
    )
    .await
    .unwrap();
    let app = world.app().await;
    let look = "select email from rowhouse.invitations";
    for (context, rows) in [
        (&member, &[][..]),
        (&world.beta.context(), &[]),
        (&Context::tenant(world.alpha.id), &[]),
        (&world.alpha.context(), &["guest@example.com"]),
    ] {
        enter(&app, world, context).await;
        sees(&app, look, rows).await;
        touches(
            &app,
            "update rowhouse.invitations set revoked_at = now()",
            rows.len() as u64,
        )
        .await;
        app.batch_execute("rollback").await.unwrap();
    }
}

pub async fn a_suspended_tenant_takes_nobody_in(world: &World) {
    let (_, token) = invite(
        world,
        &world.alpha.context(),
        "new@example.com",
        Role::Member,
    )
    .await
    .unwrap();
    let set = async |status: Status| {
        let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
        tenants::set_status(&mut tx, status, None).await.unwrap();
        tx.commit().await.unwrap();
    };
    set(Status::Suspended).await;
    is_refused(accept(world, &token).await, "tenant-not-active");
    set(Status::Active).await;
    accept(world, &token).await.unwrap();
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

async fn end(world: &World, by: &Context, id: SessionId) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    sessions::revoke(&mut tx, id).await?;
    tx.commit().await
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

pub async fn where_else_somebody_belongs_only_the_platform_asks(world: &World) {
    let ask = format!(
        "select slug, role from rowhouse.memberships('{}')",
        world.alpha.owner.uuid()
    );
    let a = attacker(world).await;
    refused(&a, &ask, "42501").await;
    sees(&world.platform().await, &ask, &["alpha|owner"]).await;
}

pub async fn a_caller_may_ask_for_what_the_database_lets_him_enter(world: &World) {
    let me = user(world, "me@example.com").await;
    let mut made = Vec::new();
    for (tenant, role) in [(&world.alpha, Role::Member), (&world.beta, Role::Owner)] {
        let mut tx = world.house.begin_platform().await.unwrap();
        members::add(&mut tx, &tenant.context(), me, role)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut tx = world.house.begin(&tenant.context()).await.unwrap();
        for name in ["in", "out"] {
            made.push((tenant.id, projects::create(&mut tx, name).await.unwrap().id));
        }
        tx.commit().await.unwrap();
    }
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    projects::set_role(&mut tx, made[0].1, me, ProjectRole::Viewer)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let asked = async || {
        let mut tx = world.house.begin_platform().await.unwrap();
        let context = RequestContext::resolve(&mut tx, world.alpha.id, me).await;
        tx.commit().await.unwrap();
        context
    };
    let context = asked().await.unwrap();
    for (n, (tenant, project)) in made.iter().enumerate() {
        let enters = Context::user(*tenant, me).in_project(*project);
        let enters = world.house.query(&enters, WHO, &[]).await.is_ok();
        assert_eq!(context.allows(*tenant, *project), enters, "HOLE: {n}");
        assert_eq!(enters, n != 1, "HOLE: {n}");
    }
    assert_eq!(context.pairs().count(), 3);
    // Anew for each request.
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    members::remove(&mut tx, me).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        asked().await.unwrap().pairs().collect::<Vec<_>>(),
        [made[0]],
        "HOLE"
    );
    remove(world, &world.alpha.context(), me).await.unwrap();
    is_refused(asked().await, "not-a-member");
}

pub async fn a_user_switches_by_a_session_only(world: &World) {
    let me = user(world, "me@example.com").await;
    let mut tx = world.house.begin_platform().await.unwrap();
    for tenant in [&world.alpha, &world.beta] {
        members::add(&mut tx, &tenant.context(), me, Role::Member)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let here = Context::user(world.alpha.id, me);
    is_refused(
        sessions::switch(&world.house, &here, world.beta.id).await,
        "not-permitted",
    );
    let (id, token) = session(world, &here).await;
    let from = sessions::authenticate(&world.house, &token).await.unwrap();
    let there = sessions::switch(&world.house, &from, world.beta.id)
        .await
        .unwrap();
    let context = sessions::authenticate(&world.house, there.secret.reveal())
        .await
        .unwrap();
    assert_eq!(
        (context.tenant_id(), user_of(&context)),
        (world.beta.id, me)
    );
    through(&world.house, there.secret.reveal()).await.unwrap();
    // It ends when the first one does, and where he does not belong there is none.
    let ends = allowed(
        &world.superuser().await,
        "select count(distinct expires_at) from rowhouse.sessions",
    )
    .await;
    assert_eq!(ends, ["1"], "HOLE: it lasts longer than what it came from");
    let not_mine = session(world, &world.alpha.context()).await.1;
    let not_mine = sessions::authenticate(&world.house, &not_mine)
        .await
        .unwrap();
    is_refused(
        sessions::switch(&world.house, &not_mine, world.beta.id).await,
        "not-found",
    );
    is_refused(
        sessions::switch(&world.house, &from, TenantId::new()).await,
        "not-found",
    );
    end(world, &here, id).await.unwrap();
    is_refused(
        sessions::switch(&world.house, &from, world.beta.id).await,
        "not-a-member",
    );
}

/// A member of both tenants, his session in alpha, and that session's context.
async fn wanderer(world: &World, email: &str) -> (UserId, SessionId, Context) {
    let me = user(world, email).await;
    let mut tx = world.house.begin_platform().await.unwrap();
    for tenant in [&world.alpha, &world.beta] {
        members::add(&mut tx, &tenant.context(), me, Role::Member)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let (id, token) = session(world, &Context::user(world.alpha.id, me)).await;
    let from = sessions::authenticate(&world.house, &token).await.unwrap();
    (me, id, from)
}

/// Ways to show somebody out of whom a session is, each in a transaction that is left open.
const SHOWN_OUT: [(&str, &str); 4] = [
    ("his session is ended", "not-a-member"),
    ("he is removed where he comes from", "not-a-member"),
    ("he is removed where he goes", "not-found"),
    ("he is deleted", "not-found"),
];

async fn show_out(world: &World, way: &str, me: UserId, id: SessionId) -> Client {
    let (me, id) = (me.uuid(), id.uuid());
    let removed = format!("delete from rowhouse.tenant_members where user_id = '{me}'");
    let (inside, sql) = match way {
        "his session is ended" => (
            Some(&world.alpha),
            format!("select rowhouse.end_session('{id}')"),
        ),
        "he is removed where he comes from" => (Some(&world.alpha), removed),
        "he is removed where he goes" => (Some(&world.beta), removed),
        _ => (
            None,
            format!("update rowhouse.users set deleted_at = now() where id = '{me}'"),
        ),
    };
    let client = if let Some(tenant) = inside {
        let client = world.app().await;
        enter(&client, world, &tenant.context()).await;
        client
    } else {
        let client = world.platform().await;
        client.batch_execute("begin").await.unwrap();
        client
    };
    client.batch_execute(&sql).await.unwrap();
    client
}

pub async fn nobody_switches_while_he_is_shown_out(world: &World) {
    for (n, (way, code)) in SHOWN_OUT.iter().enumerate() {
        for end in ["rollback", "commit"] {
            let (me, id, from) = wanderer(world, &format!("{end}{n}@example.com")).await;
            let out = show_out(world, way, me, id).await;
            let end_it = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                out.batch_execute(end).await.unwrap();
            };
            let switch = sessions::switch(&world.house, &from, world.beta.id);
            let (switched, ()) = tokio::join!(switch, end_it);
            if end == "rollback" {
                let there = switched.unwrap_or_else(|error| panic!("{way}, not: {error}"));
                through(&world.house, there.secret.reveal()).await.unwrap();
            } else {
                is_refused(switched.map(|there| (*way, there.tenant)), code);
            }
        }
    }
}

pub async fn nobody_who_is_being_deleted_gets_a_session(world: &World) {
    for end in ["rollback", "commit"] {
        let (me, id, _) = wanderer(world, &format!("{end}@example.com")).await;
        let out = show_out(world, "he is deleted", me, id).await;
        let end_it = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            out.batch_execute(end).await.unwrap();
        };
        let open = async {
            let mut tx = world.house.begin_platform().await?;
            let there = Context::user(world.beta.id, me);
            let made = sessions::open(&mut tx, &there, Duration::from_hours(1), None).await?;
            tx.commit().await?;
            Ok(made.secret)
        };
        let (opened, ()) = tokio::join!(open, end_it);
        if end == "rollback" {
            let secret = opened.unwrap_or_else(|error: Error| panic!("he stayed: {error}"));
            through(&world.house, secret.reveal()).await.unwrap();
        } else {
            is_refused(opened, "not-a-member");
        }
    }
}

/// The other way round: he is let in by a transaction that is open while he is shown out.
pub async fn who_is_shown_out_while_he_switches_is_out(world: &World) {
    for way in ["he is removed where he goes", "he is deleted"] {
        let (me, id, _) = wanderer(world, &format!("{}@example.com", way.len())).await;
        let mut tx = world.house.begin_platform().await.unwrap();
        let there = Context::user(world.beta.id, me);
        let made = sessions::open(&mut tx, &there, Duration::from_hours(1), None)
            .await
            .unwrap();
        let let_in = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            tx.commit().await.unwrap();
            through(&world.house, made.secret.reveal()).await.unwrap();
        };
        let (out, ()) = tokio::join!(show_out(world, way, me, id), let_in);
        out.batch_execute("commit").await.unwrap();
        is_refused(
            through(&world.house, made.secret.reveal()).await,
            "not-a-member",
        );
    }
}

pub async fn what_is_another_tenants_is_in_no_field(world: &World) {
    let (theirs, mine) = (world.beta.context(), world.alpha.context());
    let mut tx = world.house.begin(&theirs).await.unwrap();
    let team = teams::create(&mut tx, "theirs").await.unwrap().id;
    let project = projects::create(&mut tx, "theirs").await.unwrap().id;
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&mine).await.unwrap();
    let own_team = teams::create(&mut tx, "mine").await.unwrap().id;
    let own_project = projects::create(&mut tx, "mine").await.unwrap().id;
    tx.commit().await.unwrap();
    let (me, them) = (world.alpha.owner, world.beta.owner);
    let role = ProjectRole::Viewer;
    let mut tx = world.house.begin(&mine).await.unwrap();
    for (what, done) in [
        (
            "their team",
            tx.attempt(async |tx| teams::add_member(tx, team, me).await)
                .await,
        ),
        (
            "their user, in a team",
            tx.attempt(async |tx| teams::add_member(tx, own_team, them).await)
                .await,
        ),
        (
            "their project",
            tx.attempt(async |tx| projects::set_role(tx, project, me, role).await)
                .await,
        ),
        (
            "their user, in a project",
            tx.attempt(async |tx| projects::set_role(tx, own_project, them, role).await)
                .await,
        ),
        (
            "their user",
            tx.attempt(async |tx| members::remove(tx, them).await).await,
        ),
        (
            "their team's name",
            tx.attempt(async |tx| teams::rename(tx, team, "x", None).await.map(drop))
                .await,
        ),
        (
            "their project's end",
            tx.attempt(async |tx| projects::delete(tx, project, None).await)
                .await,
        ),
    ] {
        assert!(
            matches!(&done, Err(Error::NotFound(_))),
            "HOLE: {what}: {done:?}"
        );
    }
    teams::add_member(&mut tx, own_team, me).await.unwrap();
    projects::set_role(&mut tx, own_project, me, role)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // Nor by SQL.
    let a = attacker(world).await;
    let (t, p, u) = (team.uuid(), project.uuid(), them.uuid());
    for sql in [
        format!(
            "insert into rowhouse.team_members (team_id, user_id) values ('{t}', '{}')",
            me.uuid()
        ),
        format!(
            "insert into rowhouse.team_members (team_id, user_id) values ('{}', '{u}')",
            own_team.uuid()
        ),
        format!(
            "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{p}', '{}', 'admin')",
            me.uuid()
        ),
        format!(
            "insert into rowhouse.workspaces (id, kind, name, team_id) values (gen_random_uuid(), 'team', 'w', '{t}')"
        ),
        format!(
            "insert into rowhouse.workspaces (id, kind, name, owner_id) values (gen_random_uuid(), 'personal', 'w', '{u}')"
        ),
    ] {
        refused(&a, &sql, "23503").await;
    }
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

/// Pia administers apollo and edits gemini; bob and eve are members of the tenant, and eve edits apollo.
struct Projects {
    apollo: ProjectId,
    gemini: ProjectId,
    pia: Context,
    bob: UserId,
    eve: Context,
}

async fn project_of_pia(world: &World) -> Projects {
    let pia = member(world, "pia@example.com", Role::Member).await;
    let bob = member(world, "bob@example.com", Role::Member).await;
    let eve = member(world, "eve@example.com", Role::Member).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let apollo = projects::create(&mut tx, "apollo").await.unwrap().id;
    let gemini = projects::create(&mut tx, "gemini").await.unwrap().id;
    for (project, who, role) in [
        (apollo, &pia, ProjectRole::Admin),
        (gemini, &pia, ProjectRole::Editor),
        (apollo, &eve, ProjectRole::Editor),
    ] {
        projects::set_role(&mut tx, project, user_of(who), role)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    Projects {
        apollo,
        gemini,
        pia,
        bob: user_of(&bob),
        eve,
    }
}

fn joins(project: ProjectId, user: UserId, role: ProjectRole) -> String {
    format!(
        "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{}', '{}', '{role}')",
        project.uuid(),
        user.uuid()
    )
}

pub async fn a_projects_admin_says_who_is_in_it(world: &World) {
    let p = project_of_pia(world).await;
    for role in ProjectRole::ALL {
        let mut tx = world.house.begin(&p.pia).await.unwrap();
        projects::set_role(&mut tx, p.apollo, p.bob, *role)
            .await
            .unwrap_or_else(|error| panic!("HOLE: she gives nobody {role}: {error}"));
        tx.commit().await.unwrap();
        let bob = Context::user(world.alpha.id, p.bob);
        let inside = world
            .house
            .query(&bob, "select rowhouse.current_projects()", &[])
            .await
            .unwrap();
        assert_eq!(
            inside[0].get::<_, Vec<ProjectId>>(0),
            [p.apollo],
            "HOLE: {role}"
        );
    }
    let mut tx = world.house.begin(&p.pia).await.unwrap();
    projects::remove_member(&mut tx, p.apollo, p.bob)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // The editor beside her says nothing, of herself neither.
    let e = world.app().await;
    enter(&e, world, &p.eve).await;
    refused(&e, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
    for sql in [
        "update rowhouse.user_project_roles set role = 'admin'",
        "delete from rowhouse.user_project_roles",
    ] {
        touches(&e, sql, 0).await;
    }
    let mut tx = world.house.begin(&p.eve).await.unwrap();
    let herself = projects::set_role(&mut tx, p.apollo, user_of(&p.eve), ProjectRole::Admin).await;
    is_refused(herself, "not-permitted");
}

pub async fn a_projects_admin_says_nothing_beyond_it(world: &World) {
    let p = project_of_pia(world).await;
    let outsider = user(world, "outsider@example.com").await;
    let theirs = {
        let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
        let theirs = projects::create(&mut tx, "theirs").await.unwrap();
        tx.commit().await.unwrap();
        theirs.id
    };
    let c = world.app().await;
    enter(&c, world, &p.pia).await;
    touches(&c, &joins(p.apollo, p.bob, ProjectRole::Admin), 1).await;
    for project in [p.gemini, theirs, ProjectId::new()] {
        refused(&c, &joins(project, p.bob, ProjectRole::Viewer), "42501").await;
    }
    refused(&c, &joins(p.apollo, outsider, ProjectRole::Viewer), "23503").await;
    refused(
        &c,
        &joins(p.apollo, world.beta.owner, ProjectRole::Viewer),
        "23503",
    )
    .await;
    for sql in [
        "update rowhouse.user_project_roles set role = 'admin' where project_id = '{gemini}'",
        "delete from rowhouse.user_project_roles where project_id = '{gemini}'",
        "update rowhouse.projects set name = 'hers'",
        "update rowhouse.tenant_members set role = 'admin'",
        "delete from rowhouse.tenant_members",
    ] {
        let sql = sql.replace("{gemini}", &p.gemini.uuid().to_string());
        touches(&c, &sql, 0).await;
    }
    // A role is not carried over into another project, or to somebody else.
    for column in ["project_id", "user_id"] {
        let sql = format!("update rowhouse.user_project_roles set {column} = {column}");
        refused(&c, &sql, "42501").await;
    }
    refused(
        &c,
        "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'hers')",
        "42501",
    )
    .await;
    drop(c);
    // A ticket for gemini alone takes nothing of apollo along.
    let c = world.app().await;
    enter(&c, world, &p.pia.clone().in_project(p.gemini)).await;
    refused(&c, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
    // A key is in each project, and administers none.
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let new = keys::NewKey::new("ci", &[keys::Permission::Write]);
    let key = keys::create(&mut tx, new).await.unwrap().key.id;
    tx.commit().await.unwrap();
    let c = world.app().await;
    enter(&c, world, &Context::key(world.alpha.id, key)).await;
    refused(&c, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
}

/// From a transaction that was open when it ended.
pub async fn who_no_longer_administers_a_project_says_nothing(world: &World) {
    let p = project_of_pia(world).await;
    let by = world.alpha.context();
    let (plant, id) = (
        joins(p.apollo, p.bob, ProjectRole::Admin),
        user_of(&p.pia).uuid(),
    );
    let apollo = p.apollo.uuid();
    for (ends, begins) in [
        (
            format!(
                "update rowhouse.user_project_roles set role = 'editor' where user_id = '{id}' and project_id = '{apollo}'"
            ),
            format!(
                "update rowhouse.user_project_roles set role = 'admin' where user_id = '{id}' and project_id = '{apollo}'"
            ),
        ),
        (
            format!(
                "delete from rowhouse.user_project_roles where user_id = '{id}' and project_id = '{apollo}'"
            ),
            joins(p.apollo, user_of(&p.pia), ProjectRole::Admin),
        ),
        (
            format!("update rowhouse.tenant_members set role = 'viewer' where user_id = '{id}'"),
            format!("update rowhouse.tenant_members set role = 'member' where user_id = '{id}'"),
        ),
        (
            format!("update rowhouse.projects set deleted_at = now() where id = '{apollo}'"),
            format!("update rowhouse.projects set deleted_at = null where id = '{apollo}'"),
        ),
    ] {
        let late = world.app().await;
        enter(&late, world, &p.pia).await;
        touches(&late, &plant, 1).await;
        late.batch_execute("rollback").await.unwrap();
        enter(&late, world, &p.pia).await;
        let mut tx = world.house.begin(&by).await.unwrap();
        tx.batch(&ends).await.unwrap();
        tx.commit().await.unwrap();
        refused(&late, &plant, "RH005").await;
        drop(late);
        let mut tx = world.house.begin(&by).await.unwrap();
        tx.batch(&begins).await.unwrap();
        tx.commit().await.unwrap();
    }
    // As a viewer of the tenant she only reads, whatever she is in the project.
    set_role(world, &by, user_of(&p.pia), Role::Viewer)
        .await
        .unwrap();
    let c = world.app().await;
    enter(&c, world, &p.pia).await;
    refused(&c, &plant, "RH006").await;
}
