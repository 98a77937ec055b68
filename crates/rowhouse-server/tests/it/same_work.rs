//! What is another tenant's takes the same work as what is not there: the statements that the server gets are the same, one
//! by one, on every route. Their time cannot be asserted; that they are the same can.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rowhouse::members::Role;

use crate::callers::{Call, Serve, Tenant, column, execute, get, text};
use crate::coverage::{Stage, fill, missing_like, request};
use crate::document::operations;
use crate::world::{Answer, shared};

/// What stands for the parameters of a path, and for the ids of a body.
type Subject = Vec<(&'static str, String)>;

#[test]
fn what_is_a_foreign_tenants_and_what_is_not_there_take_the_same_statements_on_every_route() {
    let (near, far) = (Stage::set(), Stage::set());
    let watched = Watched::up();
    let mut compared = 0;
    let mut differing = Vec::new();
    for operation in operations() {
        let caller = if operation.takes("caller") {
            near.home.member(Role::Admin)
        } else if operation.takes("session") {
            near.home.session(near.home.user(Role::Admin))
        } else {
            continue;
        };
        let (own, foreign) = (near.subject(&operation), far.subject(&operation));
        for (name, foreign, missing) in pairs(&own, &foreign, &far.home) {
            let ask = |subject| {
                let path = fill(operation.path, subject);
                request(&operation, &path, subject).by(&caller)
            };
            // The first of a kind prepares its statements, so what differs is asked once more.
            let stands_in_its_path = operation.parameters().any(|one| one == name);
            let is_same = || {
                let (answer, work) = watched.statements_of(&ask(&foreign));
                let (control, same) = watched.statements_of(&ask(&missing));
                answer.bytes() == control.bytes()
                    && work == same
                    && (answer.status == 404 || !stands_in_its_path)
            };
            if !is_same() && !is_same() {
                let of = format!("{} {}, {name}", operation.method, operation.path);
                differing.push((
                    of,
                    watched.statements_of(&ask(&foreign)),
                    watched.statements_of(&ask(&missing)),
                ));
            }
            compared += 1;
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(compared > 150, "{compared}");
    // The control: one's own takes other work, and it shows.
    let caller = near.home.member(Role::Admin);
    let list = |home: &Tenant| watched.statements_of(&get(&home.path("/resources")).by(&caller));
    assert_ne!(list(&near.home).1, list(&far.home).1);
}

/// The subject with something of the other tenant's in it, and the same with something that there is not: the tenant itself,
/// by slug and by id, and each of the other things alone.
fn pairs(own: &Subject, foreign: &Subject, far: &Tenant) -> Vec<(&'static str, Subject, Subject)> {
    let with = |name: &str, value: &str| -> Subject {
        let mut subject = own.clone();
        let one = subject.iter_mut().find(|one| one.0 == name);
        one.unwrap().1 = value.to_owned();
        subject
    };
    let mut pairs = Vec::new();
    for (name, value) in foreign {
        let id = if *name == "tenant" { &far.id } else { value };
        pairs.push((*name, with(name, id), with(name, &missing_like(id))));
        if *name == "tenant" {
            pairs.push((*name, with(name, value), with(name, "no-such-tenant")));
        }
    }
    pairs
}

/// A process with one connection as an app's login of its own, so that the statements of this one are told from all others.
struct Watched {
    serve: Serve,
    /// Who asks what nobody else asks, so that the log shows where a request begins and ends.
    mark: String,
    /// Where the log ended before the last mark.
    from: Cell<usize>,
    database: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        execute(&format!(
            "alter database {} reset log_statement",
            self.database
        ));
    }
}

impl Watched {
    fn up() -> Self {
        let database = shared().connection()["database"].clone();
        let app = text(&database["app"]);
        let (_, place) = app.rsplit_once('@').unwrap();
        let name = column("select quote_ident(current_database())").remove(0);
        execute(&format!(
            "create role watched login password 'watched';
             grant rowhouse_app, rowhouse_shadow to watched;
             grant connect on database {name} to watched;
             alter database {name} set log_statement = 'all'"
        ));
        let serve = Serve::by(&[
            (
                "ROWHOUSE_APP_URL",
                &format!("postgresql://watched:watched@{place}"),
            ),
            ("ROWHOUSE_PLATFORM_URL", &text(&database["platform"])),
            ("ROWHOUSE_SEALER_URL", &text(&database["sealer"])),
            ("ROWHOUSE_POOL_SIZE", "1"),
        ]);
        let watched = Self {
            serve,
            mark: Tenant::founded().reader(),
            from: Cell::new(0),
            database: name,
        };
        watched.marks();
        watched
    }

    /// The answer, and the statements from the mark before the request to the mark behind it, without their parameters.
    fn statements_of(&self, call: &Call) -> (Answer, Vec<String>) {
        let from = self.from.get();
        let answer = call.send_to(self.serve.port);
        self.marks();
        let log = std::fs::read(log()).unwrap();
        let ours =
            column("select '[' || pid || ']' from pg_stat_activity where usename = 'watched'");
        assert_eq!(ours.len(), 1, "{ours:?}");
        let statements: Vec<String> = String::from_utf8_lossy(&log[from..])
            .lines()
            .filter(|line| line.contains(&ours[0]))
            .filter_map(|line| line.split_once("LOG:  "))
            .map(|(_, what)| what)
            .filter(|what| what.starts_with("execute ") || what.starts_with("statement: "))
            .map(|what| what.split_once(": ").unwrap().1.to_owned())
            .collect();
        let is_mark = |line: &String| line.starts_with("select rowhouse.current_tenant() as");
        let first = statements.iter().position(is_mark).expect("a mark");
        let last = statements.iter().rposition(is_mark).expect("a mark");
        assert!(last > first, "{statements:#?}");
        (answer, statements[first..last].to_vec())
    }

    fn marks(&self) {
        let end = std::fs::metadata(log()).unwrap().len();
        self.from.set(usize::try_from(end).unwrap());
        let marked = get("/_int/tenancy/ping").by(&self.mark);
        let marked = marked.send_to(self.serve.port);
        assert_eq!(marked.status, 200, "{marked:?}");
    }
}

fn log() -> std::path::PathBuf {
    shared().data().join("postgres.log")
}

/// Prints medians and the rank test of what both take, for people to look at: a machine that does something else beside it
/// would make a check of it fail or pass by chance.
#[test]
#[ignore = "a measurement, for a machine that does nothing else: `--ignored --nocapture same_work`"]
fn times_of_foreign_and_missing() {
    const ROUNDS: u16 = 2000;
    let (home, far) = (Tenant::founded(), Tenant::founded());
    let caller = home.member(Role::Admin);
    let theirs = text(&far.resource("Theirs")["id"]);
    let resource = |id: &str| home.path(&format!("/resources/{id}"));
    for (foreign, missing) in [
        (
            far.path("/resources"),
            "/api/v1/tenants/no-such-tenant/resources".to_owned(),
        ),
        (resource(&theirs), resource(&missing_like(&theirs))),
    ] {
        let took = |path: &str| {
            let call = get(path).by(&caller);
            let began = Instant::now();
            assert_eq!(call.send().status, 404);
            began.elapsed()
        };
        for path in [&foreign, &missing].repeat(100) {
            took(path);
        }
        let mut times: Vec<(Duration, bool)> = Vec::new();
        for round in 0..ROUNDS {
            let mut both = [(&foreign, true), (&missing, false)];
            both.rotate_left(usize::from(round % 2));
            times.extend(both.map(|(path, is_foreign)| (took(path), is_foreign)));
        }
        times.sort_unstable();
        let median = |of: bool| {
            let mut all = times.iter().filter(|(_, is_foreign)| *is_foreign == of);
            all.nth(usize::from(ROUNDS / 2)).unwrap().0
        };
        // Mann and Whitney: how far the sum of ranks is from chance, in standard deviations.
        let (n, ranks) = (f64::from(ROUNDS), (1..).zip(&times));
        let sum: f64 = ranks
            .filter(|(_, time)| time.1)
            .map(|(rank, _)| f64::from(rank))
            .sum();
        let z = (sum - n * (2.0 * n + 1.0) / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
        println!(
            "{foreign}: foreign {:?}, missing {:?}, z {z:.2}",
            median(true),
            median(false)
        );
    }
}
