//! The functions of the wall, over a matrix of callers: who is where, as what, and from when on no longer.

pub mod managing;
pub mod no_longer;
pub mod races;
pub mod tickets;

use std::time::Duration;

use rowhouse::ids::{KeyId, PrincipalId, UserId};
use rowhouse::members::{self, Role};
use rowhouse::tenants::{self, Status};
use rowhouse::{Context, Rowhouse, Ticket, users};
use uuid::Uuid;

use crate::attacks::{MINE, checks, config_of, is_refused, notes_through};
use crate::world::World;

checks![
    every_caller_is_what_the_base_tables_say,
    a_viewer_reads_and_a_member_writes,
    a_project_that_is_not_the_callers_is_refused,
    a_caller_with_too_many_principals_is_refused,
];

/// People of alpha besides its owner, two projects, a team, a key.
struct Matrix {
    admin: UserId,
    member: UserId,
    viewer: UserId,
    stranger: UserId,
    team: Uuid,
    apollo: Uuid,
    gemini: Uuid,
    key: KeyId,
    system: Uuid,
    job: Uuid,
}

async fn matrix(world: &World) -> Matrix {
    let mut tx = world.house.begin_platform().await.unwrap();
    let mut people = Vec::new();
    for name in ["admin", "member", "viewer", "stranger"] {
        people.push(
            users::create(&mut tx, &format!("{name}@example.com"), name)
                .await
                .unwrap()
                .id,
        );
    }
    let mut service = async |kind: &str| -> Uuid {
        tx.one(
            "select rowhouse.service_principal($1, $2)",
            &[&world.alpha.id, &kind],
        )
        .await
        .unwrap()
        .get(0)
    };
    let (system, job) = (service("system").await, service("job").await);
    tx.commit().await.unwrap();
    let made = Matrix {
        admin: people[0],
        member: people[1],
        viewer: people[2],
        stranger: people[3],
        team: Uuid::from_u128(0xa1),
        apollo: Uuid::from_u128(0xb1),
        gemini: Uuid::from_u128(0xb2),
        key: KeyId::from(Uuid::from_u128(0xc1)),
        system,
        job,
    };
    for (user, role) in people.iter().zip([Role::Admin, Role::Member, Role::Viewer]) {
        add_member(world, *user, role).await;
    }
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    let (team, member) = (made.team, made.member.uuid());
    tx.batch(&format!(
        "insert into rowhouse.teams (id, name) values ('{team}', 'night shift');
         insert into rowhouse.team_members (team_id, user_id) values ('{team}', '{member}');
         insert into rowhouse.projects (id, name) values ('{}', 'apollo'), ('{}', 'gemini');
         insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{}', '{member}', 'editor')",
        made.apollo, made.gemini, made.apollo
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    make_key(&mut tx, made.key.uuid(), "'[\"read\", \"write\"]'").await;
    tx.commit().await.unwrap();
    made
}

/// By alpha's owner.
pub async fn add_member(world: &World, user: UserId, role: Role) {
    let mut tx = world.house.begin_platform().await.unwrap();
    members::add(&mut tx, &world.alpha.context(), user, role)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// The same as a statement of the platform's login.
async fn adding(world: &World, user: UserId, role: Role) -> String {
    format!(
        "select rowhouse.add_member('{}', '{}', '{role}', gen_random_uuid())",
        ticket(world, &world.alpha.context(), 60).await.reveal(),
        user.uuid()
    )
}

/// A key that nobody can present: what it is checked by is no hash, which would take a while.
pub async fn make_key(tx: &mut rowhouse::TenantTx, id: Uuid, permissions: &str) {
    tx.batch(&format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash, permissions)
         values ('{id}', 'ci', 'tk_', sha256('{id}'), 'hash', {permissions})"
    ))
    .await
    .unwrap();
}

const WHO: &str = "select concat_ws('|', rowhouse.current_tenant(), coalesce(rowhouse.current_user_id()::text, 'nobody'),
    rowhouse.caller_role(), rowhouse.current_projects(), rowhouse.caller_principals())";

pub async fn every_caller_is_what_the_base_tables_say(world: &World) {
    let m = matrix(world).await;
    let tenant = world.alpha.id.uuid();
    let (apollo, gemini, team, key) = (m.apollo, m.gemini, m.team, m.key.uuid());
    let owner = world.alpha.owner;
    let all = format!("{{{apollo},{gemini}}}");
    let user = |user: UserId| Context::user(world.alpha.id, user);
    let by = |id: Uuid| Context::principal(world.alpha.id, PrincipalId::from(id));
    for (context, name, role, projects, principals) in [
        (
            user(owner),
            owner.uuid().to_string(),
            "owner",
            all.clone(),
            format!("{{{},{tenant}}}", owner.uuid()),
        ),
        (
            user(m.admin),
            m.admin.uuid().to_string(),
            "admin",
            all.clone(),
            format!("{{{},{tenant}}}", m.admin.uuid()),
        ),
        (
            user(m.member),
            m.member.uuid().to_string(),
            "member",
            format!("{{{apollo}}}"),
            format!("{{{},{tenant},{team}}}", m.member.uuid()),
        ),
        (
            user(m.viewer),
            m.viewer.uuid().to_string(),
            "viewer",
            "{}".into(),
            format!("{{{},{tenant}}}", m.viewer.uuid()),
        ),
        (
            Context::key(world.alpha.id, m.key),
            "nobody".into(),
            "key",
            all.clone(),
            format!("{{{key},{tenant}}}"),
        ),
        (
            Context::tenant(world.alpha.id),
            "nobody".into(),
            "tenant",
            "{}".into(),
            format!("{{{tenant}}}"),
        ),
        (
            by(m.job),
            "nobody".into(),
            "job",
            all.clone(),
            format!("{{{},{tenant}}}", m.job),
        ),
        (
            user(owner).in_project(m.gemini.into()),
            owner.uuid().to_string(),
            "owner",
            format!("{{{gemini}}}"),
            format!("{{{},{tenant}}}", owner.uuid()),
        ),
    ] {
        for context in [context.clone(), context.read_only()] {
            let rows = world
                .house
                .query(&context, WHO, &[])
                .await
                .unwrap_or_else(|error| panic!("HOLE: {role}: {error:?}"));
            assert_eq!(
                rows[0].get::<_, String>(0),
                format!("{tenant}|{name}|{role}|{projects}|{principals}"),
                "HOLE"
            );
        }
    }
    for (context, code) in [
        (user(m.stranger), "not-a-member"),
        (user(world.beta.owner), "not-a-member"),
        (by(team), "not-a-member"),     // a team is nobody
        (by(key), "not-a-member"),      // a key without its credential
        (by(m.system), "not-a-member"), // the platform's, from the application's login
        (
            Context::key(world.alpha.id, Uuid::from_u128(9).into()),
            "not-a-member",
        ),
    ] {
        is_refused(world.house.query(&context, WHO, &[]).await, code);
    }
    let mut system = world.house.begin_system(world.alpha.id).await.unwrap();
    let row = system.one(WHO, &[]).await.unwrap();
    assert_eq!(
        row.get::<_, String>(0),
        format!("{tenant}|nobody|system|{all}|{{{}}}", m.system)
    );
}

pub async fn a_viewer_reads_and_a_member_writes(world: &World) {
    let m = matrix(world).await;
    let write = "update notes set body = body";
    let manage = "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 't' || gen_random_uuid())";
    for (user, writes, manages) in [
        (world.alpha.owner, true, true),
        (m.admin, true, true),
        (m.member, true, false),
        (m.viewer, false, false),
    ] {
        let context = Context::user(world.alpha.id, user);
        assert_eq!(notes_through(&world.house, &context).await, MINE);
        let written = world.house.execute(&context, write, &[]).await;
        if writes {
            assert_eq!(written.unwrap(), 2);
        } else {
            is_refused(written, "read-only");
        }
        let managed = world.house.execute(&context, manage, &[]).await;
        if manages {
            assert_eq!(managed.unwrap(), 1);
        } else if writes {
            is_refused(managed, "not-permitted");
        } else {
            assert!(managed.is_err(), "HOLE: a viewer manages");
        }
        is_refused(
            world.house.execute(&context.read_only(), write, &[]).await,
            "read-only",
        );
    }
}

pub async fn a_project_that_is_not_the_callers_is_refused(world: &World) {
    let m = matrix(world).await;
    let root = world.superuser().await;
    root.batch_execute(&format!(
        "create table tasks (tenant_id uuid not null default rowhouse.default_tenant(), project_id uuid not null, body text not null,
           constraint tasks_pkey primary key (tenant_id, project_id, body));
         alter table tasks owner to rowhouse_owner;
         select rowhouse.raise_wall('tasks', 'content', 'enforce', 'project_id');
         grant select, insert, update, delete on tasks to rowhouse_app;
         insert into tasks select '{}', p, 'task' from unnest('{{{},{}}}'::uuid[]) p",
        world.alpha.id.uuid(),
        m.apollo,
        m.gemini
    ))
    .await
    .unwrap();
    let member = Context::user(world.alpha.id, m.member);
    let owner = world.alpha.context();
    is_refused(
        world
            .house
            .query(&member.clone().in_project(m.gemini.into()), WHO, &[])
            .await,
        "not-a-member",
    );
    let count = async |context: &Context| -> Vec<Uuid> {
        let rows = world
            .house
            .query(context, "select project_id from tasks order by 1", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(count(&owner).await, [m.apollo, m.gemini]);
    assert_eq!(count(&member).await, [m.apollo], "HOLE");
    assert_eq!(
        count(&owner.clone().in_project(m.gemini.into())).await,
        [m.gemini],
        "HOLE"
    );
    assert!(
        count(&Context::tenant(world.alpha.id)).await.is_empty(),
        "HOLE"
    );
    let insert = "insert into tasks (project_id, body) values ($1, 'new')";
    is_refused(
        world.house.execute(&member, insert, &[&m.gemini]).await,
        "not-permitted",
    );
    assert_eq!(
        world
            .house
            .execute(&member, insert, &[&m.apollo])
            .await
            .unwrap(),
        1
    );
    is_refused(
        world
            .house
            .execute(&member, "update tasks set project_id = $1", &[&m.gemini])
            .await,
        "not-permitted",
    );
    assert_eq!(
        world
            .house
            .execute(&member, "delete from tasks", &[])
            .await
            .unwrap(),
        2,
        "HOLE"
    );
}

/// A house of another process: its own pool, its own reading of the key.
async fn another(world: &World) -> Rowhouse {
    Rowhouse::connect(config_of(world)).await.unwrap()
}

async fn set_status(world: &World, status: Status) {
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    tenants::set_status(&mut tx, status, None).await.unwrap();
    tx.commit().await.unwrap();
}

async fn ticket(world: &World, context: &Context, seconds: u64) -> Ticket {
    world
        .house
        .ticket(context, Duration::from_secs(seconds))
        .await
        .unwrap()
}

pub async fn a_caller_with_too_many_principals_is_refused(world: &World) {
    let m = matrix(world).await;
    let member = Context::user(world.alpha.id, m.member);
    let join = async |from: u32, to: u32| {
        let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
        tx.batch(&format!(
            "insert into rowhouse.teams (id, name) select md5(n::text)::uuid, 'team ' || n from generate_series({from}, {to}) n;
             insert into rowhouse.team_members (team_id, user_id) select md5(n::text)::uuid, '{}' from generate_series({from}, {to}) n",
            m.member.uuid()
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
    };
    join(1, 253).await; // with himself, the tenant and the team of before: 256
    let rows = world
        .house
        .query(
            &member,
            "select cardinality(rowhouse.caller_principals())",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 256);
    join(254, 254).await;
    is_refused(
        world.house.query(&member, WHO, &[]).await,
        "too-many-principals",
    );
}
