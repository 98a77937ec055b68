//! What an invitation is good for, for whom and until when.

use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::Role;
use rowhouse::sessions::{self, RequestContext};
use rowhouse::tenants::{self, Kind, Status};
use rowhouse::{Context, workspaces};

use super::{accept, add, invite, member, remove, set_role, through, token, user, user_of};
use crate::attacks::{allowed, attacker, checks, is_refused, refused, sees};
use crate::world::World;

checks![
    an_invitation_is_good_once,
    an_invitation_ends,
    an_invitation_is_as_good_as_its_inviter,
    an_invitation_is_for_the_user_of_its_address,
    an_invitation_opens_none_of_the_other_tenants_of_whom_it_brings,
    whoever_is_new_gets_a_tenant_of_his_own,
    a_suspended_tenant_takes_nobody_in,
];

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
