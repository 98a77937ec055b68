//! What is another tenant's takes the same work as what is not there: the statements that the server gets are the same, one
//! by one. Their time cannot be asserted; that they are the same can.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::callers::{Serve, execute, get, missing, own_database, post, text};
use crate::world::{Answer, rowhouse, shared};

#[test]
fn a_foreign_tenant_and_a_missing_one_take_the_same_statements() {
    let url = own_database("counted");
    execute("alter database counted set log_statement = 'all'");
    let token = rowhouse()
        .args(["operator", "token", "--database", &url])
        .output()
        .unwrap();
    let token = String::from_utf8(token.stdout).unwrap();
    let token = token.trim();
    let serve = Serve::on(&url, &[("ROWHOUSE_POOL_SIZE", "1")]);
    let sent = |path: &str, body: &Value| {
        let answer = post(path, body).by(token).send_to(serve.port);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    };
    for slug in ["home", "other"] {
        sent(
            "/api/v1/tenants",
            &json!({ "slug": slug, "name": "Tenant", "kind": "organization" }),
        );
    }
    let key = sent(
        "/api/v1/tenants/home/keys",
        &json!({ "name": "key", "permissions": ["read", "write"] }),
    );
    let theirs = sent(
        "/api/v1/tenants/other/keys",
        &json!({ "name": "key", "permissions": ["read", "write"] }),
    );
    let (key, theirs) = (text(&key["secret"]), text(&theirs["secret"]));
    let body = json!({ "type": "prompt", "title": "Theirs" });
    let resource = post("/api/v1/tenants/other/resources", &body)
        .by(&theirs)
        .send_to(serve.port)
        .json();
    let resource = text(&resource["id"]);
    let other = get("/api/v1/tenants/other")
        .by(token)
        .send_to(serve.port)
        .json();

    let ask = |path: &str| get(path).by(&key).send_to(serve.port);
    let pairs = [
        (
            "/api/v1/tenants/other".to_owned(),
            "/api/v1/tenants/nobody".to_owned(),
        ),
        (
            "/api/v1/tenants/other/resources".to_owned(),
            "/api/v1/tenants/nobody/resources".to_owned(),
        ),
        (
            format!("/api/v1/tenants/{}/audit", text(&other["id"])),
            format!("/api/v1/tenants/{}/audit", missing("ten")),
        ),
        (
            format!("/api/v1/tenants/home/resources/{resource}"),
            format!("/api/v1/tenants/home/resources/{}", missing("res")),
        ),
        (
            format!("/api/v1/tenants/home/resources/{resource}/acl"),
            format!("/api/v1/tenants/home/resources/{}/acl", missing("res")),
        ),
    ];
    for (foreign, missing) in &pairs {
        // The first of a kind prepares its statements.
        ask(foreign);
        ask(missing);
        let (answer, work) = counted(|| ask(foreign));
        let (control, same) = counted(|| ask(missing));
        assert_eq!(answer.status, 404);
        assert_eq!(answer.bytes(), control.bytes());
        assert_eq!(work, same, "{foreign} {missing}");
        assert!(!work.is_empty(), "nothing was counted");
    }
    // The control: one's own takes other work, and it shows.
    let (_, own) = counted(|| ask("/api/v1/tenants/home/resources"));
    let (_, foreign) = counted(|| ask(&pairs[1].0));
    assert_ne!(own, foreign);
}

/// What the server logged meanwhile of the statements of the connection that entered a tenant, without their parameters. On
/// others the worker looks for work.
fn counted(work: impl Fn() -> Answer) -> (Answer, Vec<String>) {
    let from = settled();
    let answer = work();
    settled();
    let log = std::fs::read_to_string(log()).unwrap();
    let process = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    let entered = log[from..]
        .lines()
        .find(|line| line.contains("rowhouse.enter($1)"))
        .and_then(process);
    let statements = log[from..]
        .lines()
        .filter(|line| process(line) == entered)
        .filter_map(|line| line.split_once("LOG:  "))
        .map(|(_, what)| what.to_owned())
        .filter(|what| what.starts_with("execute ") || what.starts_with("statement: "))
        .map(|what| what.split_once(": ").unwrap().1.to_owned())
        .collect();
    (answer, statements)
}

/// Waits until nothing more is logged; where the log ends.
fn settled() -> usize {
    let began = Instant::now();
    let mut length = 0;
    loop {
        std::thread::sleep(Duration::from_millis(150));
        let now = usize::try_from(std::fs::metadata(log()).unwrap().len()).unwrap();
        if now == length || began.elapsed() > Duration::from_secs(5) {
            return now;
        }
        length = now;
    }
}

fn log() -> std::path::PathBuf {
    shared().data().join("postgres.log")
}
