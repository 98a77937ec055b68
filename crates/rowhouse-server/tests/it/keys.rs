//! API keys over HTTP: who makes them, what they open, and when they end.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{
    Tenant, call, column, execute, get, library, missing, number, operator, post, runtime, text,
    uuid,
};

fn new_key() -> Value {
    json!({ "name": "key", "permissions": ["read"] })
}

#[test]
fn a_keys_secret_is_shown_when_it_is_made_and_nowhere_else() {
    let home = Tenant::founded();
    let made = post(&home.path("/keys"), &new_key())
        .by(operator())
        .gets(201)
        .json();
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    assert!(secret.starts_with("tk_") && secret.len() == 35, "{secret}");
    assert_eq!(made["prefix"], secret[..8]);
    assert_eq!(
        (&made["environment"], &made["expires_at"]),
        (&json!("PRODUCTION"), &Value::Null)
    );
    get(&home.path("/resources")).by(&secret).gets(200);
    let one = get(&home.path(&format!("/keys/{id}")))
        .by(operator())
        .gets(200);
    let list = get(&home.path("/keys")).by(&secret).gets(200);
    assert_eq!(list.json()["items"][0]["id"], made["id"]);
    for body in [&one.body, &list.body] {
        assert!(
            !body.contains(&secret) && !body.contains("\"secret") && !body.contains("$2"),
            "{body}"
        );
    }
    let hash = column(&format!(
        "select secret_hash from rowhouse.api_keys where id = '{}'",
        uuid(&id)
    ));
    assert!(hash[0].starts_with("$2b$12$"), "{hash:?}");
    let rows = home.footprint().len();
    assert!(rows > 10);
    let everywhere = number(&format!(
        "select count(*) from rowhouse.api_keys t where t::text like '%{secret}%'
         or exists (select from rowhouse.audit_log a where a::text like '%{secret}%')"
    ));
    assert_eq!(everywhere, 0);
}

#[test]
fn a_key_does_what_it_is_permitted_and_no_more() {
    let home = Tenant::founded();
    let (reader_id, reader) = home.key_by_operator(&["read"]);
    let (_, writer) = home.key_by_operator(&["write", "read", "write"]);
    let body = json!({ "type": "prompt", "title": "New" });
    let resources = home.path("/resources");
    post(&resources, &body)
        .by(&reader)
        .refused(403, "read-only");
    let made = post(&resources, &body).by(&writer).gets(201).json();
    let one = home.path(&format!("/resources/{}", text(&made["id"])));
    let before = home.footprint();
    call("PATCH", &one)
        .json(&json!({ "title": "Other" }))
        .by(&reader)
        .refused(403, "read-only");
    call("DELETE", &one).by(&reader).refused(403, "read-only");
    // No key makes, changes or ends keys, however much it may do with content.
    post(&home.path("/keys"), &new_key())
        .by(&writer)
        .refused(403, "not-permitted");
    let key = home.path(&format!("/keys/{reader_id}"));
    post(&format!("{key}/reroll"), &json!({}))
        .by(&writer)
        .refused(403, "not-permitted");
    call("DELETE", &key)
        .by(&writer)
        .refused(403, "not-permitted");
    assert_eq!(home.footprint(), before);
    call("PATCH", &one)
        .json(&json!({ "title": "Other" }))
        .by(&writer)
        .gets(200);
    call("DELETE", &key).by(operator()).gets(204);
}

#[test]
fn owners_and_admins_manage_keys_and_nobody_else_inside() {
    let home = Tenant::founded();
    let (owner, admin) = (home.member(Role::Owner), home.member(Role::Admin));
    let (member, viewer) = (home.member(Role::Member), home.member(Role::Viewer));
    let keys = home.path("/keys");
    let made = post(&keys, &new_key()).by(&owner).gets(201).json();
    let one = format!("{keys}/{}", text(&made["id"]));
    let before = home.footprint();
    for (by, code) in [
        (&member, "not-permitted"),
        (&viewer, "read-only"),
        (&home.writer(), "not-permitted"),
    ] {
        get(&keys).by(by).gets(200);
        let refused = |call: crate::callers::Call| {
            let answer = call.by(by).gets(403);
            assert!(
                [code, "not-permitted"].contains(&answer.code().as_str()),
                "{answer:?}"
            );
        };
        refused(post(&keys, &new_key()));
        refused(call("DELETE", &one));
        refused(post(
            &format!("{one}/reroll"),
            &json!({ "overlap_seconds": 0 }),
        ));
    }
    // The tenant has an owner: an operator neither makes a key of it nor replaces one, but may revoke.
    post(&keys, &new_key())
        .by(operator())
        .refused(403, "support-access-required");
    post(&format!("{one}/reroll"), &json!({}))
        .by(operator())
        .refused(403, "support-access-required");
    assert_eq!(home.footprint(), before);
    call("DELETE", &one).by(operator()).gets(204);
    let second = post(&keys, &new_key()).by(&admin).gets(201).json();
    call("DELETE", &format!("{keys}/{}", text(&second["id"])))
        .by(&admin)
        .gets(204);
}

#[test]
fn a_revoked_key_opens_nothing_and_stays_in_the_list() {
    let home = Tenant::founded();
    let (id, secret) = home.key_by_operator(&["read"]);
    let one = home.path(&format!("/keys/{id}"));
    get(&home.path("/resources")).by(&secret).gets(200);
    call("DELETE", &one).by(operator()).gets(204);
    for path in ["/resources", "", "/audit"] {
        get(&home.path(path))
            .by(&secret)
            .refused(401, "unauthorized");
    }
    let key = get(&one).by(operator()).gets(200).json();
    assert!(key["revoked_at"].is_string(), "{key}");
    let before = home.footprint();
    call("DELETE", &one)
        .by(operator())
        .refused(404, "not-found");
    post(&format!("{one}/reroll"), &json!({}))
        .by(operator())
        .refused(404, "not-found");
    call("DELETE", &home.path(&format!("/keys/{}", missing("key"))))
        .by(operator())
        .refused(404, "not-found");
    assert_eq!(home.footprint(), before);
}

#[test]
fn a_key_ends_when_it_expires() {
    let home = Tenant::founded();
    let (id, secret) = home.key_by_operator(&["read"]);
    let ask = get(&home.path("/resources")).by(&secret);
    ask.gets(200);
    // As the library would set it; waiting for it would take a second.
    runtime().block_on(async {
        let mut tx = library()
            .begin_system(home.id.parse().unwrap())
            .await
            .unwrap();
        tx.batch(&format!(
            "update rowhouse.api_keys set expires_at = now() - interval '1 s' where id = '{}'",
            uuid(&id)
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
    });
    ask.refused(401, "unauthorized");
    post(&home.path(&format!("/keys/{id}/reroll")), &json!({}))
        .by(operator())
        .refused(404, "not-found");
}

#[test]
fn a_rerolled_key_goes_on_for_its_overlap_and_no_longer() {
    let home = Tenant::founded();
    let (id, old) = home.key_by_operator(&["read", "write"]);
    let asked = |secret: &str| get(&home.path("/resources")).by(secret).send().status;
    let reroll = |id: &str, overlap: u32| {
        let body = json!({ "overlap_seconds": overlap });
        post(&home.path(&format!("/keys/{id}/reroll")), &body)
            .by(operator())
            .gets(201)
            .json()
    };
    let second = reroll(&id, 3600);
    assert_eq!(second["permissions"], json!(["read", "write"]));
    assert_eq!((asked(&old), asked(&text(&second["secret"]))), (200, 200));
    let third = reroll(&text(&second["id"]), 0);
    assert_eq!(
        (
            asked(&text(&second["secret"])),
            asked(&text(&third["secret"]))
        ),
        (401, 200)
    );
    let first = get(&home.path(&format!("/keys/{id}")))
        .by(operator())
        .gets(200)
        .json();
    assert!(
        first["expires_at"].is_string() && first["revoked_at"].is_null(),
        "{first}"
    );
}

#[test]
fn a_key_is_narrowed_to_projects_of_its_own_tenant() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let project = |tenant: &Tenant, name: &str| {
        let id = tenant.id.parse().unwrap();
        runtime().block_on(async {
            let mut tx = library().begin_system(id).await.unwrap();
            let project = rowhouse::projects::create(&mut tx, name).await.unwrap();
            tx.commit().await.unwrap();
            project.id.to_string()
        })
    };
    let (apollo, _borealis, theirs) = (
        project(&home, "Apollo"),
        project(&home, "Borealis"),
        project(&other, "Theirs"),
    );
    let narrowed = |project: &str| {
        let body =
            json!({ "name": "key", "permissions": ["read"], "scopes": { "projects": [project] } });
        post(&home.path("/keys"), &body).by(operator())
    };
    let foreign = narrowed(&theirs).refused(404, "not-found");
    assert_eq!(
        foreign.bytes(),
        narrowed(&missing("prj")).refused(404, "not-found").bytes()
    );
    let made = narrowed(&apollo).gets(201).json();
    assert_eq!(made["scopes"], json!({ "projects": [apollo] }));
    let pong = get("/_int/tenancy/ping")
        .by(&text(&made["secret"]))
        .gets(200)
        .json();
    assert_eq!(pong["projects"], json!([apollo]));
}

#[test]
fn when_a_key_was_last_used_is_noted() {
    let home = Tenant::founded();
    let (id, secret) = home.key_by_operator(&["read"]);
    let one = home.path(&format!("/keys/{id}"));
    assert!(get(&one).by(operator()).gets(200).json()["last_used_at"].is_null());
    get(&home.path("/resources")).by(&secret).gets(200);
    let noted = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        get(&one).by(operator()).gets(200).json()["last_used_at"].is_string()
    });
    assert!(noted);
    execute("select"); // the owner's connection is still good
}
