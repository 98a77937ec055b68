//! The rules one by one, on Ann: a member of the tenant, of one team, and of one project as its editor.

use std::collections::BTreeMap;

use rowhouse::access::{self, Action};
use rowhouse::ids::{PrincipalId, ResourceId};
use rowhouse::members::{self, Role};
use rowhouse::resources::{self, Filter};
use rowhouse::{Context, Error};
use uuid::Uuid;

use super::house::House;
use crate::attacks::{allowed, checks, enter, refused, sees, touches};
use crate::world::World;

checks![
    what_is_shared_twice_is_listed_once,
    who_sees_it_is_for_its_administrators_to_say,
    who_sees_it_goes_by_what_is_there_now,
    nothing_is_put_where_the_caller_does_not_belong,
    a_project_is_a_floor_inside_the_tenant,
    a_projects_viewer_changes_nothing_in_it,
    a_granter_gives_no_more_than_it_holds,
    an_entry_goes_with_whom_it_was_given_to,
    what_lies_in_a_deleted_project_is_copied_with_the_tenant,
    one_asks_about_oneself_or_as_a_manager,
];

/// By an entry for her and one for everybody inside: neither takes another's place on the page.
pub async fn what_is_shared_twice_is_listed_once(world: &World) {
    let (context, house) = ann(world).await;
    let (ann, tenant) = (house.people[2].uuid(), house.model.tenant);
    let shared = format!(
        "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, owner_id, updated_at)
         select '{tenant}', gen_random_uuid(), 'tag', 'shared', w.id, 'private', '{owner}', now() - n * interval '1 s'
         from rowhouse.workspaces w, generate_series(1, 60) n
         where w.tenant_id = '{tenant}' and w.kind = 'tenant';
         insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
         select '{tenant}', r.id, p, 'read'
         from rowhouse.resources r, unnest('{{{tenant},{ann}}}'::uuid[]) p
         where r.title = 'shared'",
        owner = world.alpha.owner.uuid(),
    );
    world
        .superuser()
        .await
        .batch_execute(&shared)
        .await
        .unwrap();
    let mut tx = world.house.begin(&context).await.unwrap();
    let page = resources::list(&mut tx, &Filter::default(), 50)
        .await
        .unwrap();
    tx.rollback().await;
    assert_eq!(
        page.len(),
        50,
        "HOLE: a page that is not full ends the list"
    );
}

/// Ann, a member of the tenant, of one team, and of one project as its editor; a thing that is hers, and one of the owner's.
pub async fn ann(world: &World) -> (Context, House) {
    let house = House::furnished(world, 1, 0).await;
    let ann = house.people[2];
    let (team, project) = (first(&house.model.teams), first(&house.model.projects));
    house
        .as_owner(world, &format!(
            "insert into rowhouse.team_members (team_id, user_id) values ('{team}', '{ann}');
             insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{project}', '{ann}', 'editor')",
            ann = ann.uuid()
        ))
        .await;
    let tenant = house.model.tenant;
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "delete from rowhouse.resource_acl; delete from rowhouse.resources;
             insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, team_id, project_id, owner_id)
             select '{tenant}', v.id::uuid, 'tag', v.title, w.id, v.visibility, v.team::uuid, v.project::uuid, v.owner::uuid
             from rowhouse.workspaces w,
               (values ('{HERS}', 'hers', 'tenant', null, null, '{ann}'),
                       ('{THEIRS}', 'theirs', 'tenant', null, null, '{owner}'),
                       ('{PROJECTS}', 'the project''s', 'project', null, '{project}', '{owner}'),
                       ('{ELSEWHERE}', 'elsewhere', 'tenant', null, '{other}', '{owner}')) v (id, title, visibility, team, project, owner)
             where w.tenant_id = '{tenant}'",
            ann = ann.uuid(),
            owner = world.alpha.owner.uuid(),
            other = house.model.projects.keys().nth(1).unwrap(),
        ))
        .await
        .unwrap();
    (Context::user(world.alpha.id, ann), house)
}

fn first<V>(map: &BTreeMap<Uuid, V>) -> Uuid {
    *map.keys().next().unwrap()
}

pub const HERS: &str = "00000000-0000-7000-8000-0000000000e1";
const THEIRS: &str = "00000000-0000-7000-8000-0000000000e2";
const PROJECTS: &str = "00000000-0000-7000-8000-0000000000e3";
pub const ELSEWHERE: &str = "00000000-0000-7000-8000-0000000000e4";

pub async fn who_sees_it_is_for_its_administrators_to_say(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let app = world.app().await;
    enter(&app, world, &context).await;
    // She edits what is the project's, and may not take it out of it, hide it, or take it over.
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'ours' where id = '{PROJECTS}'"),
        1,
    )
    .await;
    let (team, other) = (
        first(&house.model.teams),
        house.model.projects.keys().nth(1).unwrap(),
    );
    for change in [
        "visibility = 'private'".to_owned(),
        "project_id = null, visibility = 'tenant'".to_owned(),
        format!("project_id = '{other}'"),
        format!("team_id = '{team}'"),
        format!("owner_id = '{ann}'"),
    ] {
        refused(
            &app,
            &format!("update rowhouse.resources set {change} where id = '{PROJECTS}'"),
            "42501",
        )
        .await;
    }
    // With what is hers she does as she likes, as far as she gets.
    touches(&app, &format!("update rowhouse.resources set visibility = 'private', team_id = '{team}' where id = '{HERS}'"), 1).await;
    touches(&app, &format!("update rowhouse.resources set owner_id = '{}', visibility = 'tenant' where id = '{HERS}'", world.alpha.owner.uuid()), 1).await;
    touches(
        &app,
        &format!("update rowhouse.resources set visibility = 'private' where id = '{HERS}'"),
        0,
    )
    .await;
}

/// Under a snapshot, an entry that was taken from her since is still there.
pub async fn who_sees_it_goes_by_what_is_there_now(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let give = format!(
        "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{PROJECTS}', '{ann}', 'admin')"
    );
    house.as_owner(world, &give).await;
    let hers = format!("update rowhouse.resources set owner_id = '{ann}' where id = '{PROJECTS}'");
    let friend = give.replace(&ann.to_string(), &house.people[3].uuid().to_string());
    let app = world.app().await;
    enter(&app, world, &context).await;
    touches(&app, &friend, 1).await;
    touches(&app, &hers, 1).await;
    app.batch_execute("rollback; set default_transaction_isolation = 'repeatable read'")
        .await
        .unwrap();
    enter(&app, world, &context).await;
    sees(&app, "select access from rowhouse.resource_acl", &["admin"]).await;
    house
        .as_owner(world, "delete from rowhouse.resource_acl")
        .await;
    refused(&app, &hers, "25001").await;
    refused(&app, &friend, "25001").await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'ours' where id = '{PROJECTS}'"),
        1,
    )
    .await;
}

pub async fn nothing_is_put_where_the_caller_does_not_belong(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let owner = world.alpha.owner.uuid();
    let tenant = house.model.tenant;
    let (mine, not_mine) = (
        "00000000-0000-7000-8000-0000000000d1",
        "00000000-0000-7000-8000-0000000000d2",
    );
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "insert into rowhouse.workspaces (tenant_id, id, kind, name, owner_id)
             values ('{tenant}', '{mine}', 'personal', 'hers', '{ann}'), ('{tenant}', '{not_mine}', 'personal', 'his', '{owner}')"
        ))
        .await
        .unwrap();
    let teams: Vec<&Uuid> = house.model.teams.keys().collect();
    let projects: Vec<&Uuid> = house.model.projects.keys().collect();
    let app = world.app().await;
    enter(&app, world, &context).await;
    let put = |column: &str, value: &str| {
        format!(
            "insert into rowhouse.resources (id, type, title, workspace_id{}) select gen_random_uuid(), 'tag', 'x', {} from rowhouse.workspaces where kind = 'tenant'",
            if column == "workspace_id" {
                String::new()
            } else {
                format!(", {column}")
            },
            if column == "workspace_id" {
                format!("'{value}'")
            } else {
                format!("id, '{value}'")
            }
        )
    };
    for (column, hers, others) in [
        ("workspace_id", mine.to_owned(), not_mine.to_owned()),
        ("team_id", teams[0].to_string(), teams[1].to_string()),
        (
            "project_id",
            projects[0].to_string(),
            projects[1].to_string(),
        ),
    ] {
        touches(&app, &put(column, &hers), 1).await;
        refused(&app, &put(column, &others), "42501").await;
        touches(
            &app,
            &format!("update rowhouse.resources set {column} = '{hers}' where id = '{HERS}'"),
            1,
        )
        .await;
        refused(
            &app,
            &format!("update rowhouse.resources set {column} = '{others}' where id = '{HERS}'"),
            "42501",
        )
        .await;
    }
}

pub async fn a_project_is_a_floor_inside_the_tenant(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let title = format!("select title from rowhouse.resources where id = '{ELSEWHERE}'");
    // Not even an entry for her, or ownership, gets her over it.
    let tenant = house.model.tenant;
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access) values ('{tenant}', '{ELSEWHERE}', '{ann}', 'admin');
             update rowhouse.resources set owner_id = '{ann}' where id = '{ELSEWHERE}'"
        ))
        .await
        .unwrap();
    let app = world.app().await;
    enter(&app, world, &context).await;
    sees(&app, &title, &[]).await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'x' where id = '{ELSEWHERE}'"),
        0,
    )
    .await;
    // An editor cannot take a resource along into a project that she is not in.
    let there = house.model.projects.keys().nth(1).unwrap();
    refused(
        &app,
        &format!("update rowhouse.resources set project_id = '{there}' where id = '{HERS}'"),
        "42501",
    )
    .await;
    app.batch_execute("rollback").await.unwrap();
    house
        .as_owner(world, &format!("insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{there}', '{ann}', 'viewer')"))
        .await;
    enter(&app, world, &context).await;
    sees(&app, &title, &["elsewhere"]).await;
}

pub async fn a_projects_viewer_changes_nothing_in_it(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let app = world.app().await;
    let update = format!("update rowhouse.resources set title = 'x' where id = '{PROJECTS}'");
    enter(&app, world, &context).await;
    touches(&app, &update, 1).await;
    app.batch_execute("rollback").await.unwrap();
    house
        .as_owner(
            world,
            &format!(
                "update rowhouse.user_project_roles set role = 'viewer' where user_id = '{ann}'"
            ),
        )
        .await;
    enter(&app, world, &context).await;
    touches(&app, &update, 0).await;
    let title = format!("select title from rowhouse.resources where id = '{PROJECTS}'");
    sees(&app, &title, &["the project's"]).await;
}

pub async fn a_granter_gives_no_more_than_it_holds(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let bob = house.people[3].uuid();
    let app = world.app().await;
    enter(&app, world, &context).await;
    let give = |thing: &str, to: Uuid, access: &str| {
        format!(
            "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{thing}', '{to}', '{access}')"
        )
    };
    for (thing, holds) in [(THEIRS, "read"), (PROJECTS, "write")] {
        for access in ["read", "write", "admin"] {
            for to in [ann, bob] {
                refused(&app, &give(thing, to, access), "42501").await;
            }
        }
        assert_eq!(
            allowed(
                &app,
                &format!("select rowhouse.may_share(rowhouse.current_tenant(), '{thing}')")
            )
            .await,
            ["f"],
            "HOLE: who holds {holds} may share"
        );
    }
    touches(&app, &give(HERS, bob, "write"), 1).await;
    // Bob, with what she gave, gives nothing on, takes nothing away, and raises nothing of his own.
    app.batch_execute("commit").await.unwrap();
    enter(&app, world, &Context::user(world.alpha.id, house.people[3])).await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'edited' where id = '{HERS}'"),
        1,
    )
    .await;
    refused(&app, &give(HERS, house.people[4].uuid(), "read"), "42501").await;
    touches(&app, "update rowhouse.resource_acl set access = 'admin'", 0).await;
    touches(&app, "delete from rowhouse.resource_acl", 0).await;
}

/// So that who is asked in again begins with what his role gives him; and nobody who is gone is given one.
pub async fn an_entry_goes_with_whom_it_was_given_to(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2];
    let give = format!(
        "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{THEIRS}', '{}', 'admin')",
        ann.uuid()
    );
    let retitle = format!("update rowhouse.resources set title = 'hers now' where id = '{THEIRS}'");
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    touches(&owner, &give, 1).await;
    owner.batch_execute("commit").await.unwrap();
    let app = world.app().await;
    enter(&app, world, &context).await;
    touches(&app, &retitle, 1).await;
    app.batch_execute("rollback").await.unwrap();

    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    members::remove(&mut tx, ann).await.unwrap();
    tx.commit().await.unwrap();
    enter(&owner, world, &world.alpha.context()).await;
    refused(&owner, &give, "23503").await;
    owner.batch_execute("rollback").await.unwrap();

    let mut tx = world.house.begin_platform().await.unwrap();
    let again = members::add(&mut tx, &world.alpha.context(), ann, Role::Member).await;
    again.unwrap();
    tx.commit().await.unwrap();
    enter(&app, world, &context).await;
    let title = format!("select title from rowhouse.resources where id = '{THEIRS}'");
    sees(&app, &title, &["theirs"]).await;
    touches(&app, &retitle, 0).await;
    // Somebody who is there is given one as before.
    enter(&owner, world, &world.alpha.context()).await;
    touches(&owner, &give, 1).await;
}

pub async fn what_lies_in_a_deleted_project_is_copied_with_the_tenant(world: &World) {
    let (_, house) = ann(world).await;
    let project = first(&house.model.projects);
    let delete = format!("update rowhouse.projects set deleted_at = now() where id = '{project}'");
    house.as_owner(world, &delete).await;
    let it = format!("select title from rowhouse.resources where id = '{PROJECTS}'");
    let app = world.app().await;
    let job = Context::principal(world.alpha.id, world.job().await);
    enter(&app, world, &job).await;
    sees(&app, &it, &["the project's"]).await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &world.alpha.context()).await;
    sees(&app, &it, &[]).await;
}

pub async fn one_asks_about_oneself_or_as_a_manager(world: &World) {
    let (context, house) = ann(world).await;
    let ask = async |who: &Context, about: Uuid, thing: &str| {
        let mut tx = world.house.begin(who).await.unwrap();
        let thing = ResourceId::from(thing.parse::<Uuid>().unwrap());
        access::question(&mut tx, PrincipalId::from(about), Action::Write, thing)
            .await
            .map(|_| ())
    };
    let (ann, bob) = (house.people[2].uuid(), house.people[3].uuid());
    ask(&context, ann, THEIRS).await.unwrap();
    ask(&context, bob, HERS).await.unwrap();
    assert!(matches!(
        ask(&context, bob, THEIRS).await,
        Err(Error::NotPermitted(_))
    ));
    assert!(matches!(
        ask(&context, ann, ELSEWHERE).await,
        Err(Error::NotFound("resource"))
    ));
    let manager = world.alpha.context();
    ask(&manager, bob, THEIRS).await.unwrap();
    assert!(matches!(
        ask(&manager, world.beta.owner.uuid(), THEIRS).await,
        Err(Error::NotFound("principal"))
    ));
    let team = first(&house.model.teams);
    assert!(matches!(
        ask(&manager, team, THEIRS).await,
        Err(Error::Invalid { .. })
    ));
}
