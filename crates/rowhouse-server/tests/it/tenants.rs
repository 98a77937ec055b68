//! The registry over HTTP: founding, finding, changing, closing and deleting tenants; and the operators who do it.

use serde_json::{Value, json};

use crate::callers::{Tenant, call, column, fresh_slug, get, number, operator, post, text, uuid};
use crate::world::shared;

#[test]
fn a_founded_tenant_has_its_baseline_and_is_found_by_id_and_slug() {
    let slug = fresh_slug();
    let body = json!({ "slug": slug, "name": "Initrode", "kind": "organization", "plan": "team" });
    let made = post("/api/v1/tenants", &body).by(operator()).gets(201);
    let tenant = made.json();
    for (field, value) in [
        ("slug", slug.as_str()),
        ("name", "Initrode"),
        ("kind", "organization"),
        ("plan", "team"),
        ("status", "active"),
    ] {
        assert_eq!(tenant[field], value);
    }
    let fields: Vec<&String> = tenant.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "id",
            "slug",
            "name",
            "kind",
            "plan",
            "status",
            "created_at",
            "updated_at"
        ]
    );
    let home = Tenant::of(&tenant);
    for by in [operator(), &home.reader()] {
        for name in [&home.id, &home.slug] {
            let found = get(&format!("/api/v1/tenants/{name}")).by(by).gets(200);
            assert_eq!(found.json(), tenant);
            assert_eq!(found.header("etag"), made.header("etag"));
        }
    }
    let workspaces = get(&home.path("/workspaces"))
        .by(&home.reader())
        .gets(200)
        .json();
    let workspaces = workspaces["items"].as_array().unwrap();
    assert_eq!(
        (workspaces.len(), &workspaces[0]["kind"]),
        (1, &json!("tenant"))
    );
    let id = text(&workspaces[0]["id"]);
    let one = get(&home.path(&format!("/workspaces/{id}")))
        .by(&home.reader())
        .gets(200);
    assert_eq!(one.json(), workspaces[0]);
    assert_eq!(home.resource("First")["workspace_id"], workspaces[0]["id"]);
}

#[test]
fn a_slug_is_never_given_to_another_and_an_old_one_goes_on_leading_home() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let slug = fresh_slug();
    let rename = |tenant: &Tenant, slug: &str| {
        call("PATCH", &format!("/api/v1/tenants/{}", tenant.id))
            .json(&json!({ "slug": slug }))
            .by(operator())
    };
    rename(&home, &slug).gets(200);
    let old = get(&home.path("")).by(&home.reader()).gets(200).json();
    assert_eq!(old["slug"], slug);
    rename(&other, &home.slug).refused(409, "taken");
    let body = json!({ "slug": home.slug, "name": "Other", "kind": "organization" });
    let taken = post("/api/v1/tenants", &body)
        .by(operator())
        .refused(409, "taken")
        .json();
    assert_eq!(taken["field"], "slug");
    rename(&home, &home.slug).gets(200);
    call("DELETE", &home.path("")).by(operator()).gets(204);
    post("/api/v1/tenants", &body)
        .by(operator())
        .refused(409, "taken");
    rename(&other, &slug).refused(409, "taken");
}

#[test]
fn a_suspended_tenant_is_closed_to_its_callers_and_open_to_operators() {
    let home = Tenant::founded();
    let (writer, resources) = (home.writer(), home.path("/resources"));
    get(&resources).by(&writer).gets(200);
    let suspended = call("POST", &home.path("/suspend"))
        .by(operator())
        .gets(200)
        .json();
    assert_eq!(suspended["status"], "suspended");
    for path in ["", "/resources", "/keys", "/workspaces", "/audit"] {
        get(&home.path(path))
            .by(&writer)
            .refused(403, "tenant-not-active");
    }
    let body = json!({ "type": "prompt", "title": "Late" });
    post(&resources, &body)
        .by(&writer)
        .refused(403, "tenant-not-active");
    for path in ["", "/keys", "/workspaces", "/audit"] {
        get(&home.path(path)).by(operator()).gets(200);
    }
    call("POST", &home.path("/resume")).by(operator()).gets(200);
    post(&resources, &body).by(&writer).gets(201);
}

#[test]
fn a_deleted_tenant_is_gone_for_operators_and_closed_to_its_callers() {
    let home = Tenant::founded();
    let (writer, id) = (home.writer(), uuid(&home.id));
    home.resource("Kept");
    call("DELETE", &home.path("")).by(operator()).gets(204);
    for (method, path) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("GET", "/keys"),
        ("GET", "/audit"),
    ] {
        for name in [&home.id, &home.slug] {
            call(method, &format!("/api/v1/tenants/{name}{path}"))
                .by(operator())
                .refused(404, "not-found");
        }
    }
    get(&home.path("/resources"))
        .by(&writer)
        .refused(403, "tenant-not-active");
    let kept = format!("select count(*) from rowhouse.resources where tenant_id = '{id}'");
    assert_eq!(number(&kept), 1, "its rows stay until they are erased");
}

#[test]
fn both_trails_name_the_operator_and_the_request() {
    let home = Tenant::founded();
    let (_, token) = issued("auditor", &[]);
    let change = call("PATCH", &home.path("")).json(&json!({ "name": "Named" }));
    change
        .clone()
        .by(&token)
        .header("x-request-id", "by-the-auditor")
        .gets(200);
    let platform = column(
        "select operator || ' ' || action || ' ' || detail::text from rowhouse.platform_audit where request_id = 'by-the-auditor'",
    );
    assert_eq!(
        platform,
        ["auditor tenants.update {\"fields\": [\"name\"]}"]
    );
    let trail = get(&home.path("/audit?limit=1"))
        .by(&home.reader())
        .gets(200)
        .json();
    let row = &trail["items"][0];
    assert_eq!(
        (&row["detail"]["operator"], &row["request_id"]),
        (&json!("auditor"), &json!("by-the-auditor"))
    );
}

#[test]
fn an_operators_token_that_ended_opens_nothing_from_the_next_request_on() {
    let home = Tenant::founded();
    let (id, revoked) = issued("revoked", &[]);
    let soon = number("select ceil(extract(epoch from now()))::bigint + 2");
    let soon = jiff::Timestamp::from_second(soon).unwrap().to_string();
    let (_, short) = issued("short", &["--expires", &soon]);
    for token in [&revoked, &short] {
        get(&home.path("")).by(token).gets(200);
    }
    shared().ok(&["operator", "revoke", &id]);
    let lasts = format!("select ('{soon}' >= clock_timestamp())::int::bigint");
    let began = std::time::Instant::now();
    while number(&lasts) > 0 {
        assert!(began.elapsed() < crate::world::LIMIT, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let before = home.footprint();
    for token in [&revoked, &short] {
        get("/api/v1/tenants")
            .by(token)
            .refused(401, "unauthorized");
        get(&home.path("")).by(token).refused(401, "unauthorized");
        get(&home.path("/resources"))
            .by(token)
            .refused(401, "unauthorized");
        call("POST", &home.path("/suspend"))
            .by(token)
            .refused(401, "unauthorized");
    }
    assert_eq!(home.footprint(), before);
    get(&home.path("")).by(operator()).gets(200);
}

#[test]
fn an_operators_token_ends_after_ninety_days_unless_one_says_otherwise() {
    for (more, ends) in [
        (&[][..], "expires_at = created_at + interval '90 days'"),
        (&["--expires", "never"], "expires_at is null"),
        (
            &["--expires", "2999-01-01T00:00:00Z"],
            "expires_at = '2999-01-01T00:00:00Z'",
        ),
    ] {
        let (id, token) = issued("lasting", more);
        get("/api/v1/tenants").by(&token).gets(200);
        let id = uuid(&id);
        let so =
            format!("select count(*) from rowhouse.operator_tokens where id = '{id}' and {ends}");
        assert_eq!(number(&so), 1, "{more:?}");
    }
    for (wrong, code, why) in [
        ("2001-01-01T00:00:00Z", 1, "must lie in the future"),
        ("-005000-01-01T00:00:00Z", 1, "must lie in the future"),
        ("90", 2, "or never"),
    ] {
        let ran = shared().run(&["operator", "token", &format!("--expires={wrong}")]);
        assert!(ran.code == code && ran.stderr.contains(why), "{ran:?}");
    }
    let help = shared().ok(&["operator", "token", "--help"]);
    let days = format!(
        "or never (default: {} days from now)",
        rowhouse::operators::DAYS
    );
    assert!(help.contains(&days), "{help}");
    let document = shared().ok(&["openapi"]);
    assert!(document.contains(&format!("It ends {} days", rowhouse::operators::DAYS)));
}

fn issued(name: &str, more: &[&str]) -> (String, String) {
    let command = [&["operator", "token", "--json", "--name", name], more].concat();
    let issued: Value = serde_json::from_str(&shared().ok(&command)).unwrap();
    (text(&issued["id"]), text(&issued["token"]))
}
