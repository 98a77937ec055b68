//! As whom keys speak, over HTTP and from the command line.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Tenant, call, get, missing, operator, post, text};
use crate::world::shared;

const PERSONA: &str = "019a7b3c-0c7e-7d52-9d0f-3f6a1c2b4d5e";

fn concierge(key: &str) -> Value {
    json!({ "api_key_id": key, "persona_id": PERSONA, "name": "Concierge" })
}

#[test]
fn a_key_is_given_a_persona_and_loses_it() {
    let home = Tenant::founded();
    let (key, secret) = home.key(&["read", "write"]);
    let all = home.path("/personas");
    let admin = home.member(Role::Admin);
    let give = post(&all, &concierge(&key)).by(&admin);
    let made = give.clone().once("one").gets(201);
    assert_eq!(give.clone().once("one").gets(201).json(), made.json());
    let refused = give.refused(409, "taken").json();
    assert_eq!(refused["field"], "persona_id");
    let mapping = made.json();
    assert_eq!(mapping["persona_id"], PERSONA);
    let one = home.path(&format!("/personas/{}", text(&mapping["id"])));
    assert_eq!(get(&one).by(&secret).gets(200).json(), mapping);
    let rename = call("PATCH", &one).json(&json!({ "name": "Night porter" }));
    rename.clone().by(&secret).refused(403, "not-permitted");
    let renamed = rename.by(&admin).gets(200);
    assert_eq!(renamed.json()["name"], "Night porter");
    let found = |query: &str| {
        let list = get(&format!("{all}?{query}")).by(&secret).gets(200).json();
        list["items"].as_array().unwrap().len()
    };
    let other = home.key(&["read"]).0;
    for (query, count) in [
        ("limit=10".to_owned(), 1),
        (format!("key={key}&persona={PERSONA}"), 1),
        (format!("key={other}"), 0),
    ] {
        assert_eq!(found(&query), count, "{query}");
    }
    get(&format!("{all}?persona=x"))
        .by(&secret)
        .invalid("persona");
    let delete = call("DELETE", &one).by(&admin);
    delete
        .clone()
        .header("if-match", made.header("etag").unwrap())
        .refused(412, "changed");
    delete
        .header("if-match", renamed.header("etag").unwrap())
        .gets(204);
    get(&one).by(&admin).refused(404, "not-found");
}

#[test]
fn a_key_that_is_not_there_is_given_none() {
    let home = Tenant::founded();
    let all = home.path("/personas");
    let elsewhere = Tenant::founded().key(&["read"]).0;
    for key in [&missing("key"), &elsewhere] {
        post(&all, &concierge(key))
            .by(operator())
            .refused(404, "not-found");
    }
    let key = home.key(&["read"]).0;
    call("DELETE", &home.path(&format!("/keys/{key}")))
        .by(operator())
        .gets(204);
    post(&all, &concierge(&key))
        .by(operator())
        .refused(409, "wrong-state");
    for (field, value) in [
        ("api_key_id", json!("x")),
        ("persona_id", json!("x")),
        ("name", json!("")),
    ] {
        let mut body = concierge(&key);
        body[field] = value;
        post(&all, &body).by(operator()).invalid(field);
    }
}

#[test]
fn a_key_speaks_as_the_one_whose_place_it_takes() {
    let home = Tenant::founded();
    let key = home.key(&["read"]).0;
    post(&home.path("/personas"), &concierge(&key))
        .by(operator())
        .gets(201);
    let new = post(&home.path(&format!("/keys/{key}/reroll")), &json!({}))
        .by(operator())
        .gets(201)
        .json();
    let of_new = home.path(&format!("/personas?key={}", text(&new["id"])));
    let told = get(&of_new).by(operator()).gets(200).json();
    assert_eq!(told["items"][0]["persona_id"], PERSONA);
}

#[test]
#[ignore = "long: make test.long"]
fn personas_from_the_command_line() {
    let (house, home) = (shared(), Tenant::founded());
    let key = home.key(&["read"]).0;
    let run = |arguments: &[&str]| {
        house.ok(&[&["personas"], arguments, &["--tenant", &home.slug]].concat())
    };
    let made = run(&["create", &key, PERSONA, "Concierge"]);
    let (id, _) = made.split_once("  ").unwrap();
    run(&["rename", id, "Night porter"]);
    let listed = run(&["list", "--of", &key]);
    assert!(
        listed.contains("Night porter") && listed.contains(PERSONA),
        "{listed}"
    );
    run(&["delete", id]);
    assert!(!run(&["list"]).contains(PERSONA));
}
