//! Who manages what, and what of another tenant or project is not there.

use serde_json::{Value, json};

use super::{address, invite, join, owned};
use crate::callers::{Tenant, call, get, missing, operator, post, text};

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
