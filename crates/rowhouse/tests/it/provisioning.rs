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
    a_step_that_fails_is_put_off_and_given_up_at_last,
    a_run_that_was_given_up_is_taken_up_again,
    many_at_once_give_up_once,
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
    let its_lease_ended =
        "update rowhouse.jobs set due_at = now() - interval '1 minute' where kind = 'provision'";
    let root = world.superuser().await;
    for done in 0..Step::ALL.len() {
        root.batch_execute(its_lease_ended).await.unwrap();
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
    }
    root.batch_execute(its_lease_ended).await.unwrap();
    assert!(claim().await.is_none(), "HOLE: it is done");
    whole(world, tenant).await;
}

/// By which the step `roles` fails until it is there again.
async fn job_principal(world: &World, tenant: TenantId, is_there: bool) {
    let gone = if is_there { "null" } else { "now()" };
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "update rowhouse.principals set deleted_at = {gone} where kind = 'job' and tenant_id = '{}'",
            tenant.uuid()
        ))
        .await
        .unwrap();
}

async fn step(world: &World, tenant: TenantId) -> Run {
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    let run = provisioning::step(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    run
}

/// Steps until it is failed; how often the step was tried.
async fn give_up(world: &World, tenant: TenantId) -> i32 {
    for _ in 0..50 {
        let run = step(world, tenant).await;
        if run.status == Status::Failed {
            return run.attempts;
        }
    }
    panic!("HOLE: it is tried for ever");
}

fn of_step(run: &Run, name: Step) -> StepStatus {
    run.steps
        .iter()
        .find(|step| step.name == name)
        .unwrap()
        .status
}

pub async fn a_step_that_fails_is_put_off_and_given_up_at_last(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    job_principal(world, tenant, false).await;
    let root = world.superuser().await;
    let due_in = "select round(extract(epoch from due_at - clock_timestamp()) / 5) from rowhouse.jobs where kind = 'provision'";
    step(world, tenant).await;
    step(world, tenant).await;
    for (attempt, wait) in [(1, "1"), (2, "2"), (3, "4"), (4, "8"), (5, "16")] {
        let run = step(world, tenant).await;
        assert_eq!(
            (run.status, run.attempts, run.last_error.as_deref()),
            (Status::Running, attempt, Some("schema")),
            "HOLE: it is not noted"
        );
        assert_eq!(of_step(&run, Step::Project), StepStatus::Done);
        assert_eq!(of_step(&run, Step::Roles), StepStatus::Pending);
        sees(&root, due_in, &[wait]).await;
    }
    assert_eq!(give_up(world, tenant).await, 8);
    sees(
        &root,
        "select count(*) from rowhouse.jobs where kind = 'provision'",
        &["0"],
    )
    .await;
    // Whoever comes too late for it changes nothing.
    let late = step(world, tenant).await;
    assert_eq!((late.status, late.attempts), (Status::Failed, 8));
    assert_eq!(of_step(&late, Step::Roles), StepStatus::Failed);
    assert_eq!(of_step(&late, Step::Quotas), StepStatus::Pending);
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    assert_eq!(provisioning::get(&mut tx).await.unwrap(), late);
    tx.commit().await.unwrap();
    let told = "select action, detail - 'operator' from rowhouse.audit_log where action = 'tenants.provision_fail'";
    let detail =
        "tenants.provision_fail|{\"step\": \"roles\", \"error\": \"schema\", \"attempts\": 8}";
    sees(&root, told, &[detail]).await;
}

pub async fn a_run_that_was_given_up_is_taken_up_again(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    job_principal(world, tenant, false).await;
    give_up(world, tenant).await;
    // For another address it stays as it is.
    let mut tx = world.house.begin_system(tenant).await.unwrap();
    is_refused(
        provisioning::start(&mut tx, Some("eve@example.com")).await,
        "taken",
    );
    tx.commit().await.unwrap();
    let again = start(world, tenant).await;
    assert_eq!(
        (again.status, again.attempts, again.last_error.as_deref()),
        (Status::Running, 0, None),
        "HOLE: it stays given up"
    );
    assert_eq!(
        of_step(&again, Step::Project),
        StepStatus::Done,
        "HOLE: begun anew"
    );
    let mut tx = world.house.begin_platform().await.unwrap();
    let job = jobs::claim(&mut tx, Kind::Provision, Duration::ZERO).await;
    tx.commit().await.unwrap();
    assert_eq!(
        job.unwrap().map(|job| job.tenant),
        Some(tenant),
        "HOLE: nobody goes on"
    );
    // It may fail again, as often as before.
    assert_eq!(give_up(world, tenant).await, 8);
    start(world, tenant).await;
    job_principal(world, tenant, true).await;
    finish(world, tenant).await;
    whole(world, tenant).await;
    assert_eq!(start(world, tenant).await.last_error, None);
}

pub async fn many_at_once_give_up_once(world: &World) {
    let tenant = founded(world).await;
    start(world, tenant).await;
    job_principal(world, tenant, false).await;
    let tried: Vec<i32> =
        futures_util::future::join_all((0..4).map(|_| give_up(world, tenant))).await;
    assert_eq!(tried, [8, 8, 8, 8]);
    let root = world.superuser().await;
    let told = "select count(*) from rowhouse.audit_log where action = 'tenants.provision_fail'";
    sees(&root, told, &["1"]).await;
    // And of many who take it up, each finds it taken up, with one job.
    futures_util::future::join_all((0..4).map(|_| start(world, tenant))).await;
    sees(
        &root,
        "select count(*) from rowhouse.jobs where kind = 'provision'",
        &["1"],
    )
    .await;
    job_principal(world, tenant, true).await;
    futures_util::future::join_all((0..4).map(|_| finish(world, tenant))).await;
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
