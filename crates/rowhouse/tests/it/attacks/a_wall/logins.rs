//! A login that bypasses the wall, or could, is refused at the start.

use crate::attacks::{checks, weak};
use crate::world::World;

checks![
    a01_a_login_that_owns_tables_is_refused,
    a02_a_superuser_is_refused,
    a02_a_login_with_bypassrls_is_refused,
    a02_a_login_with_replication_is_refused,
    a03_a_member_of_a_superuser_is_refused,
    a03_a_member_of_a_member_of_a_superuser_is_refused,
    a03_a_member_of_a_role_with_bypassrls_is_refused,
    a03_a_member_of_the_walls_owners_is_refused,
    a03_a_member_of_the_other_side_is_refused,
    a03_a_login_that_could_grant_itself_such_a_role_is_refused,
    a03_a_member_of_a_role_with_createrole_is_refused,
    a06_a_login_that_may_create_is_refused,
];

pub async fn a01_a_login_that_owns_tables_is_refused(world: &World) {
    weak(
        world,
        "owns",
        "create table public.by_hand (id int); alter table public.by_hand owner to {login}",
        "it owns",
    )
    .await;
}

pub async fn a02_a_superuser_is_refused(world: &World) {
    weak(world, "super", "alter role {login} superuser", "superuser").await;
}

pub async fn a02_a_login_with_bypassrls_is_refused(world: &World) {
    weak(world, "bypass", "alter role {login} bypassrls", "BYPASSRLS").await;
}

pub async fn a02_a_login_with_replication_is_refused(world: &World) {
    weak(
        world,
        "repl",
        "alter role {login} replication",
        "REPLICATION",
    )
    .await;
}

pub async fn a03_a_member_of_a_superuser_is_refused(world: &World) {
    weak(
        world,
        "direct",
        "create role {login}_root superuser; grant {login}_root to {login}",
        "superuser",
    )
    .await;
}

pub async fn a03_a_member_of_a_member_of_a_superuser_is_refused(world: &World) {
    weak(
        world,
        "nested",
        "create role {login}_root superuser; create role {login}_mid noinherit in role {login}_root; grant {login}_mid to {login}",
        "superuser",
    )
    .await;
}

pub async fn a03_a_member_of_a_role_with_bypassrls_is_refused(world: &World) {
    weak(
        world,
        "bypasser",
        "create role {login}_all bypassrls; grant {login}_all to {login}",
        "BYPASSRLS",
    )
    .await;
}

pub async fn a03_a_member_of_the_walls_owners_is_refused(world: &World) {
    for role in ["owner", "definer", "migrator", "sealer"] {
        weak(
            world,
            role,
            &format!("grant rowhouse_{role} to {{login}}"),
            "owns the wall",
        )
        .await;
    }
}

pub async fn a03_a_member_of_the_other_side_is_refused(world: &World) {
    for (name, role) in [("both", "rowhouse_platform"), ("mails", "rowhouse_mailer")] {
        weak(world, name, &format!("grant {role} to {{login}}"), role).await;
    }
}

pub async fn a03_a_login_that_could_grant_itself_such_a_role_is_refused(world: &World) {
    if crate::world::cluster().major() < 16 {
        weak(
            world,
            "maker",
            "alter role {login} createrole",
            "CREATEROLE",
        )
        .await;
    }
    weak(
        world,
        "admin",
        "grant rowhouse_app to {login} with admin option",
        "ADMIN OPTION",
    )
    .await;
}

pub async fn a03_a_member_of_a_role_with_createrole_is_refused(world: &World) {
    if crate::world::cluster().major() < 16 {
        weak(
            world,
            "makers",
            "create role {login}_maker createrole; grant {login}_maker to {login}",
            "CREATEROLE",
        )
        .await;
    }
}

pub async fn a06_a_login_that_may_create_is_refused(world: &World) {
    for (name, grant, why) in [
        (
            "in_public",
            "grant create on schema public to {login}",
            "create objects in schema public",
        ),
        (
            "in_ours",
            "grant create on schema rowhouse to {login}",
            "create objects in schema rowhouse",
        ),
        (
            "schemas",
            "grant create on database {database} to {login}",
            "create schemas",
        ),
        (
            "temporary",
            "grant temporary on database {database} to {login}",
            "temporary tables",
        ),
        (
            "by_group",
            "create role {login}_group; grant create on schema public to {login}_group; grant {login}_group to {login}",
            "create objects in schema public",
        ),
        (
            "temporary_by_group",
            "create role {login}_group; grant temporary on database {database} to {login}_group; grant {login}_group to {login}",
            "temporary tables",
        ),
        (
            "replica",
            "grant set on parameter session_replication_role to {login}",
            "session_replication_role",
        ),
    ] {
        weak(world, name, grant, why).await;
    }
}
