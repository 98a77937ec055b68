//! `rowhouse up`: first start, restart, crash and refusal.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{House, free_port, rowhouse, sql};

#[test]
fn it_starts_from_nothing_stops_cleanly_and_keeps_everything() {
    let mut house = House::up();
    let first = house.connection();
    let mode = std::fs::metadata(house.data().join("connection.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    house.ok(&["tenants", "create", "kept"]);
    house.signal("-TERM");
    assert_eq!(house.ended(), Some(0), "{}", house.log());
    assert!(
        !house.data().join("postgres/postmaster.pid").exists(),
        "its Postgres is gone, too"
    );

    let again = House::up_on(house.into_folder());
    assert_eq!(
        again.connection()["operator_token"],
        first["operator_token"]
    );
    assert!(again.ok(&["tenants", "list"]).contains("kept"));
}

#[test]
#[ignore = "long: make test.long"]
fn killed_it_comes_back_with_what_was_committed() {
    let mut house = House::up();
    house.ok(&["tenants", "create", "survivor"]);
    house.signal("-KILL");
    assert_eq!(house.ended(), None);
    let house = House::up_on(house.into_folder());
    assert!(house.ok(&["tenants", "list"]).contains("survivor"));
}

#[test]
#[ignore = "long: make test.long"]
fn it_says_so_and_ends_when_its_postgres_dies() {
    let mut house = House::up();
    let pid = std::fs::read_to_string(house.data().join("postgres/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    assert!(
        std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(house.ended(), Some(1));
    assert!(
        house.log().contains("the database server ended"),
        "{}",
        house.log()
    );
    let house = House::up_on(house.into_folder());
    assert_eq!(house.get("/readyz", &[]).status, 200);
}

#[test]
#[ignore = "long: make test.long"]
fn a_folder_or_a_port_in_use_is_refused() {
    let house = House::up();
    let data = house.data();
    let second = rowhouse()
        .args(["up", "--port", &free_port().to_string(), "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(
        stderr.contains(&format!("is in use by process {}", house.pid())),
        "{stderr}"
    );

    let elsewhere = tempfile::tempdir().unwrap();
    let other = rowhouse()
        .args(["up", "--port", &house.port.to_string(), "--data"])
        .arg(elsewhere.path().join("data"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&other.stderr);
    assert!(
        other.status.code() == Some(1)
            && stderr.contains("it is in use. Choose another with --port"),
        "{stderr}"
    );
    assert!(
        !elsewhere.path().join("data").exists(),
        "nothing half-done is left"
    );
}

#[test]
#[ignore = "long: make test.long"]
fn a_database_that_lost_its_keys_or_is_newer_is_refused() {
    let house = House::up();
    let port = free_port().to_string();
    let serve = |house: &House| {
        let ran = house.run(&["serve", "--port", &port]);
        assert_eq!(ran.code, 1);
        ran.stderr
    };
    let connection = house.connection();
    let owner = connection["database"]["owner"].as_str().unwrap().to_owned();
    sql(
        &owner,
        "insert into rowhouse.schema_history (version, name, applied_on, checksum) values (999, 'future', now()::text, '1')",
    );
    assert!(serve(&house).contains("this database is at version 999"));
    sql(
        &owner,
        "delete from rowhouse.schema_history where version = 999",
    );
    sql(&owner, "delete from rowhouse_private.keyring");
    assert!(serve(&house).contains("has lost the keys of its seal"));
    house.ok(&["seal", "rotate"]);
    assert!(
        house
            .ok(&["ticket", "--tenant", "acme"])
            .starts_with("\\x01")
    );
    sql(&owner, "drop schema rowhouse_private cascade");
    sql(&owner, "drop schema rowhouse cascade");
    assert!(serve(&house).contains("run rowhouse migrate"));
}
