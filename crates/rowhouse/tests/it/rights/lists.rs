//! What the library's list shows, page by page, is what the policy lets be read, in the same order: it asks each way of seeing
//! by itself, and looks at a few rows of each to know how old a row may be.

use rowhouse::resources::{self, Filter, ResourceType, Visibility};
use rowhouse::{Context, TenantTx};
use uuid::Uuid;

use super::house::House;
use crate::attacks::{checks, is_refused};
use crate::world::World;

checks![
    the_pages_of_a_list_are_what_the_policy_shows_in_its_order,
    a_list_of_a_context_that_was_changed_is_refused,
];

/// Four hundred of every visibility, owner, team and project, ten of each moment; every seventh has an entry.
async fn shelves(world: &World) -> House {
    let house = House::furnished(world, 1, 0).await;
    let ann = house.people[2].uuid();
    house
        .as_owner(
            world,
            &format!(
                "insert into rowhouse.projects (id, name) select id, 'has the id of a team' from rowhouse.teams order by id limit 1;
                 insert into rowhouse.team_members (team_id, user_id) select id, '{ann}' from rowhouse.teams;
                 insert into rowhouse.user_project_roles (project_id, user_id, role)
                 select id, '{ann}', 'editor' from rowhouse.projects order by id limit 3"
            ),
        )
        .await;
    let fill = "
        insert into rowhouse.resources
          (tenant_id, id, type, title, workspace_id, visibility, team_id, project_id, owner_id, updated_at)
        select t.id, gen_random_uuid(), case when n % 3 = 0 then 'model' else 'tag' end, 'number ' || n, w.id, v.visibility,
          case v.visibility when 'team' then t.teams[1 + n / 4 % 3] end,
          case v.visibility when 'project' then t.projects[1 + n / 4 % 3] end,
          t.people[1 + n % 5 % 3], now() - n % 40 * interval '1 s'
        from (
          select t.id,
            array(select id from rowhouse.teams where tenant_id = t.id order by id) as teams,
            array(select id from rowhouse.projects where tenant_id = t.id order by id) as projects,
            array(select user_id from rowhouse.tenant_members where tenant_id = t.id order by user_id) as people
          from rowhouse.tenants t
          where t.id = $1
        ) t
        join rowhouse.workspaces w on w.tenant_id = t.id and w.kind = 'tenant'
        cross join generate_series(1, 400) n
        cross join lateral (select ('{private,team,project,tenant}'::text[])[1 + n % 4] as visibility) v";
    let share = "
        insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
        select r.tenant_id, r.id, p.id, 'read'
        from (select *, row_number() over (order by id) as n from rowhouse.resources where tenant_id = $1) r
        join (
          select id, row_number() over (order by id) as n, count(*) over () as all
          from rowhouse.principals
          where tenant_id = $1 and kind in ('user', 'team')
        ) p on p.n = 1 + r.n / 7 % p.all
        where r.n % 7 = 0";
    let superuser = world.superuser().await;
    for statement in [fill, share] {
        superuser
            .execute(statement, &[&world.alpha.id])
            .await
            .unwrap();
    }
    house
}

/// Every row behind this filter, by pages of `length`.
async fn pages(tx: &mut TenantTx, mut filter: Filter, length: u16) -> Vec<Uuid> {
    let mut all = Vec::new();
    loop {
        let page = resources::list(tx, &filter, length).await.unwrap();
        all.extend(page.iter().map(|shown| shown.id.uuid()));
        match page.last() {
            Some(last) if page.len() == usize::from(length) => {
                filter.after = Some((last.updated_at, last.id));
            }
            _ => return all,
        }
    }
}

pub async fn the_pages_of_a_list_are_what_the_policy_shows_in_its_order(world: &World) {
    let house = shelves(world).await;
    let by_visibility = Filter {
        visibility: Some(Visibility::Team),
        ..Filter::default()
    };
    let by_type = Filter {
        r#type: Some(ResourceType::Model),
        ..Filter::default()
    };
    let by_text = Filter {
        text: Some("Number 2".to_owned()),
        ..Filter::default()
    };
    let job = world.job().await;
    let mut callers = house.callers(world);
    callers.push((job.uuid(), Context::principal(world.alpha.id, job)));
    let mut counts = Vec::new();
    for (who, context) in callers {
        let mut tx = world.house.begin(&context.read_only()).await.unwrap();
        for (filter, condition) in [
            (Filter::default(), "true"),
            (by_visibility.clone(), "visibility = 'team'"),
            (by_type.clone(), "type = 'model'"),
            (by_text.clone(), "title like 'number 2%'"),
        ] {
            let shown = format!(
                "select id from rowhouse.resources where {condition} order by updated_at desc, id desc"
            );
            let shown: Vec<Uuid> = tx
                .query(&shown, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| row.get(0))
                .collect();
            for length in [7, 20, 50, 200] {
                assert_eq!(
                    pages(&mut tx, filter.clone(), length).await,
                    shown,
                    "{who}, {condition}, {length} a page"
                );
            }
            counts.push(shown.len());
        }
        tx.rollback().await;
    }
    // Some see all there is, some a part of it.
    assert!(
        counts.contains(&400) && counts.iter().any(|count| (100..300).contains(count)),
        "{counts:?}"
    );
}

/// Also one that leads to no index, so that nothing would be found: there is a difference to nothing there.
pub async fn a_list_of_a_context_that_was_changed_is_refused(world: &World) {
    for changed in [
        "w;owner;{};{}",
        "w;owner;{};{00000000-0000-7000-8000-00000000a001}",
    ] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let everything = Filter::default();
        resources::list(&mut tx, &everything, 50).await.unwrap();
        let change = format!("select set_config('app.context', '{changed}', true)");
        tx.batch(&change).await.unwrap();
        is_refused(resources::list(&mut tx, &everything, 50).await, "seal");
    }
}
