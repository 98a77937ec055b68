//! `/metrics`: what is counted, and that nobody's name is among it.

use crate::callers::{Serve, Tenant, get, operator};
use crate::world::shared;

fn numbers(port: u16) -> String {
    let answer = get("/metrics").by(operator()).send_to(port);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn requests_are_counted_by_their_route_and_name_nobody() {
    let serve = Serve::beside(&[]);
    let tenant = Tenant::founded();
    for _ in 0..3 {
        let answer = get(&tenant.path("")).by(operator()).send_to(serve.port);
        assert_eq!(answer.status, 200);
    }
    for path in ["/no/such/path", "/another?with=query"] {
        assert_eq!(get(path).send_to(serve.port).status, 404);
    }
    let text = numbers(serve.port);
    for line in [
        r#"rowhouse_http_request_duration_seconds_count{method="GET",route="/api/v1/tenants/{tenant}",status="200"} 3"#,
        r#"rowhouse_http_request_duration_seconds_count{method="GET",route="",status="404"} 2"#,
        "rowhouse_connections_closed_total 0",
        r#"rowhouse_jobs_due{kind="mail"}"#,
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for name in [
        tenant.id.as_str(),
        tenant.slug.as_str(),
        "/no/such",
        "another",
    ] {
        assert!(!text.contains(name), "{name} is in\n{text}");
    }
}

#[test]
fn numbers_are_for_operators() {
    get("/metrics").refused(401, "unauthorized");
    assert!(numbers(shared().port).contains("rowhouse_connections_open"));
}
