//! Databases without Rowhouse: tenants by a setting, by a claim, by a login; with a hole and without it.

use rowhouse::Owner;
use rowhouse::tables::probe::{self, Options, Report, Sides, Verdict};

use super::leaks;
use crate::world::{cluster, connect};

/// A shop that somebody else has walled in, well. `{app}` is its login.
const SHOP: &str = "
    create role {app} login password 'test';
    create table orgs (id int primary key, name text not null);
    create table projects (
      id serial primary key,
      org_id int not null references orgs,
      name text not null,
      unique (org_id, id));
    create table tasks (
      id uuid primary key default gen_random_uuid(),
      org_id int not null references orgs,
      project_id int not null,
      title text not null,
      foreign key (org_id, project_id) references projects (org_id, id));
    insert into orgs values (1, 'one'), (2, 'two');
    insert into projects (org_id, name) values (1, 'p1'), (2, 'p2');
    insert into tasks (org_id, project_id, title) values (1, 1, 't1'), (2, 2, 't2'), (2, 2, 't3');
    alter table projects enable row level security, force row level security;
    alter table tasks enable row level security, force row level security;
    create policy own on projects using (org_id = nullif(current_setting('app.current_org_id', true), '')::int);
    create policy own on tasks using (org_id = nullif(current_setting('app.current_org_id', true), '')::int);
    grant select on orgs to {app};
    grant select, insert, update, delete on projects, tasks to {app};
    grant usage on all sequences in schema public to {app};
";

struct Shop {
    database: String,
    login: String,
}

impl Shop {
    async fn new(name: &str, sql: &str) -> Self {
        let (database, login) = (format!("shop_{name}"), format!("shop_{name}_app"));
        let postgres = connect(&cluster().superuser("postgres")).await;
        postgres
            .batch_execute(&format!("create database {database}"))
            .await
            .unwrap();
        let shop = Self { database, login };
        shop.build(sql).await;
        shop
    }

    async fn build(&self, sql: &str) {
        connect(&cluster().superuser(&self.database))
            .await
            .batch_execute(&sql.replace("{app}", &self.login))
            .await
            .unwrap();
    }

    fn by_setting(&self) -> Options {
        Options {
            sides: Sides::Settings {
                a: "set app.current_org_id = '1'".into(),
                b: "set app.current_org_id = '2'".into(),
            },
            app: Some(cluster().url(&self.login, &self.database).into()),
            ..Options::new(self.login.clone())
        }
    }

    async fn probe(&self, options: &Options) -> Report {
        let mut owner = Owner::connect(cluster().superuser(&self.database))
            .await
            .unwrap();
        probe::run(&mut owner, options, |_| {}).await.unwrap()
    }

    /// Everything that is in it, for before and after.
    async fn content(&self) -> String {
        connect(&cluster().superuser(&self.database))
            .await
            .query_one(
                "select concat((select string_agg(t::text, ',' order by t) from tasks t),
                   (select string_agg(p::text, ',' order by p) from projects p), (select string_agg(o::text, ',' order by o) from orgs o))",
                &[],
            )
            .await
            .unwrap()
            .get(0)
    }
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_wall_of_settings_holds_where_it_stands_and_leaks_where_it_does_not() {
    let shop = Shop::new("settings", SHOP).await;
    let before = shop.content().await;
    let report = shop.probe(&shop.by_setting()).await;
    assert_eq!(leaks(&report), [""; 0]);
    for table in ["public.projects", "public.tasks"] {
        let relation = report
            .relations
            .iter()
            .find(|relation| relation.relation == table)
            .unwrap();
        assert_eq!(relation.verdict, Verdict::Held, "{:#?}", report.untried);
        assert!(
            relation.attempts >= 15,
            "{relation:?} {:#?}",
            report.untried
        );
    }
    // Whoever runs SQL as the login may set what he likes: said, and not called held.
    assert!(
        report
            .untried
            .iter()
            .any(|untried| untried.reason.contains("the settings are the login's own")),
        "{:#?}",
        report.untried
    );

    for (hole, expected) in [
        (
            "create policy support on tasks for select using (current_setting('app.current_org_id', true) is null)",
            "connection read none public.tasks",
        ),
        (
            "drop policy support on tasks; create policy everybody on tasks for insert with check (true)",
            "table insert other public.tasks",
        ),
        (
            "drop policy everybody on tasks; create view report as select * from tasks; grant select on report to {app}",
            "view read other public.report",
        ),
        (
            "drop view report; alter table tasks drop constraint tasks_org_id_project_id_fkey,
               add constraint loose foreign key (project_id) references projects",
            "table reference other public.tasks (loose)",
        ),
        (
            "alter table tasks disable row level security",
            "table update other public.tasks",
        ),
    ] {
        shop.build(hole).await;
        let leaks = leaks(&shop.probe(&shop.by_setting()).await);
        assert!(
            leaks.iter().any(|leak| leak.starts_with(expected)),
            "{hole}\n{expected}: {leaks:#?}"
        );
    }
    // Not even a leak changes rows that are there.
    assert_eq!(shop.content().await, before);
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_wall_of_logins_is_tried_by_both() {
    let shop = Shop::new(
        "logins",
        "create role {app} login password 'test'; create role {app}_b login password 'test';
         create table notes (id int primary key, tenant text not null default current_user, body text not null);
         alter table notes enable row level security, force row level security;
         create policy own on notes using (tenant = current_user);
         insert into notes values (1, '{app}', 'a'), (2, '{app}_b', 'b');
         grant select, insert, update, delete on notes to {app}, {app}_b",
    )
    .await;
    let options = Options {
        sides: Sides::Logins {
            a: shop.login.clone(),
            b: format!("{}_b", shop.login),
        },
        ..Options::new(shop.login.clone())
    };
    let report = shop.probe(&options).await;
    assert_eq!(leaks(&report), [""; 0], "{:#?}", report.untried);
    assert!(report.attempts >= 10, "{:#?}", report.untried);

    shop.build("create policy team on notes for delete using (true); create policy read on notes for select using (true)")
        .await;
    // Each sees the other's rows now: whose are whose, only the caller can say.
    let options = Options {
        tenants: Some((shop.login.clone(), format!("{}_b", shop.login))),
        ..options
    };
    let leaks = leaks(&shop.probe(&options).await);
    assert!(
        leaks
            .iter()
            .any(|leak| leak.starts_with("table delete other public.notes")),
        "{leaks:#?}"
    );
}

/// The application's own login, which is no superuser, can probe too: it plants what it may.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn without_an_owner_the_login_probes_itself() {
    let shop = Shop::new("alone", SHOP).await;
    let options = Options {
        app: None,
        ..shop.by_setting()
    };
    let mut own = Owner::connect(cluster().url(&shop.login, &shop.database))
        .await
        .unwrap();
    let report = probe::run(&mut own, &options, |_| {}).await.unwrap();
    assert_eq!(leaks(&report), [""; 0]);
    assert!(report.attempts >= 20, "{:#?}", report.untried);

    shop.build("create policy everybody on tasks for insert with check (true)")
        .await;
    let report = probe::run(&mut own, &options, |_| {}).await.unwrap();
    assert!(!leaks(&report).is_empty());
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn what_cannot_be_probed_says_why() {
    let shop = Shop::new(
        "nothing",
        "create role {app} login password 'test'; create table things (id int)",
    )
    .await;
    let mut owner = Owner::connect(cluster().superuser(&shop.database))
        .await
        .unwrap();
    let why = async |owner: &mut Owner, options: &Options| {
        probe::run(owner, options, |_| {})
            .await
            .unwrap_err()
            .to_string()
    };
    let said = why(&mut owner, &shop.by_setting()).await;
    assert!(said.contains("no table here belongs to tenants"), "{said}");
    let said = why(&mut owner, &Options::new(shop.login.clone())).await;
    assert!(said.contains("has no Rowhouse schema"), "{said}");

    // A login that may not act as another one is told the grant.
    shop.build(&SHOP.replace("create role {app} login password 'test';", ""))
        .await;
    shop.build("create role {app}_weak login password 'test'")
        .await;
    let weak = cluster().url(&format!("{}_weak", shop.login), &shop.database);
    let mut weak = Owner::connect(weak).await.unwrap();
    let said = why(&mut weak, &shop.by_setting()).await;
    assert!(said.contains("grant \"shop_nothing_app\""), "{said}");

    // A table whose trigger reaches outside is left alone.
    shop.build(
        "create function call_home() returns trigger language plpgsql as $$ begin perform dblink_exec('x', 'y'); return new; end $$;
         create trigger home after insert on tasks for each row execute function call_home()",
    )
    .await;
    let report = shop.probe(&shop.by_setting()).await;
    let tasks = report
        .relations
        .iter()
        .find(|relation| relation.relation == "public.tasks")
        .unwrap();
    assert_eq!(tasks.attempts, 1, "{tasks:?}"); // read on a fresh session
    let plan = probe::plan(&mut owner, &shop.by_setting()).await.unwrap();
    assert_eq!(plan.reach_out.len(), 1, "{plan:?}");
}

/// No rollback takes back what a trigger does outside, wherever a write goes on to: a sequence counts the calls.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_trigger_further_on_that_reaches_outside_is_not_run() {
    let shop = Shop::new("further", SHOP).await;
    shop.build(
        "create sequence calls; grant usage on calls to {app};
         create function dblink_exec(text) returns bigint language sql as $$ select nextval('calls') $$;
         create function call_home() returns trigger language plpgsql as
           $$ begin perform dblink_exec('x'); return coalesce(new, old); end $$;
         create table parts (id serial primary key, org_id int not null, task_id uuid not null references tasks on delete cascade);
         create trigger home after delete on parts for each statement execute function call_home();
         create table days (org_id int not null, id int not null, primary key (org_id, id)) partition by range (id);
         create table days_all partition of days default;
         insert into days values (2, 1);
         create trigger home after insert or update on days_all for each row execute function call_home();
         alter table days enable row level security, force row level security;
         create policy own on days using (org_id = nullif(current_setting('app.current_org_id', true), '')::int);
         grant select, insert, update, delete on days to {app}",
    )
    .await;
    let report = shop.probe(&shop.by_setting()).await;
    let called: bool = connect(&cluster().superuser(&shop.database))
        .await
        .query_one("select is_called from calls", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!called, "{:#?}", report.untried);
    for (relation, trigger) in [("tasks", "parts"), ("days", "days_all")] {
        let relation = format!("public.{relation}");
        let why = format!("a trigger of public.{trigger} calls call_home()");
        assert!(
            report
                .untried
                .iter()
                .any(|untried| untried.relation == relation && untried.reason.starts_with(&why)),
            "{why}: {:#?}",
            report.untried
        );
    }
    assert!(report.relations.iter().any(|relation| {
        relation.relation == "public.projects" && relation.verdict == Verdict::Held
    }));
}

/// A way that is not taken is not passed over in silence.
#[tokio::test]
#[ignore = "long: make test.long"]
async fn each_way_that_is_not_taken_says_why() {
    let shop = Shop::new("ways", SHOP).await;
    shop.build(
        "create function dblink_exec(text) returns text language sql as 'select $1';
         create function parsed() returns setof tasks language sql security definer
           begin atomic select t.* from tasks t where dblink_exec('x') is not null; end;
         create function returned() returns bigint language sql security definer
           return (select count(*) from tasks where dblink_exec('x') is not null);
         create function plain() returns setof tasks language sql security definer
           as $$ select t.* from tasks t where dblink_exec('x') is not null $$;
         create procedure proceed() language sql security definer as 'select count(*) from tasks';
         create function silent() returns void language sql security definer as 'select count(*) from tasks';
         create language odd handler plpgsql_call_handler;
         create function foreign_words() returns setof tasks language odd security definer
           as $$ begin return query select * from tasks; end $$;
         create view unread as select * from tasks;
         create function called() returns setof tasks language sql security definer as 'select * from tasks where false'",
    )
    .await;
    let report = shop.probe(&shop.by_setting()).await;
    let said = |report: &Report, object: &str| {
        report
            .untried
            .iter()
            .filter(|untried| untried.relation == "public.tasks")
            .filter(|untried| {
                let ends = format!(" (public.{object})");
                untried.attempts.iter().any(|made| made.ends_with(&ends))
            })
            .map(|untried| untried.reason.clone())
            .next()
            .unwrap_or_else(|| panic!("{object} was passed over: {:#?}", report.untried))
    };
    for (object, why) in [
        ("parsed", "it reaches outside"),
        ("returned", "it reaches outside"),
        ("plain", "it reaches outside"),
        ("proceed", "a procedure is not called"),
        ("silent", "it answers nothing"),
        ("foreign_words", "it is written in odd"),
        ("unread", "the login has no right"),
        ("called", "the control did not work"),
    ] {
        let said = said(&report, object);
        assert!(said.starts_with(why), "{object}: {said}");
    }
    let without = Options {
        functions: false,
        ..shop.by_setting()
    };
    let said = said(&shop.probe(&without).await, "called");
    assert_eq!(said, "functions were not to be called");
}
