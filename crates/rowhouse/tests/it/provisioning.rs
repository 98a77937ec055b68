//! Provisioning: a tenant is given what it needs, once, whoever does it and however often he falls.

use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::jobs::{self, Kind};
use rowhouse::provisioning::{self, Run, Status, Step, StepStatus};
use rowhouse::tenants::{self, NewTenant, PlanTier};
use rowhouse::{Context, Error, projects, quotas, users, workspaces};

use crate::attacks::{allowed, attacker, checks, enter, is_refused, refused, sees};
use crate::world::World;

checks![
    a_tenant_is_given_each_thing_once,
    many_at_once_give_each_thing_once,
    a_tenant_changes_nothing_of_what_it_is_granted,
    what_is_granted_stays_inside,
    a_run_that_was_left_is_gone_on_with,
    a_run_is_for_one_address,
    a_user_has_one_personal_org_with_a_personal_workspace,
];

/// A tenant without members.
async fn founded(world: &World) -> TenantId {
    let mut tx = world.house.begin_platform().await.unwrap();
    let new = NewTenant {
        plan: PlanTier::Team,
        ..NewTenant::organization("initech", "Initech")
    };
    let tenant = tenants::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    tenant.id
}

async fn start(world: &World, tenant: TenantId) -> Run {
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    let run = provisioning::start(&mut tx, Some("admin@example.com"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    run
}

/// Steps, each in a transaction of its own, to the end; how often it had to ask.
async fn finish(world: &World, tenant: TenantId) -> usize {
    for asked in 1.. {
        let mut tx = world.house.begin_system(tenant).await.unwrap();
        let run = provisioning::step(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        if run.status == Status::Done {
            return asked;
        }
    }
    unreachable!()
}

/// One workspace, one project, five limits, one prefix, one mail with one invitation, and nothing left to do.
async fn whole(world: &World, tenant: TenantId) {
    let counts: Vec<String> = [
        "workspaces",
        "projects",
        "quotas",
        "tenant_configs",
        "outbox",
        "invitations",
        "provisioning_runs",
    ]
    .iter()
    .map(|table| {
        format!(
            "(select count(*) from rowhouse.{table} where tenant_id = '{}')",
            tenant.uuid()
        )
    })
    .collect();
    sees(
        &world.superuser().await,
        &format!(
            "select {}, (select count(*) from rowhouse.jobs where tenant_id = '{}' and kind = 'provision')",
            counts.join(", "),
            tenant.uuid()
        ),
        &["1|1|5|1|1|1|1|0"],
    )
    .await;
}

pub async fn a_tenant_is_given_each_thing_once(world: &World) {
    let tenant = founded(world).await;
    let begun = start(world, tenant).await;
    assert_eq!(begun.status, Status::Running);
    assert!(
        begun
            .steps
            .iter()
            .all(|step| step.status == StepStatus::Pending)
    );
    assert_eq!(finish(world, tenant).await, Step::ALL.len());
    whole(world, tenant).await;
    // Again, it finds what is there.
    let again = start(world, tenant).await;
    assert_eq!(again.status, Status::Done, "HOLE: begun anew");
    assert_eq!(finish(world, tenant).await, 1);
    whole(world, tenant).await;
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    assert_eq!(
        projects::list(&mut tx, None, 50).await.unwrap()[0].name,
        "Default"
    );
    let granted = quotas::list(&mut tx).await.unwrap();
    let mut plan = quotas::of_plan(PlanTier::Team);
    plan.sort_by_key(|quota| quota.name.as_str());
    assert_eq!(granted, plan);
    assert_eq!(
        provisioning::get(&mut tx).await.unwrap(),
        again,
        "as it says"
    );
}

pub async fn many_at_once_give_each_thing_once(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    let one = || async { finish(world, tenant).await };
    tokio::join!(one(), one(), one(), one(), start(world, tenant));
    whole(world, tenant).await;
}

pub async fn a_tenant_changes_nothing_of_what_it_is_granted(world: &World) {
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    provisioning::start(&mut tx, None).await.unwrap();
    while provisioning::step(&mut tx).await.unwrap().status != Status::Done {}
    tx.commit().await.unwrap();
    let a = attacker(world).await;
    sees(&a, "select count(*) from rowhouse.quotas", &["5"]).await;
    sees(
        &a,
        "select value from rowhouse.tenant_configs",
        &[&format!("\"tenants/{}/\"", world.alpha.id)],
    )
    .await;
    for sql in [
        "update rowhouse.quotas set amount = 1000000",
        "delete from rowhouse.quotas",
        "insert into rowhouse.quotas (name, amount) values ('keys', 1)",
        "update rowhouse.tenant_configs set value = '\"tenants/\"'",
        "insert into rowhouse.tenant_configs (key, value) values ('storage.prefix', '\"\"')",
        "table rowhouse.provisioning_runs",
        "insert into rowhouse.provisioning_runs (admin_email) values ('eve@example.com')",
    ] {
        refused(&a, sql, "42501").await;
    }
    // With a right to the tables, their policies still refuse.
    world
        .superuser()
        .await
        .batch_execute(
            "grant select, insert, update, delete on rowhouse.quotas, rowhouse.tenant_configs, rowhouse.provisioning_runs to rowhouse_app",
        )
        .await
        .unwrap();
    for table in ["quotas", "tenant_configs", "provisioning_runs"] {
        let touched = allowed(
            &a,
            &format!("delete from rowhouse.{table} returning tenant_id"),
        )
        .await;
        assert!(touched.is_empty(), "HOLE: {table}");
    }
    sees(&a, "table rowhouse.provisioning_runs", &[]).await;
    refused(
        &a,
        "insert into rowhouse.quotas (name, amount) values ('keys', 1)",
        "42501",
    )
    .await;
}

pub async fn what_is_granted_stays_inside(world: &World) {
    for tenant in [&world.alpha, &world.beta] {
        let mut tx = world.house.begin_system(tenant.id).await.unwrap();
        provisioning::start(&mut tx, None).await.unwrap();
        while provisioning::step(&mut tx).await.unwrap().status != Status::Done {}
        tx.commit().await.unwrap();
    }
    let a = attacker(world).await;
    for table in ["quotas", "tenant_configs", "projects"] {
        sees(
            &a,
            &format!("select distinct tenant_id from rowhouse.{table}"),
            &[&world.alpha.id.uuid().to_string()],
        )
        .await;
    }
    // The platform, too, is inside one.
    let p = world.platform().await;
    for table in ["quotas", "tenant_configs", "provisioning_runs"] {
        refused(&p, &format!("table rowhouse.{table}"), "RH001").await;
    }
    let mut tx = world.house.begin_system(world.beta.id).await.unwrap();
    let row = tx
        .one("select count(*) from rowhouse.provisioning_runs", &[])
        .await;
    assert_eq!(row.unwrap().get::<_, i64>(0), 1, "HOLE: of another tenant");
}

pub async fn a_run_that_was_left_is_gone_on_with(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    let claim = async || {
        let mut tx = world.house.begin_platform().await.unwrap();
        let job = jobs::claim(&mut tx, Kind::Provision, Duration::ZERO).await;
        tx.commit().await.unwrap();
        job.unwrap()
    };
    for done in 0..Step::ALL.len() {
        let job = claim().await.expect("HOLE: nobody goes on");
        assert_eq!(job.tenant, tenant);
        // One that falls in the middle of a step.
        let mut tx = world.house.begin_system(tenant).await.unwrap();
        provisioning::step(&mut tx).await.unwrap();
        tx.rollback().await;
        let mut tx = world.house.begin_system(tenant).await.unwrap();
        let run = provisioning::step(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let steps = run
            .steps
            .iter()
            .filter(|step| step.status == StepStatus::Done);
        assert_eq!(steps.count(), done + 1);
        // Its lease would end in a while.
        world
            .superuser()
            .await
            .batch_execute("update rowhouse.jobs set due_at = now() where kind = 'provision'")
            .await
            .unwrap();
    }
    assert!(claim().await.is_none(), "HOLE: it is done");
    whole(world, tenant).await;
}

pub async fn a_run_is_for_one_address(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    for other in [Some("eve@example.com"), None] {
        is_refused(provisioning::start(&mut tx, other).await, "taken");
    }
    let same = provisioning::start(&mut tx, Some("Admin@Example.com")).await;
    assert!(same.is_ok(), "HOLE: refused what is allowed: {same:?}");
    for bad in ["", "eve", "eve@example.com\nBcc: all@example.com"] {
        is_refused(provisioning::start(&mut tx, Some(bad)).await, "invalid");
    }
    tx.commit().await.unwrap();
    is_refused(
        provisioning::get(&mut world.house.begin_system(world.beta.id).await.unwrap()).await,
        "not-found",
    );
}

pub async fn a_user_has_one_personal_org_with_a_personal_workspace(world: &World) {
    let mut tx = world.house.begin_platform().await.unwrap();
    let user = users::create(&mut tx, "solo@example.com", "Solo")
        .await
        .unwrap()
        .id;
    tx.commit().await.unwrap();
    let make = async || {
        let tx = world.house.begin_platform().await.unwrap();
        let (tenant, mut tx) = provisioning::personal(tx, user).await.unwrap();
        while provisioning::step(&mut tx).await.unwrap().status != Status::Done {}
        tx.commit().await.unwrap();
        tenant.id
    };
    let (one, other) = tokio::join!(make(), make());
    assert_eq!((one, one), (other, make().await), "one, however often");
    let mut tx = world.house.begin(&Context::user(one, user)).await.unwrap();
    let own = tenants::own(&mut tx).await.unwrap();
    assert_eq!(
        (own.name.as_str(), own.kind),
        ("Personal Org", tenants::Kind::Personal)
    );
    let spaces = workspaces::list(&mut tx, None, 50).await.unwrap();
    assert_eq!(spaces.len(), 1);
    assert_eq!(spaces[0].name, "Personal Workspace");
    assert_eq!(spaces[0].owner_id, Some(user));
    assert_eq!(projects::list(&mut tx, None, 50).await.unwrap().len(), 1);
    let root = world.superuser().await;
    sees(
        &root,
        "select count(*) from rowhouse.users where home_tenant_id is not null",
        &["1"],
    )
    .await;
    // A user who is not there has none.
    let tx = world.house.begin_platform().await.unwrap();
    let nobody = provisioning::personal(tx, rowhouse::ids::UserId::new()).await;
    assert!(matches!(nobody, Err(Error::NotFound("user"))));
    let client = world.app().await;
    enter(&client, world, &Context::user(one, user)).await;
    sees(&client, "select count(*) from rowhouse.quotas", &["5"]).await;
}
