//! Sessions are listed and ended, and lead from one tenant to another.

use serde_json::json;

use super::{accept, address, invite, join, owned, token};
use crate::callers::{call, get, missing, operator, text};
use crate::world::shared;

#[test]
fn a_session_is_listed_and_ended() {
    let (home, owner) = owned();
    let ann = join(&home, &owner.session, "viewer");
    let other = home.session(ann.id.parse().unwrap());
    let list = |by: &str| {
        get(&home.path("/sessions")).by(by).gets(200).json()["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert_eq!(
        (list(&ann.session).len(), list(&owner.session).len()),
        (2, 3)
    );
    let newest = text(&list(&ann.session)[0]["id"]);
    call("DELETE", &home.path(&format!("/sessions/{newest}")))
        .by(&ann.session)
        .gets(204);
    get("/api/v1/me").by(&other).refused(401, "unauthorized");
    get("/api/v1/me").by(&ann.session).gets(200);
    let owners = list(&owner.session)
        .iter()
        .find(|s| s["user_id"] == owner.id)
        .map(|s| text(&s["id"]))
        .unwrap();
    call("DELETE", &home.path(&format!("/sessions/{owners}")))
        .by(&ann.session)
        .refused(404, "not-found");
    let anns = text(&list(&ann.session)[1]["id"]);
    call("DELETE", &home.path(&format!("/sessions/{anns}")))
        .by(&owner.session)
        .gets(204);
    get("/api/v1/me")
        .by(&ann.session)
        .refused(401, "unauthorized");
    get("/api/v1/me")
        .by(&format!("ses_{}", "0".repeat(32)))
        .refused(401, "unauthorized");
}

#[test]
fn a_user_of_two_tenants_switches() {
    let (home, owner) = owned();
    let (other, theirs) = owned();
    let email = address();
    invite(&home, &owner.session, &email, "member").gets(201);
    let here = accept(&token(&email)).gets(201).json();
    let here = (text(&here["user_id"]), text(&here["session"]));
    let switch =
        |tenant: &str, by: &str| call("POST", &format!("/api/v1/tenants/{tenant}/sessions")).by(by);
    // Where he does not belong is like where nothing is.
    let foreign = switch(&other.slug, &here.1).refused(404, "not-found");
    for missing in [
        switch("no-such-tenant", &here.1),
        switch(&missing("ten"), &here.1),
    ] {
        assert_eq!(foreign.bytes(), missing.send().bytes());
    }
    invite(&other, &theirs.session, &email.to_uppercase(), "viewer").gets(201);
    let there = accept(&token(&email.to_uppercase())).gets(201).json();
    assert_eq!(text(&there["user_id"]), here.0, "one user");
    // The second invitation found him known: what it gave him is good there only.
    let there = text(&there["session"]);
    switch(&home.slug, &there).refused(403, "not-permitted");
    let me = get("/api/v1/me").by(&there).gets(200).json();
    assert_eq!(me["memberships"].as_array().unwrap().len(), 1);
    for tenant in [&other.slug, &other.id, &home.id] {
        let made = switch(tenant, &here.1).gets(201).json();
        let me = get("/api/v1/me")
            .by(&text(&made["session"]))
            .gets(200)
            .json();
        assert_eq!(
            (&me["user_id"], &me["tenant_id"]),
            (&json!(here.0), &made["tenant_id"])
        );
        assert_eq!(
            me["memberships"].as_array().unwrap().len(),
            3,
            "both, and his own"
        );
    }
    // A session of one tenant opens nothing of the other.
    get(&other.path("/members"))
        .by(&here.1)
        .refused(404, "not-found");
    // Nor is a ticket or a key traded for one.
    let ticket = shared().ok(&["ticket", "--tenant", &home.slug, "--user", &here.0]);
    for by in [ticket.as_str(), &home.writer()] {
        switch(&other.slug, by).refused(403, "not-permitted");
    }
    switch(&home.slug, operator()).refused(403, "support-access-required");
}
