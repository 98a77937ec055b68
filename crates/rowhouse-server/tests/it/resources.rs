//! Resources over HTTP: what is made is what is read, and nothing of another tenant's can be named.

use serde_json::{Value, json};

use crate::callers::{
    Tenant, call, column, get, library, missing, operator, post, runtime, text, uuid,
};

#[test]
fn what_was_sent_is_read_back_as_it_was() {
    let home = Tenant::founded();
    let payload = json!({
        "text": "Grüße, 世界 \u{1f600} \"quoted\" \\ \u{7}", "empty": {}, "list": [1, -2.5, null, true, [[]]],
        "large": 9_007_199_254_740_993_u64, "": "no name",
    });
    let body = json!({ "type": "model", "title": "Ünïcode / <b>", "payload": payload, "visibility": "private" });
    let made = post(&home.path("/resources"), &body)
        .by(&home.writer())
        .gets(201)
        .json();
    for field in ["type", "title", "payload", "visibility"] {
        assert_eq!(made[field], body[field]);
    }
    assert_eq!(made["owner_id"], home.id.replacen("ten_", "prn_", 1));
    let one = home.path(&format!("/resources/{}", text(&made["id"])));
    assert_eq!(get(&one).by(&home.reader()).gets(200).json(), made);
    // Digits are kept, too, beyond what a float can hold.
    let exact =
        r#"{"type":"prompt","title":"Exact","payload":{"n":12345678901234567890.123456789}}"#;
    let made = call("POST", &home.path("/resources"))
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(exact)
        .by(&home.writer())
        .gets(201);
    assert!(
        made.body.contains("12345678901234567890.123456789"),
        "{made:?}"
    );
}

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let home = Tenant::founded();
    let writer = home.writer();
    let body = json!({ "type": "prompt", "title": "First", "payload": { "a": 1 }, "visibility": "private" });
    let made = post(&home.path("/resources"), &body)
        .by(&writer)
        .gets(201)
        .json();
    let one = home.path(&format!("/resources/{}", text(&made["id"])));
    let changed = call("PATCH", &one)
        .json(&json!({ "payload": { "b": 2 } }))
        .by(&writer)
        .gets(200)
        .json();
    assert_eq!(changed["payload"], json!({ "b": 2 }));
    for field in [
        "id",
        "type",
        "title",
        "visibility",
        "workspace_id",
        "owner_id",
        "created_at",
    ] {
        assert_eq!(changed[field], made[field], "{field}");
    }
    assert_ne!(changed["updated_at"], made["updated_at"]);
    assert_eq!(get(&one).by(&writer).gets(200).json(), changed);
}

/// A workspace, team, project or principal of another tenant is answered, byte for byte, like one that is not there.
#[test]
fn nothing_of_another_tenant_can_be_named_in_a_body() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let (theirs, writer) = (uuid(&other.id), home.writer());
    runtime().block_on(async {
        let mut tx = library().begin_system(other.id.parse().unwrap()).await.unwrap();
        tx.batch(&format!(
            "insert into rowhouse.teams (tenant_id, id, name) values ('{theirs}', gen_random_uuid(), 'Team');
             insert into rowhouse.projects (tenant_id, id, name) values ('{theirs}', gen_random_uuid(), 'Project')"
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
    });
    let workspace = text(
        &get(&other.path("/workspaces"))
            .by(operator())
            .gets(200)
            .json()["items"][0]["id"],
    );
    let id_of = |table: &str| {
        let id = column(&format!(
            "select id::text from rowhouse.{table} where tenant_id = '{theirs}'"
        ))
        .remove(0);
        id.parse::<uuid::Uuid>().unwrap()
    };
    let team = rowhouse::ids::TeamId::from(id_of("teams")).to_string();
    let project = rowhouse::ids::ProjectId::from(id_of("projects")).to_string();
    let resource = text(&home.resource("Mine")["id"]);
    let one = home.path(&format!("/resources/{resource}"));
    let before = home.footprint();
    let there = other.footprint();
    for (field, foreign, prefix) in [
        ("workspace_id", &workspace, "wsp"),
        ("team_id", &team, "team"),
        ("project_id", &project, "prj"),
    ] {
        let make = |id: &str| {
            let body = json!({ "type": "prompt", "title": "Over there", field: id });
            post(&home.path("/resources"), &body)
                .by(&writer)
                .refused(404, "not-found")
                .bytes()
        };
        assert_eq!(make(foreign), make(&missing(prefix)), "{field}");
    }
    let moved = |id: &str| {
        call("PATCH", &one)
            .json(&json!({ "workspace_id": id }))
            .by(&writer)
            .refused(404, "not-found")
            .bytes()
    };
    assert_eq!(moved(&workspace), moved(&missing("wsp")));
    let grant = |principal: &str| {
        call("PUT", &format!("{one}/acl/{principal}"))
            .json(&json!({ "access": "admin" }))
            .by(&writer)
            .refused(404, "not-found")
            .bytes()
    };
    for foreign in [&other.id, &team] {
        assert_eq!(grant(foreign), grant(&missing("prn")));
    }
    assert_eq!((home.footprint(), other.footprint()), (before, there));
    call("PUT", &format!("{one}/acl/{}", home.id))
        .json(&json!({ "access": "admin" }))
        .by(&writer)
        .gets(204);
    let mine = text(&get(&home.path("/workspaces")).by(&writer).gets(200).json()["items"][0]["id"]);
    call("PATCH", &one)
        .json(&json!({ "workspace_id": mine }))
        .by(&writer)
        .gets(200);
}

#[test]
fn an_entry_is_given_changed_listed_and_taken() {
    let home = Tenant::founded();
    let writer = home.writer();
    let resource = text(&home.resource("Subject")["id"]);
    let acl = home.path(&format!("/resources/{resource}/acl"));
    let entry = format!("{acl}/{}", home.id);
    let principal = home.id.replacen("ten_", "prn_", 1);
    let entries = || -> Vec<Value> {
        let page = get(&acl).by(&writer).gets(200).json();
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|entry| json!([entry["principal_id"], entry["access"]]))
            .collect()
    };
    assert!(entries().is_empty());
    for access in ["read", "write", "write"] {
        call("PUT", &entry)
            .json(&json!({ "access": access }))
            .by(&writer)
            .gets(204);
        assert_eq!(entries(), [json!([principal, access])]);
    }
    call("PUT", &entry)
        .json(&json!({ "access": "own" }))
        .by(&writer)
        .invalid("access");
    call("DELETE", &format!("{acl}/{principal}"))
        .by(&writer)
        .gets(204);
    call("DELETE", &entry).by(&writer).refused(404, "not-found");
    assert!(entries().is_empty());
    call("DELETE", &home.path(&format!("/resources/{resource}")))
        .by(&writer)
        .gets(204);
    get(&acl).by(&writer).refused(404, "not-found");
    call("PUT", &entry)
        .json(&json!({ "access": "read" }))
        .by(&writer)
        .refused(404, "not-found");
}

/// The field and the rule, in the words of whoever sent it, and not all that was sent.
#[test]
fn what_cannot_be_read_is_named() {
    let home = Tenant::founded();
    let writer = home.writer();
    let (resources, json) = (home.path("/resources"), "application/json");
    for (body, field, rule) in [
        ("{", "body", "must be JSON"),
        (r#"{"title":"a",}"#, "body", "must be JSON"),
        ("[]", "body", "must be a JSON object"),
        (r#"{"type":1,"title":"a"}"#, "type", "another type"),
        (
            r#"{"type":"bogus","title":"a"}"#,
            "type",
            "unknown variant `bogus`, expected one of",
        ),
        (r#"{"type":"tag"}"#, "title", "missing field"),
    ] {
        let answer = call("POST", &resources)
            .header("content-type", json)
            .body(body)
            .by(&writer)
            .invalid(field);
        let said = text(&answer.json()["rule"]);
        assert!(
            said.contains(rule) && (field == "body" || !said.contains("line")),
            "{body}: {said}"
        );
    }
    for limit in ["-1", "many", "99999999999999999999", "0", "200"] {
        let answer = get(&format!("{resources}?limit={limit}"))
            .by(&writer)
            .invalid("limit");
        let said = text(&answer.json()["rule"]);
        assert!(said.contains("must be"), "{limit}: {said}");
    }
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(100_000));
    let answer = call("POST", &resources)
        .header("content-type", json)
        .body(long)
        .by(&writer)
        .gets(400);
    assert!(answer.body.len() < 2000, "{} bytes", answer.body.len());
}

/// A key that a JSON library keeps for itself in front of a number is a key like any other, or refused.
#[test]
fn a_payload_cannot_speak_to_the_json_library() {
    let home = Tenant::founded();
    for payload in [
        r#"{"$serde_json::private::Number": "12"}"#,
        r#"{"a": {"$serde_json::private::Number": "1,\"x\":2"}}"#,
        r#"{"a": {"$serde_json::private::RawValue": "}"}}"#,
    ] {
        let body = format!(r#"{{"type":"prompt","title":"Odd","payload":{payload}}}"#);
        let answer = call("POST", &home.path("/resources"))
            .header("content-type", "application/json")
            .body(body)
            .by(&home.writer())
            .send();
        assert!([201, 400].contains(&answer.status), "{payload}: {answer:?}");
        if answer.status == 201 {
            let sent: Value = serde_json::from_str(payload).unwrap();
            assert_eq!(answer.json()["payload"], sent);
        }
    }
    get(&home.path("/resources")).by(&home.reader()).gets(200);
}

#[test]
fn whoever_may_change_a_resource_is_not_told_that_he_may_not_because_others_were_quicker() {
    let home = Tenant::founded();
    let writer = home.writer();
    let one = home.path(&format!("/resources/{}", text(&home.resource("One")["id"])));
    let told = std::sync::Mutex::new(std::collections::BTreeMap::new());
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (one, writer, told) = (&one, &writer, &told);
            scope.spawn(move || {
                for _ in 0..15 {
                    let change = match thread % 3 {
                        0 => call("DELETE", one),
                        1 => call("POST", &format!("{one}/restore")),
                        _ => call("PATCH", one).json(&json!({ "title": "Other" })),
                    };
                    let answer = change.by(writer).send();
                    let told = &mut *told.lock().unwrap();
                    *told.entry((answer.status, answer.code())).or_insert(0) += 1;
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    let fine = |status: u16| [200, 204, 404].contains(&status);
    assert!(told.keys().all(|(status, _)| fine(*status)), "{told:?}");
    assert!(told.len() >= 3, "nobody was quicker: {told:?}");
}
