//! D: keys and constraints as oracles (do they tell that something exists?) and as levers (do they move it?).

use rowhouse::migrate;

use super::{
    MY_RESOURCE, Refusal, THEIR_RESOURCE, THEIRS, alpha, attacker, attempt, beta, checks, enter,
    nothing_changed, refused, sees, touches,
};
use crate::world::World;

checks![
    d01_a_name_taken_by_another_tenant_is_free,
    d02_an_id_taken_by_another_tenant_is_free,
    d03_on_conflict_does_not_tell_of_a_foreign_row,
    d04_a_reference_to_a_foreign_row_is_refused_like_one_to_nothing,
    d05_a_deletion_reaches_no_other_tenant,
    d06_no_foreign_reference_holds_up_a_deletion,
    d07_errors_show_only_what_the_caller_wrote,
    d09_no_counter_is_shared,
    d13_the_wall_is_not_changed_while_a_tenant_is_bound,
];

/// A statement that names this id.
type Sql<'a> = &'a dyn Fn(&str) -> String;

const NOBODY: &str = "00000000-0000-7000-8000-00000000ffff";

pub async fn d01_a_name_taken_by_another_tenant_is_free(world: &World) {
    let taken = "insert into rowhouse.teams (id, name) values (gen_random_uuid(), 'night shift')";
    let taken_project =
        "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'apollo')";
    let b = world.app().await;
    enter(&b, world, &world.beta.context()).await;
    touches(&b, taken, 1).await;
    touches(&b, taken_project, 1).await;
    b.batch_execute("commit").await.unwrap();
    let a = attacker(world).await;
    touches(&a, taken, 1).await;
    touches(&a, taken_project, 1).await;
    refused(&a, taken, "23505").await; // in one's own tenant it is not
}

pub async fn d02_an_id_taken_by_another_tenant_is_free(world: &World) {
    let a = attacker(world).await;
    touches(
        &a,
        "insert into notes (id, body) values (3, 'alpha three')",
        1,
    )
    .await;
    touches(
        &a,
        &format!(
            "insert into rowhouse.resources (id, type, title, workspace_id) select '{THEIR_RESOURCE}', 'tag', 'x', id from rowhouse.workspaces limit 1"
        ),
        1,
    )
    .await;
    refused(&a, "insert into notes (id, body) values (1, 'x')", "23505").await;
    a.batch_execute("rollback").await.unwrap();
    nothing_changed(world).await;
}

pub async fn d03_on_conflict_does_not_tell_of_a_foreign_row(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    for then in [
        "",
        "on conflict do nothing",
        "on conflict (tenant_id, id) do nothing",
        "on conflict (tenant_id, id) do update set body = 'x'",
        "on conflict (tenant_id, id) do update set body = notes.body returning body",
    ] {
        let insert = |id: i32| {
            format!("insert into notes (tenant_id, id, body) values ('{theirs}', {id}, 'x') {then}")
        };
        let there = refused(&a, &insert(1), "42501").await;
        let not_there = refused(&a, &insert(1000), "42501").await;
        assert_eq!(there.said, not_there.said, "HOLE: it tells which ids exist");
    }
    touches(
        &a,
        "insert into notes (id, body) values (1, 'x') on conflict do nothing",
        0,
    )
    .await;
    touches(
        &a,
        "insert into notes (id, body) values (3, 'x') on conflict do nothing",
        1,
    )
    .await;
}

pub async fn d04_a_reference_to_a_foreign_row_is_refused_like_one_to_nothing(world: &World) {
    let root = world.superuser().await;
    let of_beta = |table: &str, column: &str| {
        format!(
            "select {column} from rowhouse.{table} where tenant_id = '{}' limit 1",
            beta(world)
        )
    };
    let workspace = super::allowed(&root, &of_beta("workspaces", "id"))
        .await
        .remove(0);
    let b = world.app().await;
    enter(&b, world, &world.beta.context()).await;
    b.batch_execute(&format!(
        "insert into rowhouse.teams (id, name) values ('{THEIR_RESOURCE}', 't'); insert into rowhouse.projects (id, name) values ('{THEIR_RESOURCE}', 'p'); commit"
    ))
    .await
    .unwrap();
    let owner = world.beta.owner.uuid().to_string();
    let me = world.alpha.owner.uuid();
    let a = attacker(world).await;
    let resource = |column: &str, id: &str| {
        let workspace = if column == "workspace_id" {
            String::new()
        } else {
            "workspace_id, ".into()
        };
        let from = if column == "workspace_id" {
            String::new()
        } else {
            "id, ".into()
        };
        format!(
            "insert into rowhouse.resources (id, type, title, {workspace}{column}) select '{NOBODY}', 'tag', 'x', {from}'{id}' from rowhouse.workspaces limit 1"
        )
    };
    // The rights inside the tenant are asked before the foreign key: a policy refuses what the caller does not administer.
    let tries: [(Sql<'_>, &str, &str); 7] = [
        (
            &|id| {
                format!(
                    "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{id}', '{me}', 'read')"
                )
            },
            THEIR_RESOURCE,
            "42501",
        ),
        (
            &|id| {
                format!(
                    "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{MY_RESOURCE}', '{id}', 'read')"
                )
            },
            &owner,
            "23503",
        ),
        (&|id| resource("workspace_id", id), &workspace, "42501"),
        (&|id| resource("team_id", id), THEIR_RESOURCE, "42501"),
        (&|id| resource("project_id", id), THEIR_RESOURCE, "42501"),
        (
            &|id| {
                format!(
                    "update rowhouse.resources set owner_id = '{id}' where id = '{MY_RESOURCE}'"
                )
            },
            &owner,
            "23503",
        ),
        (
            &|id| {
                format!(
                    "insert into rowhouse.team_members (team_id, user_id) values ('{id}', '{me}')"
                )
            },
            THEIR_RESOURCE,
            "23503",
        ),
    ];
    for (sql, foreign, code) in tries {
        let there = refused(&a, &sql(foreign), code).await;
        let not_there = refused(&a, &sql(NOBODY), code).await;
        assert_eq!(
            there.said.replace(foreign, "X"),
            not_there.said.replace(NOBODY, "X"),
            "HOLE: it tells which ids exist"
        );
    }
    touches(
        &a,
        &format!("insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{MY_RESOURCE}', '{}', 'read')", alpha(world)),
        1,
    )
    .await;
}

pub async fn d05_a_deletion_reaches_no_other_tenant(world: &World) {
    let a = attacker(world).await;
    touches(&a, "delete from rowhouse.resource_acl", 1).await;
    touches(&a, "delete from notes", 2).await;
    refused(&a, "delete from rowhouse.resources", "42501").await;
    a.batch_execute("commit").await.unwrap();
    let root = world.superuser().await;
    sees(
        &root,
        "select resource_id from rowhouse.resource_acl",
        &[THEIR_RESOURCE],
    )
    .await;
    sees(&root, "select body from notes order by 1", THEIRS).await;
    // Not even the platform's or owner's deletion of a tenant takes content with it.
    refused(
        &root,
        &format!("delete from rowhouse.tenants where id = '{}'", alpha(world)),
        "23503",
    )
    .await;
}

pub async fn d06_no_foreign_reference_holds_up_a_deletion(world: &World) {
    let root = world.superuser().await;
    root.batch_execute(
        "create table marks (tenant_id uuid not null default rowhouse.default_tenant(), id int not null, note_id int not null,
           constraint marks_pkey primary key (tenant_id, id), constraint marks_note foreign key (tenant_id, note_id) references notes (tenant_id, id));
         alter table marks owner to rowhouse_owner;
         select rowhouse.raise_wall('marks', 'content', 'enforce');
         grant select, insert, delete on marks to rowhouse_app",
    )
    .await
    .unwrap();
    let a = attacker(world).await;
    touches(
        &a,
        "insert into marks (id, note_id) values (1, 1), (2, 2)",
        2,
    )
    .await;
    refused(&a, "insert into marks (id, note_id) values (3, 3)", "23503").await;
    refused(
        &a,
        &format!(
            "insert into marks (tenant_id, id, note_id) values ('{}', 3, 3)",
            beta(world)
        ),
        "42501",
    )
    .await;
    a.batch_execute("commit").await.unwrap();
    let b = world.app().await;
    enter(&b, world, &world.beta.context()).await;
    touches(&b, "delete from notes", 3).await;
    b.batch_execute("commit").await.unwrap();
    let a = attacker(world).await;
    refused(&a, "delete from notes", "23503").await; // one's own does
}

pub async fn d07_errors_show_only_what_the_caller_wrote(world: &World) {
    let a = attacker(world).await;
    let theirs = beta(world);
    for (sql, codes) in [
        (format!("insert into notes (tenant_id, id, body) values ('{theirs}', 1, 'x')"), "42501"),
        (format!("insert into notes (tenant_id, id, body) select '{theirs}', 1, null"), "42501 23502"),
        ("insert into notes (id, body) values (1, 'x')".into(), "23505"),
        ("insert into notes (id, body) values (9, null)".into(), "23502"),
        ("update notes set body = null".into(), "23502"),
        ("insert into rowhouse.resources (id, type, title, workspace_id) select gen_random_uuid(), 'odd', 'x', id from rowhouse.workspaces limit 1".into(), "23514"),
    ] {
        let Refusal { said, .. } = refused(&a, &sql, codes).await;
        for secret in THEIRS.iter().chain(&[THEIR_RESOURCE, &world.beta.owner.uuid().to_string()]) {
            assert!(!said.contains(secret), "HOLE: {said}");
        }
    }
    // The library's errors hold no DETAIL at all.
    let error = world
        .house
        .execute(
            &world.alpha.context(),
            "insert into notes (id, body) values (1, 'secret')",
            &[],
        )
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("Key ("), "HOLE: {error}");
    assert!(error.to_string().contains("notes_pkey"), "{error}");
}

pub async fn d09_no_counter_is_shared(world: &World) {
    let a = attacker(world).await;
    sees(&a, "select oid::regclass from pg_class where relkind = 'S' and relnamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace)", &[]).await;
    sees(
        &a,
        "select attrelid::regclass from pg_attribute where attidentity <> '' and attrelid >= 16384",
        &[],
    )
    .await;
    let (rows, _) = attempt(&a, "select count(*) from notes").await.unwrap();
    assert_eq!(rows, ["2"]);
}

pub async fn d13_the_wall_is_not_changed_while_a_tenant_is_bound(world: &World) {
    let root = world.superuser().await;
    let ticket = world
        .house
        .ticket(&world.alpha.context(), std::time::Duration::from_mins(1))
        .await
        .unwrap();
    root.batch_execute("create table later (tenant_id uuid not null)")
        .await
        .unwrap();
    root.batch_execute("begin").await.unwrap();
    root.execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
        .await
        .unwrap();
    for sql in [
        "select rowhouse.raise_wall('later', 'content', 'enforce')",
        "select rowhouse.set_mode('notes', 'off')",
        "select rowhouse.found_tenant(gen_random_uuid(), 'gamma', 'Gamma', 'organization', 'free', gen_random_uuid())",
    ] {
        refused(&root, sql, "55000").await;
    }
    root.batch_execute("rollback").await.unwrap();
    sees(
        &root,
        "select rowhouse.raise_wall('later', 'content', 'enforce') is not null",
        &["t"],
    )
    .await;

    let mut owner = world.owner().await;
    owner
        .client()
        .batch_execute("set app.tenant_id = 'x'")
        .await
        .unwrap();
    super::is_refused(migrate::run(&mut owner).await, "schema");
    owner.client().batch_execute("reset all").await.unwrap();
    assert!(migrate::run(&mut owner).await.is_ok());
}
