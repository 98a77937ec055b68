//! What operators read stands in the trail of the tenant that it is about, and in the platform's.

use rowhouse::members::Role;
use serde_json::{Value, json};

use crate::callers::{Serve, Tenant, column, get, missing, operator, own_database, post, text};
use crate::world::{rowhouse, sql};

/// The reads in a tenant's trail, as the tenant itself sees them, the oldest first.
fn told(tenant: &Tenant) -> Vec<Value> {
    let list = tenant.path("/audit?action=access.read&limit=199");
    let list = get(&list).by(&tenant.reader()).gets(200).json();
    let mut rows = list["items"].as_array().unwrap().clone();
    rows.reverse();
    rows
}

#[test]
fn a_tenant_sees_that_an_operator_looked_at_its_members() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let user = home.user(Role::Member);
    let member = home.path(&format!("/members/{user}"));
    get(&member).by(&home.reader()).gets(200);
    assert_eq!(told(&home), Vec::<Value>::new());

    get(&member)
        .by(operator())
        .header("x-request-id", "looked-once")
        .gets(200);
    let rows = told(&home);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["request_id"], "looked-once");
    assert_ne!(rows[0]["on_behalf_of"], Value::Null);
    assert_eq!(
        rows[0]["detail"],
        json!({
            "method": "GET", "path": "/api/v1/tenants/{tenant}/members/{user}", "operator": "rowhouse up"
        })
    );
    assert_eq!(told(&other), Vec::<Value>::new());
    let platform = "select operator || ' ' || action || ' ' || (detail ->> 'path')
        from rowhouse.platform_audit where request_id = 'looked-once'";
    assert_eq!(
        column(platform),
        ["rowhouse up access.read /api/v1/tenants/{tenant}/members/{user}"]
    );
    // What was not found was not read; nor is a change a read.
    get(&home.path(&format!("/members/{}", missing("usr"))))
        .by(operator())
        .refused(404, "not-found");
    let project = post(&home.path("/projects"), &json!({ "name": "Alpine" }));
    let project = text(&project.by(operator()).gets(201).json()["id"]);
    assert_eq!(told(&home).len(), 1);
    let path = format!("/api/v1/tenants/{}/projects/{project}", home.id);
    get(&path).by(operator()).gets(200);
    assert_eq!(told(&home)[1]["project_id"], project);
}

#[test]
fn reads_without_end_in_one_tenant_hide_none_in_another() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    for _ in 0..62 {
        get(&home.path("/keys")).by(operator()).gets(200);
    }
    get(&other.path("/keys")).by(operator()).gets(200);
    assert_eq!(told(&other).len(), 1);
    // More only where the minute went by meanwhile, and then the row says how many went untold.
    let rows = told(&home);
    let untold: u64 = rows
        .iter()
        .filter_map(|row| row["detail"]["untold"].as_u64())
        .sum();
    assert!(
        rows.len() == 60 || rows.len() as u64 + untold == 62,
        "{}",
        rows.len()
    );
}

#[test]
fn what_cannot_be_noted_is_not_shown() {
    let url = own_database("unnoted");
    let token = ["operator", "token", "--database", &url];
    let token = rowhouse().args(token).output().unwrap().stdout;
    let token = String::from_utf8(token).unwrap();
    let serve = Serve::on(&url, &[]);
    let list = || get("/api/v1/tenants").by(token.trim()).send_to(serve.port);
    let shown = list();
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains("\"items\""), "{shown:?}");
    sql(
        &url,
        "revoke insert on rowhouse.platform_audit from rowhouse_platform",
    );
    let refused = list();
    assert!(refused.status >= 400, "{refused:?}");
    assert!(!refused.body.contains("\"items\""), "{refused:?}");
}
