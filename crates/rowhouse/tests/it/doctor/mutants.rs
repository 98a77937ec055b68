//! Each condition of each rule is taken away, and a fixture has to notice: a hole that is not found any more, or
//! something that is found where nothing is open. `make mutants`.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use rowhouse::Owner;
use rowhouse::tables::doctor::{self, Finding, Options, RULES, Rule};

use super::{Base, Fixture, Place, all, answers, available};
use crate::world::cluster;

/// Conditions that no fixture misses, and why that is no hole in the tests. Rule, how the condition begins.
const NOT_MISSED: &[(&str, &str, &str)] = &[
    (
        "cascade-crosses-tenants",
        "t.attnum > 0",
        "a table without a tenant's column, in a database that has tenants: no fixture yet",
    ),
    (
        "cascade-runs-code",
        "not exists",
        "no table of ours is reached by a cascade: for a team's own that uses our trigger",
    ),
    (
        "create-on-database",
        "exists (select from tenant_table)",
        "without tenants no login is known, which the next condition asks",
    ),
    (
        "create-on-schema",
        "exists (select from tenant_table)",
        "without tenants no login is known, which the next condition asks",
    ),
    (
        "temporary-tables",
        "exists (select from tenant_table)",
        "without tenants no login is known, which the next condition asks",
    ),
    (
        "login-bypasses-rls",
        "l.oid = r.login",
        "there is one login in each fixture",
    ),
    (
        "login-owns-tables",
        "l.oid = r.login",
        "there is one login in each fixture",
    ),
    (
        "login-replicates",
        "l.oid = r.login",
        "there is one login in each fixture",
    ),
    (
        "login-replicates",
        "p.oid = r.role",
        "roles belong to the whole server, where other tests are at work",
    ),
    (
        "policy-for-some-roles",
        "o.how =",
        "its own join asks for a restrictive policy, which the others' holes do not have",
    ),
    (
        "policy-reads-setting",
        "t.oid = s.relation",
        "names one table of those that read the setting: any will do",
    ),
    (
        "rule-on-table",
        "r.rulename",
        "a table has no rule of that name, only views have",
    ),
    (
        "create-on-database",
        "d.datname",
        "rights on another database of the server, where other tests are at work",
    ),
    (
        "create-on-schema",
        "n.nspname !~",
        "temporary schemas are their owner's alone",
    ),
    (
        "default-privileges",
        "x.grantee <>",
        "for logins that own tables: login-owns-tables speaks of them",
    ),
    (
        "right-beyond-rows",
        "x.grantee <>",
        "for logins that own tables: login-owns-tables speaks of them",
    ),
    (
        "foreign-key-not-valid",
        "to_jsonb(k)",
        "only 18 has constraints that are not enforced, and takes them for not valid",
    ),
    (
        "foreign-key-without-tenant",
        "k.conparentid",
        "says the same once, not once a partition",
    ),
    (
        "foreign-key-without-tenant",
        "k.contype",
        "nothing but a foreign key refers to a table",
    ),
    (
        "foreign-server",
        "x.privilege_type",
        "there is no other right on a server",
    ),
    (
        "login-may-grant-itself",
        "current_setting",
        "true before 16 whatever the rule says",
    ),
    (
        "parameter-granted",
        "exists",
        "parameters belong to the whole server, where other tests are at work",
    ),
    (
        "rowhouse-policies-drifted",
        "(select list_is_known",
        "our_list_of_tables_is_read_as_far_as_the_login_may",
    ),
    (
        "rowhouse-schema-drifted",
        "(select oid",
        "says of a table that is gone that it is gone, and not of each of its lines",
    ),
    (
        "sequence-shared",
        "d.classid",
        "an oid that is used in two catalogues",
    ),
    (
        "sequence-shared",
        "d.refclassid",
        "an oid that is used in two catalogues",
    ),
    (
        "sequence-shared",
        "d.deptype",
        "a sequence depends on a table in no other way",
    ),
    (
        "subscription",
        "s.subdbid",
        "a subscription of another database of the server",
    ),
    (
        "table-without-rls",
        "t.attnum > 0",
        "without a column and without policies, a table is not taken for one of tenants",
    ),
    (
        "table-without-rls",
        "t.mode is null",
        "a table of ours has policies, so it is not one of these anyway",
    ),
];

/// Databases in which something is there and nothing is open: no rule may speak, but those that are named.
const SILENT: &[(Base, &str, &[&str])] = &[
    // Tenants beside things that look like a hole and are none.
    (
        Base::Shop,
        "create role {extra} nologin; grant usage, create on schema shop to {extra};
         create table shop.staging (tenant_id uuid default '00000000-0000-0000-0000-000000000001', id int);
         create table shop.colour (id int primary key);
         create table shop.lines (tenant_id uuid not null default shop.tenant(), id uuid, note_id uuid, colour int references shop.colour, primary key (tenant_id, id),
           constraint lines_note foreign key (tenant_id, note_id) references shop.notes on delete cascade);
         {wall shop.lines}
         create function shop.at_first() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger at_first before insert on shop.lines for each row execute function shop.at_first();
         create function shop.sane(uuid) returns boolean language plpgsql volatile as $$ begin return true; end $$;
         alter table shop.lines add constraint sane check (shop.sane(note_id));
         create function shop.bound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin return null; end $$;
         alter function shop.bound() owner to {extra};
         create trigger bound after insert on shop.lines for each row execute function shop.bound();
         create function shop.inner() returns int language internal security definer stable as 'pg_backend_pid';
         alter function shop.inner() owner to {extra};
         create function shop.plain() returns int language sql return 1;
         alter default privileges for role {owner} in schema shop grant usage on sequences to {app};
         create foreign data wrapper wire; create server elsewhere foreign data wrapper wire; grant usage on foreign server elsewhere to {extra};
         alter table shop.notes add constraint apart exclude using btree (body with =, tenant_id with =);
         create table shop.members (tenant_id uuid not null default shop.tenant(), login text not null, primary key (tenant_id, login));
         {wall shop.members}
         create policy colleagues on shop.lines for select to {app} using (exists (select from shop.members));
         create policy loose on shop.lines for select to {app} using (colour = 1 or current_setting('shop.tenant', true) is null);
         create table shop.closed (tenant_id uuid not null default shop.tenant() primary key); alter table shop.closed enable row level security, force row level security;
         grant select on shop.closed to {app};
         create table shop.pg_stat_statements (query text); grant select on shop.pg_stat_statements to {app};
         create view shop.short with (security_invoker) as select body from shop.notes; grant select, insert on shop.short to {app};
         create table shop.posts (id uuid primary key, author text); alter table shop.posts enable row level security, force row level security;
         create policy own on shop.posts to {app} using (author = current_user);
         create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null) partition by range (at); {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01'); create index on shop.old (tenant_id);
         {wall shop.old}
         create function shop.watch() returns event_trigger language plpgsql as $$ begin end $$;
         create event trigger watch on ddl_command_end execute function shop.watch(); alter extension plpgsql add event trigger watch;
         create table shop.extended (id int); grant insert on shop.extended to {app}; alter extension plpgsql add table shop.extended;
         grant select on pg_statistic to {extra}; grant set on parameter session_replication_role to {extra};
         create schema rowhouse_private; create table rowhouse_private.keyring (id int); grant usage on schema rowhouse_private to {app}; grant select on rowhouse_private.keyring to {app}",
        &["policy-reads-setting", "policy-function-not-parallel", "unique-without-tenant"],
    ),
    // No tenants: nothing to judge.
    (
        Base::Bare,
        "create table things (id int); grant all on things to public; grant create on schema public to public; grant create on database {db} to public;
         create publication everything for all tables; grant execute on function pg_read_file(text) to public;
         create foreign data wrapper wire; create server elsewhere foreign data wrapper wire; create foreign table far (id int) server elsewhere; grant select on far to public;
         create view pg_stat_statements as select ''::text as query; grant select on pg_stat_statements to public;
         do $$ begin execute format('grant select on large object %s to public', lo_create(0)); end $$",
        &["no-tenants"],
    ),
    (Base::Bare, "", &[]),
    // Nobody but a superuser may anything: what is open to everybody is open to nobody else.
    (
        Base::Bare,
        "create table notes (tenant_id uuid not null primary key); grant create on schema public to public; grant create on database {db} to public",
        &["login-bypasses-rls", "table-without-rls"],
    ),
    // Ours, with reference data and an extension's table.
    (
        Base::Ours,
        "create table public.country (code text primary key); alter table public.country owner to rowhouse_owner; grant select on public.country to rowhouse_app;
         insert into rowhouse.managed_tables (schema_name, table_name, class, mode) values ('public', 'country', 'shared', 'off');
         create table public.extended (id int); grant insert on public.extended to rowhouse_app; alter extension plpgsql add table public.extended",
        &[],
    ),
    // What one rule says, the other does not say again.
    (
        Base::Ours,
        "create table public.drafts (id int); grant select, insert on public.drafts to rowhouse_app; select rowhouse.set_mode('public.notes', 'off')",
        &["rowhouse-unclassified", "rowhouse-not-enforced"],
    ),
    (
        Base::Shop,
        "create table shop.log (tenant_id uuid not null default shop.tenant(), at date not null, primary key (tenant_id, at)) partition by range (at);
         {wall shop.log}
         create table shop.old partition of shop.log for values from ('2000-01-01') to ('2020-01-01');
         grant select on shop.old to {app}; alter table shop.notes disable row level security",
        &["partition-open", "rls-off", "policy-reads-setting"],
    ),
];

/// The rules of which exactly one speaks where a policy lets too much through.
const ONE_OF: &[&str] = &[
    "policy-or",
    "policy-open",
    "policy-misses-command",
    "policy-check-open",
    "policy-for-some-roles",
];

/// A rule without one of its conditions.
struct Mutant {
    rule: &'static Rule,
    gone: String,
    sql: &'static str,
}

impl Mutant {
    async fn asked(&self, place: &Place) -> Vec<Finding> {
        let rule = Rule {
            name: self.rule.name,
            sql: self.sql,
        };
        let mut owner = Owner::connect(cluster().superuser(&place.database))
            .await
            .unwrap();
        let found = doctor::run_rules(owner.client(), &Options::default(), &[&rule])
            .await
            .unwrap();
        // Without its condition it is no SQL any more: that is no answer.
        let broken = found.iter().find(|one| {
            ["syntax error", "does not exist"]
                .iter()
                .any(|said| one.what.contains(said))
        });
        assert!(broken.is_none(), "{}: {broken:?}", self.gone);
        found
    }
}

/// The conditions that stand in a `where` or a join outside of every parenthesis, each with its place in the text.
fn conditions(sql: &str, joins: bool) -> Vec<(usize, usize)> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut begun: Option<usize> = None;
    let mut before = "";
    let (mut depth, mut at) = (0_u32, 0);
    while at < bytes.len() {
        let rest = &sql[at..];
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\'' => at += 1 + rest[1..].find('\'').unwrap(),
            b'-' if rest.starts_with("--") => at += rest.find('\n').unwrap_or(rest.len() - 1),
            letter if letter.is_ascii_alphabetic() => {
                let word = rest
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
                    .next()
                    .unwrap();
                // `case` keeps its words to itself.
                depth = match word {
                    "case" => depth + 1,
                    "end" => depth - 1,
                    _ => depth,
                };
                let ends = matches!(
                    word,
                    "and"
                        | "group"
                        | "order"
                        | "union"
                        | "limit"
                        | "join"
                        | "left"
                        | "cross"
                        | "where"
                );
                if depth == 0
                    && ends
                    && let Some(start) = begun.take()
                {
                    found.push((start, at));
                }
                let goes_on = word == "and" && found.last().is_some_and(|(_, end)| *end == at);
                let begins = word == "where" || (joins && word == "on" && before != "distinct");
                before = word;
                if depth == 0 && (begins || goes_on) {
                    begun = Some(at + word.len());
                }
                at += word.len();
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found.extend(begun.map(|start| (start, sql.len())));
    found
}

fn mutants() -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for rule in RULES {
        if answers::BY_SUBSTITUTION.contains(&rule.name) {
            continue;
        }
        // Where there is no condition, the joins are the rule.
        let mut found = conditions(rule.sql, false);
        if found.is_empty() {
            found = conditions(rule.sql, true);
        }
        for (start, end) in found {
            let sql = format!("{} true\n{}", &rule.sql[..start], &rule.sql[end..]);
            mutants.push(Mutant {
                rule,
                gone: rule.sql[start..end]
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                sql: sql.leak(),
            });
        }
    }
    mutants
}

/// Which of the mutants do not answer as the fixture wants.
async fn noticed(fixture: &Fixture, mutants: &[&Mutant]) -> Vec<bool> {
    let mut noticed = vec![false; mutants.len()];
    if !available(fixture).await {
        return noticed;
    }
    for (text, is_hole) in [(fixture.hole, true), (fixture.mended, false)] {
        let place = Place::new(fixture.base).await;
        place.sql(text).await.unwrap();
        let object = place.fill(fixture.object);
        for (mutant, noticed) in mutants.iter().zip(&mut noticed) {
            let found = mutant.asked(&place).await;
            let expected = found
                .iter()
                .any(|one| one.level == fixture.level && one.object == object);
            *noticed |= if is_hole {
                !expected
            } else {
                !found.is_empty()
            };
        }
        place.remove().await;
    }
    noticed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make mutants"]
async fn each_condition_of_each_rule_is_missed() {
    let mutants = mutants();
    let mut missed: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let work: Vec<(Fixture, Vec<&Mutant>)> = all()
        .into_iter()
        .map(|fixture| {
            let of_rule = |mutant: &&Mutant| mutant.rule.name == fixture.rule;
            (fixture, mutants.iter().filter(of_rule).collect())
        })
        .collect();
    let results: Vec<(Vec<bool>, &Vec<&Mutant>)> = futures_util::stream::iter(&work)
        .map(async |(fixture, mutants)| (noticed(fixture, mutants).await, mutants))
        .buffer_unordered(3)
        .collect()
        .await;
    for (base, text, speaks) in SILENT {
        let place = Place::new(*base).await;
        place.sql(text).await.unwrap();
        let before = place.doctor(&Options::default()).await;
        let unexpected: Vec<_> = before
            .iter()
            .filter(|one| !speaks.contains(&one.rule.as_str()) && one.rule != "server-minor")
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
        for mutant in mutants
            .iter()
            .filter(|one| !speaks.contains(&one.rule.name))
        {
            *missed.entry((mutant.rule.name, &mutant.gone)).or_default() |=
                !mutant.asked(&place).await.is_empty();
        }
        place.remove().await;
    }
    for fixture in all().iter().filter(|one| ONE_OF.contains(&one.rule)) {
        let place = Place::new(fixture.base).await;
        place.sql(fixture.hole).await.unwrap();
        let spoke: Vec<String> = place
            .doctor(&Options::default())
            .await
            .into_iter()
            .map(|one| one.rule)
            .filter(|rule| ONE_OF.contains(&rule.as_str()))
            .collect();
        assert!(spoke.iter().all(|rule| rule == fixture.rule), "{spoke:?}");
        for mutant in mutants
            .iter()
            .filter(|one| ONE_OF.contains(&one.rule.name) && one.rule.name != fixture.rule)
        {
            *missed.entry((mutant.rule.name, &mutant.gone)).or_default() |=
                !mutant.asked(&place).await.is_empty();
        }
        place.remove().await;
    }
    for (noticed, mutants) in results {
        for (noticed, mutant) in noticed.into_iter().zip(mutants) {
            *missed.entry((mutant.rule.name, &mutant.gone)).or_default() |= noticed;
        }
    }
    let excused = |rule: &str, gone: &str| {
        NOT_MISSED
            .iter()
            .any(|(of, start, _)| *of == rule && gone.starts_with(start))
    };
    let survived: Vec<String> = missed
        .iter()
        .filter(|((rule, gone), noticed)| !**noticed && !excused(rule, gone))
        .map(|((rule, gone), _)| format!("{rule}: {gone}"))
        .collect();
    println!(
        "{} conditions, {} missed, {} excused",
        missed.len(),
        missed.values().filter(|noticed| **noticed).count(),
        NOT_MISSED.len()
    );
    assert!(
        survived.is_empty(),
        "no fixture misses\n{}",
        survived.join("\n")
    );
    let pointless: Vec<_> = NOT_MISSED
        .iter()
        .filter(|(rule, start, _)| {
            !missed
                .iter()
                .any(|((of, gone), noticed)| of == rule && gone.starts_with(start) && !noticed)
        })
        .collect();
    assert!(pointless.is_empty(), "excused for nothing: {pointless:?}");
}

#[test]
fn conditions_are_told_apart() {
    let sql = "-- where not\nselect distinct on (y) 'and' as x, (select 1 where true) from t join u on u.a = t.a and u.b where a = ')' and (b and c)\n  and d = case when x and y then 1 end and e order by 1";
    let texts: Vec<&str> = conditions(sql, true)
        .into_iter()
        .map(|(start, end)| sql[start..end].trim())
        .collect();
    assert_eq!(
        texts,
        [
            "u.a = t.a",
            "u.b",
            "a = ')'",
            "(b and c)",
            "d = case when x and y then 1 end",
            "e"
        ]
    );
    let without: Vec<&str> = RULES
        .iter()
        .filter(|rule| {
            ![
                "server-minor",
                "rowhouse-table-drifted",
                "rowhouse-registry-open",
                "rowhouse-function-changed",
                "unique-without-tenant",
                "index-not-leakproof",
            ]
            .contains(&rule.name)
                && conditions(rule.sql, true).is_empty()
        })
        .map(|rule| rule.name)
        .collect();
    assert_eq!(without, Vec::<&str>::new());
}

/// Mended by nothing is the base itself; the base of our own is judged elsewhere.
#[test]
fn every_base_is_used() {
    for base in [Base::Shop, Base::Bare, Base::Ours] {
        assert!(all().iter().any(|fixture| fixture.base == base));
    }
}
