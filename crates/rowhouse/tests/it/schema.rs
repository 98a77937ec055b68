//! `schema.sql` shows the whole schema on one page, as the migrations leave it, read back from the catalogue. This test
//! proves that it still does. To write it anew: `ROWHOUSE_WRITE_SCHEMA=1 cargo test -p rowhouse --test it schema`.

use std::fmt::Write as _;

use rowhouse::embedded::{Embedded, Options};
use rowhouse::{Owner, migrate};
use tokio_postgres::Client;

use crate::world::{cluster, connect, fresh_database};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql");

#[tokio::test]
async fn the_page_equals_the_migrations() {
    let database = fresh_database().await;
    let page = describe(&connect(&cluster().superuser(&database)).await).await;
    if std::env::var_os("ROWHOUSE_WRITE_SCHEMA").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let checked_in = std::fs::read_to_string(PAGE).unwrap();
    assert_same(&checked_in, &page);
}

fn assert_same(expected: &str, page: &str) {
    let differs = expected
        .lines()
        .zip(page.lines())
        .find(|(expected, is)| expected != is);
    assert!(
        expected == page,
        "schema.sql is not what the migrations make; first difference: {differs:?}"
    );
}

#[tokio::test]
async fn migrating_again_is_a_no_op_and_two_at_once_both_succeed() {
    let url = bare_database("migrated_by_two").await;
    let both = async || {
        let mut owner = Owner::connect(url.as_str()).await.unwrap();
        migrate::run(&mut owner).await
    };
    let (one, other) = tokio::join!(both(), both());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(
        one.is_empty() != other.is_empty(),
        "one applies all, the other finds nothing to do: {one:?} {other:?}"
    );
    let before = describe(&connect(&url).await).await;
    let mut owner = Owner::connect(url.as_str()).await.unwrap();
    assert!(migrate::pending(&mut owner).await.unwrap().is_empty());
    assert!(migrate::run(&mut owner).await.unwrap().is_empty());
    assert_same(&before, &describe(&connect(&url).await).await);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let url = bare_database("dry_run").await;
    let mut owner = Owner::connect(url.as_str()).await.unwrap();
    let steps = migrate::pending(&mut owner).await.unwrap();
    assert!(
        steps[0].name.starts_with("V1__wall")
            && steps[0].sql.contains("create function rowhouse.enter")
    );
    let schemas = owner
        .client()
        .query(
            "select from pg_namespace where nspname like 'rowhouse%'",
            &[],
        )
        .await
        .unwrap();
    assert!(schemas.is_empty());
}

#[tokio::test]
async fn nothing_migrates_while_a_tenant_is_bound_or_from_a_newer_version() {
    let url = bare_database("bound").await;
    let client = connect(&url).await;
    client
        .batch_execute(
            "alter database bound set app.tenant_id = '00000000-0000-0000-0000-000000000000'",
        )
        .await
        .unwrap();
    let mut owner = Owner::connect(url.as_str()).await.unwrap();
    let refused = migrate::run(&mut owner).await.unwrap_err().to_string();
    assert!(
        refused.contains("a tenant is bound to this session"),
        "{refused}"
    );

    client
        .batch_execute("alter database bound reset all")
        .await
        .unwrap();
    let mut owner = Owner::connect(url.as_str()).await.unwrap();
    migrate::run(&mut owner).await.unwrap();
    client
        .batch_execute("insert into rowhouse.schema_history (version, name, applied_on, checksum) values (999, 'future', now()::text, '1')")
        .await
        .unwrap();
    let refused = migrate::run(&mut owner).await.unwrap_err().to_string();
    assert!(
        refused.contains("this database is at version 999"),
        "{refused}"
    );
}

/// On a server of its own, where no role of the wall exists yet: a managed server's first migration.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_migrator_that_is_no_superuser_can_build_the_wall() {
    let folder = tempfile::tempdir().unwrap();
    let server = Embedded::start(Options::new(folder.path().join("data")))
        .await
        .unwrap();
    let superuser = connect(&server.superuser_url()).await;
    superuser
        .batch_execute("create role managed_admin login createrole password 'test'")
        .await
        .unwrap();
    superuser
        .batch_execute("create database managed owner managed_admin")
        .await
        .unwrap();
    for round in ["first", "second"] {
        let mut owner = Owner::connect(server.url("managed_admin", "test", "managed"))
            .await
            .unwrap();
        migrate::run(&mut owner)
            .await
            .unwrap_or_else(|error| panic!("{round}: {error}"));
    }
    let client = connect(&format!(
        "{}/managed",
        server.superuser_url().rsplit_once('/').unwrap().0
    ))
    .await;
    assert_same(
        &std::fs::read_to_string(PAGE).unwrap(),
        &describe(&client).await,
    );
    server.stop().await.unwrap();
}

/// Everything about the schemas `rowhouse` and `rowhouse_private` that the wall depends on.
async fn describe(client: &Client) -> String {
    let mut page = String::from(
        "-- Generated from the catalogue by tests/it/schema.rs: what the migrations make, on one page. Not to be run.\n",
    );
    for relation in texts(client, RELATIONS).await {
        writeln!(page, "\n{}", relation[1]).unwrap();
        for section in [COLUMNS, CONSTRAINTS, INDEXES, POLICIES, TRIGGERS, GRANTS] {
            for line in texts(
                client,
                &section.replace("$1", &format!("'{}'::regclass", relation[0])),
            )
            .await
            {
                writeln!(page, "  {}", line[0]).unwrap();
            }
        }
    }
    for function in texts(client, FUNCTIONS).await {
        writeln!(page, "\n{}", function[0]).unwrap();
    }
    page
}

async fn texts(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| (0..row.len()).map(|column| row.get(column)).collect())
        .collect()
}

const RELATIONS: &str = "
    select c.oid::regclass::text,
      format('%s %s  -- owner %s%s%s%s', case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass, c.relowner::regrole,
        case when c.relrowsecurity then ', row security' else '' end,
        case when c.relforcerowsecurity then ', forced' else '' end,
        case when c.reloptions is not null then ', ' || array_to_string(c.reloptions, ', ') else '' end)
    from pg_class c
    where c.relnamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm')
    order by c.relnamespace::regnamespace::text, c.relkind, c.relname";
const COLUMNS: &str = "
    select format('%s %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end,
      case when d.oid is null then '' when a.attgenerated = 's' then ' generated: ' || pg_get_expr(d.adbin, d.adrelid)
        else ' default ' || pg_get_expr(d.adbin, d.adrelid) end)
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
    order by a.attnum";
const CONSTRAINTS: &str = "
    select format('constraint %s %s', conname, pg_get_constraintdef(oid))
    from pg_constraint
    where conrelid = $1 and contype in ('p', 'u', 'f', 'c', 'x')
    order by contype, conname";
const INDEXES: &str = "
    select regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX (.*) ON \\S+ USING', '\\1INDEX \\2')
    from pg_index
    where indrelid = $1 and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u'))
    order by 1";
const POLICIES: &str = "
    select format('policy %s %s for %s to %s%s%s', policyname, lower(permissive), lower(cmd), array_to_string(roles, ', '),
      coalesce(E'\\n      using ' || regexp_replace(qual, '\\s+', ' ', 'g'), ''),
      coalesce(E'\\n      check ' || regexp_replace(with_check, '\\s+', ' ', 'g'), ''))
    from pg_policies
    where format('%I.%I', schemaname, tablename)::regclass = $1
    order by policyname";
const TRIGGERS: &str = "
    select format('trigger %s -> %s', tgname, tgfoid::regproc)
    from pg_trigger
    where tgrelid = $1 and not tgisinternal
    order by tgname";
/// The owner's own rights go without saying.
const GRANTS: &str = "
    select format('grant %s to %s', string_agg(what, ', ' order by what), who)
    from (
      select lower(x.privilege_type) as what, x.grantee::regrole::text as who
      from pg_class c, aclexplode(c.relacl) x
      where c.oid = $1 and x.grantee <> c.relowner
      union all
      select format('%s (%s)', lower(x.privilege_type), string_agg(a.attname, ', ' order by a.attnum)), x.grantee::regrole::text
      from pg_attribute a, aclexplode(a.attacl) x
      where a.attrelid = $1 and not a.attisdropped
      group by x.privilege_type, x.grantee
    ) granted
    group by who
    order by who";
/// plpgsql with its source; of the others the catalogue keeps a tree, which each version of Postgres prints differently.
const FUNCTIONS: &str = "
    select format(E'function %s(%s) returns %s  -- %s, %s%s%s%s; owner %s; execute: %s%s', p.oid::regproc,
      pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), l.lanname,
      case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
      case p.proparallel when 's' then ', parallel safe' when 'r' then ', parallel restricted' else '' end,
      case when p.prosecdef then ', security definer' else '' end,
      case when p.proconfig is not null then ', set ' || array_to_string(p.proconfig, ', ') else '' end,
      p.proowner::regrole,
      coalesce((
        select string_agg(case x.grantee when 0 then 'public' else x.grantee::regrole::text end, ', '
          order by x.grantee <> 0, x.grantee::regrole::text)
        from aclexplode(p.proacl) x where x.grantee <> p.proowner), 'nobody else'),
      case when l.lanname = 'plpgsql' then rtrim(p.prosrc, E'\\n') else E'\\n(body: see migrations)' end)
    from pg_proc p join pg_language l on l.oid = p.prolang
    where p.pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace)
    order by p.pronamespace::regnamespace::text, p.proname, pg_get_function_identity_arguments(p.oid)";

/// An empty database without Rowhouse.
async fn bare_database(name: &str) -> String {
    let postgres = connect(&cluster().superuser("postgres")).await;
    postgres
        .batch_execute(&format!("create database {name}"))
        .await
        .unwrap();
    cluster().superuser(name)
}
