//! `rowhouse probe`: its answers, its exit codes, its certificate, and the job in a service.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::callers::{Serve, get};
use crate::world::{House, LIMIT, count, sql};

fn answer(house: &House, arguments: &[&str], code: i32) -> Value {
    let ran = house.run(&[&["probe", "--json"], arguments].concat());
    assert_eq!(ran.code, code, "{} {}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn owner(house: &House) -> String {
    house.connection()["database"]["owner"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
#[ignore = "long: make test.long"]
fn a_seeded_database_holds_and_a_hole_is_exit_code_1() {
    let house = House::up();
    let planned = house.ok(&["probe", "--dry-run"]);
    assert!(planned.contains("rolled back"), "{planned}");
    assert_eq!(house.ok(&["probe", "--history"]).lines().count(), 1);

    let held = answer(&house, &[], 0);
    assert_eq!(held["verdict"], "held");
    assert_eq!(held["leaks"], 0);
    assert!(held["attempts"].as_u64().unwrap() >= 300);
    let text = house.ok(&["probe", "--table", "rowhouse.resources"]);
    assert!(text.lines().last().unwrap().starts_with("held: "), "{text}");

    certified(&house);
    in_part(&house);

    sql(
        &owner(&house),
        "drop policy tenant_floor on rowhouse.resource_acl",
    );
    let leak = answer(&house, &["--table", "rowhouse.resource_acl"], 1);
    assert_eq!(leak["verdict"], "leak");
    assert_eq!(leak["leaked"][0]["relation"], "rowhouse.resource_acl");
    let past = answer(&house, &["--history"], 0);
    // A part of the tables is no probe of the wall: it is not in the history.
    assert_eq!(past.as_array().unwrap().len(), 4);
    assert_eq!(past[0]["complete"], false);
    assert_eq!(past[1]["complete"], true);
    assert!(
        past.as_array()
            .unwrap()
            .iter()
            .all(|line| line["verdict"] == "held")
    );

    // What cannot be tried at all is told apart from a leak.
    let ran = house.run(&["probe", "--table", "nothing"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

/// Signed in both forms, verified, and refused when it was changed or signed by somebody else.
fn certified(house: &House) {
    for name in ["certificate.json", "certificate.html"] {
        let file = house.folder.path().join(name);
        let path = file.to_str().unwrap();
        house.ok(&["probe", "--certificate", path]);
        let checked = answer(house, &["--check", path], 0);
        assert_eq!(checked["valid"], true);
        assert_eq!(checked["report"]["verdict"], "held");
        let key = checked["public_key"].as_str().unwrap();
        // Somebody else, who has the public key alone, and no database.
        let elsewhere = |key: &str| {
            crate::world::Ran::from(
                crate::world::rowhouse()
                    .args(["probe", "--check", path, "--public-key", key])
                    .output()
                    .unwrap(),
            )
        };
        assert_eq!(elsewhere(key).code, 0, "{}", elsewhere(key).stderr);
        assert_eq!(elsewhere(&"0".repeat(64)).code, 1);
        tampered(house, &file);
    }
    let key = house.data().join("certificate.key");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// What was not tried must not pass for what held: another exit code, a word of it, and nothing that is signed.
fn in_part(house: &House) {
    let file = house.folder.path().join("part.json");
    let path = file.to_str().unwrap();
    let ran = house.run(&[
        "probe",
        "--limit",
        "2",
        "--pause",
        "60000",
        "--certificate",
        path,
    ]);
    assert_eq!(ran.code, 2, "{} {}", ran.stdout, ran.stderr);
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("held, but not complete: "), "{last}");
    for said in ["is not complete", "no time was left", "No certificate"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    for part in [
        ["--table", "rowhouse.teams", "--certificate"].as_slice(),
        &["--no-functions", "--certificate"],
    ] {
        let ran = house.run(&[&["probe"], part, &[path]].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
    }
    assert!(!file.exists());
}

fn tampered(house: &House, file: &Path) {
    let whole = std::fs::read_to_string(file).unwrap();
    let changed = whole.replacen("rowhouse.resources", "rowhouse.resourceS", 1);
    assert_ne!(whole, changed);
    std::fs::write(file, changed).unwrap();
    let ran = house.run(&["probe", "--check", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("changed after it was signed"),
        "{}",
        ran.stdout
    );
}

#[test]
#[ignore = "long: make test.long"]
fn a_service_probes_by_itself() {
    let house = House::up();
    // A tenant holds what advisory locks it likes.
    let app = house.connection()["database"]["app"]
        .as_str()
        .unwrap()
        .to_owned();
    std::thread::spawn(move || {
        let squat =
            "select pg_advisory_lock(hashtext('rowhouse'), hashtext('probe')), pg_sleep(600)";
        sql(&app, squat);
    });
    let held = "select count(*) from pg_locks where locktype = 'advisory' and granted";
    while count(&owner(&house), held) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // One that stops early tells of no hole, and does not say that there is none.
    let early = answer(&house, &["--limit", "1", "--pause", "1000"], 2);
    assert_ne!(early["incomplete"], serde_json::json!([]), "{early}");
    let service = Serve::on(&owner(&house), &[("ROWHOUSE_PROBE_EVERY", "1")]);
    let began = Instant::now();
    loop {
        let past = answer(&house, &["--history"], 0);
        if past.as_array().unwrap().len() >= 3 {
            assert_eq!(past[0]["verdict"], "held");
            break;
        }
        assert!(began.elapsed() < LIMIT, "no probe was made");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    counted(&house, &service);
    drop(service);
}

/// What the service says of the probe to whoever watches it: of both runs, whichever process made them.
fn counted(house: &House, service: &Serve) {
    let connection = house.connection();
    let operator = connection["operator_token"].as_str().unwrap();
    let whole = "select count(*) from rowhouse.probes where verdict = 'held' and detail -> 'incomplete' = '[]'";
    let held = || count(&owner(house), whole);
    let numbers = get("/metrics").by(operator).send_to(service.port);
    assert_eq!(numbers.status, 200);
    let lines: Vec<&str> = numbers.body.lines().collect();
    let number = |name: &str| -> f64 {
        let line = lines.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {lines:#?}"))
            .trim()
            .parse()
            .unwrap()
    };
    let of = |verdict: &str| {
        number(&format!(
            r#"rowhouse_probe_runs_total{{verdict="{verdict}"}}"#
        ))
    };
    assert!((of("incomplete") - 1.0).abs() < 0.5, "{lines:#?}");
    assert!(
        (2.0..=f64::from(u32::try_from(held()).unwrap())).contains(&of("held")),
        "{lines:#?}"
    );
    for none in [
        r#"rowhouse_probe_runs_total{verdict="leak"}"#,
        "rowhouse_probe_last_leaks ",
    ] {
        assert!(number(none) < 1.0, "{none}");
    }
    assert!(number("rowhouse_probe_last_attempts ") >= 300.0);
    assert!(number("rowhouse_probe_last_duration_seconds ") > 0.0);
    let at = number("rowhouse_probe_last_timestamp_seconds ");
    let age = format!("select (extract(epoch from clock_timestamp()) - {at})::bigint");
    assert!((0..600).contains(&count(&owner(house), &age)));
}
