//! A project's admin, who manages nothing else, says who is in it.

use rowhouse::ids::{ProjectId, UserId};
use rowhouse::members::Role;
use rowhouse::projects::ProjectRole;
use rowhouse::{Context, keys, projects};

use super::{member, set_role, user, user_of};
use crate::attacks::{checks, enter, is_refused, refused, touches};
use crate::world::World;

checks![
    a_projects_admin_says_who_is_in_it,
    a_projects_admin_says_nothing_beyond_it,
    who_no_longer_administers_a_project_says_nothing,
];

/// Pia administers apollo and edits gemini; bob and eve are members of the tenant, and eve edits apollo.
struct Projects {
    apollo: ProjectId,
    gemini: ProjectId,
    pia: Context,
    bob: UserId,
    eve: Context,
}

async fn project_of_pia(world: &World) -> Projects {
    let pia = member(world, "pia@example.com", Role::Member).await;
    let bob = member(world, "bob@example.com", Role::Member).await;
    let eve = member(world, "eve@example.com", Role::Member).await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let apollo = projects::create(&mut tx, "apollo").await.unwrap().id;
    let gemini = projects::create(&mut tx, "gemini").await.unwrap().id;
    for (project, who, role) in [
        (apollo, &pia, ProjectRole::Admin),
        (gemini, &pia, ProjectRole::Editor),
        (apollo, &eve, ProjectRole::Editor),
    ] {
        projects::set_role(&mut tx, project, user_of(who), role)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    Projects {
        apollo,
        gemini,
        pia,
        bob: user_of(&bob),
        eve,
    }
}

fn joins(project: ProjectId, user: UserId, role: ProjectRole) -> String {
    format!(
        "insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{}', '{}', '{role}')",
        project.uuid(),
        user.uuid()
    )
}

pub async fn a_projects_admin_says_who_is_in_it(world: &World) {
    let p = project_of_pia(world).await;
    for role in ProjectRole::ALL {
        let mut tx = world.house.begin(&p.pia).await.unwrap();
        projects::set_role(&mut tx, p.apollo, p.bob, *role)
            .await
            .unwrap_or_else(|error| panic!("HOLE: she gives nobody {role}: {error}"));
        tx.commit().await.unwrap();
        let bob = Context::user(world.alpha.id, p.bob);
        let inside = world
            .house
            .query(&bob, "select rowhouse.current_projects()", &[])
            .await
            .unwrap();
        assert_eq!(
            inside[0].get::<_, Vec<ProjectId>>(0),
            [p.apollo],
            "HOLE: {role}"
        );
    }
    let mut tx = world.house.begin(&p.pia).await.unwrap();
    projects::remove_member(&mut tx, p.apollo, p.bob)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // The editor beside her says nothing, of herself neither.
    let e = world.app().await;
    enter(&e, world, &p.eve).await;
    refused(&e, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
    for sql in [
        "update rowhouse.user_project_roles set role = 'admin'",
        "delete from rowhouse.user_project_roles",
    ] {
        touches(&e, sql, 0).await;
    }
    let mut tx = world.house.begin(&p.eve).await.unwrap();
    let herself = projects::set_role(&mut tx, p.apollo, user_of(&p.eve), ProjectRole::Admin).await;
    is_refused(herself, "not-permitted");
}

pub async fn a_projects_admin_says_nothing_beyond_it(world: &World) {
    let p = project_of_pia(world).await;
    let outsider = user(world, "outsider@example.com").await;
    let theirs = {
        let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
        let theirs = projects::create(&mut tx, "theirs").await.unwrap();
        tx.commit().await.unwrap();
        theirs.id
    };
    let c = world.app().await;
    enter(&c, world, &p.pia).await;
    touches(&c, &joins(p.apollo, p.bob, ProjectRole::Admin), 1).await;
    for project in [p.gemini, theirs, ProjectId::new()] {
        refused(&c, &joins(project, p.bob, ProjectRole::Viewer), "42501").await;
    }
    refused(&c, &joins(p.apollo, outsider, ProjectRole::Viewer), "23503").await;
    refused(
        &c,
        &joins(p.apollo, world.beta.owner, ProjectRole::Viewer),
        "23503",
    )
    .await;
    for sql in [
        "update rowhouse.user_project_roles set role = 'admin' where project_id = '{gemini}'",
        "delete from rowhouse.user_project_roles where project_id = '{gemini}'",
        "update rowhouse.projects set name = 'hers'",
        "update rowhouse.tenant_members set role = 'admin'",
        "delete from rowhouse.tenant_members",
    ] {
        let sql = sql.replace("{gemini}", &p.gemini.uuid().to_string());
        touches(&c, &sql, 0).await;
    }
    // A role is not carried over into another project, or to somebody else.
    for column in ["project_id", "user_id"] {
        let sql = format!("update rowhouse.user_project_roles set {column} = {column}");
        refused(&c, &sql, "42501").await;
    }
    refused(
        &c,
        "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'hers')",
        "42501",
    )
    .await;
    drop(c);
    // A ticket for gemini alone takes nothing of apollo along.
    let c = world.app().await;
    enter(&c, world, &p.pia.clone().in_project(p.gemini)).await;
    refused(&c, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
    // A key is in each project, and administers none.
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let new = keys::NewKey::new("ci", &[keys::Permission::Write]);
    let key = keys::create(&mut tx, new).await.unwrap().key.id;
    tx.commit().await.unwrap();
    let c = world.app().await;
    enter(&c, world, &Context::key(world.alpha.id, key)).await;
    refused(&c, &joins(p.apollo, p.bob, ProjectRole::Viewer), "42501").await;
}

/// From a transaction that was open when it ended.
pub async fn who_no_longer_administers_a_project_says_nothing(world: &World) {
    let p = project_of_pia(world).await;
    let by = world.alpha.context();
    let (plant, id) = (
        joins(p.apollo, p.bob, ProjectRole::Admin),
        user_of(&p.pia).uuid(),
    );
    let apollo = p.apollo.uuid();
    for (ends, begins) in [
        (
            format!(
                "update rowhouse.user_project_roles set role = 'editor' where user_id = '{id}' and project_id = '{apollo}'"
            ),
            format!(
                "update rowhouse.user_project_roles set role = 'admin' where user_id = '{id}' and project_id = '{apollo}'"
            ),
        ),
        (
            format!(
                "delete from rowhouse.user_project_roles where user_id = '{id}' and project_id = '{apollo}'"
            ),
            joins(p.apollo, user_of(&p.pia), ProjectRole::Admin),
        ),
        (
            format!("update rowhouse.tenant_members set role = 'viewer' where user_id = '{id}'"),
            format!("update rowhouse.tenant_members set role = 'member' where user_id = '{id}'"),
        ),
        (
            format!("update rowhouse.projects set deleted_at = now() where id = '{apollo}'"),
            format!("update rowhouse.projects set deleted_at = null where id = '{apollo}'"),
        ),
    ] {
        let late = world.app().await;
        enter(&late, world, &p.pia).await;
        touches(&late, &plant, 1).await;
        late.batch_execute("rollback").await.unwrap();
        enter(&late, world, &p.pia).await;
        let mut tx = world.house.begin(&by).await.unwrap();
        tx.batch(&ends).await.unwrap();
        tx.commit().await.unwrap();
        refused(&late, &plant, "RH005").await;
        drop(late);
        let mut tx = world.house.begin(&by).await.unwrap();
        tx.batch(&begins).await.unwrap();
        tx.commit().await.unwrap();
    }
    // As a viewer of the tenant she only reads, whatever she is in the project.
    set_role(world, &by, user_of(&p.pia), Role::Viewer)
        .await
        .unwrap();
    let c = world.app().await;
    enter(&c, world, &p.pia).await;
    refused(&c, &plant, "RH006").await;
}
