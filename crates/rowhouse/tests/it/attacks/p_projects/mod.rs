//! P: the second wall. The same attacks, inside one tenant: ann is an editor of one project, gil of another, and ann runs any
//! SQL she likes as the application's login. What she is refused, gil may do.

pub mod context;

use futures_util::TryStreamExt;
use rowhouse::Context;
use rowhouse::members::Role;
use rowhouse::projects::{self, ProjectRole};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{allowed, alpha, attempt, checks, enter, refused, sees, touches};
use crate::people::{member, user_of};
use crate::world::World;

checks![
    p01_every_way_to_read_is_bound_to_the_callers_projects,
    p02_every_command_is_bound_to_the_callers_projects,
    p02_a_permissive_policy_added_later_widens_nothing,
    p03_a_row_is_neither_made_in_another_project_nor_moved_there,
    p04_on_conflict_touches_no_row_of_another_project,
    p09_nothing_of_another_projects_resource_is_to_be_had,
    p10_a_function_of_the_callers_sees_no_row_of_another_project,
];

/// What the two projects have in `public.tasks`; the ids are 1, 2 and 1, 2, 3.
const MINE: &[&str] = &["apollo one", "apollo two"];
const THEIRS: &[&str] = &["secret one", "secret three", "secret two"];

/// A resource of each, by the tenant's owner, that is meant for the project.
const MY_RESOURCE: &str = "00000000-0000-7000-8000-00000000ca01";
const THEIR_RESOURCE: &str = "00000000-0000-7000-8000-00000000ca02";
const NOBODY: &str = "00000000-0000-7000-8000-00000000ca03";

struct Scene {
    ann: Context,
    gil: Context,
    apollo: Uuid,
    gemini: Uuid,
}

/// Two projects of alpha with rows: in a table of the user's own that names its project, and in ours.
async fn scene(world: &World) -> Scene {
    let owner = world.alpha.context();
    let ann = member(world, "ann@example.com", Role::Member).await;
    let gil = member(world, "gil@example.com", Role::Member).await;
    let mut tx = world.house.begin(&owner).await.unwrap();
    let mut ids = Vec::new();
    for (name, who) in [("apollo", &ann), ("gemini", &gil)] {
        let id = projects::create(&mut tx, name).await.unwrap().id;
        projects::set_role(&mut tx, id, user_of(who), ProjectRole::Editor)
            .await
            .unwrap();
        ids.push(id.uuid());
    }
    tx.commit().await.unwrap();
    let (apollo, gemini) = (ids[0], ids[1]);
    let root = world.superuser().await;
    root.batch_execute(
        "create table public.tasks (
           tenant_id uuid not null default rowhouse.default_tenant(),
           project_id uuid not null,
           id int not null,
           body text not null,
           constraint tasks_pkey primary key (tenant_id, project_id, id)
         );
         alter table public.tasks owner to rowhouse_owner;
         select rowhouse.raise_wall('public.tasks', 'content', 'enforce', 'project_id');
         grant select, insert, update, delete on public.tasks to rowhouse_app",
    )
    .await
    .unwrap();
    let (tenant, owner) = (alpha(world), world.alpha.owner.uuid());
    for (project, bodies, resource, title) in [
        (apollo, "apollo one,apollo two", MY_RESOURCE, "apollo plan"),
        (
            gemini,
            "secret one,secret two,secret three",
            THEIR_RESOURCE,
            "secret plan",
        ),
    ] {
        root.batch_execute(&format!(
            "insert into tasks select '{tenant}', '{project}', n, body from unnest('{{{bodies}}}'::text[]) with ordinality as b (body, n);
             insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id, visibility, project_id)
             select '{tenant}', '{resource}', 'prompt', '{title}', w.id, '{owner}', 'project', '{project}'
             from rowhouse.workspaces w where w.tenant_id = '{tenant}';
             insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
             values ('{tenant}', '{resource}', '{ann}', 'admin'), ('{tenant}', '{resource}', '{gil}', 'admin');
             insert into rowhouse.deployments (tenant_id, id, resource_id, environment, created_by)
             values ('{tenant}', '{resource}', '{resource}', 'PRODUCTION', '{owner}')",
            ann = ann.principal_id().uuid(),
            gil = gil.principal_id().uuid(),
        ))
        .await
        .unwrap();
    }
    Scene {
        ann,
        gil,
        apollo,
        gemini,
    }
}

/// The application's login inside a transaction of this caller.
async fn inside(world: &World, who: &Context) -> Client {
    let client = world.app().await;
    enter(&client, world, who).await;
    client
}

const BODIES: &str = "select body from public.tasks order by 1";

/// The statement fails with one of these, and with nothing of the other project's in what it says.
async fn shut(client: &Client, sql: &str, codes: &str) -> String {
    let said = refused(client, sql, codes).await.said;
    assert!(!said.contains("secret"), "HOLE: it tells: {said}");
    said
}

/// As superuser: gemini is what it was.
async fn nothing_changed(world: &World) {
    let root = world.superuser().await;
    let theirs = "select body from tasks where body like 'secret%' order by 1";
    sees(&root, theirs, THEIRS).await;
    let resource = format!(
        "select title, visibility from rowhouse.resources where id = '{THEIR_RESOURCE}' and deleted_at is null"
    );
    sees(&root, &resource, &["secret plan|project"]).await;
}

pub async fn p01_every_way_to_read_is_bound_to_the_callers_projects(world: &World) {
    let s = scene(world).await;
    for (who, bodies, title, told) in [
        (&s.ann, MINE, "apollo plan", "f|f"),
        (&s.gil, THEIRS, "secret plan", "f|t"),
    ] {
        let a = inside(world, who).await;
        for sql in [
            "select body from tasks order by 1",
            "select t.body from only tasks t",
            "select body from (table tasks) t",
            "with t as materialized (table tasks) select body from t",
            "select body from tasks union select body from tasks",
            "declare c cursor for select body from tasks; fetch all from c",
            "declare s scroll cursor for select body from tasks order by body desc; fetch last from s; fetch backward all from s; move absolute 0 from s",
            "update tasks set body = body returning body",
            "delete from tasks returning body",
            "select body from tasks tablesample system (100)",
            "select m.body from tasks t join lateral (select body from tasks where id = t.id and project_id = t.project_id) m on true",
            "select body from tasks for update",
            "insert into tasks (project_id, id, body) select project_id, id, body from tasks on conflict (tenant_id, project_id, id) do update set body = excluded.body returning body",
        ] {
            a.batch_execute("savepoint clean").await.unwrap();
            let (mut rows, _) = attempt(&a, sql).await.unwrap_or_else(|refusal| {
                panic!("HOLE: refused what is allowed: {sql}: {refusal:?}")
            });
            rows.sort();
            assert_eq!(rows, bodies, "HOLE: {sql}");
            a.batch_execute("rollback to savepoint clean")
                .await
                .unwrap();
        }
        for sql in [
            "copy tasks (body) to stdout",
            "copy (delete from tasks returning body) to stdout",
        ] {
            let bytes: Vec<_> = a.copy_out(sql).await.unwrap().try_collect().await.unwrap();
            let mut rows: Vec<_> = bytes
                .iter()
                .map(|line| String::from_utf8_lossy(line).trim().to_owned())
                .collect();
            rows.sort();
            assert_eq!(rows, bodies, "HOLE: {sql}");
            enter_after_rollback(&a, world, who).await;
        }
        for sql in [
            "select title from rowhouse.resources where project_id is not null",
            "update rowhouse.resources set title = title where project_id is not null returning title",
            "select r.title from rowhouse.deployments d join rowhouse.resources r on r.id = d.resource_id",
        ] {
            sees(&a, sql, &[title]).await;
        }
        let whole = "select exists (select from pg_stats where most_common_vals::text like '%secret%' or histogram_bounds::text like '%secret%'),
            (select string_agg(t::text, ',') from tasks t) like '%secret%'";
        sees(&a, whole, &[told]).await;
    }
    // Without a project, and without any context at all.
    let a = inside(world, &Context::tenant(world.alpha.id)).await;
    sees(&a, BODIES, &[]).await;
    refused(&world.app().await, BODIES, "RH001").await;
}

async fn enter_after_rollback(client: &Client, world: &World, who: &Context) {
    client.batch_execute("rollback").await.unwrap();
    enter(client, world, who).await;
}

pub async fn p02_every_command_is_bound_to_the_callers_projects(world: &World) {
    let s = scene(world).await;
    for (who, rows) in [(&s.ann, 0), (&s.gil, 3)] {
        let a = inside(world, who).await;
        let there = format!("project_id = '{}'", s.gemini);
        let merge = |then: &str| {
            format!(
                "merge into tasks t using (select generate_series(1, 3) as n) v on {} and t.id = v.n {then}",
                there.replace("project_id", "t.project_id")
            )
        };
        for sql in [
            format!("select from tasks where {there} for update"),
            format!("select from tasks where {there} for key share"),
            format!("update tasks set body = body where {there}"),
            merge("when matched then update set body = 'x'"),
            merge("when matched then delete"),
            format!("delete from tasks where {there}"),
        ] {
            a.batch_execute("savepoint clean").await.unwrap();
            touches(&a, &sql, rows).await;
            a.batch_execute("rollback to savepoint clean")
                .await
                .unwrap();
        }
        let one = rows.min(1);
        for sql in [
            format!("update rowhouse.resources set title = title where id = '{THEIR_RESOURCE}'"),
            format!(
                "update rowhouse.deployments set status = 'active' where id = '{THEIR_RESOURCE}'"
            ),
            format!(
                "delete from rowhouse.resource_acl where resource_id = '{THEIR_RESOURCE}' and principal_id = '{}'",
                s.ann.principal_id().uuid()
            ),
            format!(
                "update rowhouse.resource_acl set access = 'read' where resource_id = '{THEIR_RESOURCE}' and principal_id = '{}'",
                s.gil.principal_id().uuid()
            ),
        ] {
            touches(&a, &sql, one).await;
        }
    }
    nothing_changed(world).await;
}

pub async fn p02_a_permissive_policy_added_later_widens_nothing(world: &World) {
    let s = scene(world).await;
    world
        .superuser()
        .await
        .batch_execute(
            "create policy open on tasks for all to public using (true) with check (true);
             create policy open on rowhouse.resources for all to public using (true) with check (true)",
        )
        .await
        .unwrap();
    let a = inside(world, &s.ann).await;
    sees(&a, BODIES, MINE).await;
    let insert = |project: Uuid| {
        format!("insert into tasks (project_id, id, body) values ('{project}', 9, 'x')")
    };
    touches(&a, &insert(s.apollo), 1).await;
    shut(&a, &insert(s.gemini), "42501").await;
    let title = "select title from rowhouse.resources where project_id is not null";
    sees(&a, title, &["apollo plan"]).await;
    let make = |project: Uuid| {
        format!(
            "insert into rowhouse.resources (id, type, title, workspace_id, project_id)
             select gen_random_uuid(), 'tag', 'x', id, '{project}' from rowhouse.workspaces where kind = 'tenant'"
        )
    };
    touches(&a, &make(s.apollo), 1).await;
    shut(&a, &make(s.gemini), "42501").await;
}

pub async fn p03_a_row_is_neither_made_in_another_project_nor_moved_there(world: &World) {
    let s = scene(world).await;
    let a = inside(world, &s.ann).await;
    let (apollo, gemini) = (s.apollo, s.gemini);
    let insert = |project: Uuid, then: &str| {
        format!("insert into tasks (project_id, id, body) values ('{project}', 9, 'x') {then}")
    };
    for sql in [
        insert(gemini, ""),
        insert(gemini, "returning body"),
        format!("insert into tasks (project_id, id, body) select '{gemini}', 9, body from tasks"),
        format!("update tasks set project_id = '{gemini}', id = id + 100"),
        format!(
            "insert into tasks (project_id, id, body) values ('{apollo}', 1, 'x')
             on conflict (tenant_id, project_id, id) do update set project_id = '{gemini}', id = 101"
        ),
        format!(
            "merge into tasks t using (select 1) v on t.project_id = '{apollo}'
             when matched then update set project_id = '{gemini}', id = t.id + 100"
        ),
        format!(
            "merge into tasks t using (select 1) v on false
             when not matched then insert (project_id, id, body) values ('{gemini}', 77, 'x')"
        ),
        format!("update rowhouse.resources set project_id = '{gemini}' where id = '{MY_RESOURCE}'"),
        format!("update rowhouse.resources set project_id = '{gemini}', visibility = 'private' where id = '{MY_RESOURCE}'"),
        format!("insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{gemini}', '{}', 'viewer')", s.ann.principal_id().uuid()),
    ] {
        shut(&a, &sql, "42501").await;
    }
    shut(
        &a,
        "insert into tasks (id, body) values (9, 'x')",
        "42501 23502",
    )
    .await;
    refused(&a, "copy tasks (project_id, id, body) from stdin", "0A000").await;
    touches(&a, &insert(apollo, ""), 1).await;
    touches(&a, "update tasks set id = id + 100", 3).await;
    a.batch_execute("rollback").await.unwrap();
    let g = inside(world, &s.gil).await;
    touches(&g, &insert(gemini, ""), 1).await;
    g.batch_execute("rollback").await.unwrap();
    // Who is in both moves.
    let both = inside(world, &world.alpha.context()).await;
    let body = "select body from tasks where id > 100 and project_id =";
    allowed(
        &both,
        &format!(
            "update tasks set project_id = '{gemini}', id = id + 100 where project_id = '{apollo}'"
        ),
    )
    .await;
    sees(&both, &format!("{body} '{gemini}' order by 1"), MINE).await;
    both.batch_execute("rollback").await.unwrap();
    nothing_changed(world).await;
}

pub async fn p04_on_conflict_touches_no_row_of_another_project(world: &World) {
    let s = scene(world).await;
    let a = inside(world, &s.ann).await;
    for then in [
        "",
        "on conflict do nothing",
        "on conflict (tenant_id, project_id, id) do nothing",
        "on conflict (tenant_id, project_id, id) do update set body = 'x'",
        "on conflict (tenant_id, project_id, id) do update set body = tasks.body returning body",
    ] {
        let insert = |id: i32| {
            format!(
                "insert into tasks (project_id, id, body) values ('{}', {id}, 'x') {then}",
                s.gemini
            )
        };
        let there = shut(&a, &insert(1), "42501").await;
        let not_there = shut(&a, &insert(1000), "42501").await;
        assert_eq!(there, not_there, "HOLE: it tells which ids exist");
    }
    // Where ids are the tenant's, one that is taken is; what has it, is neither shown nor changed.
    let make = |id: &str, then: &str| {
        format!(
            "insert into rowhouse.resources (id, type, title, workspace_id)
             select '{id}', 'tag', 'x', id from rowhouse.workspaces where kind = 'tenant' {then}"
        )
    };
    let take = "on conflict (tenant_id, id) do update set title = resources.title, project_id = null, visibility = 'tenant' returning title";
    shut(&a, &make(THEIR_RESOURCE, take), "42501").await;
    sees(
        &a,
        &make(
            MY_RESOURCE,
            "on conflict (tenant_id, id) do update set title = resources.title returning title",
        ),
        &["apollo plan"],
    )
    .await;
    a.batch_execute("rollback").await.unwrap();
    nothing_changed(world).await;
}

pub async fn p09_nothing_of_another_projects_resource_is_to_be_had(world: &World) {
    let s = scene(world).await;
    let a = inside(world, &s.ann).await;
    let g = inside(world, &s.gil).await;
    let give: &dyn Fn(&str) -> String = &|id| {
        format!(
            "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{id}', '{}', 'read')",
            alpha(world)
        )
    };
    let deploy: &dyn Fn(&str) -> String = &|id| {
        format!(
            "insert into rowhouse.deployments (id, resource_id, environment) values (gen_random_uuid(), '{id}', 'SANDBOX')"
        )
    };
    for sql in [give, deploy] {
        // Though an entry makes her one who administers it: the floor is below that.
        let there = shut(&a, &sql(THEIR_RESOURCE), "42501").await;
        let not_there = shut(&a, &sql(NOBODY), "42501").await;
        assert_eq!(
            there.replace(THEIR_RESOURCE, "X"),
            not_there.replace(NOBODY, "X"),
            "HOLE: it tells which there are"
        );
        touches(&a, &sql(MY_RESOURCE), 1).await;
        touches(&g, &sql(THEIR_RESOURCE), 1).await;
    }
    for (ask, hers, his) in [
        (
            format!(
                "select rowhouse.may_see(rowhouse.current_tenant(), '{THEIR_RESOURCE}'), rowhouse.may_share(rowhouse.current_tenant(), '{THEIR_RESOURCE}')"
            ),
            "f|f",
            "t|t",
        ),
        (
            format!(
                "select count(*) from rowhouse.deployments where resource_id = '{THEIR_RESOURCE}'"
            ),
            "0",
            "2",
        ),
        (
            format!("select count(*) from rowhouse.resources where id = '{THEIR_RESOURCE}'"),
            "0",
            "1",
        ),
    ] {
        sees(&a, &ask, &[hers]).await;
        sees(&g, &ask, &[his]).await;
    }
    g.batch_execute("rollback").await.unwrap();
    nothing_changed(world).await;
}

pub async fn p10_a_function_of_the_callers_sees_no_row_of_another_project(world: &World) {
    let s = scene(world).await;
    world
        .superuser()
        .await
        .batch_execute(
            "create function public.leak(text) returns boolean language plpgsql cost 0.000001 as $$
             begin
               if $1 like 'secret%' then raise exception 'seen: %', $1; end if;
               return true;
             end $$; analyze tasks; analyze rowhouse.resources",
        )
        .await
        .unwrap();
    let a = inside(world, &s.ann).await;
    let g = inside(world, &s.gil).await;
    for sql in [
        "select body from tasks where leak(body) order by 1",
        "select t.body from tasks t join tasks m on leak(m.body) and m.id = t.id and m.project_id = t.project_id order by 1",
        "select body from (select body from tasks where leak(body) offset 0) t order by 1",
        "select body from tasks where 1 / (case when body like 'secret%' then 0 else 1 end) = 1 order by 1",
    ] {
        sees(&a, sql, MINE).await;
        refused(&g, sql, "P0001 22012").await;
    }
    let title = "select title from rowhouse.resources where leak(title) and project_id is not null";
    sees(&a, title, &["apollo plan"]).await;
    refused(&g, title, "P0001").await;
    // What the planner knows of values, it does not say.
    let statistics = "select count(*) from pg_stats where tablename in ('tasks', 'resources')";
    sees(&a, statistics, &["0"]).await;
    let plan = allowed(&a, "explain (analyze, verbose) select * from tasks")
        .await
        .join("\n");
    assert!(!plan.contains("secret"), "HOLE: {plan}");
}
