//! How people come in and go: members, invitations, sessions. The attacker runs SQL as the app's login inside alpha, or as the
//! platform's login; beside each refusal stands who may.

pub mod accepting;
pub mod in_session;
pub mod inviting;
pub mod membership;
pub mod project_admins;
pub mod switching;

use std::time::Duration;

use rowhouse::ids::{InvitationId, SessionId, TenantId, UserId};
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::{self, Changes, Role};
use rowhouse::projects::ProjectRole;
use rowhouse::{Context, Error, Rowhouse, projects, sessions, teams, users};
use tokio_postgres::Client;

use crate::attacks::{allowed, attacker, checks, enter, refused};
use crate::world::World;

checks![what_is_another_tenants_is_in_no_field];

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

async fn end(world: &World, by: &Context, id: SessionId) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    sessions::revoke(&mut tx, id).await?;
    tx.commit().await
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
