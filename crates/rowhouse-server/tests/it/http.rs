//! HTTP: health, ping, problems, headers, logs.

use crate::world::{json_lines, shared};

#[test]
fn a_ticket_says_who_its_caller_is() {
    let house = shared();
    let ticket = house.ok(&["ticket", "--tenant", "acme", "--user", "editor@example.com"]);
    let pong = house.get(
        "/_int/tenancy/ping",
        &[("authorization", &format!("Bearer {ticket}"))],
    );
    assert_eq!(pong.status, 200, "{pong:?}");
    let pong = pong.json();
    let tenants = house.ok(&["tenants", "list", "--json"]);
    let tenants: serde_json::Value = serde_json::from_str(&tenants).unwrap();
    let acme = tenants
        .as_array()
        .unwrap()
        .iter()
        .find(|tenant| tenant["slug"] == "acme")
        .unwrap();
    assert_eq!(pong["tenant_id"], acme["id"]);
    assert!(pong["user_id"].as_str().unwrap().starts_with("usr_"));
    assert_eq!(pong["projects"].as_array().unwrap().len(), 2);
    assert_eq!(pong["mode"], "enforce");

    let without_user = house.ok(&["ticket", "--tenant", "acme"]);
    let pong = house
        .get(
            "/_int/tenancy/ping",
            &[("authorization", &format!("Bearer {without_user}"))],
        )
        .json();
    assert!(pong["user_id"].is_null() && pong["projects"].as_array().unwrap().is_empty());
}

#[test]
fn whatever_is_no_good_credential_is_answered_alike() {
    let house = shared();
    let ticket = house.ok(&["ticket", "--tenant", "acme", "--user", "test@example.com"]);
    let short = house.ok(&["ticket", "--tenant", "acme", "--ttl", "1"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut forged = ticket.clone();
    forged.replace_range(10..11, if &ticket[10..11] == "0" { "1" } else { "0" });
    let none = house.get("/_int/tenancy/ping", &[]);
    assert_eq!(none.status, 401);
    for credential in [
        format!("Bearer {forged}"),
        format!("Bearer {short}"),
        format!("Bearer {ticket}00"),
        format!("Basic {ticket}"),
        "Bearer tk_00000000000000000000000000000000".to_owned(),
        "Bearer ".to_owned(),
        ticket.clone(),
    ] {
        let answer = house.get("/_int/tenancy/ping", &[("authorization", &credential)]);
        assert_eq!(
            (answer.status, &answer.body),
            (401, &none.body),
            "{credential}"
        );
        assert!(
            answer
                .headers
                .contains("content-type: application/problem+json")
        );
        assert!(answer.headers.contains("www-authenticate: bearer"));
    }
}

#[test]
fn what_is_not_there_and_what_is_too_large_are_problems_too() {
    let house = shared();
    let answer = house.get("/nothing", &[]);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (404, Some("not-found"))
    );
    let answer = house.request("DELETE", "/healthz", &[], "");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (405, Some("method-not-allowed"))
    );
    assert_eq!(house.get("/healthz", &[]).status, 200);
}

#[test]
fn every_answer_has_its_request_id_and_the_log_has_it_too() {
    let house = shared();
    let answer = house.get("/healthz", &[("x-request-id", "from-the-proxy.1")]);
    assert!(
        answer.headers.contains("x-request-id: from-the-proxy.1"),
        "{answer:?}"
    );
    for hostile in ["a b", "\"};x", &"x".repeat(65)] {
        let answer = house.get("/healthz", &[("x-request-id", hostile)]);
        assert!(
            !answer.headers.contains(hostile) && answer.headers.contains("x-request-id: "),
            "{answer:?}"
        );
    }
    let ticket = house.ok(&["ticket", "--tenant", "acme", "--user", "test@example.com"]);
    house.get(
        "/_int/tenancy/ping",
        &[
            ("authorization", &format!("Bearer {ticket}")),
            ("x-request-id", "find-me"),
        ],
    );
    let lines = json_lines(&house.log());
    let line = lines
        .iter()
        .find(|line| line["span"]["request_id"] == "find-me")
        .expect("a line with the request's id");
    assert!(
        line["span"]["tenant_id"]
            .as_str()
            .unwrap()
            .starts_with("ten_"),
        "{line}"
    );

    let connection = house.connection();
    let log = house.log();
    for secret in [
        connection["operator_token"].as_str().unwrap(),
        ticket.as_str(),
        password(&connection["database"]["owner"]),
    ] {
        assert!(!log.contains(secret), "a secret stands in the log");
    }
}

fn password(url: &serde_json::Value) -> &str {
    url.as_str().unwrap().split(['/', ':', '@']).nth(4).unwrap()
}
