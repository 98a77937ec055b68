//! Deployments over HTTP and from the command line: asked for, run, stopped, and gone with what they are of.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Call, Tenant, call, get, missing, operator, post, text};
use crate::world::shared;

fn deploy(home: &Tenant, resource: &Value, environment: &str) -> Call {
    let body = json!({ "resource_id": resource["id"], "environment": environment });
    post(&home.path("/deployments"), &body)
}

fn of(home: &Tenant, query: &str, by: &str) -> Vec<(String, String)> {
    let list = get(&home.path(&format!("/deployments?{query}"))).by(by);
    let items = list.gets(200).json()["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|one| (text(&one["environment"]), text(&one["status"])))
        .collect()
}

#[test]
fn a_resource_is_deployed_stopped_and_gone() {
    let home = Tenant::founded();
    let key = home.key(&["read", "write"]).1;
    let resource = home.resource("Greeting");
    let ask = deploy(&home, &resource, "PRODUCTION").by(&key).once("one");
    let made = ask.gets(201);
    assert_eq!(ask.gets(201).json(), made.json());
    assert_eq!(made.json()["status"], "pending");
    let one = home.path(&format!("/deployments/{}", text(&made.json()["id"])));
    assert_eq!(get(&one).by(&key).gets(200).json(), made.json());
    assert_eq!(get(&one).by(operator()).gets(200).json(), made.json());
    deploy(&home, &resource, "PRODUCTION")
        .by(&key)
        .refused(409, "taken");
    let set = |status: &str| {
        call("PATCH", &one)
            .json(&json!({ "status": status }))
            .by(&key)
    };
    let active = set("active").gets(200);
    assert_eq!(active.json()["status"], "active");
    let refused = set("pending").refused(409, "wrong-state").json();
    assert_eq!(
        refused["detail"],
        "a deployment does not go from active to pending"
    );
    set("running").invalid("status");
    // What was read first is not what is there.
    let before = made.header("etag").unwrap();
    set("stopped")
        .header("if-match", before)
        .refused(412, "changed");
    let delete = call("DELETE", &one).by(&key);
    delete.refused(409, "wrong-state");
    set("stopped")
        .header("if-match", active.header("etag").unwrap())
        .gets(200);
    delete.gets(204);
    get(&one).by(&key).refused(404, "not-found");
    deploy(&home, &resource, "PRODUCTION").by(&key).gets(201);
}

#[test]
fn a_deployment_is_its_resources() {
    let home = Tenant::founded();
    let (key, bob) = (home.key(&["read", "write"]).1, home.member(Role::Member));
    let made = |visibility: &str| {
        let body = json!({ "type": "prompt", "title": "Of the key", "visibility": visibility });
        let made = post(&home.path("/resources"), &body).by(&key);
        made.gets(201).json()
    };
    let (open, private) = (made("tenant"), made("private"));
    for (resource, environment) in [(&open, "SANDBOX"), (&private, "PRODUCTION")] {
        deploy(&home, resource, environment).by(&key).gets(201);
    }
    let pending = |environment: &str| (environment.to_owned(), "pending".to_owned());
    assert_eq!(of(&home, "", &bob), [pending("SANDBOX")]);
    assert_eq!(
        of(&home, "", &key),
        [pending("PRODUCTION"), pending("SANDBOX")]
    );
    assert_eq!(of(&home, "", operator()).len(), 2);
    for (query, found) in [
        ("environment=SANDBOX", 1),
        ("status=active", 0),
        (&format!("resource={}", text(&private["id"])), 1),
        (&format!("resource={}", missing("res")), 0),
    ] {
        assert_eq!(of(&home, query, &key).len(), found, "{query}");
    }
    deploy(&home, &open, "PRODUCTION")
        .by(&bob)
        .refused(403, "not-permitted");
    deploy(&home, &private, "SANDBOX")
        .by(&bob)
        .refused(404, "not-found");
    let elsewhere = Tenant::founded().resource("Theirs");
    deploy(&home, &elsewhere, "SANDBOX")
        .by(&key)
        .refused(404, "not-found");
    // With the resource it stops.
    let gone = home.path(&format!("/resources/{}", text(&open["id"])));
    call("DELETE", &gone).by(&key).gets(204);
    let stopped = ("SANDBOX".to_owned(), "stopped".to_owned());
    assert_eq!(of(&home, "environment=SANDBOX", &key), [stopped]);
}

#[test]
#[ignore = "long: make test.long"]
fn a_key_deploys_from_the_command_line() {
    let (house, home) = (shared(), Tenant::founded());
    let key = home.key(&["read", "write"]).1;
    let resource = text(&home.resource("Greeting")["id"]);
    let run = |arguments: &[&str]| house.ok(&[&["deployments", "--key", &key], arguments].concat());
    let made = run(&["create", &resource, "--environment", "SANDBOX"]);
    let (id, status) = made.trim().split_once("  ").unwrap();
    assert_eq!(status, "pending");
    run(&["set", id, "active"]);
    let listed = run(&["list", "--resource", &resource, "--status", "active"]);
    assert!(
        listed.contains(id) && listed.contains("SANDBOX"),
        "{listed}"
    );
    let refused = house.run(&["deployments", "--key", &key, "delete", id]);
    assert!(
        refused.code == 1 && refused.stderr.contains("is stopped before it is deleted"),
        "{}",
        refused.stderr
    );
    run(&["set", id, "stopped"]);
    run(&["delete", id]);
    assert!(!run(&["list"]).contains(id));
}
