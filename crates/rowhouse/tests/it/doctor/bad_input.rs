//! What a database may be like besides being open: a standby, behind a pooler, named oddly, changing meanwhile.

use std::time::Duration;

use rowhouse::embedded::{Embedded, Options as Server};
use rowhouse::tables::doctor::{self, Finding, Options};
use rowhouse::{Error, Owner};

use super::{Base, Place, serious};
use crate::pool::bouncer::Bouncer;
use crate::world::{cluster, connect};

async fn asked(url: &str, options: &Options) -> Result<Vec<Finding>, Error> {
    let mut owner = Owner::connect_as_guest(url.to_owned()).await?;
    doctor::run(owner.client(), options).await
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_hot_standby_is_told_the_same_as_its_primary() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let primary = Embedded::start(Server::new(&data)).await.unwrap();
    let client = connect(&primary.superuser_url()).await;
    client
        .batch_execute(
            "create table notes (tenant_id uuid not null, body text); create role app login; grant select, truncate on notes to app",
        )
        .await
        .unwrap();
    drop(client);
    let expected = asked(&primary.superuser_url(), &Options::default())
        .await
        .unwrap();
    assert!(
        serious(&expected).len() > 1,
        "the table is open and can be truncated: {expected:?}"
    );
    primary.stop().await.unwrap();
    std::fs::write(data.join("postgres/standby.signal"), "").unwrap();
    let standby = Embedded::start(Server::new(&data)).await.unwrap();
    let client = connect(&standby.superuser_url()).await;
    let in_recovery: bool = client
        .query_one("select pg_is_in_recovery()", &[])
        .await
        .unwrap()
        .get(0);
    assert!(in_recovery);
    let found = asked(&standby.superuser_url(), &Options::default())
        .await
        .unwrap();
    assert_eq!(found, expected);
    standby.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_transaction_pooler_may_stand_in_between() {
    let place = Place::new(Base::Ours).await;
    place
        .sql("create view public.titles as select body from public.notes; grant select on public.titles to rowhouse_app")
        .await
        .unwrap();
    let direct = cluster().url("test_app", &place.database);
    let bouncer = Bouncer::start("transaction", true).await;
    let expected = asked(&direct, &Options::default()).await.unwrap();
    assert!(!serious(&expected).is_empty(), "{expected:?}");
    // More often than the pool has connections.
    for _ in 0..6 {
        let found = asked(&bouncer.url(&direct), &Options::default())
            .await
            .unwrap();
        assert_eq!(found, expected);
    }
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn names_in_quotes_and_other_alphabets_come_out_as_sql_takes_them() {
    let place = Place::new(Base::Bare).await;
    place
        .sql(
            r#"create schema "Лавка ""1"""; create role {app} login;
               create table "Лавка ""1"""."表, 'x' %I $1" ("клиент №" int not null, "b;--" text);
               alter table "Лавка ""1"""."表, 'x' %I $1" enable row level security, force row level security;
               create policy "стена $$ %s" on "Лавка ""1"""."表, 'x' %I $1" to {app} using (true) with check (true);
               grant truncate, insert, select on "Лавка ""1"""."表, 'x' %I $1" to {app}; grant usage on schema "Лавка ""1""" to {app};
               create index on "Лавка ""1"""."表, 'x' %I $1" ("клиент №", "b;--");
               insert into "Лавка ""1"""."表, 'x' %I $1" select n from generate_series(1, 10000) n; analyze"#,
        )
        .await
        .unwrap();
    let options = Options {
        tenant_columns: vec!["клиент №".into()],
        ..Options::default()
    };
    let found = place.doctor(&options).await;
    let table = r#""Лавка ""1"""."表, 'x' %I $1""#;
    let of = |rule: &str| {
        found
            .iter()
            .find(|finding| finding.rule == rule)
            .unwrap_or_else(|| panic!("{rule}: {found:?}"))
    };
    assert_eq!(
        of("policy-open").object,
        format!(r#"policy "стена $$ %s" on {table}"#)
    );
    assert_eq!(of("plan-filters-tenant").object, table);
    let truncate = of("right-beyond-rows");
    assert_eq!(truncate.object, table);
    // The mend is a statement that works.
    place.sql(&truncate.mend).await.unwrap();
    let after = place.doctor(&options).await;
    assert!(
        after
            .iter()
            .all(|finding| finding.rule != "right-beyond-rows"),
        "{after:?}"
    );
    assert!(
        found
            .iter()
            .all(|finding| !finding.what.starts_with("could not")),
        "{found:?}"
    );
    place.remove().await;
}

/// Nobody has the right to become the application's login, and the sizes of tenants are hidden from all but superusers.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn plans_are_asked_for_as_the_application_or_it_is_said_why_not() {
    let place = Place::new(Base::Shop).await;
    place
        .sql(
            "alter policy tenant_floor on shop.notes using (tenant_id::text = current_setting('shop.tenant'));
             insert into shop.notes (tenant_id) select gen_random_uuid() from generate_series(1, 10000); analyze;
             create role {extra} login password 'test'; grant connect on database {db} to {extra}",
        )
        .await
        .unwrap();
    for (login, says) in [
        (
            "{app}",
            "shop.notes is read past its tenant for a page, inside the any tenant".to_owned(),
        ),
        (
            "{extra}",
            place.fill("this rule, on 1 tables could not be asked: shop.notes: permission denied to set role \"{app}\""),
        ),
    ] {
        let url = cluster().url(&place.fill(login), &place.database);
        let found = asked(&url, &Options::default()).await.unwrap();
        let said: Vec<String> = found
            .iter()
            .filter(|one| one.rule == "plan-filters-tenant")
            .map(|one| format!("{} {}", one.object, one.what))
            .collect();
        assert_eq!(said, [says], "{login}");
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make test.long"]
async fn a_database_that_changes_meanwhile_is_judged_all_the_same() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("alter table shop.notes disable row level security")
        .await
        .unwrap();
    let changing = cluster().superuser(&place.database);
    let wall = place.fill("{wall shop.passing}");
    let changes = tokio::spawn(async move {
        let client = connect(&changing).await;
        loop {
            client
                .batch_execute(&format!(
                    "create table shop.passing (tenant_id uuid not null default shop.tenant(), body text unique); {wall};
                     create view shop.glimpse as select body from shop.passing;
                     create function shop.flash() returns int language sql security definer as 'select 1'"
                ))
                .await
                .unwrap();
            client
                .batch_execute("drop function shop.flash; drop table shop.passing cascade")
                .await
                .unwrap();
        }
    });
    for _ in 0..8 {
        let found = place.doctor(&Options::default()).await;
        assert!(
            found
                .iter()
                .any(|one| one.rule == "rls-off" && one.object == "shop.notes"),
            "{found:?}"
        );
        // A rule that met something half gone says so; it was not silent.
        for one in found.iter().filter(|one| one.object == "this rule") {
            assert!(one.what.starts_with("could not be asked: "), "{one:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    changes.abort();
    drop(changes.await);
    place.remove().await;
}
