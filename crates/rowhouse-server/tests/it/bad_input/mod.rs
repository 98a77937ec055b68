//! Whatever is sent: a problem that names the field and the rule, never a 500, and nothing is left behind.

mod around_the_body;

use serde_json::{Value, json};

use crate::callers::{Tenant, call, fresh_slug, missing, number, operator, post, text};
use crate::document::operations;

/// What text breaks a rule of names, titles and slugs alike.
fn broken_texts() -> Vec<String> {
    [
        "",
        " ",
        " before",
        "after ",
        "a\u{0}b",
        "line\nbreak",
        "bell\u{7}",
        "\u{202e}evil",
        "zero\u{200b}width",
        "soft\u{ad}hyphen",
        "bom\u{feff}",
        "tag\u{e0041}",
        "joined\u{200d}",
        "ex\u{34f}tra",
        "variant\u{fe0f}",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .chain([("x".repeat(201)), ("ü".repeat(201))])
    .collect()
}

#[test]
fn a_tenant_is_refused_by_field_and_rule() {
    let before =
        number("select count(*) from rowhouse.tenants where slug like 'bad-%' or name like 'Bad%'");
    let tenant = |change: Value| {
        let mut body = json!({ "slug": format!("bad-{}", fresh_slug()), "name": "Bad", "kind": "organization" });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        post("/api/v1/tenants", &body).by(operator())
    };
    for name in broken_texts() {
        tenant(json!({ "name": name })).invalid("name");
    }
    // Mixed scripts within a word pass for somebody else; whole words in another script do not.
    tenant(json!({ "name": "\u{410}cme" })).invalid("name");
    tenant(json!({ "name": "pa\u{443}pal" })).invalid("name");
    let full_width = tenant(json!({ "name": "\u{ff21}cme" })).invalid("name");
    assert!(
        full_width.body.contains("plain form: Acme"),
        "{full_width:?}"
    );
    tenant(json!({ "name": "Acme\u{a0}Inc" })).invalid("name");
    for slug in [
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a b",
        "a.b",
        "ä",
        "a/b",
        "a\u{0}",
        "\u{430}cme",
        "xn--80ak6aa92e",
        "admin",
        "api",
        "www",
        "tenants",
    ] {
        tenant(json!({ "slug": slug })).invalid("slug");
    }
    tenant(json!({ "slug": "a".repeat(64) })).invalid("slug");
    tenant(json!({ "kind": "company" })).invalid("kind");
    tenant(json!({ "plan": "gold" })).invalid("plan");
    tenant(json!({ "name": 5 })).invalid("name");
    tenant(json!({ "name": null })).invalid("name");
    tenant(json!({ "name": ["x"] })).invalid("name");
    tenant(json!({ "owner": "nobody" })).invalid("owner");
    tenant(json!({ "owner": missing("ten") })).invalid("owner");
    tenant(json!({ "admin": true })).invalid("admin");
    tenant(json!({ "id": missing("ten") })).invalid("id");
    for (body, field) in [
        (json!({ "slug": "bad-a", "kind": "personal" }), "name"),
        (json!({ "name": "Bad", "kind": "personal" }), "slug"),
        (json!({ "slug": "bad-a", "name": "Bad" }), "kind"),
    ] {
        post("/api/v1/tenants", &body).by(operator()).invalid(field);
    }
    tenant(json!({ "owner": missing("usr") })).refused(404, "not-found");
    assert_eq!(
        number("select count(*) from rowhouse.tenants where slug like 'bad-%' or name like 'Bad%'"),
        before
    );

    let home = Tenant::founded();
    let before = home.footprint();
    let change = |body: Value| call("PATCH", &home.path("")).json(&body).by(operator());
    change(json!({ "slug": "admin" })).invalid("slug");
    change(json!({ "name": "\u{202e}" })).invalid("name");
    change(json!({ "kind": "personal" })).refused(400, "invalid");
    change(json!({ "status": "active" })).refused(400, "invalid");
    change(json!({ "slug": "acme" })).refused(409, "taken");
    assert_eq!(home.footprint(), before);
    change(json!({ "name": "Ærøskøbing Smørrebrød" })).gets(200);
    change(json!({ "name": "Москва Инк" })).gets(200);
    change(json!({ "name": "👨\u{200d}👩\u{200d}👧 山田　太郎" })).gets(200);
}

#[test]
fn a_resource_is_refused_by_field_and_rule() {
    let home = Tenant::founded();
    let (writer, resources) = (home.writer(), home.path("/resources"));
    let resource = text(&home.resource("Subject")["id"]);
    let before = home.footprint();
    let make = |change: Value| {
        let mut body = json!({ "type": "prompt", "title": "Bad" });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        post(&resources, &body).by(&writer)
    };
    let change = |body: Value| {
        call("PATCH", &home.path(&format!("/resources/{resource}")))
            .json(&body)
            .by(&writer)
    };
    for title in broken_texts() {
        make(json!({ "title": title })).invalid("title");
        change(json!({ "title": title })).invalid("title");
    }
    for (field, value) in [
        ("type", json!("poem")),
        ("type", json!(1)),
        ("visibility", json!("public")),
        ("payload", json!([])),
        ("payload", json!("text")),
        ("payload", json!(7)),
        ("payload", json!({ "nul": "a\u{0}b" })),
        ("payload", json!({ "nul\u{0}": 1 })),
        ("payload", nested(40)),
        ("workspace_id", json!("wsp_1")),
        ("workspace_id", json!(missing("res"))),
    ] {
        make(json!({ field: value })).invalid(field);
        change(json!({ field: value })).invalid(field);
    }
    make(json!({ "team_id": missing("wsp") })).invalid("team_id");
    make(json!({ "project_id": "" })).invalid("project_id");
    for (field, prefix) in [
        ("workspace_id", "wsp"),
        ("team_id", "team"),
        ("project_id", "prj"),
    ] {
        make(json!({ field: missing(prefix) })).refused(404, "not-found");
    }
    for unknown in ["tenant_id", "owner_id", "id", "deleted_at", "created_at"] {
        make(json!({ unknown: home.id })).refused(400, "invalid");
        change(json!({ unknown: home.id })).refused(400, "invalid");
    }
    assert_eq!(home.footprint(), before);
    make(json!({ "payload": nested(20) })).gets(201);
}

#[test]
fn a_change_of_nothing_and_a_field_that_is_taken_away_are_refused() {
    let home = Tenant::founded();
    let writer = home.writer();
    let resource = home.resource("As it was");
    let it = home.path(&format!("/resources/{}", text(&resource["id"])));
    let before = home.footprint();
    for (path, by, field) in [
        (&it, writer.as_str(), "title"),
        (&home.path(""), operator(), "name"),
    ] {
        let change = |body: Value| call("PATCH", path).json(&body).by(by);
        change(json!({})).invalid("body");
        change(json!({ field: null })).invalid(field);
    }
    call("PATCH", &it)
        .json(&json!({ "type": "tag", "title": null }))
        .by(&writer)
        .invalid("title");
    assert_eq!(home.footprint(), before, "a refusal left something");
    let renamed = call("PATCH", &it)
        .json(&json!({ "title": "Another", "payload": { "deep": null } }))
        .by(&writer)
        .gets(200)
        .json();
    assert_eq!(renamed["title"], "Another");
    assert_eq!(renamed["payload"], json!({ "deep": null }));
}

fn nested(depth: u16) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({ "in": inner }))
}

/// Every operation that takes a body, by whoever may ask: the body is looked at before anything is done.
/// What takes a field that nobody knows, and why.
const TOLERANT: &[(&str, &str)] = &[
    (
        "/api/v1/tenants/{tenant}/access/evaluation",
        "AuthZEN 1.0: its clients may send more than is looked at",
    ),
    (
        "/api/v1/tenants/{tenant}/access/evaluations",
        "AuthZEN 1.0: its clients may send more than is looked at",
    ),
];

#[test]
fn a_body_that_is_not_the_json_that_was_asked_for_is_refused_everywhere() {
    let home = Tenant::founded();
    let writer = home.writer();
    let before = home.footprint();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let arrays = "[".repeat(200);
    let mut asked = 0;
    for operation in operations()
        .iter()
        .filter(|operation| operation.takes_body())
    {
        let path = operation
            .path
            .replace("{tenant}", &home.slug)
            .replace("{resource}", &missing("res"))
            .replace("{key}", &missing("key"))
            .replace("{user}", &missing("usr"))
            .replace("{team}", &missing("team"))
            .replace("{project}", &missing("prj"))
            .replace("{workspace}", &missing("wsp"))
            .replace("{deployment}", &missing("dep"))
            .replace("{persona}", &missing("per"))
            .replace("{principal}", &home.id);
        let by = if operation.takes("operator") {
            operator()
        } else {
            &writer
        };
        let ask = |body: &[u8]| {
            call(operation.method, &path)
                .header("content-type", "application/json")
                .by(by)
                .body(body)
        };
        let example = operation.example().unwrap().to_string();
        let (name, value) = operation
            .example()
            .unwrap()
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        let twice = format!(r#"{{"{name}": {value}, {}"#, &example[1..]);
        let unknown = format!(r#"{{"surplus": 1, {}"#, &example[1..]);
        let trailing = format!("{example} {example}");
        // An object's values in the order of its fields are not that object.
        let values: Vec<&Value> = operation
            .example()
            .unwrap()
            .as_object()
            .unwrap()
            .values()
            .collect();
        let values = json!(values).to_string();
        for body in [
            "",
            "{",
            "null",
            "[]",
            "\"text\"",
            "7",
            "{}}",
            "{'a': 1}",
            "\u{feff}{}",
            &deep,
            &arrays,
            &twice,
            &trailing,
            &values,
            r#"{"surplus": "\ud800"}"#,
        ] {
            ask(body.as_bytes()).refused(400, "invalid");
        }
        ask(twice.as_bytes()).invalid(name);
        let surplus = ask(unknown.as_bytes());
        if TOLERANT.iter().any(|(path, _)| *path == operation.path) {
            surplus.gets(operation.success());
        } else {
            surplus.invalid("surplus");
        }
        ask(b"{\"a\": \"\xff\"}").refused(400, "invalid");
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "",
        ] {
            call(operation.method, &path)
                .header("content-type", kind)
                .by(by)
                .body(&example)
                .refused(415, "not-json");
        }
        asked += 1;
    }
    assert!(asked >= 6, "{asked}");
    assert_eq!(home.footprint(), before);
}

#[test]
fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let home = Tenant::founded();
    let before = home.footprint();
    let resources = home.path("/resources");
    let announced = format!(
        "POST {resources} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        home.writer()
    );
    let port = crate::world::shared().port;
    let answer = crate::world::exchange(
        port,
        format!("{announced}content-length: 1048577\r\n\r\n").as_bytes(),
    );
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body-too-large"),
        "{answer:?}"
    );
    // In pieces, without a length: refused when it has become too much.
    let piece = format!("{:x}\r\n{}\r\n", 65536, "x".repeat(65536));
    let chunked = format!(
        "{announced}transfer-encoding: chunked\r\n\r\n{}",
        piece.repeat(16)
    );
    let answer = crate::world::exchange(port, format!("{chunked}1\r\nx\r\n").as_bytes());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body-too-large"),
        "{answer:?}"
    );
    assert_eq!(home.footprint(), before);
    let just =
        json!({ "type": "prompt", "title": "Just", "payload": { "text": "x".repeat(1_000_000) } });
    post(&resources, &just).by(&home.writer()).gets(201);
}

#[test]
fn a_key_is_refused_by_field_and_rule() {
    let home = Tenant::founded();
    let (key, _) = home.key(&["read"]);
    let before = home.footprint();
    let make = |change: Value| {
        let mut body = json!({ "name": "key", "permissions": ["read"] });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        post(&home.path("/keys"), &body).by(operator())
    };
    for name in broken_texts() {
        make(json!({ "name": name })).invalid("name");
    }
    make(json!({ "permissions": [] })).invalid("permissions");
    make(json!({ "permissions": ["admin"] })).invalid("permissions[0]");
    make(json!({ "permissions": "read" })).invalid("permissions");
    make(json!({ "environment": "production" })).invalid("environment");
    make(json!({ "scopes": { "everything": true } })).refused(400, "invalid");
    make(json!({ "scopes": { "projects": ["x"] } })).invalid("scopes.projects[0]");
    make(json!({ "scopes": { "projects": vec![missing("prj"); 101] } })).invalid("scopes.projects");
    make(json!({ "scopes": { "projects": [missing("prj")] } })).refused(404, "not-found");
    make(json!({ "secret": "tk_x" })).refused(400, "invalid");
    let reroll =
        |body: Value| post(&home.path(&format!("/keys/{key}/reroll")), &body).by(operator());
    for overlap in [
        json!(2_592_001),
        json!(-1),
        json!(0.5),
        json!("1"),
        json!(null),
        json!(u64::MAX),
    ] {
        reroll(json!({ "overlap_seconds": overlap })).invalid("overlap_seconds");
    }
    assert_eq!(home.footprint(), before);
}
