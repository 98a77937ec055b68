//! Ann holds a second ticket, for a tenant of her own, and enters by it in the middle of a statement (docs/adr/013).

use rowhouse::Context;
use rowhouse::ids::{KeyId, UserId};
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::Role;
use rowhouse::tenants::{self, NewTenant};
use tokio_postgres::Client;

use super::rules::{ELSEWHERE, HERS, ann};
use crate::attacks::{allowed, checks, enter, refused, sees, touches};
use crate::world::World;

checks![
    two_tickets_show_no_more_in_a_cursor,
    two_tickets_show_no_more_in_a_loop,
    two_tickets_change_no_more_in_one_statement,
];

const PRIVATE: &str = "00000000-0000-7000-8000-0000000000e5";

/// Ann, with what is private to alpha's owner, what lies in a project that is not hers, and what the trail says of both; and a
/// tenant of her own, where she chose the ids: her lists there hold the owner of alpha and that project, she is an owner, and
/// the id of what is private is that of something of hers.
async fn two_tickets(world: &World) -> (Client, Context, Context) {
    let (context, house) = ann(world).await;
    let ann = house.people[2];
    let (tenant, owner) = (house.model.tenant, world.alpha.owner.uuid());
    let secret = house.model.projects.keys().nth(1).unwrap();
    let private = format!(
        "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, owner_id)
         select '{tenant}', '{PRIVATE}', 'tag', 'private', w.id, 'private', '{owner}'
         from rowhouse.workspaces w where w.tenant_id = '{tenant}' and w.kind = 'tenant';
         insert into rowhouse.audit_log (tenant_id, id, actor_id, action, project_id, resource_id)
         values ('{tenant}', gen_random_uuid(), '{owner}', 'of the project', '{secret}', null),
                ('{tenant}', gen_random_uuid(), '{owner}', 'of what is private', null, '{PRIVATE}')"
    );
    world
        .superuser()
        .await
        .batch_execute(&private)
        .await
        .unwrap();
    let own = tenant_of(world, ann, "own").await;
    let mut tx = world.house.begin(&own).await.unwrap();
    tx.batch(&format!(
        "insert into rowhouse.teams (id, name) values ('{owner}', 'who owns');
         insert into rowhouse.team_members (team_id, user_id) values ('{owner}', '{ann}');
         insert into rowhouse.projects (id, name) values ('{secret}', 'secret');
         insert into rowhouse.resources (id, type, title, workspace_id, visibility)
         select '{PRIVATE}', 'tag', 'her own', id, 'private' from rowhouse.workspaces where kind = 'tenant'",
        ann = ann.uuid()
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    (world.app().await, context, own)
}

/// One more tenant, whose owner she is.
async fn tenant_of(world: &World, ann: UserId, slug: &str) -> Context {
    let mut tx = world.house.begin_platform().await.unwrap();
    let new = NewTenant::organization(slug, slug).owned_by(ann);
    let tenant = tenants::create(&mut tx, new).await.unwrap().id;
    tx.commit().await.unwrap();
    Context::user(tenant, ann)
}

/// A key of a tenant of hers, whose id she chose: it is that of alpha's owner.
async fn namesake(world: &World, ann: UserId) -> Context {
    let (tenant, owner) = (
        tenant_of(world, ann, "namesake").await,
        world.alpha.owner.uuid(),
    );
    let key = format!(
        "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash) values ('{owner}', 'namesake', 'rh_', sha256('namesake'), '')"
    );
    let mut tx = world.house.begin(&tenant).await.unwrap();
    tx.batch(&key).await.unwrap();
    tx.commit().await.unwrap();
    Context::key(tenant.tenant_id(), KeyId::from(owner))
}

/// The call that enters `context`, wherever it stands in a statement.
async fn entering(world: &World, context: &Context) -> String {
    let ticket = world
        .house
        .ticket(context, std::time::Duration::from_mins(1))
        .await
        .unwrap();
    format!("rowhouse.enter('{}')", ticket.reveal())
}

/// What she sees in alpha with one ticket.
const SEEN: &[&str] = &["hers", "the project's", "theirs"];

pub async fn two_tickets_show_no_more_in_a_cursor(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let other = entering(world, &own).await;
    for way in ["indexscan", "seqscan"] {
        enter(&app, world, &context).await;
        app.batch_execute(&format!(
            "set local enable_bitmapscan = off; set local enable_{way} = off"
        ))
        .await
        .unwrap();
        sees(
            &app,
            "select title from rowhouse.resources order by title",
            SEEN,
        )
        .await;
        app.batch_execute("declare c cursor for select title from rowhouse.resources")
            .await
            .unwrap();
        let mut seen = allowed(&app, "fetch 1 from c").await;
        allowed(&app, &format!("select {other}::text")).await;
        seen.extend(allowed(&app, "fetch all from c").await);
        assert!(
            seen.iter().all(|title| SEEN.contains(&title.as_str())),
            "HOLE: {seen:?}"
        );
        app.batch_execute("rollback").await.unwrap();
    }
}

pub async fn two_tickets_show_no_more_in_a_loop(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let manager = world.alpha.context();
    let mut tx = world.house.begin(&manager).await.unwrap();
    let invited = NewInvitation::new("kept-from@members.example", Role::Member);
    invitations::create(&mut tx, invited).await.unwrap();
    tx.commit().await.unwrap();
    let ann = UserId::from(context.principal_id().uuid());
    let namesake = namesake(world, ann).await;
    for (relation, shown, when) in [
        ("resources", "title", "updated_at"),
        ("invitations", "email", "created_at"),
        ("user_project_roles", "role", "created_at"),
        ("audit_log", "action", "created_at"),
    ] {
        // What is seen under the first context, and what by a loop that goes over to the second.
        let seen = async |first: &Context, second: &Context| {
            let alone = format!("select {shown} from rowhouse.{relation} order by 1");
            enter(&app, world, first).await;
            let before = allowed(&app, &alone).await;
            app.batch_execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
                .await
                .unwrap();
            // No row is found in the first turn: the floor is asked for the index, and nothing else.
            let looped = format!(
                "select x.{shown}
                 from (values (1), (2)) turn (n)
                 cross join lateral (select case when turn.n = 2 then {second}::text end as entered offset 0) e
                 cross join lateral (
                   select {shown} from rowhouse.{relation}
                   where {when} < (case when turn.n = 1 then '-infinity' else 'infinity' end)::timestamptz
                     and (e.entered is null or e.entered = '') offset 0) x
                 order by 1",
                second = entering(world, second).await
            );
            let looped = allowed(&app, &looped).await;
            app.batch_execute("rollback").await.unwrap();
            (before, looped)
        };
        let (all, looped) = seen(&manager, &manager).await;
        assert!(!all.is_empty(), "{relation}: there is nothing to see");
        assert_eq!(looped, all, "{relation}: the loop does not get there");
        for other in [&own, &namesake] {
            let (before, looped) = seen(&context, other).await;
            let more: Vec<&String> = looped.iter().filter(|row| !before.contains(row)).collect();
            assert!(more.is_empty(), "HOLE: {relation}: {more:?}");
        }
    }
}

pub async fn two_tickets_change_no_more_in_one_statement(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let other = entering(world, &own).await;
    for (change, goes) in [("title = 'taken'", true), ("deleted_at = now()", false)] {
        enter(&app, world, &context).await;
        app.batch_execute(
            "set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_material = off;
             set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off",
        )
        .await
        .unwrap();
        let taken = format!(
            "update rowhouse.resources r
             set {change}
             from (select * from (values (1, '{HERS}'::uuid), (2, '{PRIVATE}'), (3, '{ELSEWHERE}')) v (n, id) offset 0) v
             where r.id = v.id
             returning case when v.n = 1 then {other}::text end"
        );
        if goes {
            touches(&app, &taken, 1).await;
        } else {
            // What runs of it would run on in alpha: it is stopped behind this, under another tenant's context.
            refused(&app, &taken, "RH002").await;
        }
        app.batch_execute("commit").await.unwrap();
    }
    // Whether she may share what is private to the owner is asked while what bears its id is hers. Then she comes back, so that
    // nothing but the entry's tenant speaks against it.
    let (alpha, back) = (world.alpha.id.uuid(), entering(world, &context).await);
    let given = |end: u8| {
        format!(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
             select '{alpha}', v.id, rowhouse.current_user_id(), 'admin'
             from (select n, id, case n when 2 then {other}::text when 3 then {back}::text end as entered
                   from (values (1, '{HERS}'::uuid), (2, '{PRIVATE}'), (3, null)) v (n, id) offset 0) v
             where n < {end}"
        )
    };
    enter(&app, world, &own).await;
    touches(
        &app,
        &format!("insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{PRIVATE}', rowhouse.current_user_id(), 'admin')"),
        1,
    )
    .await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &context).await;
    touches(&app, &given(2), 1).await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &context).await;
    let refusal = refused(&app, &given(3), "42501").await;
    assert!(
        refusal
            .said
            .starts_with("new row violates row-level security policy for table"),
        "refused because of something else: {refusal:?}"
    );
    app.batch_execute("rollback").await.unwrap();
    let untouched = format!(
        "select count(*)::int from rowhouse.resources
         where id in ('{PRIVATE}', '{ELSEWHERE}') and title in ('private', 'elsewhere') and deleted_at is null"
    );
    let untouched: i32 = world
        .superuser()
        .await
        .query_one(&untouched, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(untouched, 2, "HOLE");
}
