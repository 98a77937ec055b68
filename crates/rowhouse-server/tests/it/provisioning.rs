//! Provisioning by API and command line, also when what does it is killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::callers::{
    Serve, Tenant, call, column, execute, fresh_slug, get, number, operator, own_database, post,
    text, uuid,
};
use crate::world::{count, one_text, rowhouse, shared};

const STEPS: [&str; 6] = [
    "workspace",
    "project",
    "roles",
    "quotas",
    "storage",
    "invitation",
];

fn provision(tenant: &Tenant, email: &str) -> crate::callers::Call {
    post(&tenant.path("/provision"), &json!({ "admin_email": email })).by(operator())
}

/// As soon as it says that it is done.
fn finished(tenant: &Tenant) -> Value {
    let began = Instant::now();
    loop {
        let run = get(&tenant.path("/provision"))
            .by(operator())
            .gets(200)
            .json();
        if run["status"] == "done" {
            return run;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{run}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn names(run: &Value, status: &str) -> Vec<String> {
    let steps = run["steps"].as_array().unwrap();
    steps
        .iter()
        .filter(|step| step["status"] == status)
        .map(|step| text(&step["name"]))
        .collect()
}

#[test]
fn an_operator_sets_a_tenant_up_and_its_admin_gets_a_mail() {
    let tenant = Tenant::founded();
    get(&tenant.path("/provision"))
        .by(operator())
        .refused(404, "not-found");
    let email = format!("admin@{}.example", tenant.slug);
    let begun = provision(&tenant, &email).gets(202).json();
    assert_eq!(begun["status"], "running");
    assert_eq!(names(&begun, "pending"), STEPS);
    let run = finished(&tenant);
    assert_eq!(names(&run, "done"), STEPS);
    assert_eq!(provision(&tenant, &email).gets(202).json(), run, "again");
    provision(&tenant, "other@example.com").refused(409, "taken");

    let queued = Instant::now();
    let mail = loop {
        let landed = get("/dev/mail").by(operator()).gets(200).json();
        let items = landed["items"].as_array().unwrap().clone();
        if let Some(mail) = items.into_iter().find(|item| item["to"] == *email) {
            break mail;
        }
        assert!(queued.elapsed() < Duration::from_secs(20), "no mail");
        std::thread::sleep(Duration::from_millis(50));
    };
    let link = text(&mail["links"][0]);
    assert!(link.starts_with(&format!("http://localhost:{}/", shared().port)));
    // A tenant is not told, and does not begin it.
    let (_, key) = tenant.key(&["read", "write"]);
    for request in [
        get(&tenant.path("/provision")),
        post(&tenant.path("/provision"), &json!({ "admin_email": email })),
    ] {
        request.by(&key).refused(403, "not-permitted");
    }
}

#[test]
fn an_address_that_is_none_begins_nothing() {
    let tenant = Tenant::founded();
    let before = tenant.footprint();
    for email in [
        "",
        "eve",
        "eve@example.com\r\nBcc: all@example.com",
        "Eve <eve@example.com>",
        "a@b, c@d",
    ] {
        provision(&tenant, email).invalid("admin_email");
    }
    let path = tenant.path("/provision");
    post(&path, &json!({})).by(operator()).gets(400);
    post(
        &path,
        &json!({ "admin_email": "a@b.example", "role": "owner" }),
    )
    .by(operator())
    .gets(400);
    post(
        "/api/v1/tenants/nowhere/provision",
        &json!({ "admin_email": "a@b.example" }),
    )
    .by(operator())
    .refused(404, "not-found");
    assert_eq!(tenant.footprint(), before);
}

#[test]
fn asked_ten_times_at_once_a_tenant_is_set_up_once() {
    let tenant = Tenant::founded();
    let email = format!("admin@{}.example", tenant.slug);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| provision(&tenant, &email).gets(202));
        }
    });
    finished(&tenant);
    let id = uuid(&tenant.id);
    for (table, rows) in [
        ("provisioning_runs", 1),
        ("projects", 1),
        ("workspaces", 1),
        ("quotas", 5),
        ("outbox", 1),
        ("jobs where kind = 'provision' and true", 0),
    ] {
        let (table, more) = table.split_once(" where ").unwrap_or((table, "true"));
        let found = number(&format!(
            "select count(*) from rowhouse.{table} where {more} and tenant_id = '{id}'"
        ));
        assert_eq!(found, rows, "{table}");
    }
}

#[test]
#[ignore = "long: make test.long"]
fn a_suspended_tenant_is_set_up_when_it_is_opened_again() {
    let tenant = Tenant::founded();
    call("POST", &tenant.path("/suspend"))
        .by(operator())
        .gets(200);
    provision(&tenant, "admin@example.com").gets(202);
    std::thread::sleep(Duration::from_secs(2));
    let run = get(&tenant.path("/provision"))
        .by(operator())
        .gets(200)
        .json();
    assert_eq!(names(&run, "pending"), STEPS, "it is closed");
    call("POST", &tenant.path("/resume"))
        .by(operator())
        .gets(200);
    finished(&tenant);
}

/// Without its principal for jobs, a tenant's step `roles` fails.
fn job_principal(tenant: &str, is_there: bool) {
    let gone = if is_there { "null" } else { "now()" };
    execute(&format!(
        "update rowhouse.principals set deleted_at = {gone} where kind = 'job' and tenant_id = '{tenant}'"
    ));
}

#[test]
#[ignore = "long: make test.long"]
fn a_run_that_fails_says_where_and_goes_on_when_it_is_asked_again() {
    let tenant = Tenant::founded();
    let id = uuid(&tenant.id).to_string();
    job_principal(&id, false);
    provision(&tenant, "admin@example.com").gets(202);
    let began = Instant::now();
    let run = loop {
        let run = get(&tenant.path("/provision"))
            .by(operator())
            .gets(200)
            .json();
        if run["status"] == "failed" {
            break run;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{run}");
        std::thread::sleep(Duration::from_millis(50));
        // The waits in between are for people. While one of the worker's steps is under way, its job is left to it.
        execute(&format!(
            "update rowhouse.jobs set due_at = now() where tenant_id = '{id}' and kind = 'provision'
               and exists (select from rowhouse.provisioning_runs where tenant_id = '{id}' and last_error is not null)"
        ));
    };
    assert_eq!(names(&run, "done"), STEPS[..2]);
    assert_eq!(names(&run, "failed"), ["roles"]);
    assert_eq!(names(&run, "pending"), STEPS[3..]);
    assert_eq!(
        (&run["attempts"], &run["last_error"]),
        (&json!(8), &json!("schema"))
    );

    // The command line says the same, and the tenant's people read of it.
    let again = shared().run(&[
        "tenants",
        "provision",
        &tenant.slug,
        "--admin",
        "admin@example.com",
    ]);
    assert_eq!(again.code, 1);
    assert!(again.stdout.contains("roles       pending"), "{again:?}");
    assert!(
        again.stderr.contains("step roles failed (schema)"),
        "{again:?}"
    );
    let told = column(&format!(
        "select detail ->> 'step' from rowhouse.audit_log where tenant_id = '{id}' and action = 'tenants.provision_fail'"
    ));
    assert_eq!(told, ["roles"]);

    job_principal(&id, true);
    provision(&tenant, "admin@example.com").gets(202);
    execute(&format!(
        "update rowhouse.jobs set due_at = now() where tenant_id = '{id}'"
    ));
    let whole = finished(&tenant);
    assert_eq!(names(&whole, "done"), STEPS);
    assert_eq!(
        (&whole["attempts"], &whole["last_error"]),
        (&json!(0), &Value::Null)
    );
}

#[test]
#[ignore = "long: make test.long"]
fn the_command_line_sets_up_one_many_and_a_users_own() {
    let house = shared();
    let one = fresh_slug();
    let made = house.ok(&[
        "tenants",
        "provision",
        &one,
        "--admin",
        "admin@example.com",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(names(&made, "done"), STEPS);
    assert!(text(&made["tenant"]).starts_with("ten_"));

    let many = |extra: &[&str]| -> Value {
        let mut arguments = vec!["tenants", "provision", "--json"];
        arguments.extend(extra);
        serde_json::from_str(&house.ok(&arguments)).unwrap()
    };
    let prefix = fresh_slug();
    let numbered = [
        "--count",
        "30",
        "--prefix",
        &prefix,
        "--admin",
        "admin+{slug}@example.com",
    ];
    let first = many(&numbered);
    assert_eq!(
        (&first["founded"], &first["found"]),
        (&json!(30), &json!(0))
    );
    let again = many(&numbered);
    assert_eq!(
        (&again["founded"], &again["found"]),
        (&json!(0), &json!(30))
    );
    let mails = column(&format!(
        "select count(*)::text from rowhouse.outbox where recipient like 'admin+{prefix}-000__@example.com'"
    ));
    assert_eq!(mails, ["30"]);

    let (a, b) = (fresh_slug(), fresh_slug());
    let list = house.folder.path().join("list");
    std::fs::write(
        &list,
        format!("# ours\n{a}, admin@{a}.example, Acme, Inc.\n\n{b}\n-bad-\n"),
    )
    .unwrap();
    let ran = house.run(&[
        "tenants",
        "provision",
        "--file",
        list.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(ran.code, 1);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["founded"], 2);
    assert_eq!(report["failed"][0]["slug"], "-bad-");
    assert_eq!(report["failed"][0]["code"], "invalid");
    let name = column(&format!(
        "select name from rowhouse.tenants where slug = '{a}'"
    ));
    assert_eq!(name, ["Acme, Inc."]);

    let own = house.ok(&["tenants", "provision", "--personal", "editor@example.com"]);
    assert_eq!(
        own,
        house.ok(&["tenants", "provision", "--personal", "editor@example.com"])
    );
    assert!(own.contains("usr-"), "{own}");
    for wrong in [
        &["tenants", "provision"][..],
        &["tenants", "provision", "x", "--count", "3"],
        &["tenants", "provision", "--count", "0"],
    ] {
        assert_eq!(house.run(wrong).code, 2, "{wrong:?}");
    }
}

/// Whoever accepts has his own tenant at once. What else it is given is a job, which nobody does here before a second process
/// comes: as after a fall right behind the answer.
#[test]
#[ignore = "long: make test.long"]
fn a_newcomers_own_tenant_is_completed_by_whoever_comes_next() {
    let url = own_database("personal_fall");
    let run = |arguments: &[&str]| {
        let mut command = rowhouse();
        let ran = command.args(arguments).args(["--database", &url]).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    run(&[
        "tenants",
        "provision",
        "initech",
        "--admin",
        "new@example.com",
    ]);
    let token = one_text(&url, "select token from rowhouse.outbox");
    run(&["invitations", "accept", &token, "--name", "New"]);
    let of_newcomer = |what: &str| {
        count(
            &url,
            &format!(
                "select count(*) from rowhouse.{what} x join rowhouse.users u on u.home_tenant_id = x.tenant_id
                 where u.email = 'new@example.com'"
            ),
        )
    };
    for (table, rows) in [
        ("workspaces", 1),
        ("projects", 0),
        ("quotas", 0),
        ("jobs", 1),
    ] {
        assert_eq!(of_newcomer(table), rows, "{table}");
    }
    let serve = Serve::on(&url, &[]);
    let began = Instant::now();
    while of_newcomer("jobs") > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", serve.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    for (table, rows) in [
        ("workspaces", 1),
        ("projects", 1),
        ("quotas", 5),
        ("jobs", 0),
    ] {
        assert_eq!(of_newcomer(table), rows, "{table}");
    }
    // An operator who asks for it finds it.
    let own = run(&["tenants", "provision", "--personal", "new@example.com"]);
    assert!(own.contains("usr-"), "{own}");
    assert_eq!(of_newcomer("provisioning_runs"), 1);
}
