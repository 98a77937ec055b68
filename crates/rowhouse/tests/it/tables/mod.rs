//! Tables behind the wall: what a tenant's transaction can and cannot do with one, whatever its keys look like.

mod modes;
mod plans;
mod protect;
mod refusals;

use rowhouse::tables::{self, Assign, Protect, Protected, doctor};
use rowhouse::{Error, Result};
use tokio_postgres::Client;

use crate::doctor::serious;
use crate::world::World;

/// Runs SQL as the superuser who owns the database.
pub async fn build(world: &World, sql: &str) {
    world.superuser().await.batch_execute(sql).await.unwrap();
}

/// Protects, and commits when that succeeded. Whatever a test puts behind the wall, doctor has to find nothing open in it.
pub async fn protect(world: &World, plan: &[Protect]) -> Result<Vec<Protected>> {
    let mut owner = world.owner().await;
    let tx = owner.begin().await?;
    let done = tables::protect(&tx, plan).await?;
    tx.commit().await?;
    // Roles belong to the server, and so to all tests at once: that one makes a weak one is not this one's.
    let options = doctor::Options {
        logins: vec!["test_app".into(), "test_platform".into()],
        ..doctor::Options::default()
    };
    let mut open = serious(&doctor::run(owner.client(), &options).await?);
    open.retain(|finding| !EXPLAINED.iter().any(|(found, _)| finding.contains(found)));
    assert_eq!(open, [""; 0]);
    Ok(done)
}

/// What doctor finds in a test's tables, and why it is there.
const EXPLAINED: [(&str, &str); 3] = [
    (
        "index public.parent_id_idx is unique",
        "the test makes it, as what a key without the tenant refers to",
    ),
    (
        "comparisons of tags (jsonb) are not leakproof",
        "the team's own index, which is kept as it was",
    ),
    ("public.f()", "what the test wants to be told of"),
];

/// The one number that a superuser, who is outside of the wall, reads.
pub async fn truth(world: &World, sql: &str) -> i64 {
    let client = world.superuser().await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Everything that the catalogue says of a schema's tables, and their rows.
pub async fn everything_said(client: &Client) -> String {
    client
        .query_one(
            "select string_agg(line, e'\n' order by line) from (
               select format('class %s %s %s %s %s %s %s %s', c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relrowsecurity,
                 c.relforcerowsecurity, c.relfilenode) as line
               from pg_class c where c.relnamespace = 'public'::regnamespace
               union all
               select format('column %s %s %s', a.attrelid, to_jsonb(a) - '{attmissingval}'::text[], pg_get_expr(d.adbin, d.adrelid))
               from pg_attribute a
               join pg_class c on c.oid = a.attrelid and c.relnamespace = 'public'::regnamespace
               left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
               union all
               select format('constraint %s %s', k.oid, pg_get_constraintdef(k.oid))
               from pg_constraint k where k.connamespace = 'public'::regnamespace
               union all
               select format('index %s', pg_get_indexdef(i.indexrelid))
               from pg_index i join pg_class c on c.oid = i.indrelid and c.relnamespace = 'public'::regnamespace
               union all
               select format('trigger %s %s', t.tgenabled, pg_get_triggerdef(t.oid))
               from pg_trigger t join pg_class c on c.oid = t.tgrelid and c.relnamespace = 'public'::regnamespace
               union all
               select format('policy %s', to_jsonb(p)) from pg_policies p where p.schemaname = 'public'
               union all
               select format('managed %s', to_jsonb(m)) from rowhouse.managed_tables m
               union all
               select format('schema %s %s', n.nspname, n.nspacl) from pg_namespace n
             ) lines",
            &[],
        )
        .await
        .unwrap()
        .get(0)
}

/// `(how it is made, its name, a column besides the key, its key)`: an insert names the last two.
pub const SHAPES: [(&str, &str, &str); 6] = [
    (
        "create table notes (id bigint generated always as identity primary key, body text)",
        "notes",
        "id",
    ),
    (
        "create table serials (id serial primary key, body text)",
        "serials",
        "id",
    ),
    (
        "create table ids (id uuid default gen_random_uuid() primary key, body text)",
        "ids",
        "id",
    ),
    (
        "create table names (name text default 'first' primary key, body text)",
        "names",
        "name",
    ),
    (
        "create table heap (n int default 7, body text)",
        "heap",
        "n",
    ),
    (
        r#"create schema "Größe 'x'"; create table "Größe 'x'"."Täble ""q""; --" ("İd %s" int default 1 primary key, body text unique)"#,
        r#""Größe 'x'"."Täble ""q""; --""#,
        r#""İd %s""#,
    ),
];

#[tokio::test]
async fn a_tenant_works_in_every_shape_of_table_and_sees_only_its_own_rows() {
    let world = World::new().await;
    for (made, table, key) in SHAPES {
        build(&world, made).await;
        protect(&world, &[Protect::content(table, Assign::Empty)])
            .await
            .unwrap();
        let (alpha, beta) = (world.alpha.context(), world.beta.context());

        // Insert without a tenant: it is the context's. The same key serves both tenants.
        let insert = format!(
            "insert into {table} (body) values ('mine') returning tenant_id, ({key})::text"
        );
        for tenant in [&world.alpha, &world.beta] {
            let rows = world
                .house
                .query(&tenant.context(), &insert, &[])
                .await
                .unwrap();
            assert_eq!(
                rows[0].get::<_, rowhouse::ids::TenantId>(0),
                tenant.id,
                "{table}"
            );
        }
        let all = format!("select tenant_id from {table}");
        for tenant in [&world.alpha, &world.beta] {
            let rows = world
                .house
                .query(&tenant.context(), &all, &[])
                .await
                .unwrap();
            assert_eq!(rows.len(), 1, "{table}");
            assert_eq!(rows[0].get::<_, rowhouse::ids::TenantId>(0), tenant.id);
        }

        // Another tenant's id in an insert; one's own is fine.
        let named = format!("insert into {table} (tenant_id, body) values ($1, 'named')");
        refused_by_policy(world.house.execute(&alpha, &named, &[&world.beta.id]).await);
        let own = format!("delete from {table}");
        assert_eq!(
            world.house.execute(&alpha, &own, &[]).await.unwrap(),
            1,
            "{table}: beta's row is out of reach"
        );
        assert_eq!(
            world
                .house
                .execute(&alpha, &named, &[&world.alpha.id])
                .await
                .unwrap(),
            1
        );

        // Update: the body is one's own, the tenant is nobody's to change.
        let update = format!("update {table} set body = 'new'");
        assert_eq!(world.house.execute(&beta, &update, &[]).await.unwrap(), 1);
        let stolen = format!("update {table} set tenant_id = $1");
        refused_by_right(
            world
                .house
                .execute(&beta, &stolen, &[&world.alpha.id])
                .await,
        );
        refused_by_right(world.house.execute(&beta, &stolen, &[&world.beta.id]).await);

        // No context, no rows and no insert.
        let app = world.app().await;
        for sql in [all, update, insert, own] {
            let error = app.batch_execute(&sql).await.unwrap_err();
            assert!(
                matches!(Error::from(error), Error::NoTenant),
                "{table}: {sql}"
            );
        }
        assert_eq!(
            truth(&world, &format!("select count(*) from {table}")).await,
            2,
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_context_that_may_only_read_reads() {
    let world = World::new().await;
    build(&world, "create table notes (id int primary key, body text)").await;
    protect(&world, &[Protect::content("notes", Assign::Empty)])
        .await
        .unwrap();
    let writer = world.alpha.context();
    let reader = writer.clone().read_only();
    world
        .house
        .execute(&writer, "insert into notes values (1, 'a')", &[])
        .await
        .unwrap();
    for sql in [
        "insert into notes values (2, 'b')",
        "update notes set body = 'b'",
        "delete from notes",
    ] {
        let answer = world.house.execute(&reader, sql, &[]).await;
        assert!(matches!(answer, Err(Error::ReadOnly)), "{sql}: {answer:?}");
    }
    assert_eq!(
        world
            .house
            .query(&reader, "select from notes", &[])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        world
            .house
            .execute(&writer, "delete from notes", &[])
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn no_row_refers_to_another_tenants_row() {
    let world = World::new().await;
    build(
        &world,
        "create table author (id int primary key, boss int references author);
         create table book (id int primary key, author_id int not null references author, isbn text unique)",
    )
    .await;
    // Two keys, one plan: they change together.
    protect(
        &world,
        &[
            Protect::content("book", Assign::Follow("author_id".into())),
            Protect::content("author", Assign::Empty),
        ],
    )
    .await
    .unwrap();
    let (alpha, beta) = (world.alpha.context(), world.beta.context());
    world
        .house
        .execute(&alpha, "insert into author values (1, null), (2, 1)", &[])
        .await
        .unwrap();

    let sql = "insert into book values (1, 1, 'x')";
    assert_violates(world.house.execute(&beta, sql, &[]).await, "23503");
    assert_eq!(world.house.execute(&alpha, sql, &[]).await.unwrap(), 1);
    assert_violates(
        world
            .house
            .execute(&beta, "insert into author values (2, 1)", &[])
            .await,
        "23503",
    );
    // A superuser, whom no policy binds, cannot either.
    let superuser = world.superuser().await;
    let forged = superuser
        .execute("insert into book values (9, 1, 'y', $1)", &[&world.beta.id])
        .await
        .unwrap_err();
    assert_eq!(forged.code().unwrap().code(), "23503");

    // Unique inside the tenant: another's value neither blocks nor tells.
    world
        .house
        .execute(&beta, "insert into author values (1, null)", &[])
        .await
        .unwrap();
    world
        .house
        .execute(&beta, "insert into book values (1, 1, 'x')", &[])
        .await
        .unwrap();
    assert_violates(
        world
            .house
            .execute(&beta, "insert into book values (2, 1, 'x')", &[])
            .await,
        "23505",
    );
    // Another's reference does not pin one's own row.
    world
        .house
        .execute(&beta, "delete from book", &[])
        .await
        .unwrap();
    assert_eq!(
        world
            .house
            .execute(&beta, "delete from author", &[])
            .await
            .unwrap(),
        1
    );
    assert_violates(
        world.house.execute(&alpha, "delete from author", &[]).await,
        "23503",
    );
}

#[tokio::test]
async fn shared_tables_are_read_by_all_and_written_by_none() {
    let world = World::new().await;
    build(
        &world,
        "create table country (code text primary key);
         insert into country values ('AT'), ('PE');
         grant all on country to public, rowhouse_app, rowhouse_platform;
         create table city (id int primary key, country text references country)",
    )
    .await;
    protect(
        &world,
        &[
            Protect::shared("country"),
            Protect::content("city", Assign::Empty),
        ],
    )
    .await
    .unwrap();
    let alpha = world.alpha.context();
    assert_eq!(
        world
            .house
            .query(&alpha, "select from country", &[])
            .await
            .unwrap()
            .len(),
        2
    );
    for sql in [
        "insert into country values ('NZ')",
        "update country set code = 'NZ'",
        "delete from country",
        "truncate country",
    ] {
        refused_by_right(world.house.execute(&alpha, sql, &[]).await);
        let platform = world.platform().await.batch_execute(sql).await.unwrap_err();
        assert_eq!(platform.code().unwrap().code(), "42501");
    }
    world
        .house
        .execute(&alpha, "insert into city values (1, 'AT')", &[])
        .await
        .unwrap();
    assert_violates(
        world
            .house
            .execute(&alpha, "insert into city values (2, 'XX')", &[])
            .await,
        "23503",
    );
    build(
        &world,
        "set role rowhouse_owner; insert into country values ('NZ')",
    )
    .await;
}

#[tokio::test]
async fn projects_are_a_second_wall() {
    let world = World::new().await;
    build(
        &world,
        "create table doc (id int primary key, project_id uuid not null, at date);
         create index doc_at on doc (at desc)",
    )
    .await;
    let done = protect(
        &world,
        &[Protect::content("doc", Assign::Empty).in_projects("project_id")],
    )
    .await
    .unwrap();
    assert!(
        done[0]
            .statements
            .iter()
            .any(|sql| sql.contains("(tenant_id, project_id, at DESC)")),
        "{:?}",
        done[0].statements
    );
    let mut projects = Vec::new();
    for tenant in [&world.alpha, &world.alpha, &world.beta] {
        let id = rowhouse::ids::ProjectId::new();
        world
            .house
            .execute(
                &tenant.context(),
                "insert into rowhouse.projects (id, name) values ($1, $2)",
                &[&id, &id.to_string()],
            )
            .await
            .unwrap();
        projects.push(id);
    }
    let alpha = world.alpha.context();
    let insert = "insert into doc (id, project_id) values ($1, $2)";
    world
        .house
        .execute(&alpha, insert, &[&1, &projects[0]])
        .await
        .unwrap();
    world
        .house
        .execute(&alpha, insert, &[&2, &projects[1]])
        .await
        .unwrap();
    refused_by_policy(
        world
            .house
            .execute(&alpha, insert, &[&3, &projects[2]])
            .await,
    );
    let inside = alpha.clone().in_project(projects[1]);
    let seen = world
        .house
        .query(&inside, "select id from doc", &[])
        .await
        .unwrap();
    assert_eq!(seen.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [2]);
    refused_by_policy(
        world
            .house
            .execute(&inside, insert, &[&3, &projects[0]])
            .await,
    );
    assert_eq!(
        world
            .house
            .query(&alpha, "select id from doc", &[])
            .await
            .unwrap()
            .len(),
        2
    );
}

pub fn refused_by_policy<T: std::fmt::Debug>(answer: Result<T>) {
    match answer {
        Err(Error::NotPermitted(why)) => assert_eq!(why, "the caller may not do this"),
        other => panic!("not refused by a policy: {other:?}"),
    }
}

pub fn refused_by_right<T: std::fmt::Debug>(answer: Result<T>) {
    match answer {
        Err(Error::NotPermitted(why)) => assert!(why.contains("permission denied"), "{why}"),
        other => panic!("not refused by a right: {other:?}"),
    }
}

pub fn assert_violates<T: std::fmt::Debug>(answer: Result<T>, sqlstate: &str) {
    match answer {
        Err(error) => assert_eq!(error.sqlstate(), Some(sqlstate), "{error}"),
        Ok(done) => panic!("not refused: {done:?}"),
    }
}
