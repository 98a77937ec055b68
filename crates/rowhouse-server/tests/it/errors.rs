//! Each code that HTTP can answer is met here, with the status that the document and its page say; or stands in
//! [`UNREACHED`], with the reason.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{
    Serve, Tenant, call, execute, get, missing, operator, own_database, post, runtime,
    ticket_of_teams, uuid,
};
use crate::document::{document, operations};
use crate::world::{Answer, rowhouse};

const UNREACHED: &[(&str, &str)] = &[];

#[test]
#[ignore = "long: make test.long"]
fn each_code_that_http_answers_is_reached() {
    let documented = documented();
    let mut reached = BTreeSet::new();
    for (code, answer) in provoked() {
        assert_eq!(answer.code(), code, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["type"], format!("urn:rowhouse:error:{code}"));
        assert_eq!(body["status"], answer.status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{answer:?}"
        );
        assert_eq!(
            answer.header("retry-after").is_some(),
            answer.status == 503,
            "{answer:?}"
        );
        reached.insert((answer.status, code.to_owned()));
    }
    for (code, reason) in UNREACHED {
        assert!(reason.len() > 20, "{code}: why?");
        let known = documented.iter().find(|(_, known)| known == code);
        assert!(
            reached.insert(known.expect("a code that is gone").clone()),
            "{code} is reached"
        );
    }
    assert_eq!(reached, documented);
}

#[test]
fn each_page_says_the_status_that_http_answers() {
    for (status, code) in documented() {
        let path = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(path).unwrap();
        let (said, _) = page.split_once("\n## Cause\n").unwrap();
        assert!(
            said.contains("HTTP") && said.contains(&status.to_string()),
            "{code}: {said}"
        );
    }
}

/// Status and code of every refusal in the document.
fn documented() -> BTreeSet<(u16, String)> {
    let mut all = BTreeSet::new();
    for operation in operations() {
        let said = &document()["paths"][operation.path][operation.method]["responses"];
        for (status, response) in said.as_object().unwrap() {
            let status = status.parse().unwrap();
            if status >= 400 {
                let codes = response["description"].as_str().unwrap().split('`');
                all.extend(
                    codes
                        .skip(1)
                        .step_by(2)
                        .map(|code| (status, code.to_owned())),
                );
            }
        }
    }
    all
}

fn provoked() -> Vec<(&'static str, Answer)> {
    let mut all = in_a_tenant();
    all.extend(of_a_tenant());
    all.extend(of_limits());
    all.extend(of_a_database());
    all
}

/// What a caller does wrong.
fn in_a_tenant() -> Vec<(&'static str, Answer)> {
    let tenant = Tenant::founded();
    let (writer, resources) = (tenant.writer(), tenant.path("/resources"));
    let resource = tenant.resource("Subject");
    let one = tenant.path(&format!("/resources/{}", resource["id"].as_str().unwrap()));
    let body = json!({ "type": "prompt", "title": "Once" });
    post(&resources, &body).by(&writer).once("one").gets(201);
    let other = json!({ "type": "prompt", "title": "Other" });
    let tenants = json!({ "slug": tenant.slug, "name": "Again", "kind": "personal" });
    let key = json!({ "name": "key", "permissions": ["read"] });
    let (_, token) = tenant.invited("over@example.com", Role::Member);
    let accept = post(
        "/api/v1/invitations/accept",
        &json!({ "token": token, "name": "Grace Hopper" }),
    );
    accept.gets(201);
    let home = Tenant::founded();
    let owner = home.user(Role::Owner);
    let revoked = tenant.key(&["read"]).0;
    call("DELETE", &tenant.path(&format!("/keys/{revoked}")))
        .by(operator())
        .gets(204);
    let persona = json!({ "api_key_id": revoked, "persona_id": uuid(&revoked), "name": "Nobody" });
    vec![
        (
            "wrong-state",
            post(&tenant.path("/personas"), &persona)
                .by(operator())
                .send(),
        ),
        ("invitation-over", accept.send()),
        (
            "last-owner",
            call("DELETE", &home.path(&format!("/members/{owner}")))
                .by(&home.session(owner))
                .send(),
        ),
        ("invalid", post(&resources, &json!({})).by(&writer).send()),
        ("unauthorized", get(&resources).send()),
        (
            "not-permitted",
            post(&tenant.path("/keys"), &key)
                .by(&tenant.member(Role::Member))
                .send(),
        ),
        (
            "read-only",
            post(&resources, &body).by(&tenant.reader()).send(),
        ),
        (
            "support-access-required",
            get(&resources).by(operator()).send(),
        ),
        (
            "not-found",
            get(&tenant.path(&format!("/resources/{}", missing("res"))))
                .by(&writer)
                .send(),
        ),
        (
            "method-not-allowed",
            call("DELETE", &resources).by(&writer).send(),
        ),
        (
            "taken",
            post("/api/v1/tenants", &tenants).by(operator()).send(),
        ),
        (
            "changed",
            call("DELETE", &one)
                .by(&writer)
                .header("if-match", "\"1\"")
                .send(),
        ),
        (
            "not-json",
            call("POST", &resources).by(&writer).body("{}").send(),
        ),
        (
            "idempotency-key-reused",
            post(&resources, &other).by(&writer).once("one").send(),
        ),
    ]
}

/// What stands in the way of a whole tenant or caller.
fn of_a_tenant() -> Vec<(&'static str, Answer)> {
    let (suspended, elsewhere, crowded) = (Tenant::founded(), Tenant::founded(), Tenant::founded());
    call("POST", &suspended.path("/suspend"))
        .by(operator())
        .gets(200);
    execute(&format!(
        "update rowhouse.tenants set placement = 'elsewhere' where id = '{}'",
        uuid(&elsewhere.id)
    ));
    let ask = |tenant: &Tenant, bearer: &str| get(&tenant.path("/resources")).by(bearer).send();
    vec![
        ("tenant-not-active", ask(&suspended, &suspended.writer())),
        ("not-placed-here", ask(&elsewhere, &elsewhere.writer())),
        (
            "too-many-principals",
            ask(&crowded, &ticket_of_teams(&crowded, 255)),
        ),
    ]
}

/// What the settings allow, and not more.
fn of_limits() -> Vec<(&'static str, Answer)> {
    let huge = call("POST", "/api/v1/tenants")
        .header("x-long", &"x".repeat(17 * 1024))
        .send();
    let (bytes, port) = (
        "content-length: 2000000\r\n\r\n",
        crate::world::shared().port,
    );
    let mut announced = begin(port, bytes);
    let too_large = finish(&mut announced);

    let narrow = Serve::beside(&[("ROWHOUSE_TIMEOUT", "1"), ("ROWHOUSE_CONCURRENCY", "1")]);
    let mut slow = begin(narrow.port, "content-length: 100\r\n\r\n{");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let crowded_out = get("/openapi.json").send_to(narrow.port);
    for health in ["/healthz", "/readyz"] {
        assert_eq!(get(health).send_to(narrow.port).status, 200, "{health}");
    }
    let too_slow = finish(&mut slow);
    assert_eq!(get("/healthz").send_to(narrow.port).status, 200);
    vec![
        ("headers-too-large", huge),
        ("body-too-large", too_large),
        ("overloaded", crowded_out),
        ("timeout", too_slow),
    ]
}

/// A request whose body never comes.
fn begin(port: u16, rest: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let token = operator();
    let head = format!(
        "POST /api/v1/tenants HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{rest}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn finish(stream: &mut TcpStream) -> Answer {
    stream.set_read_timeout(Some(crate::world::LIMIT)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Answer::parse(&answer)
}

/// A database that loses a table, and then its clients.
fn of_a_database() -> Vec<(&'static str, Answer)> {
    let url = own_database("broken");
    let token = rowhouse()
        .args(["operator", "token", "--json", "--database", &url])
        .output()
        .unwrap();
    let token: Value = serde_json::from_slice(&token.stdout).unwrap();
    let token = token["token"].as_str().unwrap();
    let serve = Serve::on(&url, &[]);
    let ask = |path: &str| get(path).by(token).send_to(serve.port);
    assert_eq!(ask("/api/v1/tenants/acme").status, 200);
    let exhausted = with_one_connection(&url, token);
    let unknown = with_a_line_that_breaks(&url, token);
    let contention = while_it_passes(&url, || {
        let rename = call("PATCH", "/api/v1/tenants/acme").json(&json!({ "name": "Acme" }));
        rename.by(token).send_to(serve.port)
    });
    // What failed while the tenant was looked for is no tenant that is not there.
    crate::world::sql(&url, "alter table rowhouse.locator rename to lost");
    let internal = ask("/api/v1/tenants/acme/workspaces");
    assert!(
        !internal.body.contains("locator"),
        "what failed inside is not told: {internal:?}"
    );
    execute(
        "alter database broken allow_connections false;
         select pg_terminate_backend(pid) from pg_stat_activity where datname = 'broken'",
    );
    vec![
        ("pool-exhausted", exhausted),
        ("commit-unknown", unknown),
        ("contention", contention),
        ("internal", internal),
        ("not-ready", get("/readyz").send_to(serve.port)),
        ("connect", ask("/api/v1/tenants/acme")),
    ]
}

/// One connection, and somebody who does not give it back: whoever comes behind him waits for half of the time.
fn with_one_connection(url: &str, token: &str) -> Answer {
    let narrow = Serve::on(
        url,
        &[("ROWHOUSE_TIMEOUT", "4"), ("ROWHOUSE_POOL_SIZE", "1")],
    );
    let ask = || get("/api/v1/tenants/acme").by(token).send_to(narrow.port);
    let mut owner = runtime().block_on(rowhouse::Owner::connect(url)).unwrap();
    // Only who is asked for an operator reads this table: the service's own jobs do not wait here.
    runtime().block_on(async {
        owner
            .client()
            .batch_execute("begin; lock table rowhouse.operator_tokens in access exclusive mode")
            .await
            .unwrap();
    });
    let mut waits = || {
        runtime().block_on(async {
            let found = owner
                .client()
                .query_one(
                    "select exists (select from pg_locks
                                    where relation = 'rowhouse.operator_tokens'::regclass and not granted)",
                    &[],
                )
                .await;
            found.unwrap().get::<_, bool>(0)
        })
    };
    let (behind, holding) = std::thread::scope(|scope| {
        let began = std::time::Instant::now();
        let mut holding = scope.spawn(ask);
        while !waits() {
            assert!(
                began.elapsed() < crate::world::LIMIT,
                "never asked for an operator"
            );
            // One of the service's jobs was quicker to the connection.
            if holding.is_finished() {
                assert_eq!(holding.join().unwrap().code(), "pool-exhausted");
                holding = scope.spawn(ask);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        (scope.spawn(ask).join().unwrap(), holding.join().unwrap())
    });
    assert_eq!(holding.code(), "timeout", "who held it was given up, too");
    drop(owner);
    behind
}

/// While Postgres refuses a change by states that pass: others are at the same rows, or it has no room. The first answer.
fn while_it_passes(url: &str, ask: impl Fn() -> Answer) -> Answer {
    let mut answers = Vec::new();
    for (state, code) in [
        ("40001", "contention"),
        ("40P01", "contention"),
        ("55P03", "contention"),
        ("53100", "connect"),
        ("53200", "connect"),
        ("08006", "connect"),
    ] {
        crate::world::sql(
            url,
            &format!(
                "create function public.refuse() returns trigger language plpgsql
                   as $$begin raise exception 'row 17 of somebody' using errcode = '{state}'; end$$;
                 create trigger refuse before update on rowhouse.tenants for each row execute function public.refuse()"
            ),
        );
        let answer = ask();
        crate::world::sql(
            url,
            "drop trigger refuse on rowhouse.tenants; drop function public.refuse()",
        );
        assert_eq!(
            (answer.status, &*answer.code()),
            (503, code),
            "{state}: {answer:?}"
        );
        assert!(!answer.body.contains("somebody"), "{answer:?}");
        answers.push(answer);
    }
    assert_eq!(ask().status, 200, "the control: it has passed");
    answers.remove(0)
}

/// The line to the database breaks behind the COMMIT of a tenant that is founded: it is there, and nobody can say so.
fn with_a_line_that_breaks(url: &str, token: &str) -> Answer {
    let serve = Serve::on(&breaking_behind_commit(url), &[]);
    let body = json!({ "slug": "founded-or-not", "name": "Founded", "kind": "organization" });
    let answer = post("/api/v1/tenants", &body).by(token).send_to(serve.port);
    let founded = "select count(*) from rowhouse.tenants where slug = 'founded-or-not'";
    // The answer did not wait for the server, to which the COMMIT is still on its way.
    let began = std::time::Instant::now();
    while crate::world::count(url, founded) == 0 {
        assert!(began.elapsed() < crate::world::LIMIT, "it was not founded");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    answer
}

/// URL of the same database by way of a line of ours, which hands on the COMMIT of whoever founds a tenant and no answer to it.
fn breaking_behind_commit(url: &str) -> String {
    let (before, path) = url.rsplit_once('/').unwrap();
    let (before, port) = before.rsplit_once(':').unwrap();
    let server: u16 = port.parse().unwrap();
    let line = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ours = line.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in line.incoming() {
            let (mut client, Ok(mut server)) =
                (client.unwrap(), TcpStream::connect(("127.0.0.1", server)))
            else {
                return;
            };
            let (mut back, mut answers) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                drop(std::io::copy(&mut back, &mut answers));
                drop(answers.shutdown(Shutdown::Both));
            });
            std::thread::spawn(move || {
                let (mut bytes, mut said) = ([0; 4096], String::new());
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    said.push_str(&String::from_utf8_lossy(&bytes[..length]).to_lowercase());
                    let founds = said.split_once("rowhouse.found_tenant(");
                    if founds.is_some_and(|(_, behind)| behind.contains("commit")) {
                        drop(client.shutdown(Shutdown::Both));
                        drop(server.write_all(&bytes[..length]));
                        break;
                    }
                    if server.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
                drop(server.shutdown(Shutdown::Write));
            });
        }
    });
    format!("{before}:{ours}/{path}")
}
