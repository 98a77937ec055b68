//! The doctor: each rule finds the hole that it is for, and is silent where the same thing was done well.
//!
//! A fixture is a database of its own. Its roles belong to the whole server, so each has its own, and drops them.

mod answers;
mod bad_input;
mod fixtures;
mod login_fixtures;
mod mutants;
mod own_fixtures;
mod referees;
mod rows;
mod speed;
mod twenty;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt as _;
use rowhouse::Owner;
use tokio::sync::OnceCell;

use rowhouse::tables::doctor::{self, Finding, Level, Options, RULES};

use crate::world::{cluster, connect, fresh_database};

/// What a fixture begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A database that is not ours, in which nothing is open.
    Shop,
    /// Nothing at all.
    Bare,
    /// Ours: migrated and enforced, with a table of the user's behind the wall.
    Ours,
}

/// A hole, and the same thing without it. `{app}`, `{owner}` and `{extra}` are roles of the fixture, `{db}` its database;
/// `{wall T}` puts row-level security, a floor, and rights for the application on a table.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    pub rule: &'static str,
    pub level: Level,
    pub object: &'static str,
    pub hole: &'static str,
    pub mended: &'static str,
    pub base: Base,
    /// The first major version that knows its syntax.
    pub since: u32,
    /// The first major version in which it is no hole any more.
    pub before: u32,
    /// An extension that the server may not have.
    pub needs: Option<&'static str>,
}

/// One of the usual kind.
pub const fn shop(
    rule: &'static str,
    level: Level,
    object: &'static str,
    hole: &'static str,
    mended: &'static str,
) -> Fixture {
    Fixture {
        rule,
        level,
        object,
        hole,
        mended,
        base: Base::Shop,
        since: 15,
        before: u32::MAX,
        needs: None,
    }
}

impl Fixture {
    pub const fn on(self, base: Base) -> Self {
        Self { base, ..self }
    }

    pub const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }

    pub const fn before(self, before: u32) -> Self {
        Self { before, ..self }
    }

    pub const fn needs(self, extension: &'static str) -> Self {
        Self {
            needs: Some(extension),
            ..self
        }
    }
}

const SHOP: &str = "
    create role {owner} nologin;
    create role {app} login password 'test';
    revoke all on database {db} from public;
    grant connect on database {db} to {app};
    create schema shop authorization {owner};
    grant usage on schema shop to {app};
    set role {owner};
    create function shop.tenant() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('shop.tenant', true), '')::uuid;
    create table shop.notes (
      tenant_id uuid not null default shop.tenant(),
      id uuid not null default gen_random_uuid(),
      body text,
      constraint notes_pkey primary key (tenant_id, id));
    {wall shop.notes}
    reset role;";

const WALL: &str = "
    alter table T enable row level security, force row level security;
    create policy tenant_floor on T as restrictive for all to public
    using (tenant_id = (select shop.tenant())) with check (tenant_id = (select shop.tenant()));
    create policy inside on T for all to {app} using (true) with check (true);
    grant select, insert, update, delete on T to {app};";

/// A database with its roles.
pub struct Place {
    pub database: String,
    pub base: Base,
    prefix: String,
}

impl Place {
    pub async fn new(base: Base) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("doctor_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let database = if base == Base::Ours {
            fresh_database().await
        } else {
            connect(&cluster().superuser("postgres"))
                .await
                .batch_execute(&format!("create database {prefix} template template0"))
                .await
                .unwrap();
            prefix.clone()
        };
        let place = Self {
            database,
            base,
            prefix,
        };
        match base {
            Base::Shop => place.sql(SHOP).await.unwrap(),
            Base::Bare => {}
            Base::Ours => {
                place
                    .sql("select rowhouse.set_mode('rowhouse.resources', 'enforce'), rowhouse.set_mode('rowhouse.resource_acl', 'enforce')")
                    .await
                    .unwrap();
                crate::attacks::walled(
                    &connect(&cluster().superuser(&place.database)).await,
                    "notes",
                )
                .await;
            }
        }
        place
    }

    fn role(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    /// A text of a fixture with its names filled in.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        while let Some(start) = filled.find("{wall ") {
            let end = start + filled[start..].find('}').unwrap();
            let table = filled[start + 6..end].to_owned();
            filled.replace_range(start..=end, &WALL.replace(" T ", &format!(" {table} ")));
        }
        for role in ["app", "owner", "extra"] {
            filled = filled.replace(&format!("{{{role}}}"), &self.role(role));
        }
        filled.replace("{db}", &self.database)
    }

    pub async fn sql(&self, text: &str) -> Result<(), tokio_postgres::Error> {
        connect(&cluster().superuser(&self.database))
            .await
            .batch_execute(&self.fill(text))
            .await
    }

    pub async fn doctor(&self, options: &Options) -> Vec<Finding> {
        let mut owner = Owner::connect(cluster().superuser(&self.database))
            .await
            .unwrap();
        doctor::run(owner.client(), options).await.unwrap()
    }

    /// Drops the database and its roles.
    pub async fn remove(self) {
        let roles = ["app", "owner", "extra"].map(|name| self.role(name));
        let client = connect(&cluster().superuser(&self.database)).await;
        client
            .batch_execute("do $$ begin if exists (select from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())) then alter subscription inbound set (slot_name = none); end if; end $$")
            .await
            .unwrap();
        client
            .batch_execute("drop subscription if exists inbound")
            .await
            .unwrap();
        drop(client);
        let postgres = connect(&cluster().superuser("postgres")).await;
        postgres
            .batch_execute(&format!("drop database {} with (force)", self.database))
            .await
            .unwrap();
        for role in &roles {
            // What it was given outside of this database: rights on parameters, and on the server's other databases.
            postgres
                .batch_execute(&format!(
                    "do $$ begin if to_regrole('{role}') is not null then drop owned by {role} cascade; end if; end $$"
                ))
                .await
                .unwrap();
            postgres
                .batch_execute(&format!("drop role if exists {role}"))
                .await
                .unwrap();
        }
    }
}

fn all() -> Vec<Fixture> {
    [
        login_fixtures::FIXTURES,
        fixtures::FIXTURES,
        own_fixtures::FIXTURES,
    ]
    .concat()
}

/// The findings of level error and warning.
pub fn serious(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.level != Level::Info)
        // It speaks of the server that these tests found, whose holes no database mends.
        .filter(|finding| finding.rule != "server-minor")
        // Roles belong to the whole server: this one is of a test that runs beside.
        .filter(|finding| !finding.object.starts_with("role world_"))
        .map(|finding| format!("{}: {} {}", finding.rule, finding.object, finding.what))
        .collect()
}

async fn available(fixture: &Fixture) -> bool {
    if !(fixture.since..fixture.before).contains(&cluster().major()) {
        return false;
    }
    let Some(extension) = fixture.needs else {
        return true;
    };
    let client = connect(&cluster().superuser("postgres")).await;
    let found = client
        .query_opt(
            "select from pg_available_extensions where name = $1",
            &[&extension],
        )
        .await
        .unwrap();
    found.is_some()
}

/// What is wrong with what the doctor says of a fixture.
async fn judge(fixture: Fixture) -> Option<String> {
    let Fixture { rule, object, .. } = fixture;
    if !available(&fixture).await {
        return None;
    }
    let only = Options {
        rules: vec![rule.into()],
        ..Options::default()
    };
    let open = Place::new(fixture.base).await;
    let object = open.fill(object);
    let mut complaint = None;
    if let Err(error) = open.sql(fixture.hole).await {
        complaint = Some(format!("{rule}, {object}: the hole: {error:?}"));
    } else {
        let findings = open.doctor(&only).await;
        let found = findings.iter().any(|finding| {
            finding.rule == rule && finding.level == fixture.level && finding.object == object
        });
        if !found {
            complaint = Some(format!(
                "{rule} does not find {:?} {object}: {findings:?}",
                fixture.level
            ));
        }
    }
    open.remove().await;

    let silent = if fixture.mended.is_empty() {
        untouched(fixture.base).await.clone()
    } else {
        let mended = Place::new(fixture.base).await;
        let findings = match mended.sql(fixture.mended).await {
            Ok(()) => mended.doctor(&only).await,
            Err(error) => {
                complaint = Some(format!("{rule}, {object}: mended: {error:?}"));
                Vec::new()
            }
        };
        mended.remove().await;
        findings
    };
    if let Some(finding) = silent.iter().find(|one| one.rule == rule) {
        complaint = Some(format!("{rule} is not silent once mended: {finding:?}"));
    }
    complaint
}

/// What is found where nothing was done.
async fn untouched(base: Base) -> &'static Vec<Finding> {
    static FOUND: [OnceCell<Vec<Finding>>; 3] = [const { OnceCell::const_new() }; 3];
    FOUND[base as usize]
        .get_or_init(|| async {
            let place = Place::new(base).await;
            let findings = place.doctor(&Options::default()).await;
            place.remove().await;
            findings
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make test.long"]
async fn each_rule_finds_its_hole_and_is_silent_without_it() {
    let complaints: Vec<String> = futures_util::stream::iter(all())
        .map(judge)
        .buffer_unordered(4)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn each_rule_has_a_fixture() {
    let tried: BTreeSet<&str> = all().iter().map(|fixture| fixture.rule).collect();
    for rule in RULES {
        assert!(
            tried.contains(rule.name) || answers::BY_SUBSTITUTION.contains(&rule.name),
            "{} has no fixture",
            rule.name
        );
    }
}

#[test]
fn the_list_of_rules_is_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/lints");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<String> = RULES.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(files, listed);
    assert_eq!(listed.len(), RULES.len(), "a rule is listed twice");
    let page = include_str!("../../../../../docs/doctor.md");
    for rule in RULES {
        assert!(rule.sql.starts_with("-- "), "{} says nothing", rule.name);
        let line = format!("\n| `{}` |", rule.name);
        assert!(
            page.contains(&line),
            "docs/doctor.md has no line of {}",
            rule.name
        );
    }
}

#[tokio::test]
async fn a_shop_in_which_nothing_is_open_is_told_so() {
    let findings = untouched(Base::Shop).await;
    assert_eq!(serious(findings), Vec::<String>::new());
    // It is a wall against mistakes, and this is said.
    assert!(
        findings
            .iter()
            .any(|one| one.rule == "policy-reads-setting" && one.object == "setting shop.tenant"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn in_our_own_schema_nothing_is_open() {
    let findings = untouched(Base::Ours).await;
    assert_eq!(serious(findings), Vec::<String>::new());
}
