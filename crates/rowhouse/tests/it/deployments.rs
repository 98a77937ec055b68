//! Deployments: whose they are, how they move, what becomes of them. The attacker runs SQL as the app's login inside alpha.

use rowhouse::deployments::{self, Changes, Filter, NewDeployment, Status};
use rowhouse::ids::{DeploymentId, ProjectId, ResourceId};
use rowhouse::keys::Environment;
use rowhouse::members::Role;
use rowhouse::projects::{self, ProjectRole};
use rowhouse::resources::{self, AclAccess, NewResource, ResourceType, Visibility};
use rowhouse::{Context, Error, audit};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::attacks::{
    MY_RESOURCE, allowed, attacker, attempt, checks, enter, is_refused, refused, sees, touches,
};
use crate::people::{member, user_of};
use crate::world::World;

checks![
    a_deployment_is_for_those_who_see_its_resource,
    a_deployment_is_changed_by_those_who_edit_its_resource,
    a_deployment_goes_from_state_to_state,
    a_deleted_deployment_stays_deleted,
    a_deleted_resource_runs_nowhere,
    a_resource_that_its_deleter_sees_no_more_runs_nowhere,
    what_is_deleted_is_not_started_at_the_same_time,
    what_lies_in_a_deleted_project_runs_nowhere,
    nothing_is_started_while_its_project_is_deleted,
    the_platform_sees_deployments_and_changes_none,
];

const MINE: Uuid = Uuid::from_u128(0xde);
const DEPLOYED: &str = "select environment, status from rowhouse.deployments order by 1";

fn resource() -> ResourceId {
    MY_RESOURCE.parse::<Uuid>().unwrap().into()
}

fn deploying(resource: &str) -> String {
    format!(
        "insert into rowhouse.deployments (id, resource_id, environment)
         values ('{MINE}', '{resource}', 'PRODUCTION')"
    )
}

fn setting(status: impl std::fmt::Display) -> String {
    format!("update rowhouse.deployments set status = '{status}' where id = '{MINE}'")
}

async fn deploy(
    world: &World,
    by: &Context,
    environment: Environment,
) -> Result<DeploymentId, Error> {
    let mut tx = world.house.begin(by).await?;
    let new = NewDeployment {
        resource_id: resource(),
        environment,
    };
    let made = deployments::create(&mut tx, &new).await?;
    tx.commit().await?;
    Ok(made.id)
}

async fn moves(world: &World, by: &Context, id: DeploymentId, status: Status) -> Result<(), Error> {
    let mut tx = world.house.begin(by).await?;
    deployments::update(&mut tx, id, &Changes { status }, None).await?;
    tx.commit().await
}

async fn as_root(world: &World, set: &str) {
    let sql = format!("update rowhouse.resources set {set} where id = '{MY_RESOURCE}'");
    touches(&world.superuser().await, &sql, 1).await;
}

pub async fn a_deployment_is_for_those_who_see_its_resource(world: &World) {
    let owner = world.alpha.context();
    let bob = member(world, "bob@example.com", Role::Member).await;
    deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    let tenant = world.alpha.id.uuid();
    let project = Uuid::from_u128(0xb1);
    let make = format!(
        "insert into rowhouse.projects (tenant_id, id, name) values ('{tenant}', '{project}', 'apollo')"
    );
    // As the owner, since the triggers ask who it is.
    let a = attacker(world).await;
    touches(&a, &make, 1).await;
    a.batch_execute("commit").await.unwrap();
    let seen_by = async |context: &Context| {
        let client = world.app().await;
        enter(&client, world, context).await;
        allowed(&client, DEPLOYED).await.len()
    };
    for (set, by_bob) in [
        ("visibility = 'tenant'".to_owned(), 1),
        ("visibility = 'private'".to_owned(), 0),
        (
            format!("visibility = 'tenant', project_id = '{project}'"),
            0,
        ),
    ] {
        as_root(world, &set).await;
        assert_eq!(seen_by(&owner).await, 1, "HOLE: its owner does not: {set}");
        assert_eq!(seen_by(&bob).await, by_bob, "HOLE: {set}");
        assert_eq!(seen_by(&world.beta.context()).await, 0, "HOLE: {set}");
    }
    let join = format!(
        "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{project}', '{}', 'viewer')",
        bob.principal_id().uuid()
    );
    let a = attacker(world).await;
    touches(&a, &join, 1).await;
    a.batch_execute("commit").await.unwrap();
    assert_eq!(seen_by(&bob).await, 1, "HOLE: who is in the project");
}

pub async fn a_deployment_is_changed_by_those_who_edit_its_resource(world: &World) {
    let owner = world.alpha.context();
    let bob = member(world, "bob@example.com", Role::Member).await;
    let b = world.app().await;
    enter(&b, world, &bob).await;
    refused(&b, &deploying(MY_RESOURCE), "42501").await;
    let a = attacker(world).await;
    touches(&a, &deploying(MY_RESOURCE), 1).await;
    a.batch_execute("commit").await.unwrap();
    let delete = "update rowhouse.deployments set deleted_at = now()";
    for sql in [&setting("active"), delete] {
        refused(&b, sql, "42501").await;
    }
    drop(b);
    is_refused(
        moves(world, &bob, MINE.into(), Status::Active).await,
        "not-permitted",
    );
    is_refused(
        deploy(world, &bob, Environment::Sandbox).await,
        "not-permitted",
    );
    // With the right to edit he does, and a context that only reads does not.
    let mut tx = world.house.begin(&owner).await.unwrap();
    resources::grant(&mut tx, resource(), bob.principal_id(), AclAccess::Write)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    is_refused(
        moves(world, &bob.clone().read_only(), MINE.into(), Status::Active).await,
        "read-only",
    );
    moves(world, &bob, MINE.into(), Status::Active)
        .await
        .unwrap();
    deploy(world, &bob, Environment::Sandbox).await.unwrap();
    is_refused(deploy(world, &owner, Environment::Sandbox).await, "taken");
    // Nobody says who asked for it, of what it is, or that it runs already.
    let a = attacker(world).await;
    for sql in [
        "update rowhouse.deployments set resource_id = resource_id",
        "update rowhouse.deployments set created_by = created_by",
        "update rowhouse.deployments set environment = 'SANDBOX'",
        "insert into rowhouse.deployments (id, resource_id, environment, status) select gen_random_uuid(), resource_id, 'SANDBOX', 'active' from rowhouse.deployments",
        "delete from rowhouse.deployments",
    ] {
        refused(&a, sql, "42501").await;
    }
    // Of what is not there, or beta's, is said the same.
    for other in [
        crate::attacks::THEIR_RESOURCE,
        &Uuid::from_u128(7).to_string(),
    ] {
        refused(&a, &deploying(other), "42501").await;
    }
    let mut tx = world.house.begin(&owner).await.unwrap();
    let trail = audit::list(&mut tx, &audit::Filter::default(), 50)
        .await
        .unwrap();
    let by: Vec<_> = trail
        .iter()
        .filter(|entry| entry.action.starts_with("deployments."))
        .map(|entry| (entry.action.as_str(), entry.actor_id, entry.resource_id))
        .collect();
    assert_eq!(
        by,
        [
            ("deployments.create", bob.principal_id(), Some(resource())),
            ("deployments.update", bob.principal_id(), Some(resource()))
        ],
        "HOLE: the trail"
    );
}

pub async fn a_deployment_goes_from_state_to_state(world: &World) {
    let ways: [(Status, &[Status], &[Status]); 4] = [
        (
            Status::Pending,
            &[],
            &[Status::Active, Status::Stopped, Status::Failed],
        ),
        (
            Status::Active,
            &[Status::Active],
            &[Status::Stopped, Status::Failed],
        ),
        (
            Status::Stopped,
            &[Status::Active, Status::Stopped],
            &[Status::Active],
        ),
        (Status::Failed, &[Status::Failed], &[Status::Pending]),
    ];
    let a = attacker(world).await;
    for (from, way, on) in ways {
        for to in Status::ALL {
            a.batch_execute("savepoint anew").await.unwrap();
            touches(&a, &deploying(MY_RESOURCE), 1).await;
            for step in way {
                touches(&a, &setting(step), 1).await;
            }
            if on.contains(to) || *to == from {
                touches(&a, &setting(to), 1).await;
            } else {
                let refusal = refused(&a, &setting(to), "RH010").await;
                assert!(
                    refusal.said.contains(&format!("from {from} to {to}")),
                    "{refusal:?}"
                );
            }
            a.batch_execute("rollback to savepoint anew").await.unwrap();
        }
    }
}

pub async fn a_deleted_deployment_stays_deleted(world: &World) {
    let owner = world.alpha.context();
    let id = deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    moves(world, &owner, id, Status::Active).await.unwrap();
    let delete = async || {
        let mut tx = world.house.begin(&owner).await?;
        deployments::delete(&mut tx, id, None).await?;
        tx.commit().await
    };
    is_refused(delete().await, "wrong-state");
    moves(world, &owner, id, Status::Stopped).await.unwrap();
    let a = attacker(world).await;
    let both = "update rowhouse.deployments set status = 'active', deleted_at = now()";
    refused(&a, both, "RH010").await;
    drop(a);
    delete().await.unwrap();
    is_refused(delete().await, "not-found");
    is_refused(moves(world, &owner, id, Status::Active).await, "not-found");
    let a = attacker(world).await;
    let back = "update rowhouse.deployments set deleted_at = null";
    refused(&a, back, "RH010").await;
    refused(
        &a,
        "update rowhouse.deployments set status = 'active'",
        "RH010",
    )
    .await;
    drop(a);
    // There is room for another.
    deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    let mut tx = world.house.begin(&owner).await.unwrap();
    let all = deployments::list(&mut tx, &Filter::default(), 50).await;
    assert_eq!(all.unwrap().len(), 1, "HOLE: a deleted one is listed");
}

pub async fn a_deleted_resource_runs_nowhere(world: &World) {
    let owner = world.alpha.context();
    let production = deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    moves(world, &owner, production, Status::Active)
        .await
        .unwrap();
    deploy(world, &owner, Environment::Sandbox).await.unwrap();
    let mut tx = world.house.begin(&owner).await.unwrap();
    resources::delete(&mut tx, resource(), None).await.unwrap();
    tx.commit().await.unwrap();
    let stopped = ["PRODUCTION|stopped", "SANDBOX|stopped"];
    let a = attacker(world).await;
    sees(&a, DEPLOYED, &stopped).await;
    sees(
        &a,
        "select count(*) from rowhouse.audit_log where action = 'deployments.stop'",
        &["2"],
    )
    .await;
    let start = "update rowhouse.deployments set status = 'active'";
    refused(&a, start, "RH010").await;
    touches(
        &a,
        "update rowhouse.deployments set deleted_at = now() where environment = 'SANDBOX'",
        1,
    )
    .await;
    refused(
        &a,
        &deploying(MY_RESOURCE).replace("PRODUCTION", "SANDBOX"),
        "RH010",
    )
    .await;
    drop(a);
    is_refused(
        moves(world, &owner, production, Status::Active).await,
        "wrong-state",
    );
    is_refused(
        deploy(world, &owner, Environment::Sandbox).await,
        "not-found",
    );
    let mut tx = world.house.begin(&owner).await.unwrap();
    resources::restore(&mut tx, resource()).await.unwrap();
    tx.commit().await.unwrap();
    let a = attacker(world).await;
    sees(&a, DEPLOYED, &stopped).await;
    touches(&a, start, 2).await;
}

/// Whichever of the two comes first, the other waits for it, and what is deleted does not run.
pub async fn what_is_deleted_is_not_started_at_the_same_time(world: &World) {
    let owner = world.alpha.context();
    let id = deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    let start = format!(
        "update rowhouse.deployments set status = 'active' where id = '{}'",
        id.uuid()
    );
    let delete =
        format!("update rowhouse.resources set deleted_at = now() where id = '{MY_RESOURCE}'");
    for (first, second) in [(&start, &delete), (&delete, &start)] {
        as_root(world, "deleted_at = null").await;
        let (early, late) = (attacker(world).await, attacker(world).await);
        touches(&early, first, 1).await;
        let commit = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            early.batch_execute("commit").await.unwrap();
        };
        let (done, ()) = tokio::join!(attempt(&late, second), commit);
        if *second == start {
            let refusal = done.expect_err("HOLE: what is deleted was started");
            assert_eq!(refusal.code, "RH010", "HOLE: {refusal:?}");
        } else {
            done.unwrap_or_else(|refusal| panic!("HOLE: {refusal:?}"));
        }
        late.batch_execute("commit").await.unwrap();
        let runs = attacker(world).await;
        sees(&runs, DEPLOYED, &["PRODUCTION|stopped"]).await;
    }
}

/// Two projects of alpha, in which bob is an editor; a private resource of his, which nobody else sees, in none yet.
async fn in_a_project(world: &World) -> (Context, [ProjectId; 2], ResourceId) {
    let owner = world.alpha.context();
    let bob = member(world, "bob@example.com", Role::Member).await;
    let mut tx = world.house.begin(&owner).await.unwrap();
    let mut both = Vec::new();
    for name in ["apollo", "zephyr"] {
        let id = projects::create(&mut tx, name).await.unwrap().id;
        let role = ProjectRole::Editor;
        projects::set_role(&mut tx, id, user_of(&bob), role)
            .await
            .unwrap();
        both.push(id);
    }
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&bob).await.unwrap();
    let new = NewResource {
        visibility: Visibility::Private,
        ..NewResource::new(ResourceType::Prompt, "bob's")
    };
    let made = resources::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    (bob, [both[0], both[1]], made.id)
}

async fn put_into(world: &World, by: &Context, resource: ResourceId, project: ProjectId) {
    let client = world.app().await;
    enter(&client, world, by).await;
    let sql = format!(
        "update rowhouse.resources set project_id = '{}' where id = '{}'",
        project.uuid(),
        resource.uuid()
    );
    touches(&client, &sql, 1).await;
    client.batch_execute("commit").await.unwrap();
}

async fn in_production(
    world: &World,
    by: &Context,
    resource_id: ResourceId,
) -> Result<DeploymentId, Error> {
    let mut tx = world.house.begin(by).await?;
    let environment = Environment::Production;
    let new = NewDeployment {
        resource_id,
        environment,
    };
    let made = deployments::create(&mut tx, &new).await?;
    tx.commit().await?;
    Ok(made.id)
}

/// What runs of it is stopped behind the statement: until then, he may have narrowed his context to another project.
pub async fn a_resource_that_its_deleter_sees_no_more_runs_nowhere(world: &World) {
    let (bob, [apollo, zephyr], private) = in_a_project(world).await;
    put_into(world, &bob, private, apollo).await;
    let made = in_production(world, &bob, private).await.unwrap();
    moves(world, &bob, made, Status::Active).await.unwrap();
    assert_eq!(statuses(world).await, ["PRODUCTION|active"]);
    let narrowed = bob.clone().in_project(zephyr);
    let minute = std::time::Duration::from_mins(1);
    let ticket = world.house.ticket(&narrowed, minute).await.unwrap();
    let client = world.app().await;
    enter(&client, world, &bob).await;
    let gone = format!(
        "update rowhouse.resources set deleted_at = now() where id = '{}' returning rowhouse.enter('{}')::text",
        private.uuid(),
        ticket.reveal()
    );
    touches(&client, &gone, 1).await;
    client.batch_execute("commit").await.unwrap();
    assert_eq!(
        statuses(world).await,
        ["PRODUCTION|stopped"],
        "HOLE: it runs on"
    );
    // And by whoever mends the database, in no tenant.
    let root = world.superuser().await;
    root.batch_execute(
        "update rowhouse.resources set deleted_at = null; update rowhouse.deployments set status = 'active';
         update rowhouse.resources set deleted_at = now()",
    )
    .await
    .unwrap();
    assert_eq!(statuses(world).await, ["PRODUCTION|stopped"]);
}

fn deleting(project: ProjectId) -> String {
    format!(
        "update rowhouse.projects set deleted_at = now() where id = '{}'",
        project.uuid()
    )
}

/// All that there are, whoever sees them.
async fn statuses(world: &World) -> Vec<String> {
    let root = world.superuser().await;
    allowed(&root, DEPLOYED).await
}

pub async fn what_lies_in_a_deleted_project_runs_nowhere(world: &World) {
    let (bob, [apollo, zephyr], private) = in_a_project(world).await;
    let owner = world.alpha.context();
    let id = in_production(world, &bob, private).await.unwrap();
    moves(world, &bob, id, Status::Active).await.unwrap();
    put_into(world, &bob, private, zephyr).await;
    put_into(world, &bob, private, apollo).await;
    // Elsewhere nothing ends.
    let other = deploy(world, &owner, Environment::Sandbox).await.unwrap();
    moves(world, &owner, other, Status::Active).await.unwrap();
    let runs = ["PRODUCTION|active", "SANDBOX|active"];
    let mut tx = world.house.begin(&owner).await.unwrap();
    projects::rename(&mut tx, apollo, "apollo 11", None)
        .await
        .unwrap();
    projects::delete(&mut tx, zephyr, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(statuses(world).await, runs);

    // By an owner who neither sees the resource nor, by his ticket, is in the project.
    let mut tx = world.house.begin(&owner).await.unwrap();
    let third = projects::create(&mut tx, "third").await.unwrap().id;
    tx.commit().await.unwrap();
    let a = world.app().await;
    enter(&a, world, &owner.clone().in_project(third)).await;
    sees(
        &a,
        &format!(
            "select rowhouse.may_see(rowhouse.current_tenant(), '{}')",
            private.uuid()
        ),
        &["f"],
    )
    .await;
    touches(&a, &deleting(apollo), 1).await;
    // He is who he was.
    sees(
        &a,
        "select rowhouse.current_projects()",
        &[&format!("{{{}}}", third.uuid())],
    )
    .await;
    sees(
        &a,
        "select count(*) from rowhouse.resources where project_id is not null",
        &["0"],
    )
    .await;
    a.batch_execute("commit").await.unwrap();
    let stopped = ["PRODUCTION|stopped", "SANDBOX|active"];
    assert_eq!(statuses(world).await, stopped, "HOLE: it runs on");
    let told = "select actor_id, object_id, project_id, resource_id from rowhouse.audit_log where action = 'deployments.stop'";
    let row = format!(
        "{}|{}|{}|{}",
        world.alpha.owner.uuid(),
        id.uuid(),
        apollo.uuid(),
        private.uuid()
    );
    sees(&world.superuser().await, told, &[&row]).await;

    // The tenant's job, which sees it still, does not start it either; brought back, it waits for somebody who does.
    let root = world.superuser().await;
    let job =
        "select principal_id from rowhouse_private.liveness where kind = 'job' and tenant_id =";
    let job = allowed(&root, &format!("{job} '{}'", world.alpha.id.uuid())).await;
    let job: Uuid = job[0].parse().unwrap();
    let job = Context::principal(world.alpha.id, job.into());
    is_refused(moves(world, &job, id, Status::Active).await, "wrong-state");
    let a = attacker(world).await;
    touches(&a, &deleting(apollo).replace("now()", "null"), 1).await;
    a.batch_execute("commit").await.unwrap();
    assert_eq!(statuses(world).await, stopped, "HOLE: started by itself");
    moves(world, &bob, id, Status::Active).await.unwrap();
    assert_eq!(statuses(world).await, runs);
}

/// Whichever of the two comes first, the other waits for it.
pub async fn nothing_is_started_while_its_project_is_deleted(world: &World) {
    let (bob, [apollo, _], private) = in_a_project(world).await;
    put_into(world, &bob, private, apollo).await;
    let id = in_production(world, &bob, private).await.unwrap();
    let start = format!(
        "update rowhouse.deployments set status = 'active' where id = '{}'",
        id.uuid()
    );
    for first in ["start", "delete"] {
        let (starts, deletes) = (world.app().await, attacker(world).await);
        enter(&starts, world, &bob).await;
        let (early, late, done) = if first == "start" {
            touches(&starts, &start, 1).await;
            (&starts, &deletes, deleting(apollo))
        } else {
            touches(&deletes, &deleting(apollo), 1).await;
            (&deletes, &starts, start.clone())
        };
        let commit = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            early.batch_execute("commit").await.unwrap();
        };
        let (done, ()) = tokio::join!(attempt(late, &done), commit);
        if first == "start" {
            done.unwrap_or_else(|refusal| panic!("HOLE: {refusal:?}"));
        } else {
            let refusal = done.expect_err("HOLE: what is deleted was started");
            assert_eq!(refusal.code, "RH010", "HOLE: {refusal:?}");
        }
        late.batch_execute("commit").await.unwrap();
        assert_eq!(
            statuses(world).await,
            ["PRODUCTION|stopped"],
            "HOLE: {first}"
        );
        let back = attacker(world).await;
        touches(&back, &deleting(apollo).replace("now()", "null"), 1).await;
        back.batch_execute("commit").await.unwrap();
    }
}

pub async fn the_platform_sees_deployments_and_changes_none(world: &World) {
    let owner = world.alpha.context();
    deploy(world, &owner, Environment::Production)
        .await
        .unwrap();
    let mut tx = world.house.begin_platform().await.unwrap();
    let system = tx.system_of(world.alpha.id).await.unwrap();
    drop(tx);
    let platform: Client = world.platform().await;
    enter(&platform, world, &system).await;
    sees(&platform, DEPLOYED, &["PRODUCTION|pending"]).await;
    for sql in [
        &deploying(MY_RESOURCE),
        "update rowhouse.deployments set status = 'active'",
        "delete from rowhouse.deployments",
    ] {
        refused(&platform, sql, "42501").await;
    }
}
