//! Requests that are sent twice, and changes that depend on what was read.

use serde_json::{Value, json};

use crate::callers::{Call, Tenant, call, fresh_slug, get, number, operator, post, text, uuid};

fn prompt(title: &str) -> Value {
    json!({ "type": "prompt", "title": title })
}

fn resources_of(tenant: &Tenant) -> i64 {
    let id = uuid(&tenant.id);
    number(&format!(
        "select count(*) from rowhouse.resources where tenant_id = '{id}'"
    ))
}

#[test]
fn the_same_key_twice_is_one_row_and_one_answer() {
    let home = Tenant::founded();
    let ask = |key: &str| {
        post(&home.path("/resources"), &prompt("Once"))
            .by(&home.writer())
            .once(key)
    };
    let first = ask("one").gets(201);
    let again = ask("one").gets(201);
    assert_eq!(first.json(), again.json());
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(resources_of(&home), 1);
    ask("two").gets(201);
    assert_eq!(resources_of(&home), 2);
    let id = uuid(&home.id);
    let trail = format!(
        "select count(*) from rowhouse.audit_log where tenant_id = '{id}' and action = 'resources.create'"
    );
    assert_eq!(
        number(&trail),
        2,
        "a repeated request leaves no row of its own"
    );
}

#[test]
fn two_at_once_are_one_row_and_one_answer() {
    let home = Tenant::founded();
    let ask = post(&home.path("/resources"), &prompt("Once"))
        .by(&home.writer())
        .once("race");
    let answers = all_at_once(&ask, 6);
    for answer in &answers {
        assert_eq!((answer.0, &answer.1), (201, &answers[0].1));
    }
    assert_eq!(resources_of(&home), 1);

    let slug = fresh_slug();
    let body = json!({ "slug": slug, "name": "Race", "kind": "organization" });
    let ask = post("/api/v1/tenants", &body).by(operator()).once(&slug);
    let answers = all_at_once(&ask, 4);
    for answer in &answers {
        assert_eq!((answer.0, &answer.1), (201, &answers[0].1));
    }
    assert_eq!(
        number(&format!(
            "select count(*) from rowhouse.tenants where slug = '{slug}'"
        )),
        1
    );
}

fn all_at_once(ask: &Call, times: usize) -> Vec<(u16, Value)> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..times).map(|_| scope.spawn(|| ask.send())).collect();
        asked
            .into_iter()
            .map(|answer| {
                let answer = answer.join().unwrap();
                (answer.status, answer.json())
            })
            .collect()
    })
}

#[test]
fn the_same_key_with_another_request_is_refused() {
    let home = Tenant::founded();
    let writer = home.writer();
    let (resources, keys) = (home.path("/resources"), home.path("/keys"));
    post(&resources, &prompt("One"))
        .by(&writer)
        .once("key")
        .gets(201);
    let before = home.footprint();
    post(&resources, &prompt("Two"))
        .by(&writer)
        .once("key")
        .refused(422, "idempotency-key-reused");
    let by_id = format!("/api/v1/tenants/{}/resources", home.id);
    post(&by_id, &prompt("One"))
        .by(&writer)
        .once("key")
        .refused(422, "idempotency-key-reused");
    for key in ["", "a b", "\u{e9}", "a\tb", &"x".repeat(256)] {
        post(&resources, &prompt("One"))
            .by(&writer)
            .once(key)
            .invalid("Idempotency-Key");
    }
    post(&resources, &prompt("One"))
        .by(&writer)
        .once("a")
        .once("b")
        .invalid("Idempotency-Key");
    assert_eq!(home.footprint(), before);
    post(&resources, &prompt("One"))
        .by(&writer)
        .once(&"x".repeat(255))
        .gets(201);
    // An operator's keys are kept apart, by operator.
    let key = json!({ "name": "key", "permissions": ["read"] });
    let once = format!("{}-made", home.slug);
    post(&keys, &key).by(operator()).once(&once).gets(201);
    let other = Tenant::founded();
    post(&other.path("/keys"), &key)
        .by(operator())
        .once(&once)
        .refused(422, "idempotency-key-reused");
}

#[test]
fn keys_of_other_tenants_and_callers_do_not_collide() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let member = home.member(rowhouse::members::Role::Member);
    let ask = |tenant: &Tenant, by: &str, title: &str| {
        post(&tenant.path("/resources"), &prompt(title))
            .by(by)
            .once("shared")
            .gets(201)
    };
    let mine = ask(&home, &home.writer(), "Mine");
    let members = ask(&home, &member, "A member's");
    let theirs = ask(&other, &other.writer(), "Theirs");
    for answer in [&members, &theirs] {
        assert_eq!(answer.header("idempotency-replayed"), None, "{answer:?}");
        assert_ne!(answer.json()["id"], mine.json()["id"]);
    }
    assert_eq!(theirs.json()["title"], "Theirs");
    assert_eq!((resources_of(&home), resources_of(&other)), (2, 1));
    // Nor does what one holds tell another what was asked: the same request is done for each.
    assert_eq!(ask(&home, &home.writer(), "Mine").json(), mine.json());
}

#[test]
fn a_request_that_failed_may_be_sent_again() {
    let home = Tenant::founded();
    let resources = home.path("/resources");
    let before = home.footprint();
    post(&resources, &prompt(""))
        .by(&home.writer())
        .once("again")
        .invalid("title");
    post(&resources, &prompt("Again"))
        .by(&home.reader())
        .once("again")
        .refused(403, "read-only");
    assert_eq!(home.footprint(), before);
    // Failed inside, in the transaction: the workspace is not there.
    let mut lost = prompt("Again");
    lost["workspace_id"] = json!(crate::callers::missing("wsp"));
    post(&resources, &lost)
        .by(&home.writer())
        .once("again")
        .refused(404, "not-found");
    assert_eq!(home.footprint(), before);
    let made = post(&resources, &prompt("Again"))
        .by(&home.writer())
        .once("again")
        .gets(201);
    assert_eq!(made.header("idempotency-replayed"), None);
    // Refused under a context that may only read, also when the key was used before.
    let read = post(&resources, &prompt("Again"))
        .by(&home.reader())
        .once("again")
        .send();
    assert!(read.status == 403 || read.json() == made.json(), "{read:?}");

    let slug = fresh_slug();
    let found = |slug: &str, once: &str| {
        let body = json!({ "slug": slug, "name": "Again", "kind": "organization" });
        post("/api/v1/tenants", &body).by(operator()).once(once)
    };
    found("acme", &slug).refused(409, "taken");
    found(&slug, &slug).gets(201);
}

#[test]
fn a_key_is_shown_once_also_when_its_request_is_repeated() {
    let home = Tenant::founded();
    let body = json!({ "name": "key", "permissions": ["read"] });
    let ask = post(&home.path("/keys"), &body)
        .by(operator())
        .once(&format!("{}-key", home.slug));
    let (first, again) = (ask.gets(201).json(), ask.gets(201).json());
    let secret = text(&first["secret"]);
    assert!(again.get("secret").is_none(), "{again}");
    assert_eq!(again["id"], first["id"]);
    let kept = number(&format!(
        "select count(*) from rowhouse.operator_requests where answer::text like '%{secret}%'"
    ));
    assert_eq!(
        kept, 0,
        "what is kept for a repeated request holds no secret"
    );
    assert!(!crate::world::shared().log().contains(&secret));
}

#[test]
fn what_has_changed_since_it_was_read_is_not_overwritten() {
    let home = Tenant::founded();
    let writer = home.writer();
    let made = post(&home.path("/resources"), &prompt("First"))
        .by(&writer)
        .gets(201);
    let one = home.path(&format!("/resources/{}", text(&made.json()["id"])));
    let change = |title: &str, tag: &str| {
        call("PATCH", &one)
            .json(&json!({ "title": title }))
            .by(&writer)
            .header("if-match", tag)
    };
    let first = made.header("etag").unwrap().to_owned();
    assert_eq!(
        get(&one).by(&writer).gets(200).header("etag"),
        Some(first.as_str())
    );
    let second = change("Second", &first)
        .gets(200)
        .header("etag")
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    let before = home.footprint();
    change("Third", &first).refused(412, "changed");
    call("DELETE", &one)
        .by(&writer)
        .header("if-match", &first)
        .refused(412, "changed");
    assert_eq!(home.footprint(), before);
    let third = change("Third", "*")
        .gets(200)
        .header("etag")
        .unwrap()
        .to_owned();
    call("DELETE", &one)
        .by(&writer)
        .header("if-match", &third)
        .gets(204);
    change("Fourth", "*").refused(404, "not-found");
    change("Fourth", &third).refused(404, "not-found");

    let read = get(&home.path("")).by(operator()).gets(200);
    let tag = read.header("etag").unwrap().to_owned();
    let rename = |tag: &str| {
        call("PATCH", &home.path(""))
            .json(&json!({ "name": "Renamed" }))
            .by(operator())
            .header("if-match", tag)
    };
    rename(&tag).gets(200);
    let before = home.footprint();
    rename(&tag).refused(412, "changed");
    for change in ["suspend", "resume"] {
        call("POST", &home.path(&format!("/{change}")))
            .by(operator())
            .header("if-match", &tag)
            .refused(412, "changed");
    }
    call("DELETE", &home.path(""))
        .by(operator())
        .header("if-match", &tag)
        .refused(412, "changed");
    assert_eq!(home.footprint(), before);
    call("DELETE", &home.path(""))
        .by(operator())
        .header("if-match", "*")
        .gets(204);
}

/// Of two that read the same, one wins.
#[test]
fn of_two_changes_at_once_that_name_what_they_read_one_is_refused() {
    let home = Tenant::founded();
    let made = home.resource("First");
    let one = home.path(&format!("/resources/{}", text(&made["id"])));
    let tag = get(&one)
        .by(&home.writer())
        .gets(200)
        .header("etag")
        .unwrap()
        .to_owned();
    let ask = call("PATCH", &one)
        .json(&json!({ "title": "Second" }))
        .by(&home.writer())
        .header("if-match", &tag);
    let mut statuses: Vec<u16> = all_at_once(&ask, 4)
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
}
