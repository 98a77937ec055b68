//! A customer's people over HTTP and from the command line: invited, accepted, in teams and projects, and gone again.

mod invitations;
mod rights;
mod sessions;

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Call, Tenant, call, column, fresh_slug, get, operator, post, text};
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
#[ignore = "long: make test.long"]
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
