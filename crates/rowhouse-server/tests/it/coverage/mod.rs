//! Every route, also those not written yet: the OpenAPI document says which there are and who may call them. Each is asked
//! by everybody who must not get it, then by who may, with the same request. A route that is not asked stands in
//! [`EXEMPT`], with the reason.

mod lists;
mod stage;
mod walk;

use std::sync::OnceLock;

use serde_json::json;

use crate::callers::{Tenant, get, operator, post, text};
use crate::document::operations;
use lists::{EXEMPT, PEOPLE};

pub use stage::{Stage, fill, missing_like, request};

/// Who asks, or what is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Probe {
    /// Without a credential, and with one that is not good.
    Nobody,
    /// Another tenant's key.
    Stranger,
    /// A key that may only read.
    Reader,
    /// A session of a member, and that of a viewer.
    Person,
    /// An operator, of content.
    Operator,
    /// A tenant's key, of what operators do.
    Key,
    /// Whoever may.
    Served,
    /// What the answer to him looks like.
    Documented,
    /// The rows in the trails.
    Trail,
    /// The rows in the trails of what only reads.
    Read,
    /// What an operation has no use for, or is to do once only.
    Surplus,
    /// What each answer has on its head.
    Dressed,
}

#[test]
fn nobody_gets_anything_but_what_is_open() {
    nothing_was_found(Probe::Nobody);
}

#[test]
fn another_tenant_is_answered_like_one_that_does_not_exist() {
    nothing_was_found(Probe::Stranger);
}

#[test]
fn who_may_only_read_changes_nothing() {
    nothing_was_found(Probe::Reader);
}

#[test]
fn members_and_viewers_may_do_what_is_written_down_and_nothing_else() {
    nothing_was_found(Probe::Person);
}

#[test]
fn each_route_stands_once_among_what_people_may() {
    let written: Vec<(&str, &str)> = PEOPLE
        .iter()
        .flat_map(|people| people.routes)
        .copied()
        .collect();
    for (method, path) in &written {
        let there = operations()
            .iter()
            .any(|operation| (operation.method, operation.path) == (*method, *path));
        assert!(there, "{method} {path} is gone");
        let times = written
            .iter()
            .filter(|one| *one == &(*method, *path))
            .count();
        assert_eq!(times, 1, "{method} {path}");
    }
    assert!(PEOPLE.iter().all(|people| people.why.len() > 20));
}

#[test]
fn an_operator_gets_no_content() {
    nothing_was_found(Probe::Operator);
}

#[test]
fn a_tenants_key_opens_no_operators_door() {
    nothing_was_found(Probe::Key);
}

#[test]
fn whoever_may_gets_the_same_that_the_others_were_refused() {
    nothing_was_found(Probe::Served);
}

#[test]
fn each_example_is_answered_as_documented() {
    nothing_was_found(Probe::Documented);
}

#[test]
fn each_change_leaves_one_row_in_its_trails_and_a_refused_one_that_it_was_refused() {
    nothing_was_found(Probe::Trail);
}

#[test]
fn each_read_of_an_operator_leaves_one_row_in_its_trails_and_that_of_a_caller_none() {
    nothing_was_found(Probe::Read);
}

#[test]
fn what_an_operation_takes_it_honours_and_what_it_does_not_take_it_refuses() {
    nothing_was_found(Probe::Surplus);
}

#[test]
fn each_answer_has_its_request_id_and_tells_browsers_what_not_to_do() {
    nothing_was_found(Probe::Dressed);
}

#[test]
fn the_list_of_exemptions_names_routes_that_are_there() {
    let operations = operations();
    for (method, path, probe, reason) in EXEMPT {
        let operation = operations
            .iter()
            .find(|operation| (operation.method, operation.path) == (*method, *path));
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is gone"));
        let needed = match probe {
            Probe::Nobody => operation.is_open(),
            Probe::Stranger => !operation.parameters().any(|name| name == "tenant"),
            Probe::Read => operation.takes("operator") && operation.parameters().next().is_none(),
            Probe::Surplus => !operation.changes() && operation.query() == ["token"],
            _ => false,
        };
        assert!(needed, "{method} {path} needs no exemption from {probe:?}");
        assert!(reason.len() > 20, "{method} {path}: why?");
    }
    assert!(operations.len() >= 74, "{}", operations.len());
}

#[track_caller]
fn nothing_was_found(probe: Probe) {
    static FINDINGS: OnceLock<Vec<(Probe, String)>> = OnceLock::new();
    let findings = FINDINGS.get_or_init(|| Stage::set().walk());
    let of_probe: Vec<&String> = findings
        .iter()
        .filter(|(found_by, _)| *found_by == probe)
        .map(|(_, finding)| finding)
        .collect();
    assert!(of_probe.is_empty(), "{of_probe:#?}");
}

/// The trail as the tenant itself reads it has the same rows, and tells the operator by name.
#[test]
fn a_tenant_reads_in_its_own_trail_what_operators_did() {
    let tenant = Tenant::founded();
    let (key, _) = tenant.key_by_operator(&["read"]);
    let trail = get(&tenant.path("/audit")).by(&tenant.reader()).gets(200);
    let rows = trail.json()["items"].as_array().unwrap().clone();
    let told: Vec<(String, String)> = rows
        .iter()
        .map(|row| (text(&row["action"]), text(&row["object_id"])))
        .collect();
    assert_eq!(
        told,
        [
            ("keys.create".to_owned(), key),
            ("tenants.create".to_owned(), tenant.id.clone())
        ]
    );
    assert_eq!(rows[0]["detail"]["operator"], "rowhouse up");
    let other = Tenant::founded();
    let elsewhere = get(&other.path("/audit")).by(&other.reader()).gets(200);
    assert!(!elsewhere.body.contains(&tenant.id), "{elsewhere:?}");
    post("/api/v1/tenants", &json!({})).by(operator()).gets(400);
}
