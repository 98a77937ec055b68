//! Why somebody may do something, over HTTP: in our own words and in those of `AuthZEN`. That the answers are the database's is
//! shown in the library's tests (rights/mod.rs); here is who may ask, and how it is told.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Tenant, call, number, post, text};
use crate::world::{Ran, rowhouse, shared};

/// A private resource of a key; the key's secret and its id.
fn scene() -> (Tenant, String, String, String) {
    let home = Tenant::founded();
    let (owner, secret) = home.key(&["read", "write"]);
    let body = json!({ "type": "prompt", "title": "Hers", "visibility": "private" });
    let made = post(&home.path("/resources"), &body)
        .by(&secret)
        .gets(201)
        .json();
    let resource = text(&made["id"]);
    (home, resource, secret, owner)
}

fn rules(explanation: &Value) -> Vec<String> {
    explanation["because"]
        .as_array()
        .unwrap()
        .iter()
        .map(|because| text(&because["rule"]))
        .collect()
}

#[test]
fn an_explanation_names_the_rule_and_through_whom() {
    let (home, resource, secret, owner) = scene();
    let (reader, _) = home.key(&["read"]);
    let ask = |principal: &str, action: &str| {
        let body = json!({ "principal": principal, "action": action, "resource": resource });
        post(&home.path("/access/explain"), &body)
            .by(&secret)
            .gets(200)
            .json()
    };
    let said = ask(&owner, "admin");
    assert_eq!(
        (&said["allowed"], rules(&said)),
        (&json!(true), vec!["owner".to_owned()])
    );
    let said = ask(&reader, "read");
    assert_eq!(
        (&said["allowed"], rules(&said)),
        (&json!(false), vec!["nothing".to_owned()])
    );
    let entry = home.path(&format!("/resources/{resource}/acl/{reader}"));
    call("PUT", &entry)
        .json(&json!({ "access": "write" }))
        .by(&secret)
        .gets(204);
    let said = ask(&reader, "read");
    assert_eq!(
        (&said["allowed"], rules(&said)),
        (&json!(true), vec!["acl".to_owned()])
    );
    // The entry would let it write, and the key may not.
    let said = ask(&reader, "write");
    assert_eq!(
        (&said["allowed"], rules(&said)),
        (&json!(false), vec!["read-only".to_owned()])
    );
}

#[test]
fn what_one_does_not_see_one_is_told_nothing_of() {
    let (home, resource, secret, owner) = scene();
    let (_, other) = home.key(&["read", "write"]);
    let question = json!({ "principal": owner, "action": "read", "resource": resource });
    let path = home.path("/access/explain");
    let hidden = post(&path, &question).by(&other).refused(404, "not-found");
    let nothing = json!({ "principal": owner, "action": "read", "resource": "res_01jb6zyr9ee0kt4bz5zp7cqr5h" });
    assert_eq!(
        hidden.body,
        post(&path, &nothing)
            .by(&secret)
            .refused(404, "not-found")
            .body
    );
    // About others one asks as a manager, or of what one administers.
    let for_all = json!({ "type": "prompt", "title": "For all" });
    let made = post(&home.path("/resources"), &for_all)
        .by(&secret)
        .gets(201);
    let shared = text(&made.json()["id"]);
    let question = json!({ "principal": owner, "action": "read", "resource": shared });
    post(&path, &question)
        .by(&other)
        .refused(403, "not-permitted");
    post(&path, &question).by(&secret).gets(200);
    for (field, body) in [
        (
            "principal",
            json!({ "principal": "nobody", "action": "read", "resource": resource }),
        ),
        (
            "action",
            json!({ "principal": owner, "action": "fly", "resource": resource }),
        ),
        (
            "resource",
            json!({ "principal": owner, "action": "read", "resource": "usr_1" }),
        ),
    ] {
        post(&path, &body).by(&secret).invalid(field);
    }
}

#[test]
fn authzen_asks_one_thing_or_several() {
    let (home, resource, secret, owner) = scene();
    let (reader, _) = home.key(&["read"]);
    let subject =
        |key: &str| json!({ "type": "key", "id": key, "properties": { "department": "any" } });
    let thing = json!({ "type": "resource", "id": resource });
    let one = json!({ "subject": subject(&owner), "action": { "name": "write" }, "resource": thing, "context": { "time": 1 } });
    let said = post(&home.path("/access/evaluation"), &one)
        .by(&secret)
        .gets(200)
        .json();
    assert_eq!(said["decision"], json!(true));
    let decisions = |semantic: &str| -> Vec<Value> {
        let body = json!({
            "subject": subject(&owner),
            "resource": thing,
            "evaluations": [
                { "action": { "name": "read" } },
                { "action": { "name": "read" }, "subject": subject(&reader) },
                { "action": { "name": "admin" }, "resource": { "type": "resource", "id": "res_01jb6zyr9ee0kt4bz5zp7cqr5h" } },
                { "action": { "name": "write" } },
            ],
            "options": { "evaluations_semantic": semantic },
        });
        let said = post(&home.path("/access/evaluations"), &body)
            .by(&secret)
            .gets(200)
            .json();
        said["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["decision"].clone())
            .collect()
    };
    assert_eq!(decisions("execute_all"), [true, false, false, true]);
    assert_eq!(decisions("deny_on_first_deny"), [true, false]);
    assert_eq!(decisions("permit_on_first_permit"), [true]);
    let path = home.path("/access/evaluations");
    // Without any, it is the one question that stands there.
    let one =
        json!({ "subject": subject(&owner), "action": { "name": "read" }, "resource": thing });
    let alone = post(&home.path("/access/evaluation"), &one);
    let alone = alone.by(&secret).gets(200).json();
    assert_eq!(alone["decision"], true);
    let mut with_none = one.clone();
    with_none["evaluations"] = json!([]);
    for body in [&one, &with_none] {
        assert_eq!(post(&path, body).by(&secret).gets(200).json(), alone);
    }
    post(&path, &json!({ "evaluations": [] }))
        .by(&secret)
        .invalid("subject");
    let many = vec![json!({}); 51];
    post(&path, &json!({ "evaluations": many }))
        .by(&secret)
        .invalid("evaluations");
    let robot = json!({ "subject": { "type": "robot", "id": owner }, "action": { "name": "read" }, "resource": thing });
    post(&home.path("/access/evaluation"), &robot)
        .by(&secret)
        .invalid("subject.type");
}

#[test]
fn one_question_that_cannot_be_decided_fails_no_other() {
    let (home, resource, secret, owner) = scene();
    let (id, other) = home.key(&["read", "write"]);
    let path = home.path("/access/evaluations");
    let good = json!({ "type": "key", "id": owner });
    let body = json!({
        "subject": good,
        "action": { "name": "read" },
        "evaluations": [
            { "resource": { "type": "resource", "id": resource } },
            {},
            { "resource": { "type": "resource", "id": "nothing" } },
            { "resource": { "type": "door", "id": resource } },
            { "resource": { "type": "resource", "id": resource }, "action": { "name": "fly" } },
            { "resource": { "type": "resource", "id": resource }, "subject": { "type": "robot", "id": owner } },
            ["key"],
            { "resource": { "type": "resource", "id": resource } },
        ],
    });
    let said = post(&path, &body).by(&secret).gets(200).json();
    let said = said["evaluations"].as_array().unwrap().clone();
    let decided: Vec<&Value> = said.iter().map(|each| &each["decision"]).collect();
    assert_eq!(
        decided,
        [true, false, false, false, false, false, false, true]
    );
    for each in [&said[0], &said[7]] {
        assert_eq!(each["context"]["error"], Value::Null, "{each}");
    }
    let told = [
        "resource",
        "resource.id",
        "resource.type",
        "action.name",
        "subject.type",
        "object",
    ];
    for (each, told) in said[1..7].iter().zip(told) {
        let error = &each["context"]["error"];
        assert_eq!(
            (&error["status"], &error["code"]),
            (&json!(400), &json!("invalid"))
        );
        assert!(text(&error["message"]).contains(told), "{told}: {each}");
    }
    // The first of them is where it ends, where the first denial ends it.
    let mut first = body.clone();
    first["options"] = json!({ "evaluations_semantic": "deny_on_first_deny" });
    let said = post(&path, &first).by(&secret).gets(200).json();
    assert_eq!(said["evaluations"].as_array().unwrap().len(), 2);

    // What others may do is not for everybody to ask, and that he asked is in the trail.
    let for_all = json!({ "type": "prompt", "title": "For all" });
    let made = post(&home.path("/resources"), &for_all)
        .by(&secret)
        .gets(201);
    let for_all = text(&made.json()["id"]);
    let body = json!({
        "resource": { "type": "resource", "id": for_all },
        "action": { "name": "read" },
        "evaluations": [{ "subject": { "type": "key", "id": id } }, { "subject": good }],
    });
    let asked = post(&path, &body).by(&other).header("x-request-id", "nosy");
    let said = asked.gets(200).json();
    assert_eq!(said["evaluations"][0]["decision"], true);
    let error = &said["evaluations"][1]["context"]["error"];
    assert_eq!(
        (&error["status"], &error["code"]),
        (&json!(403), &json!("not-permitted"))
    );
    let rows = "select count(*) from rowhouse.audit_log
        where action = 'access.refuse' and request_id = 'nosy' and detail ->> 'code' = 'not-permitted'";
    assert_eq!(number(rows), 1);
    // What is no body at all, or has no questions where they should be, is refused as a whole.
    for broken in [
        "[",
        r#"{"evaluations": {}}"#,
        r#"{"evaluations": [], "subject": 1}"#,
    ] {
        call("POST", &path)
            .header("content-type", "application/json")
            .body(broken)
            .by(&secret)
            .refused(400, "invalid");
    }
}

#[test]
fn from_the_command_line_one_asks_as_a_key_or_as_a_person() {
    let (home, resource, secret, owner) = scene();
    let manager = home.session(home.user(Role::Owner));
    let member = home.user(Role::Member).to_string();
    let explain = |by: &[&str], principal: &str| {
        let question = ["explain", principal, "read", &resource];
        shared().run(&[&["access"], by, &question].concat())
    };
    let said = explain(&["--key", &secret], &owner);
    assert!(said.stdout.contains("allowed\n  owner"), "{said:?}");
    // A private resource that is not his he does not see, and hears nothing of, whomever he asks about.
    let said = explain(&["--session", &manager], &member);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("no such resource"), "{said:?}");
    let mine = text(&home.resource("Everybody's")["id"]);
    let said = shared().run(&[
        "access",
        "--session",
        &manager,
        "explain",
        &member,
        "read",
        &mine,
    ]);
    assert!(said.stdout.contains("allowed"), "{said:?}");
    assert_eq!(explain(&[], &owner).code, 2, "as nobody");
    assert_ne!(
        explain(&["--session", &secret], &owner).code,
        0,
        "a key is no session"
    );
}

#[test]
#[ignore = "long: make test.long"]
fn the_command_line_wins_over_the_environment_and_of_two_neither_is_chosen() {
    let (home, resource, key, owner) = scene();
    let session = home.session(home.user(Role::Owner));
    let explain = |variables: &[(&str, &str)], by: &[&str]| {
        let mut command = rowhouse();
        command
            .arg("access")
            .args(by)
            .args(["explain", &owner, "read", &resource])
            .arg("--data")
            .arg(shared().data())
            .envs(variables.iter().copied());
        Ran::from(command.output().unwrap())
    };
    // The private resource is the key's; of whoever holds the session it is hidden.
    let as_key = |ran: &Ran| assert!(ran.code == 0 && ran.stdout.contains("allowed"), "{ran:?}");
    let as_session = |ran: &Ran| {
        let hidden = ran.stderr.contains("no such resource");
        assert!(ran.code == 1 && hidden, "{ran:?}");
    };
    let (in_key, in_session) = (
        ("ROWHOUSE_KEY", key.as_str()),
        ("ROWHOUSE_SESSION", session.as_str()),
    );
    as_key(&explain(&[in_key], &[]));
    as_session(&explain(&[in_session], &[]));
    as_session(&explain(&[in_key], &["--session", &session]));
    as_key(&explain(&[in_session], &["--key", &key]));
    as_key(&explain(&[in_key, in_session], &["--key", &key]));
    as_session(&explain(&[in_key, in_session], &["--session", &session]));
    as_key(&explain(&[in_key, ("ROWHOUSE_SESSION", "")], &[]));
    let both = explain(&[], &["--session", &session, "--key", &key]);
    let said = &both.stderr;
    assert!(
        said.contains("'--key <tk_..>'") && said.contains("'--session <ses_..>'"),
        "{said}"
    );
    assert_eq!(both.code, 2, "{said}");
    let both = explain(&[in_key, in_session], &[]);
    let said = &both.stderr;
    assert!(said.contains("ROWHOUSE_KEY and ROWHOUSE_SESSION"), "{said}");
    assert_eq!(both.code, 1, "{said}");
    let help = explain(&[], &["--help"]).stdout;
    for said in ["ROWHOUSE_KEY", "ROWHOUSE_SESSION", "Without it and"] {
        assert!(help.contains(said), "{help}");
    }
    // Where there is a key only, too.
    let list = |variable: &str, flag: &[&str]| {
        let mut command = rowhouse();
        command
            .arg("resources")
            .args(flag)
            .args(["show", &resource, "--data"]);
        command.arg(shared().data()).env("ROWHOUSE_KEY", variable);
        Ran::from(command.output().unwrap()).code
    };
    assert_eq!(list("tk_none", &["--key", &key]), 0);
    assert_eq!(list(&key, &["--key", "tk_none"]), 1);
    assert_eq!(list(&key, &[]), 0);
}
