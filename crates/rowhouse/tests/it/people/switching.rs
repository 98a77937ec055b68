//! A user of several tenants goes from one to another, by a session, and while he is shown out.

use std::time::Duration;

use rowhouse::ids::{SessionId, TenantId, UserId};
use rowhouse::members::{self, Role};
use rowhouse::projects::ProjectRole;
use rowhouse::sessions::{self, RequestContext};
use rowhouse::{Context, Error, projects};
use tokio_postgres::Client;

use super::{WHO, end, remove, session, through, user, user_of};
use crate::attacks::{allowed, attacker, checks, enter, is_refused, refused, sees};
use crate::world::World;

checks![
    where_else_somebody_belongs_only_the_platform_asks,
    a_caller_may_ask_for_what_the_database_lets_him_enter,
    a_user_switches_by_a_session_only,
    nobody_switches_while_he_is_shown_out,
    who_is_shown_out_while_he_switches_is_out,
    nobody_who_is_being_deleted_gets_a_session,
];

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
