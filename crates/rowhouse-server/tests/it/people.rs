//! A customer's people over HTTP and from the command line: invited, accepted, in teams and projects, and gone again.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{
    Call, Tenant, call, column, execute, fresh_slug, get, missing, number, operator, post, text,
    uuid,
};
use crate::world::{rowhouse, shared};

/// What came to this address by mail: from the outbox, or where mail lands that is not sent.
fn token(email: &str) -> String {
    let queued = column(&format!(
        "select token from rowhouse.outbox where recipient = '{email}' and token is not null order by created_at desc limit 1"
    ));
    queued.into_iter().next().unwrap_or_else(|| {
        let landed = get("/dev/mail").by(operator()).gets(200).json();
        let mails = landed["items"].as_array().unwrap().clone();
        let mail = mails.iter().find(|mail| mail["to"] == email);
        let text = text(&mail.unwrap_or_else(|| panic!("no mail to {email}"))["text"]);
        let (_, token) = text.split_once("?token=").unwrap();
        token
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    })
}

fn address() -> String {
    format!("{}@example.com", fresh_slug())
}

fn invite(home: &Tenant, by: &str, email: &str, role: &str) -> Call {
    let body = json!({ "email": email, "role": role });
    post(&home.path("/invitations"), &body).by(by)
}

fn accept(token: &str) -> Call {
    let body = json!({ "token": token, "name": "Grace Hopper" });
    post("/api/v1/invitations/accept", &body)
}

/// Somebody who came in: user and session.
struct Person {
    id: String,
    session: String,
}

fn join(home: &Tenant, by: &str, role: &str) -> Person {
    let email = address();
    invite(home, by, &email, role).gets(201);
    let came = accept(&token(&email)).gets(201).json();
    assert_eq!(came["tenant_id"], home.id);
    Person {
        id: text(&came["user_id"]),
        session: text(&came["session"]),
    }
}

/// A tenant with an owner.
fn owned() -> (Tenant, Person) {
    let home = Tenant::founded();
    let owner = join(&home, operator(), "owner");
    (home, owner)
}

fn names(list: &Value) -> Vec<String> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item["name"]))
        .collect()
}

#[test]
fn a_customers_first_hour() {
    let (home, owner) = owned();
    let ann = join(&home, &owner.session, "member");
    let by = |path: &str, body: Value| post(&home.path(path), &body).by(&owner.session);
    let team = text(
        &by("/teams", json!({ "name": "Night shift" }))
            .gets(201)
            .json()["id"],
    );
    let put = |path: &str| call("PUT", &home.path(path)).by(&owner.session);
    put(&format!("/teams/{team}/members/{}", ann.id)).gets(204);
    put(&format!("/teams/{team}/members/{}", ann.id)).gets(204);
    let mut projects = Vec::new();
    for name in ["Apollo", "Borealis"] {
        projects.push(text(
            &by("/projects", json!({ "name": name })).gets(201).json()["id"],
        ));
    }
    let role = format!("/projects/{}/members/{}", projects[0], ann.id);
    put(&role).json(&json!({ "role": "viewer" })).gets(204);
    put(&role).json(&json!({ "role": "editor" })).gets(204);

    let me = get("/api/v1/me").by(&ann.session).gets(200).json();
    assert_eq!(me["user_id"], ann.id);
    assert_eq!(me["memberships"][0]["tenant_id"], home.id);
    assert_eq!(me["memberships"][0]["role"], "member");
    assert_eq!(me["memberships"][0]["projects"], json!([projects[0]]));
    let ping = get("/_int/tenancy/ping").by(&ann.session).gets(200).json();
    assert_eq!(
        (&ping["user_id"], &ping["projects"]),
        (&json!(ann.id), &json!([projects[0]]))
    );
    let members = get(&home.path("/members"))
        .by(&ann.session)
        .gets(200)
        .json();
    let first = &members["items"][0];
    assert_eq!(
        (&first["user_id"], &first["role"], &first["name"]),
        (&json!(ann.id), &json!("member"), &json!("Grace Hopper"))
    );
    let in_team = get(&home.path(&format!("/teams/{team}/members")))
        .by(&ann.session)
        .gets(200)
        .json();
    assert_eq!(in_team["items"][0]["user_id"], ann.id);
    let in_project = get(&home.path(&format!("/projects/{}/members", projects[0])))
        .by(&ann.session)
        .gets(200)
        .json();
    assert_eq!(in_project["items"][0]["role"], "editor");
    let listed = get(&home.path("/projects"))
        .by(&ann.session)
        .gets(200)
        .json();
    assert_eq!(names(&listed), ["Borealis", "Apollo"]);

    call("DELETE", &home.path(&format!("/members/{}", ann.id)))
        .by(&owner.session)
        .gets(204);
    for path in ["/members", "/resources", "/sessions"] {
        get(&home.path(path))
            .by(&ann.session)
            .refused(401, "unauthorized");
    }
    get("/api/v1/me")
        .by(&ann.session)
        .refused(401, "unauthorized");
    get(&home.path("/members")).by(&owner.session).gets(200);
    let left = get(&home.path(&format!("/projects/{}/members", projects[0])))
        .by(&owner.session)
        .gets(200)
        .json();
    assert_eq!(left["items"], json!([]));
}

#[test]
fn an_invitation_shows_its_token_to_nobody() {
    let (home, owner) = owned();
    let email = address();
    let made = invite(&home, &owner.session, &email, "member")
        .once("once")
        .gets(201);
    let again = invite(&home, &owner.session, &email, "member")
        .once("once")
        .gets(201);
    assert_eq!(made.json(), again.json());
    let token = token(&email);
    let id = text(&made.json()["id"]);
    let one = get(&home.path(&format!("/invitations/{id}")))
        .by(&owner.session)
        .gets(200);
    let list = get(&home.path("/invitations")).by(&owner.session).gets(200);
    for answer in [&made, &one, &list] {
        assert!(
            answer.body.contains(&email) && !answer.body.contains(&token),
            "{answer:?}"
        );
        assert!(!answer.body.contains("digest"), "{answer:?}");
    }
    assert!(!shared().log().contains(&token) && !shared().log().contains(&email));
    accept(&token).gets(201);
    let one = get(&home.path(&format!("/invitations/{id}")))
        .by(&owner.session)
        .gets(200)
        .json();
    assert!(one["accepted_at"].is_string() && one["accepted_by"].is_string());
}

#[test]
fn an_invitation_that_is_over_says_why() {
    let (home, owner) = owned();
    let made = || {
        let email = address();
        let id = invite(&home, &owner.session, &email, "viewer")
            .gets(201)
            .json();
        (text(&id["id"]), token(&email))
    };
    let over = |token: &str, why: &str| {
        let answer = accept(token).refused(410, "invitation-over");
        assert_eq!(answer.json()["detail"], why);
    };
    let (_, used) = made();
    accept(&used).gets(201);
    over(&used, "the invitation was used");
    let (id, revoked) = made();
    let revoke = call("DELETE", &home.path(&format!("/invitations/{id}"))).by(&owner.session);
    revoke.gets(204);
    revoke.refused(410, "invitation-over");
    over(&revoked, "the invitation was revoked");
    let (id, expired) = made();
    execute(&format!(
        "update rowhouse.invitations set expires_at = now() where id = '{}'",
        uuid(&id)
    ));
    over(&expired, "the invitation has expired");
    // Another tenant's is not there.
    let (id, good) = made();
    let (other, theirs) = owned();
    call("DELETE", &other.path(&format!("/invitations/{id}")))
        .by(&theirs.session)
        .refused(404, "not-found");
    accept(&good).gets(201);
    accept("").refused(404, "not-found");
    accept(&good.replace("invite_", "ses_")).refused(404, "not-found");
}

#[test]
fn what_is_no_address_or_role_is_told_by_field() {
    let (home, owner) = owned();
    let invitations = format!(
        "select count(*) from rowhouse.invitations where tenant_id = '{}'",
        uuid(&home.id)
    );
    let before = number(&invitations);
    for email in [
        "",
        "nobody",
        "@example.com",
        "a@",
        "a@b@c",
        "a b@example.com",
        " a@example.com",
        "a@example.com ",
        "a@example.com\n",
        "a@example.com\r\nBcc: b@example.com",
        "a\u{0}@example.com",
        "Grace <grace@example.com>",
        "grace@example.com, eve@example.com",
        "\"grace\"@example.com",
        "a@ex\u{200b}ample.com",
        "a@\u{202e}moc.elpmaxe",
        "p\u{430}ypal@example.com",
        "grace@ex\u{430}mple.com",
        &format!("{}@example.com", "x".repeat(250)),
    ] {
        invite(&home, &owner.session, email, "member").invalid("email");
    }
    for role in ["", "Owner", "root", "system", "key"] {
        invite(&home, &owner.session, &address(), role).invalid("role");
    }
    let body = |extra: Value| {
        let mut body = json!({ "email": address(), "role": "member" });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        post(&home.path("/invitations"), &body).by(&owner.session)
    };
    for lasts in [json!(0), json!(-1), json!(2_592_001), json!("1")] {
        body(json!({ "lasts_seconds": lasts })).invalid("lasts_seconds");
    }
    body(json!({ "token": "mine" })).refused(400, "invalid");
    assert_eq!(number(&invitations), before);
    // Whole words in another alphabet are somebody's name.
    for email in [
        "пётр@пример.рф",
        "用户@例子.公司",
        "user+tag@sub.example.com",
    ] {
        let email = format!(
            "{}{email}",
            if email.is_ascii() {
                fresh_slug()
            } else {
                String::new()
            }
        );
        invite(&home, &owner.session, &email, "viewer").gets(201);
        accept(&token(&email)).gets(201);
    }
    for name in ["", " ", "a\nb", "\u{202e}evil"] {
        let body = json!({ "token": "invite_", "name": name });
        post("/api/v1/invitations/accept", &body).invalid("name");
    }
    let user = missing("usr");
    for (path, field) in [
        ("/members/x", "user"),
        (&*format!("/members/{}", missing("team")), "user"),
    ] {
        get(&home.path(path)).by(&owner.session).invalid(field);
    }
    let patch = call("PATCH", &home.path(&format!("/members/{user}"))).by(&owner.session);
    patch
        .clone()
        .json(&json!({ "role": "root" }))
        .invalid("role");
    patch
        .json(&json!({ "role": "member" }))
        .refused(404, "not-found");
}

#[test]
fn who_is_a_member_is_not_invited() {
    let (home, owner) = owned();
    let email = address();
    invite(&home, &owner.session, &email, "member").gets(201);
    let taken =
        invite(&home, &owner.session, &email.to_uppercase(), "viewer").refused(409, "taken");
    assert_eq!(taken.json()["field"], "email");
    accept(&token(&email)).gets(201);
    invite(&home, &owner.session, &email, "member").refused(409, "taken");
}

#[test]
fn the_last_owner_stays() {
    let (home, owner) = owned();
    let me = home.path(&format!("/members/{}", owner.id));
    for by in [owner.session.as_str(), operator()] {
        let removed = call("DELETE", &me).by(by).send();
        let demoted = call("PATCH", &me)
            .json(&json!({ "role": "admin" }))
            .by(by)
            .send();
        let code = if by == operator() {
            (403, "support-access-required")
        } else {
            (409, "last-owner")
        };
        for answer in [removed, demoted] {
            assert_eq!((answer.status, answer.code().as_str()), code, "{answer:?}");
        }
    }
    let other = join(&home, &owner.session, "owner");
    call("DELETE", &me).by(&owner.session).gets(204);
    get(&home.path("/members"))
        .by(&owner.session)
        .refused(401, "unauthorized");
    call("DELETE", &home.path(&format!("/members/{}", other.id)))
        .by(&other.session)
        .refused(409, "last-owner");
}

#[test]
fn the_last_workspace_stays() {
    let (home, owner) = owned();
    let workspaces = get(&home.path("/workspaces"))
        .by(&owner.session)
        .gets(200)
        .json();
    let last = home.path(&format!(
        "/workspaces/{}",
        text(&workspaces["items"][0]["id"])
    ));
    call("DELETE", &last)
        .by(&owner.session)
        .refused(409, "wrong-state");
    post(&home.path("/workspaces"), &json!({ "name": "Another" }))
        .by(&owner.session)
        .gets(201);
    call("DELETE", &last).by(&owner.session).gets(204);
}

#[test]
fn a_key_of_one_project_reads_of_no_other() {
    let (home, owner) = owned();
    let by = owner.session.as_str();
    let [apollo, gemini] = ["Apollo", "Gemini"].map(|name| {
        let project = post(&home.path("/projects"), &json!({ "name": name }))
            .by(by)
            .gets(201);
        text(&project.json()["id"])
    });
    let [hidden, seen] = [&apollo, &gemini].map(|project| {
        let new = json!({ "type": "tag", "title": "x", "project_id": project });
        let resource = post(&home.path("/resources"), &new).by(by).gets(201);
        text(&resource.json()["id"])
    });
    let new = json!({ "name": "ci", "permissions": ["read", "write"], "scopes": { "projects": [gemini] } });
    let key = post(&home.path("/keys"), &new).by(by).gets(201).json();
    let key = text(&key["secret"]);
    let rows = |path: &str, by: &str| {
        let list = get(&home.path(path)).by(by).gets(200).json();
        list["items"].as_array().unwrap().len()
    };
    for (resource, by_key) in [(&hidden, 0), (&seen, 1)] {
        let path = format!("/audit?resource={resource}");
        assert_eq!((rows(&path, &key), rows(&path, by)), (by_key, 1), "{path}");
    }
    assert_eq!((rows("/projects", &key), rows("/projects", by)), (1, 2));
    get(&home.path(&format!("/projects/{apollo}")))
        .by(&key)
        .refused(404, "not-found");
    // What a policy refuses is told without Postgres's words.
    let refused = post(
        &home.path("/keys"),
        &json!({ "name": "more", "permissions": ["read"] }),
    )
    .by(&key)
    .refused(403, "not-permitted");
    assert_eq!(
        refused.json()["detail"],
        "not permitted: the caller may not do this"
    );
}

#[test]
fn who_manages_and_who_does_not() {
    let (home, owner) = owned();
    let admin = join(&home, &owner.session, "admin");
    let member = join(&home, &owner.session, "member");
    let viewer = join(&home, &owner.session, "viewer");
    let key = post(
        &home.path("/keys"),
        &json!({ "name": "ci", "permissions": ["read", "write"] }),
    )
    .by(&owner.session)
    .gets(201)
    .json();
    let key = text(&key["secret"]);
    let team = text(
        &post(&home.path("/teams"), &json!({ "name": "Team" }))
            .by(&admin.session)
            .gets(201)
            .json()["id"],
    );
    let at = |method: &str, path: &str, body: Option<Value>| {
        let call = call(method, &home.path(path));
        body.map_or_else(|| call.clone(), |body| call.clone().json(&body))
    };
    let changes = [
        at("POST", "/teams", Some(json!({ "name": "Mine" }))),
        at("POST", "/projects", Some(json!({ "name": "Mine" }))),
        at("POST", "/workspaces", Some(json!({ "name": "Mine" }))),
        at(
            "POST",
            "/invitations",
            Some(json!({ "email": address(), "role": "viewer" })),
        ),
        at(
            "PATCH",
            &format!("/teams/{team}"),
            Some(json!({ "name": "Ours" })),
        ),
        at("DELETE", &format!("/teams/{team}"), None),
        at("PUT", &format!("/teams/{team}/members/{}", member.id), None),
        at(
            "PATCH",
            &format!("/members/{}", member.id),
            Some(json!({ "role": "admin" })),
        ),
        at(
            "PATCH",
            &format!("/members/{}", viewer.id),
            Some(json!({ "role": "member" })),
        ),
        at("DELETE", &format!("/members/{}", admin.id), None),
    ];
    for change in &changes {
        for by in [&member.session, &viewer.session, &key] {
            let answer = change.clone().by(by).gets(403);
            assert!(
                ["not-permitted", "read-only"].contains(&answer.code().as_str()),
                "{answer:?}"
            );
        }
    }
    // An admin does all of it, and nothing to owners; nor makes one.
    for change in &changes[..5] {
        let answer = change.clone().by(&admin.session).send();
        assert!(answer.status < 300, "{answer:?}");
    }
    let of_owner = home.path(&format!("/members/{}", owner.id));
    call("PATCH", &of_owner)
        .json(&json!({ "role": "viewer" }))
        .by(&admin.session)
        .refused(403, "not-permitted");
    call("DELETE", &of_owner)
        .by(&admin.session)
        .refused(403, "not-permitted");
    at(
        "PATCH",
        &format!("/members/{}", admin.id),
        Some(json!({ "role": "owner" })),
    )
    .by(&admin.session)
    .refused(403, "not-permitted");
    invite(&home, &admin.session, &address(), "owner").refused(403, "not-permitted");
    // An operator works the door no more.
    invite(&home, operator(), &address(), "viewer").refused(403, "support-access-required");
    at(
        "PATCH",
        &format!("/members/{}", member.id),
        Some(json!({ "role": "admin" })),
    )
    .by(operator())
    .refused(403, "support-access-required");
    // Whoever leaves asks nobody.
    for person in [&member, &viewer, &admin] {
        call("DELETE", &home.path(&format!("/members/{}", person.id)))
            .by(&person.session)
            .gets(204);
        get(&home.path("/teams"))
            .by(&person.session)
            .refused(401, "unauthorized");
    }
}

#[test]
fn a_projects_admin_says_who_is_in_it() {
    let (home, owner) = owned();
    let (pia, bob) = (
        join(&home, &owner.session, "member"),
        join(&home, &owner.session, "member"),
    );
    let made = |name: &str| {
        let project = post(&home.path("/projects"), &json!({ "name": name }));
        text(&project.by(&owner.session).gets(201).json()["id"])
    };
    let (apollo, gemini) = (made("Apollo"), made("Gemini"));
    let of = |project: &str, who: &str| home.path(&format!("/projects/{project}/members/{who}"));
    let put = |project: &str, who: &str, role: &str| {
        call("PUT", &of(project, who)).json(&json!({ "role": role }))
    };
    put(&apollo, &bob.id, "viewer")
        .by(&pia.session)
        .refused(403, "not-permitted");
    put(&apollo, &pia.id, "admin").by(&owner.session).gets(204);
    put(&gemini, &pia.id, "editor").by(&owner.session).gets(204);
    for role in ["viewer", "editor", "admin"] {
        put(&apollo, &bob.id, role).by(&pia.session).gets(204);
    }
    put(&gemini, &bob.id, "viewer")
        .by(&pia.session)
        .refused(403, "not-permitted");
    put(&apollo, &missing("usr"), "viewer")
        .by(&pia.session)
        .refused(404, "not-found");
    let listed = get(&home.path(&format!("/projects/{apollo}/members"))).by(&bob.session);
    assert_eq!(listed.gets(200).json()["items"][0]["role"], "admin");
    call("DELETE", &of(&gemini, &pia.id))
        .by(&pia.session)
        .refused(403, "not-permitted");
    call("DELETE", &of(&apollo, &bob.id))
        .by(&pia.session)
        .gets(204);
    call("PATCH", &home.path(&format!("/projects/{apollo}")))
        .json(&json!({ "name": "Hers" }))
        .by(&pia.session)
        .refused(403, "not-permitted");
}

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

#[test]
fn what_is_another_tenants_is_not_there_in_any_field() {
    let (home, owner) = owned();
    let (other, theirs) = owned();
    let make = |tenant: &Tenant, by: &str, what: &str| {
        text(
            &post(&tenant.path(what), &json!({ "name": "Thing" }))
                .by(by)
                .gets(201)
                .json()["id"],
        )
    };
    let (team, project) = (
        make(&other, &theirs.session, "/teams"),
        make(&other, &theirs.session, "/projects"),
    );
    let (my_team, my_project) = (
        make(&home, &owner.session, "/teams"),
        make(&home, &owner.session, "/projects"),
    );
    let role = json!({ "role": "viewer" });
    for (foreign, nothing) in [
        (
            format!("/teams/{team}/members/{}", owner.id),
            format!("/teams/{}/members/{}", missing("team"), owner.id),
        ),
        (
            format!("/teams/{my_team}/members/{}", theirs.id),
            format!("/teams/{my_team}/members/{}", missing("usr")),
        ),
        (
            format!("/projects/{project}/members/{}", owner.id),
            format!("/projects/{}/members/{}", missing("prj"), owner.id),
        ),
        (
            format!("/projects/{my_project}/members/{}", theirs.id),
            format!("/projects/{my_project}/members/{}", missing("usr")),
        ),
    ] {
        let put = |path: &str| {
            let put = call("PUT", &home.path(path)).by(&owner.session);
            if path.starts_with("/projects") {
                put.json(&role)
            } else {
                put
            }
        };
        let answer = put(&foreign).refused(404, "not-found");
        assert_eq!(answer.bytes(), put(&nothing).send().bytes());
    }
    for (foreign, nothing) in [
        (
            json!({ "name": "W", "team_id": team }),
            json!({ "name": "W", "team_id": missing("team") }),
        ),
        (
            json!({ "name": "W", "owner_id": theirs.id }),
            json!({ "name": "W", "owner_id": missing("usr") }),
        ),
    ] {
        let make = |body: &Value| post(&home.path("/workspaces"), body).by(&owner.session);
        let answer = make(&foreign).refused(404, "not-found");
        assert_eq!(answer.bytes(), make(&nothing).send().bytes());
    }
    post(
        &home.path("/workspaces"),
        &json!({ "name": "W", "team_id": my_team, "owner_id": owner.id }),
    )
    .by(&owner.session)
    .invalid("team_id");
    for (mine, kind) in [
        (json!({ "name": "W", "team_id": my_team }), "team"),
        (json!({ "name": "W", "owner_id": owner.id }), "personal"),
    ] {
        let workspace = post(&home.path("/workspaces"), &mine)
            .by(&owner.session)
            .gets(201)
            .json();
        assert_eq!(workspace["kind"], kind);
    }
}

#[test]
fn a_name_is_free_again_once_what_had_it_is_deleted() {
    let (home, owner) = owned();
    for list in ["/teams", "/projects"] {
        let make = || post(&home.path(list), &json!({ "name": "Apollo" })).by(&owner.session);
        let id = text(&make().gets(201).json()["id"]);
        make().refused(409, "taken");
        let one = home.path(&format!("{list}/{id}"));
        let tag = get(&one).by(&owner.session).gets(200);
        let tag = tag.header("etag").unwrap().to_owned();
        let rename = |name: &str| {
            call("PATCH", &one)
                .json(&json!({ "name": name }))
                .by(&owner.session)
        };
        rename("Gemini").header("if-match", &tag).gets(200);
        rename("Mercury")
            .header("if-match", &tag)
            .refused(412, "changed");
        rename("Apollo").gets(200);
        call("DELETE", &one).by(&owner.session).gets(204);
        get(&one).by(&owner.session).refused(404, "not-found");
        make().gets(201);
    }
}

#[test]
fn people_from_the_command_line() {
    let house = shared();
    let tenant = Tenant::founded();
    let run = |arguments: &[&str]| house.ok(&[arguments, &["--tenant", &tenant.slug]].concat());
    let (first, second) = (address(), address());
    run(&["invitations", "create", &first, "--role", "owner"]);
    let accept = |email: &str| {
        house.ok(&[
            "invitations",
            "accept",
            &token(email),
            "--name",
            "Grace Hopper",
        ])
    };
    let session = accept(&first);
    assert!(session.starts_with("ses_"), "{session}");
    let refused = house.run(&["invitations", "create", &second, "--tenant", &tenant.slug]);
    assert!(
        refused.code == 1 && refused.stderr.contains("an operator needs its consent"),
        "{}",
        refused.stderr
    );
    run(&["invitations", "create", &second, "--by", &first]);
    accept(&second);
    assert!(run(&["invitations", "list"]).contains("accepted"));
    let members: Value = serde_json::from_str(&run(&["members", "list", "--json"])).unwrap();
    let user = text(&members[0]["user_id"]);
    assert_eq!(members[0]["email"], second);
    let team = run(&["teams", "create", "Night shift"]);
    let team = team.split(' ').next().unwrap();
    run(&["teams", "add-member", team, &user]);
    assert!(run(&["teams", "members", team]).contains(&user));
    let project = run(&["projects", "create", "Apollo"]);
    let project = project.split(' ').next().unwrap();
    run(&["projects", "set-role", project, &user, "editor"]);
    assert!(run(&["projects", "members", project]).contains("editor"));
    run(&["workspaces", "create", "Library", "--team", team]);
    assert!(run(&["workspaces", "list"]).contains("Library"));
    run(&["members", "set-role", &user, "viewer"]);
    assert_eq!(run(&["sessions", "list"]).lines().count(), 3);
    get("/api/v1/me").by(&session).gets(200);
    let sessions: Value = serde_json::from_str(&run(&["sessions", "list", "--json"])).unwrap();
    run(&["sessions", "revoke", &text(&sessions[1]["id"])]);
    get("/api/v1/me").by(&session).refused(401, "unauthorized");
    run(&["members", "remove", &user]);
    assert!(!run(&["members", "list"]).contains(&user));
    let nothing = rowhouse().args(["members"]).output().unwrap();
    assert_ne!(nothing.status.code(), Some(0));
    assert_eq!(Role::ALL.len(), 4);
}
