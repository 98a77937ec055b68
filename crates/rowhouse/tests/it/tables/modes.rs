//! off, shadow, enforce: what each table shows in each, with a context and without.

use rowhouse::tables::{self, Assign, Class, Mode, Protect};
use tokio_postgres::Client;

use super::{build, protect, truth};
use crate::world::{Tenant, World};

async fn set_mode(world: &World, table: &str, mode: Mode) {
    let mut owner = world.owner().await;
    let tx = owner.begin().await.unwrap();
    tables::set_mode(&tx, table, mode).await.unwrap();
    tx.commit().await.unwrap();
}

/// How many rows the app's login counts: inside a tenant or not, as it is or as `rowhouse_enforced`.
async fn count(
    world: &World,
    app: &Client,
    table: &str,
    inside: Option<&Tenant>,
    enforced: bool,
) -> Result<i64, String> {
    app.batch_execute("begin").await.unwrap();
    if let Some(tenant) = inside {
        let ticket = world
            .house
            .ticket(&tenant.context(), std::time::Duration::from_mins(1))
            .await
            .unwrap();
        app.execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
            .await
            .unwrap();
    }
    if enforced {
        app.batch_execute("set local role rowhouse_enforced")
            .await
            .unwrap();
    }
    let counted = app
        .query_one(&format!("select count(*) from {table}"), &[])
        .await;
    app.batch_execute("rollback").await.unwrap();
    counted
        .map(|row| row.get(0))
        .map_err(|error| error.code().unwrap().code().to_owned())
}

/// Walks a table through all modes and back, and asks it in each.
async fn walk(world: &World, app: &Client, table: &str) {
    let everything = truth(world, &format!("select count(*) from {table}")).await;
    let own = truth(
        world,
        &format!(
            "select count(*) from {table} where tenant_id = '{}'",
            world.alpha.id.uuid()
        ),
    )
    .await;
    assert!(
        own > 0 && own < everything,
        "{table}: {own} of {everything}"
    );
    let no_tenant = Err("RH001".to_owned());
    let alpha = Some(&world.alpha);
    for mode in [
        Mode::Off,
        Mode::Shadow,
        Mode::Enforce,
        Mode::Shadow,
        Mode::Off,
    ] {
        set_mode(world, table, mode).await;
        let (outside, inside) = match mode {
            Mode::Enforce => (no_tenant.clone(), Ok(own)),
            _ => (Ok(everything), Ok(everything)),
        };
        assert_eq!(
            count(world, app, table, None, false).await,
            outside,
            "{table} {mode} without a context"
        );
        assert_eq!(
            count(world, app, table, alpha, false).await,
            inside,
            "{table} {mode} inside alpha"
        );
        // What enforcing would do, tried out on a statement.
        let (outside, inside) = match mode {
            Mode::Off => (Ok(everything), Ok(everything)),
            _ => (no_tenant.clone(), Ok(own)),
        };
        assert_eq!(
            count(world, app, table, None, true).await,
            outside,
            "{table} {mode} enforced, without a context"
        );
        assert_eq!(
            count(world, app, table, alpha, true).await,
            inside,
            "{table} {mode} enforced, inside alpha"
        );
    }
    set_mode(world, table, Mode::Enforce).await;
    assert_eq!(count(world, app, table, alpha, false).await, Ok(own));
}

#[tokio::test]
async fn a_protected_table_goes_through_all_modes_and_back() {
    let world = World::new().await;
    build(&world, r#"create table "Nötes" (id int primary key)"#).await;
    protect(&world, &[Protect::content(r#""Nötes""#, Assign::Empty)])
        .await
        .unwrap();
    for (tenant, ids) in [(&world.alpha, 1..=2), (&world.beta, 1..=3)] {
        for id in ids {
            world
                .house
                .execute(
                    &tenant.context(),
                    r#"insert into "Nötes" values ($1)"#,
                    &[&id],
                )
                .await
                .unwrap();
        }
    }
    let app = world.app().await;
    walk(&world, &app, r#"public."Nötes""#).await;
}

#[tokio::test]
async fn every_table_of_ours_goes_through_all_modes_and_back() {
    let world = World::new().await;
    fill(&world).await;
    let app = world.app().await;
    let mut owner = world.owner().await;
    let tx = owner.begin().await.unwrap();
    let ours = tables::list(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(ours.len() >= 11, "{ours:?}");
    for managed in ours {
        assert!(managed.stands, "{managed:?}");
        let table = format!("{}.{}", managed.schema, managed.table);
        let reads = format!("select has_any_column_privilege('{table}', 'select')");
        let reads: bool = app.query_one(&reads, &[]).await.unwrap().get(0);
        let for_nobody_inside = ["outbox", "provisioning_runs"].contains(&managed.table.as_str());
        assert_eq!(reads, !for_nobody_inside, "{table}");
        if reads {
            walk(&world, &app, &table).await;
        }
    }
}

/// A row in every table of ours, for both tenants: counting in a table that is empty proves nothing. A superuser does it,
/// inside each tenant, since our triggers are bound by the wall.
async fn fill(world: &World) {
    let client = world.superuser().await;
    for tenant in [&world.alpha, &world.beta] {
        let ticket = world
            .house
            .ticket(&tenant.context(), std::time::Duration::from_mins(1))
            .await
            .unwrap();
        client.batch_execute("begin").await.unwrap();
        client
            .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
            .await
            .unwrap();
        client
            .batch_execute(&format!(
                "insert into rowhouse.teams (tenant_id, id, name) values ('{t}', md5('{t}')::uuid, 'team');
                 insert into rowhouse.team_members (tenant_id, team_id, user_id) values ('{t}', md5('{t}')::uuid, '{u}');
                 insert into rowhouse.projects (tenant_id, id, name) values ('{t}', '{t}', 'project');
                 insert into rowhouse.user_project_roles (tenant_id, project_id, user_id, role) values ('{t}', '{t}', '{u}', 'admin');
                 insert into rowhouse.api_keys (tenant_id, id, name, prefix, digest, secret_hash)
                 values ('{t}', gen_random_uuid(), 'key', 'tk_', sha256('{t}'), 'hash');
                 insert into rowhouse.audit_log (tenant_id, id, actor_id, action) values ('{t}', gen_random_uuid(), '{u}', 'x.y');
                 insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id)
                 select '{t}', '{t}', 'tag', 'title', w.id, '{u}' from rowhouse.workspaces w where w.tenant_id = '{t}' limit 1;
                 insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access) values ('{t}', '{t}', '{u}', 'read');
                 insert into rowhouse.sessions (tenant_id, id, user_id, digest, expires_at)
                 values ('{t}', gen_random_uuid(), '{u}', sha256('{t}'), now());
                 select rowhouse.invite(gen_random_uuid(), 'somebody@example.com', 'member', now(), gen_random_uuid());
                 insert into rowhouse.audit_seals (tenant_id, number, rows, digest) values ('{t}', 1, 1, sha256('{t}'));
                 insert into rowhouse.quotas (tenant_id, name, amount) values ('{t}', 'keys', 1);
                 insert into rowhouse.tenant_configs (tenant_id, key, value) values ('{t}', 'storage.prefix', '1');
                 insert into rowhouse.deployments (tenant_id, id, resource_id, environment) values ('{t}', '{t}', '{t}', 'SANDBOX');
                 insert into rowhouse.persona_mappings (tenant_id, id, api_key_id, persona_id, name)
                 select '{t}', '{t}', k.id, '{t}', 'persona' from rowhouse.api_keys k where k.tenant_id = '{t}';
                 insert into rowhouse.idempotency_keys (tenant_id, principal_id, key, request) values ('{t}', '{u}', 'key', sha256('{t}'));
                 commit",
                t = tenant.id.uuid(),
                u = tenant.owner.uuid()
            ))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_list_tells_a_wall_that_stands_from_one_that_does_not() {
    let world = World::new().await;
    build(&world, "create table a (id int); create table b (id int); create table c (id int); create table d (id int)").await;
    protect(
        &world,
        &[
            Protect::content("a", Assign::Empty),
            Protect::content("b", Assign::Empty),
            Protect::content("c", Assign::Empty),
            Protect::shared("d"),
        ],
    )
    .await
    .unwrap();
    build(
        &world,
        "drop policy tenant_floor on b; alter table c rename to e; create table c (id int)",
    )
    .await;
    let mut owner = world.owner().await;
    let tx = owner.begin().await.unwrap();
    let listed: Vec<(String, Class, Mode, bool)> = tables::list(&tx)
        .await
        .unwrap()
        .into_iter()
        .filter(|managed| managed.schema == "public")
        .map(|managed| (managed.table, managed.class, managed.mode, managed.stands))
        .collect();
    assert_eq!(
        listed,
        [
            ("a".to_owned(), Class::Content, Mode::Enforce, true),
            ("b".to_owned(), Class::Content, Mode::Enforce, false),
            ("c".to_owned(), Class::Content, Mode::Enforce, false),
            ("d".to_owned(), Class::Shared, Mode::Enforce, true),
        ]
    );
    let refused = tables::set_mode(&tx, "e", Mode::Off).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "table: public.e is not behind the wall"
    );
    assert!(
        tables::set_mode(&tx, "d", Mode::Off).await.is_err(),
        "a shared table has no modes"
    );
    // A table made anew under the old name is fresh.
    let done = tables::protect(&tx, &[Protect::content("c", Assign::Empty)])
        .await
        .unwrap();
    assert!(!done[0].already);
}
