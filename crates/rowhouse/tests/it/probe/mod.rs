//! The probe: says "held" where the wall stands, "leak" where a piece of it is missing, and leaves nothing behind.

mod foreign;
mod mutations;
mod safety;

use rowhouse::tables::probe::{self, Attempt, Options, Relation, Report, Verdict};
use rowhouse::tables::{Assign, Protect};

use crate::chinook::protected_chinook;
use crate::tables::{SHAPES, build, protect};
use crate::world::World;

/// As the binary does it: the owner's session, and one of the app's.
pub async fn options(world: &World) -> Options {
    Options {
        app: Some(world.url("test_app").into()),
        ..Options::new("test_app")
    }
}

pub async fn probed(world: &World) -> Report {
    let options = options(world).await;
    probe::run(&mut world.owner().await, &options, |_| {})
        .await
        .unwrap()
}

pub fn leaks(report: &Report) -> Vec<String> {
    report.leaked.iter().map(line).collect()
}

pub fn line(attempt: &Attempt) -> String {
    format!(
        "{} {} {} {}: {}",
        attempt.path, attempt.operation, attempt.attack, attempt.object, attempt.answer
    )
}

/// Functions of our own that change what their name says, and answer nothing.
const ANSWERS_NOTHING: &str = "it answers nothing in which a row could be seen";

/// Why a relation's attempts were not made, without those that only rights forbid, and those that an empty table forbids:
/// where there is no row, there is nothing that would ask for a context.
fn untried(report: &Report, relation: &str) -> Vec<String> {
    report
        .untried
        .iter()
        .filter(|untried| untried.relation == relation)
        .filter(|untried| !untried.reason.starts_with("the login has no right"))
        .filter(|untried| untried.reason != "no row is in it that is not planted")
        .filter(|untried| untried.reason != ANSWERS_NOTHING)
        .map(|untried| format!("{}: {:?}", untried.reason, untried.attempts))
        .collect()
}

/// The login has no right to it at all.
fn is_out_of_reach(report: &Report, relation: &Relation) -> bool {
    relation.attempts == 0
        && report
            .untried
            .iter()
            .filter(|untried| untried.relation == relation.relation)
            .all(|untried| {
                untried.reason.starts_with("the login has no right")
                    || untried.reason == ANSWERS_NOTHING
            })
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn our_own_schema_holds() {
    let world = World::new().await;
    let report = probed(&world).await;
    assert_eq!(report.verdict, Verdict::Held, "{:#?}", report.leaked);
    assert!(report.attempts >= 300, "{}", report.attempts);
    assert_eq!(report.incomplete, [""; 0]);
    // Every walled table was attacked, and what was not tried has a reason that is its own.
    for relation in &report.relations {
        let walled = ["admin", "content"].contains(&relation.class.as_str());
        assert!(
            !walled || relation.verdict == Verdict::Held || is_out_of_reach(&report, relation),
            "{relation:?} {:?}",
            report.untried
        );
        let reasons = untried(&report, &relation.relation);
        let expected: &[&str] = match relation.relation.as_str() {
            // Functions that answer nobody but a key, or a session, that entered.
            "rowhouse.api_keys" | "rowhouse.sessions" | "rowhouse.tenant_members" => {
                &["the control did not work: 0 rows"]
            }
            // Who gives a resource to a team has to be in it.
            "rowhouse.resources" => &["the control did not work: 42501"],
            // One in each environment.
            "rowhouse.deployments" => &["the control did not work: 23505"],
            _ => &[],
        };
        assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
        for (reason, expected) in reasons.iter().zip(expected) {
            assert!(reason.starts_with(expected), "{reason}");
        }
    }
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn chinook_behind_the_wall_holds() {
    let world = World::new().await;
    protected_chinook(&world).await;
    let report = probed(&world).await;
    assert_eq!(report.verdict, Verdict::Held, "{:#?}", report.leaked);
    for table in ["customer", "invoice", "invoice_line"] {
        let relation = report
            .relations
            .iter()
            .find(|relation| relation.relation == format!("public.{table}"))
            .unwrap();
        assert_eq!(relation.verdict, Verdict::Held, "{:?}", report.untried);
        assert!(relation.attempts >= 26, "{relation:?}");
        let reasons = untried(&report, &relation.relation);
        assert!(reasons.is_empty(), "{reasons:?}");
    }
    // The catalogue of records is everybody's to read, and nobody's to write.
    let shared = |relation: &&Relation| relation.class == "shared";
    assert_eq!(report.relations.iter().filter(shared).count(), 8);
    for relation in report.relations.iter().filter(shared) {
        assert_eq!(
            (relation.verdict, relation.attempts),
            (Verdict::Held, 3),
            "{relation:?}"
        );
    }
}

/// What the wall's own tests put behind it, side by side in one database; doctor looks at them in `protect`.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn the_tables_of_the_walls_tests_hold() {
    let world = World::new().await;
    for (made, _, _) in SHAPES {
        build(&world, made).await;
    }
    build(
        &world,
        "create table author (id int primary key, boss int references author);
         create table book (id int primary key, author_id int not null references author, isbn text unique);
         create table country (code text primary key);
         insert into country values ('AT');
         create table city (id int primary key, country text references country);
         create table doc (id int primary key, project_id uuid not null, at date);
         create index doc_at on doc (at desc);
         create table thing (
           id int primary key, code text unique nulls not distinct, rank int unique deferrable initially deferred,
           parent int references thing (id) deferrable, note text, at timestamptz);
         create unique index on thing (lower(code)) where rank > 0;
         create function touch() returns trigger language plpgsql as 'begin new.note := new.note || 1; return new; end';
         create trigger touch before update on thing for each row execute function touch()",
    )
    .await;
    let content = |table: &str| Protect::content(table, Assign::Empty);
    let mut plan: Vec<Protect> = SHAPES.iter().map(|(_, table, _)| content(table)).collect();
    plan.extend([
        content("author"),
        Protect::content("book", Assign::Follow("author_id".into())),
        Protect::shared("country"),
        content("city"),
        content("doc").in_projects("project_id"),
        content("thing"),
    ]);
    protect(&world, &plan).await.unwrap();
    let report = probed(&world).await;
    assert_eq!(report.verdict, Verdict::Held, "{:#?}", report.leaked);
    let theirs: Vec<&Relation> = report
        .relations
        .iter()
        .filter(|relation| ["content", "shared"].contains(&relation.class.as_str()))
        .filter(|relation| !relation.relation.starts_with("rowhouse"))
        .collect();
    assert_eq!(theirs.len(), plan.len(), "{theirs:?}");
    for relation in theirs {
        assert_eq!(relation.verdict, Verdict::Held, "{relation:?}");
        let reasons = untried(&report, &relation.relation);
        assert!(reasons.is_empty(), "{} {reasons:#?}", relation.relation);
    }
}

/// Rows that are hard to make up, and names that are hard to write.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn rows_are_made_up_for_tables_of_every_shape() {
    let world = World::new().await;
    build(
        &world,
        r#"
        create type mood as enum ('glad', 'sad');
        create domain email as text check (value like '%@%');
        create table customers (
          id bigint generated always as identity primary key,
          email email not null,
          code char(3) not null check (code in ('AAA', 'BBB')),
          age int not null check (age between 18 and 120),
          score numeric(4, 2) not null check (score > 9),
          mood mood not null,
          tags text[] not null,
          document jsonb not null check (jsonb_typeof(document) = 'array'),
          digest bytea not null check (octet_length(digest) = 20),
          born date not null check (born < '2001-01-01'),
          note text not null check (length(note) = 7),
          doubled int generated always as (age * 2) stored
        );
        create table orders (
          id serial primary key,
          customer_id bigint not null references customers,
          parent_id int references orders,
          placed_at timestamptz not null default now()
        );
        create table lines (
          order_id int not null references orders,
          place smallint not null,
          primary key (order_id, place)
        );
        create table tickets (id uuid primary key, opener text not null unique, body varchar(5) not null);
        create schema "Größe 'x'";
        create table "Größe 'x'"."Täble ""q""; --" ("İd %s" int primary key, "日本" text not null);
        create table pairs (a bigint not null references customers, b bigint not null references customers, primary key (a, b));
        "#,
    )
    .await;
    let tables = [
        "customers",
        "orders",
        "lines",
        "tickets",
        r#""Größe 'x'"."Täble ""q""; --""#,
        "pairs",
    ];
    let plan: Vec<Protect> = tables
        .into_iter()
        .map(|table| Protect::content(table, Assign::Empty))
        .collect();
    protect(&world, &plan).await.unwrap();
    let report = probed(&world).await;
    assert_eq!(report.verdict, Verdict::Held, "{:#?}", report.leaked);
    let theirs: Vec<_> = report
        .relations
        .iter()
        .filter(|relation| {
            relation.class == "content" && !relation.relation.starts_with("rowhouse")
        })
        .collect();
    assert_eq!(theirs.len(), tables.len());
    for relation in theirs {
        let reasons = untried(&report, &relation.relation);
        assert!(reasons.is_empty(), "{} {reasons:#?}", relation.relation);
        assert!(relation.attempts >= 27, "{relation:?}");
    }
}
