//! What an answer is like: for whom, in which transaction, beside which options.

use rowhouse::tables::doctor::{self, Finding, Level, Options, RULES, Rule};
use rowhouse::{Error, Owner};

use super::{Base, Place, serious};
use crate::world::{cluster, connect};

/// Rules about the server itself, which is what it is: tried below with other numbers in their text.
pub const BY_SUBSTITUTION: &[&str] = &["server-minor", "prepared-transactions"];

fn named<'a>(findings: &'a [Finding], rule: &str) -> Vec<&'a str> {
    findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .map(|finding| finding.object.as_str())
        .collect()
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn any_login_gets_the_same_answer() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("alter table shop.notes disable row level security; create role {extra} login password 'test'; grant connect on database {db} to {extra}")
        .await
        .unwrap();
    let expected = place.doctor(&Options::default()).await;
    assert_eq!(named(&expected, "rls-off"), ["shop.notes"]);
    // The application's login; and one without a right to anything, not even to the schema.
    for login in ["{app}", "{extra}"] {
        let url = cluster().url(&place.fill(login), &place.database);
        let mut owner = Owner::connect(url).await.unwrap();
        let found = doctor::run(owner.client(), &Options::default())
            .await
            .unwrap();
        assert_eq!(found, expected, "{login}");
    }
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn our_list_of_tables_is_read_as_far_as_the_login_may() {
    let place = Place::new(Base::Ours).await;
    place
        .sql("create role {extra} login password 'test'; grant connect on database {db} to {extra}")
        .await
        .unwrap();
    for (login, says) in [
        ("test_app", &[][..]),
        (
            "{extra}",
            &[
                "rowhouse-not-enforced: this rule could not be asked: permission denied for table managed_tables",
                "rowhouse-table-drifted: this rule could not be asked: permission denied for table managed_tables",
                "rowhouse-policies-drifted: this rule could not be asked: permission denied for table managed_tables",
                "rowhouse-unclassified: this rule could not be asked: permission denied for table managed_tables",
            ],
        ),
    ] {
        let url = cluster().url(&place.fill(login), &place.database);
        let mut owner = Owner::connect(url).await.unwrap();
        let found = doctor::run(owner.client(), &Options::default())
            .await
            .unwrap();
        assert_eq!(serious(&found), says, "{login}");
    }
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn everything_runs_in_one_transaction_that_only_reads() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("create role {extra} login superuser password 'test'; grant connect on database {db} to {extra};
              alter role {extra} set log_statement = 'all'")
        .await
        .unwrap();
    let url = cluster().url(&place.fill("{extra}"), &place.database);
    let mut owner = Owner::connect(url).await.unwrap();
    let options = Options {
        count: true,
        ..Options::default()
    };
    doctor::run(owner.client(), &options).await.unwrap();
    // The server's log holds the statements of this role, and of no other.
    let log = std::env::temp_dir()
        .join(format!("rowhouse-world-{}", std::process::id()))
        .join("postgres.log");
    let log = std::fs::read_to_string(log).unwrap();
    let said: Vec<&str> = log
        .lines()
        .filter_map(|line| {
            let (_, said) = line.split_once("] LOG:  ")?;
            said.strip_prefix("statement: ")
                .or_else(|| said.strip_prefix("execute <unnamed>: "))
        })
        .collect();
    assert_eq!(
        said[0],
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    );
    assert_eq!(said.last(), Some(&"ROLLBACK"));
    for rule in RULES {
        assert!(log.contains(&format!("'{}' as rule", rule.name)));
    }
    for statement in &said[1..said.len() - 1] {
        let reads = ["select", "with", "--", "set local", "SAVEPOINT", "RELEASE"]
            .iter()
            .any(|first| statement.starts_with(first));
        assert!(reads, "{statement}");
    }
    // The transaction is over, and its settings with it.
    let path: String = owner
        .client()
        .query_one("select current_setting('search_path')", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(path, r#""$user", public"#);
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_rule_that_cannot_run_says_so_and_the_others_still_run() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("alter table shop.notes disable row level security; revoke select on pg_event_trigger from public;
              create role {extra} login password 'test'; grant connect on database {db} to {extra}")
        .await
        .unwrap();
    let url = cluster().url(&place.fill("{extra}"), &place.database);
    let mut owner = Owner::connect(url).await.unwrap();
    let found = doctor::run(owner.client(), &Options::default())
        .await
        .unwrap();
    assert_eq!(
        serious(&found),
        [
            "rls-off: shop.notes has policies, but row-level security is off: none of them is asked",
            "event-trigger: this rule could not be asked: permission denied for table pg_event_trigger"
        ]
    );
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_locked_table_holds_nobody_up() {
    let place = Place::new(Base::Shop).await;
    let client = connect(&cluster().superuser(&place.database)).await;
    client
        .batch_execute("begin; lock table shop.notes in access exclusive mode")
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let mut owner = Owner::connect(cluster().superuser(&place.database))
        .await
        .unwrap();
    // Newer servers lock a table to print what its policies say.
    match doctor::run(owner.client(), &Options::default()).await {
        Ok(found) => assert!(
            serious(&found)
                .iter()
                .all(|said| said.contains("lock timeout")),
            "{found:?}"
        ),
        Err(error) => assert!(error.to_string().contains("lock timeout"), "{error}"),
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    client.batch_execute("rollback").await.unwrap();
    place.remove().await;
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn other_names_are_taken_by_option() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("create table shop.bills (shop_owner int, total int); grant select on shop.bills to {app}; create role {extra} login")
        .await
        .unwrap();
    let options = Options {
        tenant_columns: vec!["shop_owner".into()],
        ..Options::default()
    };
    let found = place.doctor(&options).await;
    assert_eq!(named(&found, "table-without-rls"), ["shop.bills"]);
    assert!(
        named(
            &place.doctor(&Options::default()).await,
            "table-without-rls"
        )
        .is_empty()
    );

    // Where it is known which settings hold the context, a policy that reads another one asks for no tenant.
    place
        .sql("drop policy tenant_floor on shop.notes; drop policy inside on shop.notes;
              create policy own on shop.notes to {app} using (current_setting('shop.theme', true) = body)")
        .await
        .unwrap();
    assert!(serious(&place.doctor(&Options::default()).await).is_empty());
    let options = Options {
        settings: vec!["shop.tenant".into()],
        ..Options::default()
    };
    assert_eq!(
        named(&place.doctor(&options).await, "policy-open"),
        ["policy own on shop.notes"]
    );

    // A login that has no right yet, and will be the application's.
    place.sql("alter role {extra} bypassrls").await.unwrap();
    assert!(
        named(
            &place.doctor(&Options::default()).await,
            "login-bypasses-rls"
        )
        .is_empty()
    );
    let options = Options {
        logins: vec![place.fill("{extra}")],
        ..Options::default()
    };
    assert_eq!(
        named(&place.doctor(&options).await, "login-bypasses-rls"),
        [place.fill("role {extra}")]
    );
    place.remove().await;
}

#[tokio::test]
async fn unknown_rules_are_refused_by_name() {
    let mut owner = Owner::connect(cluster().superuser("postgres"))
        .await
        .unwrap();
    let options = Options {
        rules: vec!["rls-of".into()],
        ..Options::default()
    };
    let refused = doctor::run(owner.client(), &options).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    assert_eq!(refused.to_string(), "rule: there is none called rls-of");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn rows_that_refer_to_nothing_are_counted_when_asked() {
    let place = Place::new(Base::Shop).await;
    // Validated while one tenant was bound: Postgres calls it valid.
    place
        .sql("insert into shop.notes (tenant_id, id) values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000009');
              alter table shop.notes add parent uuid;
              update shop.notes set parent = '00000000-0000-0000-0000-000000000008';
              alter table shop.notes add constraint notes_parent foreign key (tenant_id, parent) references shop.notes not valid;
              set role {owner}; set shop.tenant = '00000000-0000-0000-0000-000000000002';
              alter table shop.notes validate constraint notes_parent")
        .await
        .unwrap();
    assert!(serious(&place.doctor(&Options::default()).await).is_empty());
    let options = Options {
        count: true,
        ..Options::default()
    };
    let found = place.doctor(&options).await;
    assert_eq!(
        named(&found, "rows-refer-to-nothing"),
        ["constraint notes_parent on shop.notes"]
    );
    // A login that sees a part of the rows does not answer for all of them.
    let mut app = Owner::connect(cluster().url(&place.fill("{app}"), &place.database))
        .await
        .unwrap();
    let found = doctor::run(app.client(), &options).await.unwrap();
    assert!(
        serious(&found).iter().any(|said| said
            .contains("could not be asked: query would be affected by row-level security")),
        "{found:?}"
    );
    place
        .sql("update shop.notes set parent = id")
        .await
        .unwrap();
    assert!(named(&place.doctor(&options).await, "rows-refer-to-nothing").is_empty());
    place.remove().await;
}

/// The newest minor versions of the list, and one above them, which no hole is known of.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_server_with_known_holes_is_told_which() {
    let rule = RULES
        .iter()
        .find(|rule| rule.name == "server-minor")
        .unwrap();
    let mut owner = Owner::connect(cluster().superuser("postgres"))
        .await
        .unwrap();
    for (version, holes, says, mend) in [
        (150_002, 23, "CVE-2023-2454 (CREATE SCHEMA", Some("15.20")),
        (150_018, 9, "CVE-2026-120154 (INSERT", Some("15.20")),
        (150_019, 3, "CVE-2026-6460", Some("15.20")),
        (160_009, 16, "CVE-2025-8715", Some("16.16")),
        (170_006, 13, "CVE-2026-2006", Some("17.12")),
        (180_001, 16, "CVE-2026-2007", Some("18.7")),
        (180_005, 11, "CVE-2026-14676", Some("18.7")),
        (150_020, 0, "", None),
        (160_016, 0, "", None),
        (170_012, 0, "", None),
        (180_007, 0, "", None),
        (190_000, 0, "", None),
    ] {
        let other = Rule {
            name: rule.name,
            sql: rule
                .sql
                .replace(
                    "current_setting('server_version_num')",
                    &format!("'{version}'"),
                )
                .leak(),
        };
        let found = doctor::run_rules(owner.client(), &Options::default(), &[&other])
            .await
            .unwrap();
        let mend = mend.map(|fixed| format!("Install {fixed} or later"));
        assert_eq!(
            found.first().map(|one| &one.mend),
            mend.as_ref(),
            "{version}"
        );
        let what = found.first().map_or("", |one| &one.what);
        assert_eq!(what.matches("CVE-").count(), holes, "{version}: {what}");
        assert!(what.contains(says), "{version}: {what}");
    }
}

#[tokio::test]
async fn transactions_that_can_be_prepared_are_mentioned() {
    let rule = RULES
        .iter()
        .find(|rule| rule.name == "prepared-transactions")
        .unwrap();
    let client = connect(&cluster().superuser("postgres")).await;
    for (value, found) in [("0", 0), ("10", 1)] {
        let sql = rule.sql.replace(
            "current_setting('max_prepared_transactions')",
            &format!("'{value}'"),
        );
        let sql = format!("with tenant_table as (select 1) {sql}");
        assert_eq!(client.query(&sql, &[]).await.unwrap().len(), found);
    }
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn findings_come_by_level() {
    let place = Place::new(Base::Shop).await;
    place
        .sql("create index on shop.notes (body); grant temporary on database {db} to public; alter table shop.notes disable row level security;
              create table shop.lines (tenant_id uuid); {wall shop.lines}")
        .await
        .unwrap();
    let levels: Vec<usize> = place
        .doctor(&Options::default())
        .await
        .iter()
        .map(|finding| {
            Level::ALL
                .iter()
                .position(|level| *level == finding.level)
                .unwrap()
        })
        .collect();
    assert!(
        levels.is_sorted() && levels[0] == 0 && *levels.last().unwrap() == 2,
        "{levels:?}"
    );
    place.remove().await;
}

/// By bytes, in a database whose collation has another order. A server without ICU has no such database.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn findings_come_in_one_order_whichever_rules_are_asked() {
    const RULE: &str = "definer-without-search-path";
    let postgres = connect(&cluster().superuser("postgres")).await;
    // Not any collation of ICU: one of them, `unicode`, is in the catalogue of a server built without.
    let icu = "select from pg_collation where collname = 'en-US-x-icu'";
    if postgres.query_opt(icu, &[]).await.unwrap().is_none() {
        let from = std::env::var("ROWHOUSE_POSTGRES_BIN").unwrap_or_default();
        assert!(!from.starts_with("/usr/lib"), "Debian's server has it");
        return;
    }
    postgres
        .batch_execute(
            "create database doctor_icu template template0 locale_provider icu icu_locale 'en-US'",
        )
        .await
        .unwrap();
    let mut owner = Owner::connect(cluster().superuser("doctor_icu"))
        .await
        .unwrap();
    for name in ["fapple", "fBanana", "fÉclair", "fZoo"] {
        let made = format!(
            r#"create function "{name}"() returns int language sql security definer as 'select 1'"#
        );
        owner.client().batch_execute(&made).await.unwrap();
    }
    let all = doctor::run(owner.client(), &Options::default())
        .await
        .unwrap();
    let only = Options {
        rules: vec![RULE.into()],
        ..Options::default()
    };
    let alone = doctor::run(owner.client(), &only).await.unwrap();
    let objects = named(&alone, RULE);
    assert_eq!(objects.len(), 4);
    assert!(objects.is_sorted(), "{objects:?}");
    assert_eq!(named(&all, RULE), objects);
    drop(owner);
    postgres
        .batch_execute("drop database doctor_icu with (force)")
        .await
        .unwrap();
}
