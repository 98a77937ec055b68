//! Plans: the wall is an index condition, never a filter over other tenants' rows; parallel plans survive it.

use rowhouse::ids::{ProjectId, TenantId, UserId, WorkspaceId};
use rowhouse::members::{self, Role};
use rowhouse::resources::{self, Filter, ResourceType, Visibility};
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Context, users};
use tokio_postgres::types::ToSql;

use crate::people::member;
use crate::world::World;

/// A large, a small and an empty tenant among 20,000 resources of others.
async fn crowded() -> World {
    let world = World::new().await;
    let owner = world.superuser().await;
    let fill = "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id, updated_at)
        select t.id, gen_random_uuid(), (array['prompt', 'model', 'tag'])[n % 3 + 1], 'number ' || n, w.id, t.id,
          now() - n * interval '1 second'
        from rowhouse.tenants t
        join rowhouse.workspaces w on w.tenant_id = t.id
        cross join generate_series(1, $2::int) n
        where t.slug = $1";
    for (slug, rows) in [("alpha", 10_000), ("beta", 10)] {
        owner.execute(fill, &[&slug, &rows]).await.unwrap();
    }
    let mut platform = world.house.begin_platform().await.unwrap();
    for number in 0..20 {
        let slug = format!("other-{number}");
        tenants::create(&mut platform, NewTenant::organization(&slug, &slug))
            .await
            .unwrap();
    }
    platform.commit().await.unwrap();
    for number in 0..20 {
        owner
            .execute(fill, &[&format!("other-{number}"), &1000])
            .await
            .unwrap();
    }
    owner
        .batch_execute("vacuum analyze rowhouse.resources")
        .await
        .unwrap();
    world
}

async fn plan(
    world: &World,
    context: &Context,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> String {
    let rows = world
        .house
        .query(context, &format!("explain (costs off) {sql}"), params)
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0) + "\n")
        .collect()
}

#[tokio::test]
async fn the_tenant_is_an_index_condition_and_never_a_filter() {
    let world = crowded().await;
    for tenant in [&world.alpha, &world.beta] {
        let context = tenant.context().read_only();
        // What we write names its tenant; what a user writes need not.
        for sql in [
            "select id, title from rowhouse.resources order by updated_at desc, id desc limit 50",
            "select id, title from rowhouse.resources where type = 'model' order by updated_at desc, id desc limit 50",
            "select count(*) from rowhouse.resources",
            "select title from rowhouse.resources where id = '00000000-0000-0000-0000-000000000001'",
        ] {
            let plan = plan(&world, &context, sql, &[]).await;
            assert!(goes_by_the_bound_tenant(&plan), "{sql}\n{plan}");
            assert!(!filters_by_tenant(&plan), "{sql}\n{plan}");
        }
        let named = "select id from rowhouse.resources where tenant_id = $1 and deleted_at is null
            order by updated_at desc, id desc limit 50";
        let plan = plan(&world, &context, named, &[&tenant.id]).await;
        assert!(
            plan.contains("Index Scan using resources_by_update"),
            "{plan}"
        );
        assert!(
            plan.contains(&format!(
                "Index Cond: (tenant_id = '{}'::uuid)",
                tenant.id.uuid()
            )),
            "{plan}"
        );
        assert!(!filters_by_tenant(&plan), "{plan}");
    }
}

/// A tenant of which its owner sees all but two rows, Ann five, and Bob nothing.
struct Crowd {
    id: TenantId,
    callers: [(UserId, usize); 3],
}

async fn crowd(world: &World, slug: &str, rows: i32) -> Crowd {
    let mut tx = world.house.begin_platform().await.unwrap();
    let mut people = Vec::new();
    for name in ["owner", "ann", "bob"] {
        let user = users::create(&mut tx, &format!("{name}@{slug}.example"), name).await;
        people.push(user.unwrap().id);
    }
    let [owner, ann, bob] = people[..] else {
        unreachable!()
    };
    let tenant = tenants::create(&mut tx, NewTenant::organization(slug, slug).owned_by(owner));
    let id = tenant.await.unwrap().id;
    for user in [ann, bob] {
        members::add(&mut tx, &Context::user(id, owner), user, Role::Member)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    // Half is a project's, half is the owner's own; Ann made two, and may read three.
    let project = ProjectId::new();
    let mut tx = world.house.begin(&Context::user(id, owner)).await.unwrap();
    let make = "insert into rowhouse.projects (id, name) values ($1, 'p')";
    tx.execute(make, &[&project]).await.unwrap();
    tx.commit().await.unwrap();
    let fill = "with made as (
            insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, project_id, visibility, owner_id, updated_at)
            select $1, gen_random_uuid(), 'tag', 'number ' || n, w.id, case when n % 2 = 0 then $5::uuid end,
              case when n % 2 = 0 then 'project' else 'private' end, case when n in (1, 3) then $3::uuid else $2::uuid end,
              now() - n * interval '1 s'
            from rowhouse.workspaces w, generate_series(1, $4::int) n
            where w.tenant_id = $1
            returning id, title
        )
        insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
        select $1, id, $3::uuid, 'read' from made where title in ('number 5', 'number 7', 'number 9')";
    world
        .superuser()
        .await
        .execute(fill, &[&id, &owner, &ann, &rows, &project])
        .await
        .unwrap();
    let rows = usize::try_from(rows).unwrap();
    Crowd {
        id,
        callers: [(owner, rows - 2), (ann, 5), (bob, 0)],
    }
}

/// The statement that the library sends, under its real callers: each way of seeing goes by an index of its own, of the
/// smallest, the median and the largest tenant.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_list_reads_what_its_caller_may_see_and_no_more() {
    let world = crowded().await;
    let mut crowds = Vec::new();
    for (slug, rows) in [("smallest", 10), ("median", 1000), ("largest", 10_000)] {
        crowds.push(crowd(&world, slug, rows).await);
    }
    let superuser = world.superuser().await;
    superuser
        .batch_execute(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
             select tenant_id, id, tenant_id, 'read' from rowhouse.resources where visibility = 'tenant';
             analyze rowhouse.resources, rowhouse.resource_acl",
        )
        .await
        .unwrap();
    for Crowd { id, callers } in crowds {
        for (user, sees) in callers {
            let context = Context::user(id, user);
            let mut tx = world.house.begin(&context).await.unwrap();
            let page = resources::list(&mut tx, &Filter::default(), 50).await;
            assert_eq!(page.unwrap().len(), sees.min(50));
            let workspace = "select id from rowhouse.workspaces where tenant_id = $1";
            let workspace: WorkspaceId = tx.one(workspace, &[&id]).await.unwrap().get(0);
            tx.rollback().await;
            let by_workspace = Filter {
                workspace: Some(workspace),
                ..Filter::default()
            };
            let by_type = Filter {
                r#type: Some(ResourceType::Tag),
                ..Filter::default()
            };
            let by_visibility = Filter {
                visibility: Some(Visibility::Private),
                ..Filter::default()
            };
            goes_by_each_way(&world, &context, &Filter::default(), "audience", "", &[]).await;
            let condition = format!("(workspace_id = '{}'::uuid) AND ", workspace.uuid());
            goes_by_each_way(
                &world,
                &context,
                &by_workspace,
                "workspace",
                &condition,
                &[&workspace],
            )
            .await;
            let condition = "(type = 'tag'::text) AND ";
            goes_by_each_way(
                &world,
                &context,
                &by_type,
                "type",
                condition,
                &[&ResourceType::Tag],
            )
            .await;
            let condition = "(visibility = 'private'::text) AND ";
            goes_by_each_way(
                &world,
                &context,
                &by_visibility,
                "visibility",
                condition,
                &[&Visibility::Private],
            )
            .await;
        }
    }
}

/// A job sees all there is, and reads it in the order of time. Nobody else's list asks for that.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_jobs_list_is_read_in_the_order_of_time() {
    let world = crowded().await;
    let job = Context::principal(world.alpha.id, world.job().await);
    for (context, is_job) in [(job, true), (world.alpha.context(), false)] {
        let plan = plan_of_list(&world, &context, &Filter::default(), &[], "").await;
        let in_order = "Index Scan using resources_by_update on resources";
        assert_eq!(plan.contains(in_order), is_job, "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}

/// Where a table is large and in no order, its planner takes a bitmap for the better way: here, since it is given no other.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn no_bitmap_is_in_the_first_plan_of_a_list() {
    let world = crowded().await;
    let settings = "set local enable_indexscan = off; set local enable_seqscan = off";
    let context = world.alpha.context();
    let plan = plan_of_list(&world, &context, &Filter::default(), &[], settings).await;
    assert!(!plan.contains("Bitmap Index Scan on resources_"), "{plan}");
}

/// The plan of the statement that the library sends. `values`: those of the filter; `settings`: what its transaction begins with.
async fn plan_of_list(
    world: &World,
    context: &Context,
    filter: &Filter,
    values: &[&(dyn ToSql + Sync)],
    settings: &str,
) -> String {
    let tenant = context.tenant_id();
    let mut tx = world.house.begin(context).await.unwrap();
    resources::list(&mut tx, filter, 200).await.unwrap();
    let sent = "select query from pg_stat_activity
        where datname = current_database() and query like '%with wanted (since)%' and pid <> pg_backend_pid()
          and state = 'idle in transaction'";
    let superuser = world.superuser().await;
    let sent: String = superuser.query_one(sent, &[]).await.unwrap().get(0);
    tx.rollback().await;
    // As the first query of its transaction: what it takes from the planner it takes by itself.
    let mut tx = world.house.begin(context).await.unwrap();
    tx.batch(settings).await.unwrap();
    let values = [&[&tenant as &(dyn ToSql + Sync)], values].concat();
    let plan: Vec<String> = tx
        .query(&format!("explain (costs off) {sent}"), &values)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    tx.rollback().await;
    plan.join("\n")
}

/// Each alternative of the policy is read by its own index and in its order, so that a page ends with its last row: a bitmap is
/// read to its end, and sorted.
async fn goes_by_each_way(
    world: &World,
    context: &Context,
    filter: &Filter,
    index: &str,
    condition: &str,
    values: &[&(dyn ToSql + Sync)],
) {
    let tenant = context.tenant_id();
    let plan = plan_of_list(world, context, filter, values, "").await;
    assert!(!plan.contains("Seq Scan"), "{plan}");
    assert!(!filters_by_tenant(&plan), "{plan}");
    // Each line with the one below it.
    let scans: Vec<String> = plan
        .split("->")
        .map(|node| node.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for (scan, of) in [
        (
            format!("resources_by_{index} on resources resources_3"), // the few by which it knows what is too old
            format!("{condition}(audience = (unnest("),
        ),
        (
            format!("resources_by_{index} on resources"),
            format!("{condition}(audience = mine.mine) AND (updated_at >= "),
        ),
        (
            "resources_by_owner on resources resources_1".to_owned(),
            "(owner_id = mine_1.mine) AND (updated_at >= ".to_owned(),
        ),
        (
            "resource_acl_by_principal on resource_acl".to_owned(),
            "(principal_id = mine_2.mine))".to_owned(),
        ),
        (
            "resources_pkey on resources resources_2".to_owned(),
            "(id = resource_acl.resource_id))".to_owned(),
        ),
    ] {
        let way = format!(
            "Scan using {scan} Index Cond: ((tenant_id = '{}'::uuid) AND {of}",
            tenant.uuid()
        );
        assert!(
            scans.iter().any(|found| found.contains(&way)),
            "{way}\n{plan}"
        );
    }
}

/// Also for whom each row is asked whether he may read it.
#[tokio::test]
async fn a_page_of_the_trail_is_read_in_the_order_of_its_index() {
    let world = World::new().await;
    world
        .superuser()
        .await
        .batch_execute(
            "insert into rowhouse.audit_log (tenant_id, id, actor_id, action, created_at)
             select t.id, gen_random_uuid(), t.id, 'x.y', now() - n * interval '1 second'
             from rowhouse.tenants t, generate_series(1, 10000) n;
             analyze rowhouse.audit_log",
        )
        .await
        .unwrap();
    let bob = member(&world, "bob@example.com", Role::Member).await;
    for context in [world.alpha.context(), bob] {
        let page = "select id from rowhouse.audit_log where tenant_id = $1 order by created_at desc, id desc limit 50";
        let plan = plan(&world, &context.read_only(), page, &[&world.alpha.id]).await;
        assert!(
            plan.contains("Index Scan using audit_log_by_time") && !plan.contains("Sort"),
            "{plan}"
        );
        assert!(!filters_by_tenant(&plan), "{plan}");
    }
}

#[tokio::test]
async fn the_wall_takes_no_parallel_plan_away() {
    let world = World::new().await;
    let owner = world.superuser().await;
    owner
        .batch_execute(
            "create table crowd (tenant_id uuid not null default rowhouse.default_tenant(), id int, title text,
               constraint crowd_pkey primary key (tenant_id, id));
             insert into crowd (tenant_id, id, title)
             select t.id, n, 'number ' || n from rowhouse.tenants t, generate_series(1, 10000) n;
             alter table crowd owner to rowhouse_owner;
             grant select on crowd to rowhouse_app;
             set role rowhouse_owner;
             select rowhouse.raise_wall('crowd', 'content', 'enforce');
             reset role;
             analyze crowd",
        )
        .await
        .unwrap();
    let force = if crate::world::cluster().major() >= 16 {
        "debug_parallel_query"
    } else {
        "force_parallel_mode"
    };
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.batch(&format!("set local {force} = on; set local min_parallel_table_scan_size = 0; set local parallel_setup_cost = 0"))
        .await
        .unwrap();
    let plan: Vec<String> = tx
        .query("explain (analyze, costs off, timing off) select count(*) from crowd where title like '%1'", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(
        plan.iter().any(|line| line.contains("Workers Launched: ")),
        "{plan:#?}"
    );
    let seen = tx
        .one("select count(*) from crowd where title like '%1'", &[])
        .await
        .unwrap();
    assert_eq!(seen.get::<_, i64>(0), 1000);
}

/// What `bound_tenant()` answered, once, is what the index of the table is asked for.
fn goes_by_the_bound_tenant(plan: &str) -> bool {
    plan.lines().any(|line| {
        let condition = line.trim_start().strip_prefix("Index Cond: ");
        condition.is_some_and(|condition| {
            let first = condition.trim_start_matches('(');
            first.starts_with("tenant_id = $") || first.starts_with("tenant_id = (InitPlan ")
        })
    })
}

/// A row is read that the index did not choose by its tenant. Policies look at the tenant once more, beside their lists.
/// `One-Time Filter: ($1 = $0)` compares the tenant that a statement names with the bound one, once: no row is read.
fn filters_by_tenant(plan: &str) -> bool {
    plan.split("->").any(|node| {
        let mut lines = node.lines();
        let filters = lines.clone().any(|line| {
            line.contains("Filter:")
                && !line.contains("One-Time Filter:")
                && line.contains("tenant_id")
        });
        filters && !lines.any(|line| line.contains(" Cond:") && line.contains("tenant_id"))
    })
}
