//! What callers whom we know were refused stands in the trail: in their own, and in nobody else's.

use rowhouse::Context;
use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Tenant, call, get, missing, number, operator, post, text, ticket, uuid};

/// The refusals in a tenant's trail, as its owner reads them, the oldest first.
fn told(tenant: &Tenant) -> Vec<Value> {
    let list = tenant.path("/audit?action=access.refuse&limit=199");
    let list = get(&list).by(operator()).gets(200).json();
    let mut rows = list["items"].as_array().unwrap().clone();
    rows.reverse();
    rows
}

fn codes(tenant: &Tenant) -> Vec<String> {
    let codes = told(tenant);
    codes
        .iter()
        .map(|row| text(&row["detail"]["code"]))
        .collect()
}

#[test]
fn who_may_not_is_told_with_what_he_tried() {
    let home = Tenant::founded();
    let (id, reader) = home.key(&["read"]);
    let resource = text(&home.resource("Title")["id"]);
    let path = home.path(&format!("/resources/{resource}"));
    get(&path).by(&reader).gets(200);
    assert_eq!(codes(&home), Vec::<String>::new());

    call("DELETE", &path)
        .by(&reader)
        .header("x-request-id", "asked-once")
        .refused(403, "read-only");
    let rows = told(&home);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(uuid(&text(&rows[0]["actor_id"])), uuid(&id));
    assert_eq!(rows[0]["resource_id"], resource);
    assert_eq!(rows[0]["request_id"], "asked-once");
    assert_eq!(
        rows[0]["detail"],
        json!({
            "code": "read-only", "method": "DELETE", "path": "/api/v1/tenants/{tenant}/resources/{resource}"
        })
    );
    let project = post(&home.path("/projects"), &json!({ "name": "Alpine" }));
    let project = text(&project.by(operator()).gets(201).json()["id"]);
    call("DELETE", &home.path(&format!("/projects/{project}")))
        .by(&reader)
        .refused(403, "read-only");
    assert_eq!(told(&home)[1]["project_id"], project);
    // What is wrong with a request is no refusal of who sent it.
    post(&home.path("/resources"), &json!({ "type": "prompt" }))
        .by(&home.writer())
        .refused(400, "invalid");
    get(&home.path(&format!("/resources/{}", missing("res"))))
        .by(&reader)
        .refused(404, "not-found");
    assert_eq!(told(&home).len(), 2);
}

#[test]
fn who_asks_for_another_tenant_is_told_in_his_own_trail_only() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let key = home.writer();
    let theirs = text(&other.resource("Title")["id"]);
    for path in [
        other.path(&format!("/resources/{theirs}")),
        "/api/v1/tenants/no-such-tenant/resources".into(),
    ] {
        get(&path).by(&key).refused(404, "not-found");
    }
    assert_eq!(codes(&home), ["not-found", "not-found"]);
    assert_eq!(codes(&other), Vec::<String>::new());
    for row in told(&home) {
        assert!(!row.to_string().contains(&other.slug), "{row}");
        assert_eq!(row["resource_id"], Value::Null, "{row}");
    }
}

#[test]
fn who_asks_for_a_session_where_he_does_not_belong_is_told_in_his_own_trail_only() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let session = home.session(home.user(Role::Member));
    call("POST", &home.path("/sessions")).by(&session).gets(201);
    assert_eq!(codes(&home), Vec::<String>::new());
    call("POST", &other.path("/sessions"))
        .by(&session)
        .refused(404, "not-found");
    assert_eq!(codes(&home), ["not-found"]);
    assert_eq!(codes(&other), Vec::<String>::new());
    assert!(!told(&home)[0].to_string().contains(&other.slug));
}

#[test]
fn an_operator_who_asks_for_content_is_told_in_both_trails() {
    let home = Tenant::founded();
    get(&home.path("/resources"))
        .by(operator())
        .header("x-request-id", "curious")
        .refused(403, "support-access-required");
    let rows = told(&home);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["detail"]["operator"], "rowhouse up");
    let token = uuid(&text(&rows[0]["on_behalf_of"]));
    let ours = "select count(*) from rowhouse.operator_tokens where name = 'rowhouse up' and id =";
    assert_eq!(number(&format!("{ours} '{token}'")), 1);
    get("/api/v1/me")
        .by(operator())
        .header("x-request-id", "curious")
        .refused(403, "support-access-required");
    let platform = "select count(*) from rowhouse.platform_audit
        where action = 'access.refuse' and request_id = 'curious' and operator = 'rowhouse up'";
    assert_eq!(number(platform), 2);
}

#[test]
fn a_tenant_learns_that_what_it_took_back_is_still_tried() {
    let home = Tenant::founded();
    let (id, key) = home.key(&["read"]);
    let user = home.user(Role::Member);
    let session = home.session(user);
    for credential in [&key, &session] {
        get(&home.path("/resources")).by(credential).gets(200);
    }
    call("DELETE", &home.path(&format!("/keys/{id}")))
        .by(operator())
        .gets(204);
    call("DELETE", &home.path(&format!("/members/{user}")))
        .by(operator())
        .gets(204);
    for (credential, caller) in [(&key, uuid(&id)), (&session, user.uuid())] {
        get(&home.path("/resources"))
            .by(credential)
            .refused(401, "unauthorized");
        let row = told(&home).pop().unwrap();
        assert_eq!(uuid(&text(&row["detail"]["caller"])), caller, "{row}");
        // What is written as him, he would still have a say in.
        assert_ne!(uuid(&text(&row["actor_id"])), caller, "{row}");
    }

    let (_, key) = home.key(&["read"]);
    get(&home.path("/resources")).by(&key).gets(200);
    post(&home.path("/suspend"), &json!({}))
        .by(operator())
        .gets(200);
    get(&home.path("/resources"))
        .by(&key)
        .refused(403, "tenant-not-active");
    assert_eq!(codes(&home)[2..], ["tenant-not-active"]);
}

#[test]
fn who_holds_nothing_of_ours_writes_in_no_trail() {
    let home = Tenant::founded();
    let rows = "select count(*) from rowhouse.audit_log where action = 'access.refuse' and request_id = 'made-up'";
    let invite = || {
        let body = json!({ "email": "ada@example.com", "role": "member" });
        post(&home.path("/invitations"), &body).header("x-request-id", "made-up")
    };
    let member = Context::user(home.id.parse().unwrap(), home.user(Role::Member));
    let ours = ticket(&member);
    let last = if ours.ends_with('0') { "1" } else { "0" };
    let credentials = [
        format!("{}{last}", &ours[..ours.len() - 1]),
        format!("tk_{}", "0".repeat(32)),
        format!("ses_{}", "0".repeat(32)),
    ];
    for credential in credentials {
        invite().by(&credential).refused(401, "unauthorized");
    }
    assert_eq!(number(rows), 0);
    invite().by(&ours).refused(403, "not-permitted");
    assert_eq!(number(rows), 1);
}
