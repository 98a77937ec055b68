//! Who invites whom, and who sees it.

use rowhouse::ids::TenantId;
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::Role;
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Context, Error, users};

use super::{accept, invite, member, platform_inside, remove, token};
use crate::attacks::{
    allowed, as_login, checks, enter, heard, is_refused, noisy, refused, sees, touches,
};
use crate::world::World;

checks![
    an_address_has_one_form,
    an_address_has_one_invitation,
    an_admin_invites_no_owner,
    the_platform_invites_while_there_is_no_owner,
    nobody_inside_learns_an_invitations_token,
    invitations_are_for_those_who_manage,
];

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

/// Or whoever was removed would come back by the second. Also of two that are made at once, and of whoever has SQL.
pub async fn an_address_has_one_invitation(world: &World) {
    const TWICE: &str = "twice@example.com";
    let owner = world.alpha.context();
    let call = format!(
        "select rowhouse.invite(gen_random_uuid(), 'T{}', 'admin', now() + interval '1 day', gen_random_uuid())",
        &TWICE[1..]
    );
    let a = world.app().await;
    enter(&a, world, &owner).await;
    allowed(&a, &call).await;
    refused(&a, &call, "23505").await;
    let ((), second) = tokio::join!(
        async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            a.batch_execute("commit").await.unwrap();
        },
        invite(world, &owner, TWICE, Role::Admin)
    );
    assert!(second.is_err(), "HOLE: two at once");
    is_refused(second.map(drop), "taken");
    // Who accepted it and was removed has none left, in whatever way one more was made.
    let first = token(world, "Twice@example.com").await;
    let accepted = accept(world, &first).await.unwrap();
    let root = world.superuser().await;
    let address = async |email: &str| {
        let sql = format!(
            "update rowhouse.users set email = '{email}' where id = '{}'",
            accepted.user_id.uuid()
        );
        touches(&root, &sql, 1).await;
    };
    address("elsewhere@example.com").await;
    let (_, spare) = invite(world, &owner, TWICE, Role::Admin).await.unwrap();
    address(TWICE).await;
    remove(world, &owner, accepted.user_id).await.unwrap();
    let back = accept(world, &spare).await;
    assert!(back.is_err(), "HOLE: who was removed comes back");
    // Invited again, he comes.
    let (_, again) = invite(world, &owner, TWICE, Role::Admin).await.unwrap();
    accept(world, &again).await.unwrap();
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
    for whom in ["'victim@", "'second@", "'third@"] {
        allowed(&a, &call.replace("'victim@", whom)).await;
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
