//! Two change what a caller is at the same time: both count, or one fails, and nobody waits for a tenant.

use std::time::Duration;

use rowhouse::Context;
use rowhouse::ids::UserId;
use rowhouse::members::Role;
use rowhouse::tenants::{self, NewTenant, Status};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Matrix, WHO, adding, matrix, set_status, ticket};
use crate::attacks::{allowed, checks, enter, is_refused, refused, touches};
use crate::world::World;

checks![
    two_changes_of_one_users_teams_both_count,
    a_removal_and_an_addition_at_once_both_count,
    under_repeatable_read_a_late_change_fails_or_counts,
    a_deleted_project_is_not_kept_by_a_role_given_at_once,
    a_new_owner_gets_a_project_made_at_once,
    a_key_made_while_the_tenant_is_suspended_does_not_enter,
    a_member_added_while_the_tenant_is_suspended_does_not_enter,
    a_tenant_does_not_hold_up_its_own_suspension,
    a_user_deleted_while_he_is_added_does_not_enter,
    a_tenant_locks_nobody_elses_user,
    a_suspended_tenants_open_transaction_leaves_nothing_behind,
    under_repeatable_read_a_new_caller_is_not_missed,
    a_thousand_projects_are_one_change,
    a_context_changed_under_a_trigger_locks_nobody_out,
];

/// Two transactions of alpha, begun in this isolation.
async fn two(world: &World, isolation: &str) -> (Client, Client) {
    let clients = (world.app().await, world.app().await);
    for client in [&clients.0, &clients.1] {
        enter(client, world, &world.alpha.context()).await;
        client.batch_execute("rollback").await.unwrap();
        client
            .batch_execute(&format!(
                "set default_transaction_isolation = '{isolation}'"
            ))
            .await
            .unwrap();
        enter(client, world, &world.alpha.context()).await;
        allowed(client, "select count(*) from rowhouse.teams").await; // takes the snapshot
    }
    clients
}

/// Runs `late` while `early` is not committed yet, commits `early`, then `late`.
async fn race(
    early: Client,
    first: &str,
    late: Client,
    second: &str,
) -> Result<(), tokio_postgres::Error> {
    early.batch_execute(first).await.unwrap();
    let second = second.to_owned();
    let waiting = tokio::spawn(async move {
        late.batch_execute(&second).await?;
        late.batch_execute("commit").await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    early.batch_execute("commit").await.unwrap();
    waiting.await.unwrap()
}

/// The liveness row says what the base tables say.
async fn is_consistent(world: &World, user: UserId) {
    let root = world.superuser().await;
    let (tenant, user) = (world.alpha.id.uuid(), user.uuid());
    let teams = format!(
        "select team_id from rowhouse.team_members where tenant_id = '{tenant}' and user_id = '{user}'"
    );
    let projects = format!(
        "select p.id from rowhouse.projects p where p.tenant_id = '{tenant}' and p.deleted_at is null and (
           exists (select from rowhouse.tenant_members m where m.tenant_id = p.tenant_id and m.user_id = '{user}' and m.role in ('owner', 'admin'))
           or exists (select from rowhouse.user_project_roles r where r.tenant_id = p.tenant_id and r.project_id = p.id and r.user_id = '{user}'))"
    );
    let live = allowed(
        &root,
        &format!(
            "select l.principals @> array({teams}) and cardinality(l.principals) = 2 + cardinality(array({teams})),
               l.projects @> array({projects}) and l.projects <@ array({projects})
             from rowhouse_private.liveness l where l.tenant_id = '{tenant}' and l.principal_id = '{user}'"
        ),
    )
    .await;
    assert_eq!(
        live,
        ["t|t"],
        "HOLE: (teams|projects) the liveness row is not what the base tables say"
    );
}

fn join_team(team: u128, user: UserId) -> String {
    format!(
        "insert into rowhouse.team_members (team_id, user_id) values ('{}', '{}')",
        Uuid::from_u128(team),
        user.uuid()
    )
}

async fn teams(world: &World) -> Matrix {
    let m = matrix(world).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for n in 1..4_u128 {
        let id = Uuid::from_u128(n);
        tx.batch(&format!(
            "insert into rowhouse.teams (id, name) values ('{id}', 'team {n}')"
        ))
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    m
}

pub async fn two_changes_of_one_users_teams_both_count(world: &World) {
    let m = teams(world).await;
    let (early, late) = two(world, "read committed").await;
    race(
        early,
        &join_team(1, m.member),
        late,
        &join_team(2, m.member),
    )
    .await
    .unwrap();
    is_consistent(world, m.member).await;
}

pub async fn a_removal_and_an_addition_at_once_both_count(world: &World) {
    let m = teams(world).await;
    let leave = format!(
        "delete from rowhouse.team_members where team_id = '{}'",
        m.team
    );
    for (first, second) in [
        (leave.clone(), join_team(1, m.member)),
        (join_team(2, m.member), leave),
    ] {
        let (early, late) = two(world, "read committed").await;
        race(early, &first, late, &second).await.unwrap();
        is_consistent(world, m.member).await;
    }
    // A member is removed while he gets a team: one of the two fails, or both count.
    let (early, late) = two(world, "read committed").await;
    let removed = race(
        early,
        &join_team(3, m.viewer),
        late,
        &format!(
            "delete from rowhouse.tenant_members where user_id = '{}'",
            m.viewer.uuid()
        ),
    )
    .await;
    assert!(removed.is_err(), "he is in a team");
    is_consistent(world, m.viewer).await;
}

pub async fn under_repeatable_read_a_late_change_fails_or_counts(world: &World) {
    let m = teams(world).await;
    for isolation in ["repeatable read", "serializable"] {
        let (early, late) = two(world, isolation).await;
        match race(
            early,
            &join_team(1, m.member),
            late,
            &join_team(2, m.member),
        )
        .await
        {
            Ok(()) => {}
            Err(error) => assert_eq!(error.code().unwrap().code(), "40001"),
        }
        is_consistent(world, m.member).await;
        // The other one committed before this one began to write, but after its snapshot.
        let (early, late) = two(world, isolation).await;
        early.batch_execute(&join_team(3, m.member)).await.unwrap();
        early.batch_execute("commit").await.unwrap();
        let leave = format!(
            "delete from rowhouse.team_members where team_id = '{}'",
            m.team
        );
        let left = late.batch_execute(&leave).await;
        assert_eq!(
            left.unwrap_err().code().unwrap().code(),
            "40001",
            "HOLE: a stale snapshot was written"
        );
        drop(late);
        is_consistent(world, m.member).await;
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.batch(&format!(
            "delete from rowhouse.team_members where user_id = '{}' and team_id <> '{}'",
            m.member.uuid(),
            m.team
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
}

pub async fn a_deleted_project_is_not_kept_by_a_role_given_at_once(world: &World) {
    let m = matrix(world).await;
    let delete = format!(
        "update rowhouse.projects set deleted_at = now() where id = '{}'",
        m.gemini
    );
    let give = format!(
        "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{}', '{}', 'viewer')",
        m.gemini,
        m.member.uuid()
    );
    let (early, late) = two(world, "read committed").await;
    drop(race(early, &delete, late, &give).await);
    is_consistent(world, m.member).await;
}

pub async fn a_new_owner_gets_a_project_made_at_once(world: &World) {
    let m = matrix(world).await;
    let make = format!(
        "insert into rowhouse.projects (id, name) values ('{}', 'mercury')",
        Uuid::from_u128(0xb3)
    );
    let promote = format!(
        "update rowhouse.tenant_members set role = 'owner' where user_id = '{}'",
        m.viewer.uuid()
    );
    let (early, late) = two(world, "read committed").await;
    drop(race(early, &promote, late, &make).await);
    is_consistent(world, m.viewer).await;
}

/// The tenant is suspended while a transaction inside it is about to add a caller.
async fn suspended_meanwhile(world: &World, insider: Client, add: &str, caller: Context) {
    insider.batch_execute(add).await.unwrap();
    let platform = world.platform().await;
    let suspend = format!(
        "update rowhouse.tenants set status = 'suspended' where id = '{}'",
        world.alpha.id.uuid()
    );
    let suspending = tokio::spawn(async move { platform.batch_execute(&suspend).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(insider.batch_execute("commit").await);
    suspending.await.unwrap().unwrap();
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "tenant-not-active",
    );
    is_refused(
        world.house.query(&caller, WHO, &[]).await,
        "tenant-not-active",
    );
}

pub async fn a_key_made_while_the_tenant_is_suspended_does_not_enter(world: &World) {
    let id = Uuid::from_u128(0xc2);
    let add = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{id}', 'k', 'tk_', sha256('{id}'), 'h')"
    );
    let insider = world.app().await;
    enter(&insider, world, &world.alpha.context()).await;
    suspended_meanwhile(
        world,
        insider,
        &add,
        Context::key(world.alpha.id, id.into()),
    )
    .await;
}

pub async fn a_member_added_while_the_tenant_is_suspended_does_not_enter(world: &World) {
    let m = matrix(world).await;
    let insider = world.platform().await;
    insider.batch_execute("begin").await.unwrap();
    let add = adding(world, m.stranger, Role::Member).await;
    suspended_meanwhile(
        world,
        insider,
        &add,
        Context::user(world.alpha.id, m.stranger),
    )
    .await;
}

/// By a transaction that changed its members, keys or projects and stays open.
pub async fn a_tenant_does_not_hold_up_its_own_suspension(world: &World) {
    let insider = world.app().await;
    enter(&insider, world, &world.alpha.context()).await;
    allowed(
        &insider,
        "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'slow')",
    )
    .await;
    let suspended = tokio::time::timeout(
        Duration::from_secs(10),
        set_status(world, Status::Suspended),
    )
    .await;
    assert!(
        suspended.is_ok(),
        "HOLE: a tenant that keeps a transaction open cannot be suspended"
    );
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "tenant-not-active",
    );
}

/// Whoever comes second waits, and sees the other.
pub async fn a_user_deleted_while_he_is_added_does_not_enter(world: &World) {
    let m = matrix(world).await;
    let insider = world.platform().await;
    insider.batch_execute("begin").await.unwrap();
    let add = adding(world, m.stranger, Role::Member).await;
    let delete = format!(
        "update rowhouse.users set deleted_at = now() where id = '{}'",
        m.stranger.uuid()
    );
    insider.batch_execute(&add).await.unwrap();
    let platform = world.platform().await;
    let deleting = tokio::spawn(async move { platform.batch_execute(&delete).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    insider.batch_execute("commit").await.unwrap();
    deleting.await.unwrap().unwrap();
    is_refused(
        world
            .house
            .query(&Context::user(world.alpha.id, m.stranger), WHO, &[])
            .await,
        "not-a-member",
    );
}

/// By naming a key after him: his deletion would wait, and under REPEATABLE READ a failure would tell that he was changed.
pub async fn a_tenant_locks_nobody_elses_user(world: &World) {
    let theirs = world.beta.owner.uuid();
    let key = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{theirs}', 'k', 'tk_', sha256('x'), 'h')"
    );
    let platform = world.platform().await;
    platform
        .batch_execute("set lock_timeout = '2s'")
        .await
        .unwrap();
    let change = format!("update rowhouse.users set name = name where id = '{theirs}'");
    for isolation in ["read committed", "repeatable read"] {
        let (early, late) = two(world, isolation).await;
        drop(early);
        allowed(&platform, &change).await;
        allowed(&late, &key).await;
        allowed(&platform, &change).await;
    }
}

/// No key that would enter once the tenant is let in again.
pub async fn a_suspended_tenants_open_transaction_leaves_nothing_behind(world: &World) {
    let insider = world.app().await;
    enter(&insider, world, &world.alpha.context()).await;
    set_status(world, Status::Suspended).await;
    let key = Uuid::from_u128(0xc6);
    let plant = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{key}', 'late', 'tk_', sha256('{key}'), 'h')"
    );
    for attempt in [
        &plant,
        "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'late')",
        "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'late')",
    ] {
        refused(&insider, attempt, "RH004").await;
    }
    set_status(world, Status::Active).await;
    allowed(&insider, &plant).await;
}

/// A project is made while an owner is added whom its snapshot does not show.
pub async fn under_repeatable_read_a_new_caller_is_not_missed(world: &World) {
    let m = matrix(world).await;
    let (early, late) = two(world, "repeatable read").await;
    let promote = format!(
        "update rowhouse.tenant_members set role = 'owner' where user_id = '{}'",
        m.viewer.uuid()
    );
    early.batch_execute(&promote).await.unwrap();
    early.batch_execute("commit").await.unwrap();
    let made = late
        .batch_execute(
            "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'mercury')",
        )
        .await;
    assert_eq!(
        made.expect_err("HOLE: made under a stale snapshot")
            .code()
            .unwrap()
            .code(),
        "40001"
    );
    drop(late);
    is_consistent(world, m.viewer).await;
}

pub async fn a_thousand_projects_are_one_change(world: &World) {
    let m = matrix(world).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.batch("insert into rowhouse.projects (id, name) select gen_random_uuid(), 'number ' || n from generate_series(1, 1000) n")
        .await
        .unwrap();
    let refreshed: i64 = tx
        .one("select count(*) from rowhouse.projects", &[])
        .await
        .unwrap()
        .get(0);
    tx.commit().await.unwrap();
    is_consistent(world, m.admin).await;
    is_consistent(world, m.member).await;
    let seen: i32 = world
        .house
        .query(
            &world.alpha.context(),
            "select cardinality(rowhouse.current_projects())",
            &[],
        )
        .await
        .unwrap()[0]
        .get(0);
    assert_eq!(
        i64::from(seen),
        refreshed,
        "HOLE: an owner has all projects"
    );
}

/// A member who administers a project, and has a tenant of his own to enter before the triggers of his statement run.
pub async fn a_context_changed_under_a_trigger_locks_nobody_out(world: &World) {
    let m = matrix(world).await;
    let mut tx = world.house.begin_platform().await.unwrap();
    let own = NewTenant::organization("own", "Own").owned_by(m.member);
    let own = tenants::create(&mut tx, own).await.unwrap().id;
    tx.commit().await.unwrap();
    let administers = format!(
        "update rowhouse.user_project_roles set role = 'admin' where project_id = '{}' and user_id = '{}'",
        m.apollo,
        m.member.uuid()
    );
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.batch(&administers).await.unwrap();
    tx.commit().await.unwrap();

    let app = world.app().await;
    let member = Context::user(world.alpha.id, m.member);
    let elsewhere = ticket(world, &Context::user(own, m.member), 60).await;
    let bring = format!(
        "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{}', '{}', 'viewer')
         on conflict (tenant_id, project_id, user_id) do update set role = 'viewer'
         returning 1",
        m.apollo,
        world.alpha.owner.uuid()
    );
    enter(&app, world, &member).await;
    let changed = format!(
        "with brought as ({bring}) select rowhouse.enter('{}') from brought",
        elsewhere.reveal()
    );
    refused(&app, &changed, "RH002").await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &member).await;
    touches(&app, &bring, 1).await;
    app.batch_execute("commit").await.unwrap();
    let owner = world.house.query(&world.alpha.context(), WHO, &[]).await;
    assert!(owner.is_ok(), "HOLE: {owner:?}");
}
