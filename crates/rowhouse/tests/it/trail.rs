//! The chain over a tenant's trail: what is sealed cannot be changed, removed or added to unnoticed, also by whom no policy binds.

use std::time::Duration;

use rowhouse::audit::{self, Sealed, Verified};
use rowhouse::ids::{ProjectId, ResourceId};
use rowhouse::keys::{self, NewKey, Permission, Scopes};
use rowhouse::members::Role;
use rowhouse::projects::{self, ProjectRole};
use rowhouse::resources::{self, NewResource, ResourceType, Visibility};
use rowhouse::{Context, Error, Rowhouse, TenantTx};

use crate::attacks::{
    allowed, alpha, attacker, checks, config_of, enter, is_refused, refused, sees,
};
use crate::people::{member, user_of};
use crate::world::World;

checks![
    what_is_sealed_is_whole,
    a_row_that_was_changed_is_found,
    a_row_that_is_gone_is_found,
    a_row_that_was_slipped_in_is_found,
    a_seal_that_was_made_anew_is_found,
    the_trail_is_sealed_by_the_platform_only,
    two_at_once_seal_each_row_once,
    two_sealers_at_once_do_not_fail,
    each_tenant_has_its_own_chain,
    of_what_one_does_not_see_one_does_not_read_either,
    ones_own_deeds_one_reads_wherever_they_were,
    a_key_sees_the_projects_that_it_was_made_for,
    no_lock_of_a_tenants_holds_up_the_sealing,
    no_row_is_too_long_to_be_sealed,
    a_trail_that_cannot_be_sealed_holds_up_no_other,
];

async fn inside(world: &World) -> TenantTx {
    world.house.begin_system(world.alpha.id).await.unwrap()
}

async fn seal(world: &World) -> i32 {
    let mut tx = inside(world).await;
    let sealed = audit::seal(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    sealed
}

async fn seal_everywhere(world: &World) -> Sealed {
    audit::seal_everywhere(&world.house).await.unwrap()
}

async fn verify(world: &World) -> Verified {
    let mut tx = inside(world).await;
    let found = audit::verify(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    found
}

async fn happen(world: &World, times: usize) {
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for number in 0..times {
        resources::create(
            &mut tx,
            NewResource::new(ResourceType::Tag, format!("Number {number}")),
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

/// Three batches, and a tail of two rows.
async fn sealed(world: &World) {
    for _ in 0..3 {
        happen(world, 4).await;
        assert!(seal(world).await >= 4);
    }
    happen(world, 2).await;
    assert!(verify(world).await.whole);
}

async fn is_broken(world: &World, what_was_done: &str, seal: i64) {
    world
        .superuser()
        .await
        .batch_execute(&what_was_done.replace("{alpha}", &alpha(world).to_string()))
        .await
        .unwrap();
    let found = verify(world).await;
    assert!(
        !found.whole && found.broken.contains(&seal),
        "HOLE: not noticed: {what_was_done}: {found:?}"
    );
}

pub async fn what_is_sealed_is_whole(world: &World) {
    let before = verify(world).await;
    assert!(before.whole && before.seals == 0 && before.head.is_none());
    assert!(before.unsealed > 0 && before.unsealed_since.is_some());
    sealed(world).await;
    let found = verify(world).await;
    assert_eq!(
        (found.seals, found.unsealed, found.sealed),
        (3, 2, before.unsealed + 12)
    );
    assert!(seal(world).await == 2 && seal(world).await == 0);
    assert_eq!(verify(world).await.unsealed_since, None);
    assert_ne!(verify(world).await.head, found.head);
}

pub async fn a_row_that_was_changed_is_found(world: &World) {
    sealed(world).await;
    let one = "select id from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2 limit 1";
    is_broken(
        world,
        &format!("update rowhouse.audit_log set actor_id = gen_random_uuid() where id = ({one})"),
        2,
    )
    .await;
}

pub async fn a_row_that_is_gone_is_found(world: &World) {
    sealed(world).await;
    let one = "select id from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 3 limit 1";
    is_broken(
        world,
        &format!("delete from rowhouse.audit_log where id = ({one})"),
        3,
    )
    .await;
    is_broken(
        world,
        "delete from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 1",
        1,
    )
    .await;
}

pub async fn a_row_that_was_slipped_in_is_found(world: &World) {
    sealed(world).await;
    is_broken(
        world,
        "insert into rowhouse.audit_log (tenant_id, id, actor_id, action, seal)
         values ('{alpha}', gen_random_uuid(), gen_random_uuid(), 'keys.create', 1)",
        1,
    )
    .await;
}

/// A seal that fits its rows again no longer fits the one behind it.
pub async fn a_seal_that_was_made_anew_is_found(world: &World) {
    sealed(world).await;
    is_broken(
        world,
        "delete from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2
           and id <> (select min(id::text)::uuid from rowhouse.audit_log where tenant_id = '{alpha}' and seal = 2);
         update rowhouse.audit_seals s
         set rows = 1, digest = rowhouse.audit_chain(2, (select digest from rowhouse.audit_seals where tenant_id = '{alpha}' and number = 1),
           (select rowhouse.audit_digest(a) from rowhouse.audit_log a where tenant_id = '{alpha}' and seal = 2))
         where tenant_id = '{alpha}' and number = 2",
        3,
    )
    .await;
}

pub async fn the_trail_is_sealed_by_the_platform_only(world: &World) {
    sealed(world).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    is_refused(audit::seal(&mut tx).await, "not-permitted");
    let app = attacker(world).await;
    for attempt in [
        "select rowhouse.seal_audit(10)",
        "insert into rowhouse.audit_seals (number, rows, digest) values (9, 1, sha256(''))",
        "update rowhouse.audit_seals set rows = 0",
        "delete from rowhouse.audit_seals",
        "update rowhouse.audit_log set seal = null",
        "insert into rowhouse.audit_log (id, action, seal) values (gen_random_uuid(), 'keys.create', 1)",
    ] {
        refused(&app, attempt, "42501").await;
    }
    sees(&app, "select count(*) from rowhouse.audit_seals", &["3"]).await;
    // Another tenant's chain is its own.
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    assert_eq!(audit::verify(&mut tx).await.unwrap().seals, 0);
}

pub async fn two_at_once_seal_each_row_once(world: &World) {
    happen(world, 50).await;
    let one = async {
        let mut tx = inside(world).await;
        let sealed = audit::seal(&mut tx).await;
        tx.commit().await?;
        sealed
    };
    let second = elsewhere(world).await;
    let other = async {
        let mut tx = second.begin_system(world.alpha.id).await.unwrap();
        let sealed = audit::seal(&mut tx).await;
        tx.commit().await?;
        sealed
    };
    let (one, other): (Result<i32, Error>, Result<i32, Error>) = tokio::join!(one, other);
    let sealed = i64::from(one.unwrap() + other.unwrap() + seal(world).await);
    let found = verify(world).await;
    assert!(found.whole, "HOLE: {found:?}");
    assert_eq!((found.sealed, found.unsealed), (sealed, 0));
}

/// The second began before the first was done; one time there is more to seal for it, one time there is not.
pub async fn two_sealers_at_once_do_not_fail(world: &World) {
    let elsewhere = elsewhere(world).await;
    for more in [0_u8, 3] {
        happen(world, 5).await;
        let mut first = inside(world).await;
        assert!(audit::seal(&mut first).await.unwrap() >= 5);
        happen(world, more.into()).await;
        let second = async {
            let mut tx = elsewhere.begin_system(world.alpha.id).await.unwrap();
            let sealed = audit::seal(&mut tx).await?;
            tx.commit().await?;
            Ok::<_, Error>(sealed)
        };
        let done = async {
            while !waits(world).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            first.commit().await.unwrap();
        };
        let (sealed, ()) = tokio::join!(second, done);
        assert!(matches!(sealed, Ok(0)), "HOLE: {more}: {sealed:?}");
        let found = verify(world).await;
        assert!(found.whole, "HOLE: {found:?}");
        assert_eq!(found.unsealed, i64::from(more));
        assert_eq!(seal(world).await, i32::from(more));
    }
}

/// Another process, with connections of its own.
async fn elsewhere(world: &World) -> Rowhouse {
    Rowhouse::connect(config_of(world)).await.unwrap()
}

async fn waits(world: &World) -> bool {
    let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    world
        .superuser()
        .await
        .query_one(waiting, &[])
        .await
        .unwrap()
        .get(0)
}

pub async fn each_tenant_has_its_own_chain(world: &World) {
    happen(world, 3).await;
    assert!(seal_everywhere(world).await.sealed >= 3);
    assert_eq!(seal_everywhere(world).await, Sealed::default());
    for tenant in [&world.alpha, &world.beta] {
        let mut tx = world.house.begin(&tenant.context()).await.unwrap();
        let found = audit::verify(&mut tx).await.unwrap();
        assert!(
            found.whole && found.seals == 1 && found.unsealed == 0,
            "HOLE: {}: {found:?}",
            tenant.slug
        );
    }
}

/// Two projects with a resource in each, one in none, and one that is private to the owner; a key for the second project only.
struct Projects {
    apollo: ProjectId,
    gemini: ProjectId,
    things: [(&'static str, ResourceId); 4],
    key: Context,
}

async fn projects(world: &World) -> Projects {
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let apollo = projects::create(&mut tx, "apollo").await.unwrap().id;
    let gemini = projects::create(&mut tx, "gemini").await.unwrap().id;
    tx.commit().await.unwrap(); // a context has the projects of when it was entered
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let mut things = Vec::new();
    for (title, project, visibility) in [
        ("apollo's", Some(apollo), Visibility::Tenant),
        ("gemini's", Some(gemini), Visibility::Tenant),
        ("nobody's", None, Visibility::Tenant),
        ("private", None, Visibility::Private),
    ] {
        let new = NewResource {
            project_id: project,
            visibility,
            ..NewResource::new(ResourceType::Tag, title)
        };
        things.push((title, resources::create(&mut tx, new).await.unwrap().id));
    }
    let new = NewKey {
        scopes: Scopes {
            projects: Some(vec![gemini]),
        },
        ..NewKey::new("gemini's", &[Permission::Read])
    };
    let key = keys::create(&mut tx, new).await.unwrap().key.id;
    tx.commit().await.unwrap();
    Projects {
        apollo,
        gemini,
        things: things.try_into().unwrap(),
        key: Context::key(world.alpha.id, key),
    }
}

/// Of which of the things the trail tells.
async fn told(tx: &mut TenantTx, made: &Projects) -> Vec<&'static str> {
    let mut told = Vec::new();
    for (title, id) in made.things {
        let filter = audit::Filter {
            resource: Some(id),
            ..audit::Filter::default()
        };
        if !audit::list(tx, &filter, 10).await.unwrap().is_empty() {
            told.push(title);
        }
    }
    told
}

/// Projects of which the trail says that they were made.
const MADE: &str =
    "select project_id from rowhouse.audit_log where action = 'projects.create' order by 1";

pub async fn of_what_one_does_not_see_one_does_not_read_either(world: &World) {
    let made = projects(world).await;
    let bob = member(world, "bob@example.com", Role::Member).await;
    let eve = member(world, "eve@example.com", Role::Admin).await;
    let all = ["apollo's", "gemini's", "nobody's", "private"];
    let both = [
        made.apollo.uuid().to_string(),
        made.gemini.uuid().to_string(),
    ];
    for (who, things, in_projects, reads_all) in [
        (&world.alpha.context(), &all[..], &both[..], true),
        (&eve, &all[..], &both[..], true),
        (&Context::tenant(world.alpha.id), &all[..], &both[..], true),
        (&bob, &["nobody's"], &[], false),
        (&made.key, &["gemini's", "nobody's"], &both[1..], false),
    ] {
        let mut tx = world.house.begin(who).await.unwrap();
        assert_eq!(told(&mut tx, &made).await, things, "HOLE: {who:?}");
        let verified = audit::verify(&mut tx).await;
        if reads_all {
            assert!(verified.unwrap().whole, "HOLE");
        } else {
            is_refused(verified, "not-permitted");
        }
        tx.commit().await.unwrap();
        let app = world.app().await;
        enter(&app, world, who).await;
        let in_projects: Vec<&str> = in_projects.iter().map(String::as_str).collect();
        sees(&app, MADE, &in_projects).await;
    }
    assert_eq!(told(&mut inside(world).await, &made).await, all, "HOLE");
    let mut theirs = world.house.begin(&world.beta.context()).await.unwrap();
    assert!(told(&mut theirs, &made).await.is_empty(), "HOLE");
}

pub async fn ones_own_deeds_one_reads_wherever_they_were(world: &World) {
    let made = projects(world).await;
    let bob = member(world, "bob@example.com", Role::Member).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    projects::set_role(&mut tx, made.apollo, user_of(&bob), ProjectRole::Editor)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&bob).await.unwrap();
    let new = NewResource {
        project_id: Some(made.apollo),
        ..NewResource::new(ResourceType::Tag, "bob was here")
    };
    resources::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    projects::remove_member(&mut tx, made.apollo, user_of(&bob))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // What those did whom he stands for is not his own.
    let mut tx = world
        .house
        .begin(&Context::tenant(world.alpha.id))
        .await
        .unwrap();
    audit::record(
        &mut tx,
        audit::Event::new("resources.read", None).on_project(made.apollo),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let app = world.app().await;
    enter(&app, world, &bob).await;
    let of_apollo = format!(
        "select action, actor_id from rowhouse.audit_log where project_id = '{}'",
        made.apollo.uuid()
    );
    let own = format!("resources.create|{}", user_of(&bob).uuid());
    sees(&app, &of_apollo, &[&own]).await;
}

pub async fn a_key_sees_the_projects_that_it_was_made_for(world: &World) {
    let made = projects(world).await;
    let bob = member(world, "bob@example.com", Role::Member).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for project in [made.apollo, made.gemini] {
        projects::set_role(&mut tx, project, user_of(&bob), ProjectRole::Viewer)
            .await
            .unwrap();
    }
    let whole = keys::create(&mut tx, NewKey::new("whole", &[Permission::Read]))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let whole = Context::key(world.alpha.id, whole.key.id);
    for (who, names) in [
        (&made.key, &["gemini"][..]),
        (&whole, &["apollo", "gemini"]),
        (&bob, &["apollo", "gemini"]),
    ] {
        let app = world.app().await;
        enter(&app, world, who).await;
        sees(&app, "select name from rowhouse.projects order by 1", names).await;
        let roles = "select p.name from rowhouse.user_project_roles r right join (values ('{APOLLO}'::uuid, 'apollo'), ('{GEMINI}', 'gemini')) p (id, name)
            on p.id = r.project_id where r.user_id is not null order by 1"
            .replace("{APOLLO}", &made.apollo.uuid().to_string())
            .replace("{GEMINI}", &made.gemini.uuid().to_string());
        sees(&app, &roles, names).await;
    }
    let mut tx = world.house.begin(&made.key).await.unwrap();
    let hidden = projects::get(&mut tx, made.apollo).await;
    is_refused(hidden, "not-found");
    tx.rollback().await;
}

/// He takes what he can while the platform seals: advisory locks by the tenant's name, and, were he let, rows and tables.
pub async fn no_lock_of_a_tenants_holds_up_the_sealing(world: &World) {
    happen(world, 3).await;
    let tenant = alpha(world);
    let app = attacker(world).await;
    let squat = format!(
        "select count(pg_advisory_lock(hashtextextended('{tenant}', n))), count(pg_advisory_lock(n)) from generate_series(0, 100) n"
    );
    allowed(&app, &squat).await;
    for lock in [
        "select from rowhouse.audit_log for update",
        "select from rowhouse.audit_log for key share",
        "select from rowhouse.audit_seals for update",
        "select from rowhouse.audit_seals for key share",
        "select from rowhouse.tenants for update",
        "lock table rowhouse.audit_log in share mode",
        "lock table rowhouse.audit_seals in access exclusive mode",
    ] {
        refused(&app, lock, "42501").await;
    }
    // A row of his own that is not there for the others yet holds up nobody.
    let row =
        "insert into rowhouse.audit_log (id, action) values (gen_random_uuid(), 'keys.create')";
    allowed(&app, row).await;
    let sealed = tokio::time::timeout(Duration::from_secs(10), seal(world)).await;
    assert!(sealed.is_ok_and(|rows| rows >= 3), "HOLE: not sealed");
    app.batch_execute("commit").await.unwrap();
    assert_eq!(seal(world).await, 1);
    assert!(verify(world).await.whole);
}

pub async fn no_row_is_too_long_to_be_sealed(world: &World) {
    let app = attacker(world).await;
    let row = |action: &str, request: &str, detail: &str| {
        format!(
            "insert into rowhouse.audit_log (id, action, request_id, detail)
             values (gen_random_uuid(), {action}, {request}, to_jsonb({detail}))"
        )
    };
    for (action, request, detail) in [
        ("repeat('a', 101)", "null", "1"),
        ("repeat('é', 51)", "null", "1"),
        ("'a.b'", "repeat('a', 501)", "1"),
        ("'a.b'", "null", "repeat('a', 65535)"),
        ("'a.b'", "null", "repeat('a', 200000000)"),
    ] {
        refused(&app, &row(action, request, detail), "23514").await;
    }
    allowed(
        &app,
        &row("repeat('a', 100)", "repeat('a', 500)", "repeat('a', 65534)"),
    )
    .await;
    app.batch_execute("commit").await.unwrap();
    assert!(seal(world).await > 0 && verify(world).await.whole);
}

/// Whichever comes first.
pub async fn a_trail_that_cannot_be_sealed_holds_up_no_other(world: &World) {
    let last = "insert into rowhouse.audit_seals (tenant_id, number, rows, digest) values ($1, $2, 1, sha256(''))";
    let root = world.superuser().await;
    for (broken, other) in [(&world.alpha, &world.beta), (&world.beta, &world.alpha)] {
        root.execute(last, &[&broken.id, &i64::MAX]).await.unwrap();
        root.execute("update rowhouse.audit_log set seal = null", &[])
            .await
            .unwrap();
        let all = seal_everywhere(world).await;
        assert!(
            all.sealed > 0 && all.failed == [broken.id],
            "HOLE: {}: {all:?}",
            other.slug
        );
        root.execute("delete from rowhouse.audit_seals", &[])
            .await
            .unwrap();
    }
}
