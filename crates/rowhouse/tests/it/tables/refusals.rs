//! What `protect` refuses, naming table and rule, and that it then leaves everything as it was.

use rowhouse::Error;
use rowhouse::tables::{self, Assign, Protect};

use super::{build, everything_said, protect};
use crate::world::World;

fn content(table: &str) -> Protect {
    Protect::content(table, Assign::Empty)
}

/// What is there, the plan, and what the refusal says.
struct Case(&'static str, Vec<Protect>, &'static [&'static str]);

fn follow(column: &str) -> Assign {
    Assign::Follow(column.into())
}

/// What the table is.
fn kinds_of_table() -> Vec<Case> {
    vec![
        Case("", vec![content("missing")], &["missing does not exist"]),
        Case("", vec![content("no name at all")], &["no name at all "]),
        Case(
            "create view v as select 1 as id",
            vec![content("v")],
            &["public.v is a view"],
        ),
        Case(
            "create materialized view m as select 1 as id",
            vec![content("m")],
            &["is a materialized view"],
        ),
        Case("create sequence s", vec![content("s")], &["is a sequence"]),
        Case(
            "create table p (id int) partition by list (id)",
            vec![content("p")],
            &["is a partitioned table"],
        ),
        Case(
            "create table p (id int) partition by list (id); create table p1 partition of p for values in (1)",
            vec![content("p1")],
            &["public.p1 is a partition"],
        ),
        Case(
            "create table a (id int); create table b () inherits (a)",
            vec![content("a")],
            &["public.a takes part in inheritance"],
        ),
        Case(
            "create table a (id int); create table b () inherits (a)",
            vec![content("b")],
            &["public.b takes part in inheritance"],
        ),
        Case(
            "create foreign data wrapper w; create server w foreign data wrapper w; create foreign table f (id int) server w",
            vec![content("f")],
            &["is a foreign table"],
        ),
        Case(
            "create type row as (id int); create table t of row",
            vec![content("t")],
            &["is of the type"],
        ),
        Case(
            "",
            vec![content("rowhouse.tenants")],
            &["lies in schema rowhouse"],
        ),
        Case(
            "",
            vec![content("pg_catalog.pg_class")],
            &["lies in schema pg_catalog"],
        ),
        Case(
            "",
            vec![content("information_schema.sql_parts")],
            &["lies in schema information_schema"],
        ),
        Case(
            "create table t (id int); create rule r as on insert to t do also nothing",
            vec![content("t")],
            &["has rules (r)"],
        ),
        Case(
            "create table t (id int); create policy mine on t",
            vec![content("t")],
            &["policies: mine"],
        ),
        Case(
            "create table t (id int); alter table t enable row level security",
            vec![content("t")],
            &["row-level security of its own (policies: none)"],
        ),
    ]
}

/// What is in it and around it.
fn columns_and_rows() -> Vec<Case> {
    vec![
        Case(
            "create table t (id int, tenant_id text)",
            vec![content("t")],
            &["column tenant_id of type text"],
        ),
        Case(
            "create table t (id int, tenant_id uuid); insert into t values (1)",
            vec![content("t")],
            &["has 1 rows without a value in tenant_id"],
        ),
        Case(
            "create table t (id int, tenant_id uuid); insert into t values (1, gen_random_uuid())",
            vec![content("t")],
            &["has 1 rows that were assigned to a tenant that does not exist"],
        ),
        Case(
            "create table t (id int, tenant_id uuid)",
            vec![Protect::content("t", Assign::Sql("null".into()))],
            &["has a column tenant_id already"],
        ),
        Case(
            "create table t (id int); insert into t values (1)",
            vec![content("t")],
            &["has 1 rows: say whose they are"],
        ),
        Case(
            "create table t (id int); insert into t values (1), (2), (null)",
            vec![Protect::content(
                "t",
                Assign::Sql("case when id > 1 then gen_random_uuid() end".into()),
            )],
            &["public.t has 2 rows that were assigned to no tenant"],
        ),
        Case(
            "create table t (id int); insert into t values (1), (2)",
            vec![content("t").rows_at_most(1)],
            &["has more than 1 rows"],
        ),
        Case(
            "create table t (id int, during tsrange, exclude using gist (during with &&))",
            vec![content("t")],
            &["exclusion constraint (t_during_excl)"],
        ),
        Case(
            "create table t (id int primary key); create publication outward for table t",
            vec![content("t")],
            &[
                "publication outward",
                "alter publication outward drop table public.t",
            ],
        ),
        Case(
            "create table t (id int); create view v as select * from t",
            vec![content("t")],
            &["alter view v set (security_invoker = true)"],
        ),
        Case(
            "create table t (id int); create materialized view m as select * from t; grant select on m to rowhouse_app",
            vec![content("t")],
            &["materialized view m", "revoke all on m"],
        ),
        Case(
            "create table t (id int primary key, a int); create view v with (security_invoker = on) as select id, a from t group by id",
            vec![content("t")],
            &["has a key (t_pkey)", "view v"],
        ),
    ]
}

/// What it is linked with.
fn keys_and_plans() -> Vec<Case> {
    vec![
        Case(
            "create table p (id int primary key); create table c (id int, p_id int constraint ck references p on delete cascade)",
            vec![content("p"), Protect::content("c", follow("p_id"))],
            &["CASCADE", "alter table public.c drop constraint ck, add constraint ck foreign key (p_id) references public.p (id)"],
        ),
        Case(
            "create table p (id int primary key); create table c (id int, p_id int references p on update set null)",
            vec![content("c"), Protect::shared("p")],
            &["c_p_id_fkey with SET NULL"],
        ),
        Case(
            "create table p (id int primary key); create table c (id int, p_id int references p on delete set default)",
            vec![content("c"), content("p")],
            &["SET DEFAULT"],
        ),
        Case(
            "create table p (a int, b int, primary key (a, b)); create table c (a int, b int, foreign key (a, b) references p match full)",
            vec![content("c"), content("p")],
            &["MATCH FULL over several columns"],
        ),
        Case(
            "create table a (id int primary key); create table b (id int primary key, a_id int references a);
             create table c (id int, b_id int references b)",
            vec![content("b")],
            &["public.b is linked", "add public.a, public.c to the plan"],
        ),
        Case(
            "create table p (id int primary key); create table c (id int, p_id int references p)",
            vec![content("p"), Protect::shared("c")],
            &["public.c is shared, but its key c_p_id_fkey leads to public.p"],
        ),
        Case(
            "create table t (id int primary key, next int references t); insert into t values (1, 1)",
            vec![Protect::content("t", follow("next"))],
            &["in the end, follows it"],
        ),
        Case("create table t (id int)", vec![Protect::content("t", follow("id"))], &["no foreign key called id"]),
        Case(
            "create table p (id int primary key); create table c (id int, p_id int references p)",
            vec![Protect::shared("p"), Protect::content("c", follow("p_id"))],
            &["whose rows belong to no tenant"],
        ),
        Case("create table t (id int)", vec![content("t"), content("public.t")], &["is in the plan twice"]),
        Case("create table t (id int)", vec![content("t").in_projects("id")], &["no column id of type uuid"]),
        Case(
            "create table t (id int, p uuid, tenant_id uuid); insert into t select 1, null, id from rowhouse.tenants",
            vec![content("t").in_projects("p")],
            &["has 2 rows without a value in p"],
        ),
        Case("create table t (id int)", vec![Protect::shared("t").in_projects("id")], &["it has no projects"]),
    ]
}

#[tokio::test]
async fn what_cannot_be_protected_is_refused_by_name_and_stays_as_it_was() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    let mut owner = world.owner().await;
    for Case(setup, plan, expected) in [kinds_of_table(), columns_and_rows(), keys_and_plans()]
        .into_iter()
        .flatten()
    {
        superuser
            .batch_execute(&format!("create schema if not exists public; {setup}"))
            .await
            .unwrap();
        let before = everything_said(&superuser).await;
        let tx = owner.begin().await.unwrap();
        let refusal = tables::protect(&tx, &plan).await;
        // Even when the caller goes on and commits.
        tx.commit().await.unwrap();
        let Err(Error::Invalid { field, rule }) = refusal else {
            panic!("{setup}: {refusal:?}");
        };
        assert_eq!(field, "table");
        for part in expected {
            assert!(rule.contains(part), "{setup}: {rule}");
        }
        assert_eq!(everything_said(&superuser).await, before, "{setup}");
        superuser
            .batch_execute(
                "drop schema public cascade; drop publication if exists outward; drop foreign data wrapper if exists w cascade;
                 create schema public authorization pg_database_owner; grant usage on schema public to public",
            )
            .await
            .unwrap();
    }
}

/// The positive control: with the statement of the refusal, the same plan goes through.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn the_statement_in_a_refusal_mends_it() {
    for (setup, plan) in [
        (
            "create table p (id int primary key, q int); create table c (id int, p_id int references p on delete cascade on update set null)",
            vec![
                content("p"),
                Protect::content("c", Assign::Follow("p_id".into())),
            ],
        ),
        (
            "create table t (id int primary key); create publication outward for table t",
            vec![content("t")],
        ),
        (
            "create table t (id int); create view v as select * from t",
            vec![content("t")],
        ),
        (
            "create table t (id int); create materialized view m as select * from t; grant select on m to public",
            vec![content("t")],
        ),
        (
            "create table t (id int); alter table t enable row level security",
            vec![content("t")],
        ),
        (
            "create type row as (id int); create table t of row",
            vec![content("t")],
        ),
    ] {
        let world = World::new().await;
        build(&world, setup).await;
        let refusal = protect(&world, &plan).await.unwrap_err().to_string();
        let (_, mend) = refusal.split_once("with: ").unwrap();
        build(&world, mend).await;
        let done = protect(&world, &plan).await.unwrap();
        assert_eq!(done.len(), plan.len(), "{setup}");
    }
}

/// References that were assigned apart, and ones that never led anywhere, are counted and named.
#[tokio::test]
async fn stray_references_are_counted_before_a_key_is_made() {
    let world = World::new().await;
    build(
        &world,
        "create table p (id int primary key); create table c (id int primary key, p_id int);
         insert into p values (1), (2); insert into c values (1, 1), (2, 2), (3, 7), (4, 8), (5, null);
         alter table c add constraint c_p foreign key (p_id) references p not valid",
    )
    .await;
    let (alpha, beta) = (world.alpha.id, world.beta.id);
    let split = |column: &str| {
        Assign::Sql(format!(
            "case {column} when 1 then '{}' else '{}' end",
            alpha.uuid(),
            beta.uuid()
        ))
    };
    let plan = |assign| {
        [
            Protect::content("p", split("id")),
            Protect::content("c", assign),
        ]
    };
    let refusal = protect(&world, &plan(split("p_id")))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        "table: public.c has 2 rows whose key c_p leads to no row of public.p"
    );
    build(&world, "delete from c where p_id > 2").await;
    let refusal = protect(&world, &plan(Assign::Tenant(alpha)))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        "table: public.c has 1 rows whose key c_p leads to a row of public.p that was assigned to another tenant"
    );
    protect(&world, &plan(split("p_id"))).await.unwrap();
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn nothing_is_protected_while_a_tenant_is_bound_or_a_table_is_in_use() {
    let world = World::new().await;
    build(&world, "create table t (id int)").await;
    let mut owner = world.owner().await;
    let tx = owner.begin().await.unwrap();
    let ticket = world
        .house
        .ticket(&world.alpha.context(), std::time::Duration::from_mins(1))
        .await
        .unwrap();
    tx.execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
        .await
        .unwrap();
    let refusal = tables::protect(&tx, &[content("t")]).await.unwrap_err();
    assert_eq!(refusal.sqlstate(), Some("55000"), "{refusal}");
    drop(tx);

    let reader = world.superuser().await;
    reader.batch_execute("begin; select from t").await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(
        protect(&world, &[content("t")])
            .await
            .unwrap_err()
            .sqlstate(),
        Some("55P03")
    );
    assert!(started.elapsed().as_secs() < 5);
    reader.batch_execute("rollback").await.unwrap();
    protect(&world, &[content("t")]).await.unwrap();
}

#[tokio::test]
async fn an_expression_is_one_expression() {
    let world = World::new().await;
    build(&world, "create table t (id int); insert into t values (1)").await;
    for expression in [
        "null); delete from t; --",
        "null) where false; select (null",
    ] {
        let refusal = protect(
            &world,
            &[Protect::content("t", Assign::Sql(expression.into()))],
        )
        .await;
        assert_eq!(refusal.unwrap_err().sqlstate(), Some("42601"));
    }
    assert_eq!(super::truth(&world, "select count(*) from t").await, 1);
}

/// A trigger with its owner's rights is reported, not refused: only its author knows what it does.
#[tokio::test]
async fn a_trigger_with_its_owners_rights_is_reported() {
    let world = World::new().await;
    build(
        &world,
        "create table t (id int); create function f() returns trigger language plpgsql security definer as 'begin return new; end';
         create trigger watch before insert on t for each row execute function f()",
    )
    .await;
    let done = protect(&world, &[content("t")]).await.unwrap();
    assert!(
        done[0]
            .notes
            .iter()
            .any(|note| note.contains("watch") && note.contains("f()")),
        "{:?}",
        done[0].notes
    );
}
