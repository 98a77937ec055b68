//! The functions of the wall, over a matrix of callers: who is where, as what, and from when on no longer.

use std::time::Duration;

use rowhouse::ids::{KeyId, PrincipalId, UserId};
use rowhouse::members::{self, Role};
use rowhouse::tables::{self, Mode};
use rowhouse::tenants::{self, NewTenant, Status};
use rowhouse::{Context, Rowhouse, Ticket, users};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::attacks::{
    MINE, MY_RESOURCE, allowed, checks, config_of, enter, is_refused, notes_through, refused, sees,
    touches,
};
use crate::world::World;

checks![
    every_caller_is_what_the_base_tables_say,
    a_viewer_reads_and_a_member_writes,
    a_project_that_is_not_the_callers_is_refused,
    a_suspended_tenant_is_refused_on_every_node,
    a_removed_member_is_refused_on_every_node,
    a_revoked_key_is_refused_on_every_node,
    an_expired_key_is_refused,
    an_expired_ticket_is_refused,
    a_ticket_with_any_byte_flipped_is_refused,
    a_ticket_that_is_cut_short_is_refused,
    a_ticket_with_bytes_more_is_refused,
    a_ticket_outlives_one_rotation_of_the_key_and_not_two,
    a_context_outlives_a_rotation_inside_its_transaction,
    a_running_house_survives_a_rotation_under_load,
    a_caller_with_too_many_principals_is_refused,
    a_tenant_placed_elsewhere_is_refused,
    an_unknown_tenant_is_refused_like_a_stranger,
    a_deleted_team_gives_no_rights,
    a_deleted_user_is_refused,
    two_changes_of_one_users_teams_both_count,
    a_removal_and_an_addition_at_once_both_count,
    under_repeatable_read_a_late_change_fails_or_counts,
    a_deleted_project_is_not_kept_by_a_role_given_at_once,
    a_new_owner_gets_a_project_made_at_once,
    a_key_made_while_the_tenant_is_suspended_does_not_enter,
    a_member_added_while_the_tenant_is_suspended_does_not_enter,
    a_tenant_does_not_hold_up_its_own_suspension,
    the_platform_manages_a_suspended_tenant,
    a_tenant_marked_as_deleted_is_refused,
    a_user_deleted_while_he_is_added_does_not_enter,
    a_tenant_locks_nobody_elses_user,
    a_removed_manager_leaves_nothing_behind,
    an_admin_makes_and_unmakes_no_owner,
    the_platform_makes_no_key_for_a_tenant_with_an_owner,
    the_platform_widens_no_key_of_a_tenant_with_an_owner,
    a_revoked_key_stays_revoked,
    a_suspended_tenants_open_transaction_leaves_nothing_behind,
    under_repeatable_read_a_new_caller_is_not_missed,
    a_thousand_projects_are_one_change,
    ids_of_the_registry_never_change,
    a_name_once_taken_is_its_takers,
    whose_an_address_is_only_the_platform_asks,
    a_context_changed_under_a_trigger_locks_nobody_out,
    a_table_that_has_lost_a_floor_changes_its_mode_no_more_and_is_listed_so,
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

async fn make_key(tx: &mut rowhouse::TenantTx, id: Uuid, permissions: &str) {
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

pub async fn a_suspended_tenant_is_refused_on_every_node(world: &World) {
    let other = another(world).await;
    let mine = world.alpha.context();
    for status in [
        Status::Suspended,
        Status::Deleting,
        Status::Provisioning,
        Status::Deleted,
    ] {
        for house in [&world.house, &other] {
            assert_eq!(notes_through(house, &mine).await, MINE);
        }
        set_status(world, status).await;
        for house in [&world.house, &other] {
            is_refused(house.query(&mine, WHO, &[]).await, "tenant-not-active");
            is_refused(
                house
                    .query(&Context::tenant(world.alpha.id), WHO, &[])
                    .await,
                "tenant-not-active",
            );
            assert_eq!(
                notes_through(house, &world.beta.context()).await,
                crate::attacks::THEIRS
            );
        }
        set_status(world, Status::Active).await;
    }
}

pub async fn a_removed_member_is_refused_on_every_node(world: &World) {
    let m = matrix(world).await;
    let other = another(world).await;
    let viewer = Context::user(world.alpha.id, m.viewer);
    for house in [&world.house, &other] {
        assert_eq!(notes_through(house, &viewer).await, MINE);
    }
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    tx.execute(
        "delete from rowhouse.tenant_members where user_id = $1",
        &[&m.viewer],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    for house in [&world.house, &other] {
        is_refused(house.query(&viewer, WHO, &[]).await, "not-a-member");
        assert_eq!(notes_through(house, &world.alpha.context()).await, MINE);
    }
    // Taken back, he is who he was.
    add_member(world, m.viewer, Role::Member).await;
    for house in [&world.house, &other] {
        let rows = house
            .query(&viewer, "select rowhouse.caller_role()", &[])
            .await
            .unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), "member");
    }
}

pub async fn a_revoked_key_is_refused_on_every_node(world: &World) {
    let m = matrix(world).await;
    let other = another(world).await;
    let key = Context::key(world.alpha.id, m.key);
    for house in [&world.house, &other] {
        assert_eq!(notes_through(house, &key).await, MINE);
    }
    let revoke = "update rowhouse.api_keys set revoked_at = now() where id = $1";
    is_refused(
        world
            .house
            .execute(&Context::user(world.alpha.id, m.viewer), revoke, &[&m.key])
            .await,
        "read-only",
    );
    assert_eq!(
        world
            .house
            .execute(&world.alpha.context(), revoke, &[&m.key])
            .await
            .unwrap(),
        1
    );
    for house in [&world.house, &other] {
        is_refused(house.query(&key, WHO, &[]).await, "not-a-member");
    }
}

pub async fn an_expired_key_is_refused(world: &World) {
    let m = matrix(world).await;
    let key = Context::key(world.alpha.id, m.key);
    let expire = async |when: &str| {
        let sql = format!("update rowhouse.api_keys set expires_at = {when}");
        world
            .house
            .execute(&world.alpha.context(), &sql, &[])
            .await
            .unwrap();
    };
    expire("clock_timestamp() + interval '1 hour'").await;
    assert_eq!(notes_through(&world.house, &key).await, MINE);
    expire("clock_timestamp() - interval '1 microsecond'").await;
    is_refused(world.house.query(&key, WHO, &[]).await, "not-a-member");
    expire("null").await;
    assert_eq!(notes_through(&world.house, &key).await, MINE);
}

async fn ticket(world: &World, context: &Context, seconds: u64) -> Ticket {
    world
        .house
        .ticket(context, Duration::from_secs(seconds))
        .await
        .unwrap()
}

async fn try_bytes(client: &Client, bytes: &[u8], codes: &str) {
    refused(
        client,
        &format!(r"select rowhouse.enter('\x{}')", hex::encode(bytes)),
        codes,
    )
    .await;
}

pub async fn an_expired_ticket_is_refused(world: &World) {
    let a = world.app().await;
    let short = ticket(world, &world.alpha.context(), 0).await;
    // The process knows the database's time only to within a round trip or two.
    tokio::time::sleep(Duration::from_millis(300)).await;
    try_bytes(&a, short.as_bytes(), "RH003").await;
    let soon = ticket(world, &world.alpha.context(), 1).await;
    allowed(&a, &format!("select rowhouse.enter('{}')", soon.reveal())).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    try_bytes(&a, soon.as_bytes(), "RH003").await;
    // In the roundabout way too: with a project, and under the key before.
    let m = matrix(world).await;
    let project = ticket(world, &world.alpha.context().in_project(m.apollo.into()), 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    try_bytes(&a, project.as_bytes(), "RH003").await;
}

pub async fn a_ticket_with_any_byte_flipped_is_refused(world: &World) {
    let m = matrix(world).await;
    let a = world.app().await;
    for context in [
        world.alpha.context(),
        world.alpha.context().in_project(m.apollo.into()),
        world.alpha.context().read_only(),
    ] {
        let good = ticket(world, &context, 600).await;
        for place in 0..good.as_bytes().len() {
            for flip in [0x01, 0x80] {
                let mut bytes = good.as_bytes().to_vec();
                bytes[place] ^= flip;
                try_bytes(&a, &bytes, "RH002").await;
            }
        }
        allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
    }
    // A reader's ticket with a writer's byte, another tenant's id under one's own tag.
    let reader = ticket(world, &world.alpha.context().read_only(), 600).await;
    let mut writer = reader.as_bytes().to_vec();
    writer[66] = b'w';
    try_bytes(&a, &writer, "RH002").await;
    let mut foreign = reader.as_bytes().to_vec();
    foreign[2..18].copy_from_slice(world.beta.id.uuid().as_bytes());
    foreign[18..34].copy_from_slice(world.beta.owner.uuid().as_bytes());
    try_bytes(&a, &foreign, "RH002").await;
}

pub async fn a_ticket_that_is_cut_short_is_refused(world: &World) {
    let a = world.app().await;
    let good = ticket(world, &world.alpha.context(), 600).await;
    for length in (0..good.as_bytes().len()).rev() {
        try_bytes(&a, &good.as_bytes()[..length], "RH002").await;
    }
    allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
}

pub async fn a_ticket_with_bytes_more_is_refused(world: &World) {
    let a = world.app().await;
    let good = ticket(world, &world.alpha.context(), 600).await;
    for more in [0, 1, 0xff] {
        let mut longer = good.as_bytes().to_vec();
        longer.push(more);
        try_bytes(&a, &longer, "RH002").await;
        let mut shifted = vec![more];
        shifted.extend_from_slice(good.as_bytes());
        try_bytes(&a, &shifted, "RH002").await;
    }
    try_bytes(&a, &good.as_bytes().repeat(2), "RH002").await;
    refused(&a, "select rowhouse.enter(null)", "RH002").await;
    allowed(&a, &format!("select rowhouse.enter('{}')", good.reveal())).await;
}

pub async fn a_ticket_outlives_one_rotation_of_the_key_and_not_two(world: &World) {
    let m = matrix(world).await;
    let root = world.superuser().await;
    let a = world.app().await;
    let plain = ticket(world, &world.alpha.context(), 600).await;
    let project = ticket(
        world,
        &world.alpha.context().in_project(m.apollo.into()),
        600,
    )
    .await;
    for rotation in 0..3 {
        for ticket in [&plain, &project] {
            if rotation < 2 {
                a.batch_execute("begin").await.unwrap();
                allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
                sees(&a, "select body from notes order by 1", MINE).await;
                a.batch_execute("commit").await.unwrap();
            } else {
                try_bytes(&a, ticket.as_bytes(), "RH002").await;
            }
        }
        root.batch_execute("select rowhouse.rotate_seal()")
            .await
            .unwrap();
    }
    // The number of a key comes round after 255 rotations: the key itself does not.
    root.batch_execute(
        "do $$ begin for n in 1..252 loop perform rowhouse.rotate_seal(); end loop; end $$",
    )
    .await
    .unwrap();
    sees(
        &root,
        "select get_byte(ticket_head, 1) from rowhouse_private.keyring",
        &["1"],
    )
    .await;
    assert_eq!(plain.as_bytes()[1], 1);
    try_bytes(&a, plain.as_bytes(), "RH002").await;
}

pub async fn a_context_outlives_a_rotation_inside_its_transaction(world: &World) {
    let root = world.superuser().await;
    let a = world.app().await;
    enter(&a, world, &world.alpha.context()).await;
    for rotation in 0..2 {
        sees(&a, "select body from notes order by 1", MINE).await;
        sees(&a, "select rowhouse.caller_role()", &["owner"]).await;
        allowed(&a, "update notes set body = body").await;
        if rotation == 0 {
            root.batch_execute("select rowhouse.rotate_seal()")
                .await
                .unwrap();
        }
    }
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    refused(&a, "select body from notes", "RH002").await;
    a.batch_execute("rollback").await.unwrap();
    // On another connection: a context sealed under the key before does not help to forge one.
    let anew = another(world).await;
    let ticket = anew
        .ticket(&world.alpha.context(), Duration::from_mins(1))
        .await
        .unwrap();
    a.batch_execute("begin").await.unwrap();
    allowed(&a, &format!("select rowhouse.enter('{}')", ticket.reveal())).await;
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    sees(&a, "select body from notes order by 1", MINE).await;
    allowed(
        &a,
        &format!("set local app.tenant_id = '{}'", world.beta.id.uuid()),
    )
    .await;
    refused(&a, "select body from notes", "RH002").await;
}

pub async fn a_running_house_survives_a_rotation_under_load(world: &World) {
    let root = world.superuser().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let house = world.house.clone();
            let context = if n % 2 == 0 {
                world.alpha.context()
            } else {
                world.beta.context()
            };
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut tx = house.begin(&context).await?;
                    tx.query("select body from notes", &[]).await?;
                    tx.execute("update notes set body = body", &[]).await?;
                    tx.commit().await?;
                    done += 1;
                }
                Ok::<_, rowhouse::Error>(done)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    root.batch_execute("select rowhouse.rotate_seal()")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for worker in workers {
        match worker.await.unwrap() {
            Ok(done) => assert!(done > 5, "{done}"),
            Err(error) => panic!("HOLE: a rotation hurt a running process: {error:?}"),
        }
    }
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

pub async fn a_tenant_placed_elsewhere_is_refused(world: &World) {
    let mut tx = world.house.begin_platform().await.unwrap();
    tx.execute(
        "update rowhouse.tenants set placement = 'there' where id = $1",
        &[&world.alpha.id],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "not-placed-here",
    );
    assert_eq!(
        notes_through(&world.house, &world.beta.context()).await,
        crate::attacks::THEIRS
    );
}

pub async fn an_unknown_tenant_is_refused_like_a_stranger(world: &World) {
    let unknown = Context::user(rowhouse::ids::TenantId::new(), world.alpha.owner);
    let foreign = Context::user(world.beta.id, world.alpha.owner);
    let said = async |context: &Context| {
        let error = world.house.query(context, WHO, &[]).await.unwrap_err();
        format!("{} {error:?}", error.code())
    };
    assert_eq!(
        said(&unknown).await,
        said(&foreign).await,
        "HOLE: it tells which tenants exist"
    );
    // Also of a suspended tenant, of which the stranger knows nothing.
    let mut tx = world.house.begin_system(world.beta.id).await.unwrap();
    tenants::set_status(&mut tx, Status::Suspended, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        said(&unknown).await,
        said(&foreign).await,
        "HOLE: it tells which tenants exist"
    );
}

pub async fn a_deleted_team_gives_no_rights(world: &World) {
    let m = matrix(world).await;
    let member = Context::user(world.alpha.id, m.member);
    let stands_for = "select rowhouse.caller_principals()";
    let before: Vec<Uuid> = world.house.query(&member, stands_for, &[]).await.unwrap()[0].get(0);
    assert!(before.contains(&m.team));
    let delete = "update rowhouse.teams set deleted_at = now() where id = $1";
    world
        .house
        .execute(&world.alpha.context(), delete, &[&m.team])
        .await
        .unwrap();
    let after: Vec<Uuid> = world.house.query(&member, stands_for, &[]).await.unwrap()[0].get(0);
    assert!(
        !after.contains(&m.team),
        "HOLE: a deleted team still gives its rights"
    );
}

pub async fn a_deleted_user_is_refused(world: &World) {
    let m = matrix(world).await;
    let member = Context::user(world.alpha.id, m.member);
    assert_eq!(notes_through(&world.house, &member).await, MINE);
    let mut tx = world.house.begin_platform().await.unwrap();
    tx.execute(
        "update rowhouse.users set deleted_at = now() where id = $1",
        &[&m.member],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    is_refused(world.house.query(&member, WHO, &[]).await, "not-a-member");
}

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

/// So that it can revoke a key, remove a member, write into the trail and let the tenant go on.
pub async fn the_platform_manages_a_suspended_tenant(world: &World) {
    set_status(world, Status::Suspended).await;
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    tx.batch("insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'clean-up')")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    is_refused(
        world.house.query(&world.alpha.context(), WHO, &[]).await,
        "tenant-not-active",
    );
    set_status(world, Status::Active).await;
    world
        .house
        .query(&world.alpha.context(), WHO, &[])
        .await
        .unwrap();
}

pub async fn a_tenant_marked_as_deleted_is_refused(world: &World) {
    let platform = world.platform().await;
    let set = async |deleted_at: &str| {
        platform
            .batch_execute(&format!(
                "update rowhouse.tenants set deleted_at = {deleted_at} where id = '{}'",
                world.alpha.id.uuid()
            ))
            .await
            .unwrap();
        world.house.query(&world.alpha.context(), WHO, &[]).await
    };
    is_refused(set("now()").await, "tenant-not-active");
    set("null").await.unwrap();
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

/// Not from a transaction that he had open when he was removed, or demoted.
pub async fn a_removed_manager_leaves_nothing_behind(world: &World) {
    let m = matrix(world).await;
    let key = Uuid::from_u128(0xc3);
    let plant = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{key}', 'mine', 'tk_', sha256('{key}'), 'h')"
    );
    let befriend = format!(
        "update rowhouse.tenant_members set role = 'admin' where user_id = '{}'",
        m.viewer.uuid()
    );
    let share = format!(
        "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{MY_RESOURCE}', '{}', 'admin')",
        m.viewer.uuid()
    );
    for end in [
        "update rowhouse.tenant_members set role = 'member' where user_id =",
        "delete from rowhouse.tenant_members where user_id =",
    ] {
        for isolation in ["read committed", "repeatable read"] {
            let admin = world.app().await;
            enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
            if isolation == "repeatable read" {
                admin.batch_execute("rollback").await.unwrap();
                admin
                    .batch_execute("begin isolation level repeatable read")
                    .await
                    .unwrap();
                let ticket = ticket(world, &Context::user(world.alpha.id, m.admin), 60).await;
                admin
                    .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
                    .await
                    .unwrap();
            }
            let mut owner = world.house.begin(&world.alpha.context()).await.unwrap();
            owner
                .batch(&format!("{end} '{}'", m.admin.uuid()))
                .await
                .unwrap();
            owner.commit().await.unwrap();
            for attempt in [
                &plant,
                &befriend,
                &share,
                "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'mine')",
                "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'mine')",
            ] {
                refused(&admin, attempt, "RH005 40001").await;
            }
            drop(admin);
            let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
            tx.execute(
                "delete from rowhouse.tenant_members where user_id = $1",
                &[&m.admin],
            )
            .await
            .unwrap();
            tx.commit().await.unwrap();
            add_member(world, m.admin, Role::Admin).await;
        }
    }
    let admin = world.app().await;
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    allowed(&admin, &plant).await;
    allowed(&admin, &befriend).await;
    allowed(&admin, &share).await;
}

/// Not himself either, nor from a transaction that he had open as an owner.
pub async fn an_admin_makes_and_unmakes_no_owner(world: &World) {
    let m = matrix(world).await;
    let role = |of: UserId, to: &str| {
        format!(
            "update rowhouse.tenant_members set role = '{to}' where user_id = '{}'",
            of.uuid()
        )
    };
    let remove = |user: UserId| {
        format!(
            "delete from rowhouse.tenant_members where user_id = '{}'",
            user.uuid()
        )
    };
    let admin = world.app().await;
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    for attempt in [
        role(m.admin, "owner"),
        role(m.viewer, "owner"),
        role(world.alpha.owner, "viewer"),
        remove(world.alpha.owner),
    ] {
        refused(&admin, &attempt, "42501").await;
    }
    allowed(&admin, &role(m.viewer, "admin")).await;
    admin.batch_execute("rollback").await.unwrap();

    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, &role(m.admin, "owner")).await;
    owner.batch_execute("commit").await.unwrap();
    enter(&admin, world, &Context::user(world.alpha.id, m.admin)).await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, &role(m.admin, "admin")).await;
    owner.batch_execute("commit").await.unwrap();
    refused(&admin, &role(m.viewer, "owner"), "42501").await;
}

/// It could come in as that key. While there is no owner, somebody has to.
pub async fn the_platform_makes_no_key_for_a_tenant_with_an_owner(world: &World) {
    let m = matrix(world).await;
    let system = world.platform().await;
    enter(
        &system,
        world,
        &Context::principal(world.alpha.id, m.system.into()),
    )
    .await;
    let make = |n: u128| {
        let id = Uuid::from_u128(n);
        format!(
            "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{id}', 'k', 'tk_', sha256('{id}'), 'h')"
        )
    };
    refused(&system, &make(0xc4), "42501").await;
    // Nor does it make room for itself first.
    for owners in [
        "update rowhouse.tenant_members set role = 'member' where role = 'owner'",
        "delete from rowhouse.tenant_members where role = 'owner'",
        "update rowhouse.tenant_members set role = 'owner' where role = 'admin'",
    ] {
        refused(&system, owners, "42501").await;
    }
    allowed(
        &system,
        "update rowhouse.tenant_members set role = 'viewer' where role = 'admin'",
    )
    .await;
    system.batch_execute("rollback").await.unwrap();
    let mut tx = world.house.begin_platform().await.unwrap();
    let founded = tenants::create(&mut tx, NewTenant::organization("nobodys", "Nobody's"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin_system(founded.id).await.unwrap();
    tx.batch(&make(0xc5)).await.unwrap();
    tx.commit().await.unwrap();
}

/// Nor does it keep one alive that it made before there was an owner, and knows.
pub async fn the_platform_widens_no_key_of_a_tenant_with_an_owner(world: &World) {
    let m = matrix(world).await;
    let set = |what: &str| {
        format!(
            "update rowhouse.api_keys set {what} where id = '{}'",
            m.key.uuid()
        )
    };
    let narrow = [
        set("permissions = '[\"read\"]'"),
        set("expires_at = now() + interval '1 hour'"),
        set("expires_at = now() + interval '1 minute'"),
    ];
    let widen = [
        set("permissions = '[\"read\", \"write\"]'"),
        set("expires_at = now() + interval '1 day'"),
        set("expires_at = null"),
        set("scopes = '{\"projects\": []}'"),
    ];
    let context = Context::principal(world.alpha.id, m.system.into());
    let system = world.platform().await;
    enter(&system, world, &context).await;
    for sql in &narrow {
        allowed(&system, sql).await;
    }
    for sql in &widen {
        refused(&system, sql, "42501").await;
    }
    allowed(&system, &set("revoked_at = now()")).await;
    system.batch_execute("rollback").await.unwrap();
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    for sql in narrow.iter().chain(&widen) {
        allowed(&owner, sql).await;
    }
}

/// Whoever revoked it counts on that.
pub async fn a_revoked_key_stays_revoked(world: &World) {
    let m = matrix(world).await;
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    allowed(&owner, "update rowhouse.api_keys set revoked_at = now()").await;
    owner.batch_execute("commit").await.unwrap();
    let system = world.platform().await;
    let context = Context::principal(world.alpha.id, m.system.into());
    for (client, context) in [(&owner, &world.alpha.context()), (&system, &context)] {
        enter(client, world, context).await;
        refused(
            client,
            "update rowhouse.api_keys set revoked_at = null",
            "42501",
        )
        .await;
        client.batch_execute("rollback").await.unwrap();
    }
    let key = Context::key(world.alpha.id, m.key);
    is_refused(world.house.query(&key, WHO, &[]).await, "not-a-member");
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

/// A tenant or user that took another's id would take what stands under it.
pub async fn ids_of_the_registry_never_change(world: &World) {
    let platform = world.platform().await;
    for table in ["tenants", "users"] {
        refused(
            &platform,
            &format!("update rowhouse.{table} set id = gen_random_uuid()"),
            "42501",
        )
        .await;
        allowed(
            &platform,
            &format!("update rowhouse.{table} set name = name"),
        )
        .await;
    }
}

pub async fn a_name_once_taken_is_its_takers(world: &World) {
    let platform = world.platform().await;
    let rename = |from: &str, to: &str| {
        format!("update rowhouse.tenants set slug = '{to}' where slug = '{from}'")
    };
    allowed(&platform, &rename("alpha", "omega")).await;
    refused(&platform, &rename("beta", "alpha"), "23505").await;
    refused(&platform, &rename("beta", "omega"), "23505").await;
    allowed(&platform, &rename("omega", "alpha")).await;
    let address = |to: &str| {
        format!(
            "update rowhouse.users set email = '{to}' where id = '{}'",
            world.beta.owner.uuid()
        )
    };
    allowed(&platform, &address("Somebody@Example.com")).await;
    allowed(&platform, &address("somebody@example.com")).await;
    let theirs = allowed(
        &platform,
        &format!(
            "select email from rowhouse.users where id = '{}'",
            world.alpha.owner.uuid()
        ),
    )
    .await;
    refused(&platform, &address(&theirs[0].to_uppercase()), "23505").await;
}

pub async fn whose_an_address_is_only_the_platform_asks(world: &World) {
    let platform = world.platform().await;
    allowed(
        &platform,
        &format!(
            "update rowhouse.users set email = 'somebody@example.com' where id = '{}'",
            world.beta.owner.uuid()
        ),
    )
    .await;
    let ask = "select count(*) from rowhouse.locate('email', sha256('somebody@example.com'))";
    sees(&platform, ask, &["1"]).await;
    let app = world.app().await;
    sees(&app, ask, &["0"]).await;
    sees(
        &app,
        "select count(*) from rowhouse.locate('slug', sha256('beta'))",
        &["1"],
    )
    .await;
}

pub async fn a_table_that_has_lost_a_floor_changes_its_mode_no_more_and_is_listed_so(
    world: &World,
) {
    let mut owner = world.owner().await;
    for (table, floor) in [
        ("rowhouse.resources", "project_floor"),
        ("rowhouse.resources", "tenant_floor_update"),
        ("rowhouse.teams", "tenant_floor"),
        ("rowhouse.idempotency_keys", "own_floor"),
    ] {
        for mode in [Mode::Enforce, Mode::Off] {
            let tx = owner.begin().await.unwrap();
            let stands = async || {
                let listed = tables::list(&tx).await.unwrap();
                let named =
                    |one: &&tables::Managed| format!("{}.{}", one.schema, one.table) == table;
                listed.iter().find(named).unwrap().stands
            };
            assert!(stands().await, "{table}");
            tables::set_mode(&tx, table, Mode::Shadow).await.unwrap();
            tx.batch_execute(&format!("drop policy {floor} on {table}"))
                .await
                .unwrap();
            assert!(!stands().await, "HOLE: {table} stands without {floor}");
            match tables::set_mode(&tx, table, mode).await {
                Ok(()) => panic!("HOLE: {table} without {floor} is {mode:?}"),
                Err(error) => assert!(error.to_string().contains(floor), "{error}"),
            }
            tx.rollback().await.unwrap();
        }
    }
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
