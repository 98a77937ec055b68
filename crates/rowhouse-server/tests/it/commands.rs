//! The command line: what it answers, and what it says when it is used the wrong way.

use crate::world::{House, rowhouse, shared};

#[test]
fn seeding_again_changes_nothing_and_counts_are_as_told() {
    let house = shared();
    let seeded: serde_json::Value = serde_json::from_str(&house.ok(&["seed", "--json"])).unwrap();
    assert_eq!(seeded["fresh"], false);
    assert_eq!(seeded["users"].as_array().unwrap().len(), 3);
    assert_eq!(seeded["projects"].as_array().unwrap().len(), 2);
    assert!(
        house
            .ok(&["seed"])
            .starts_with("Already seeded; nothing changed.")
    );
}

#[test]
fn tenants_are_created_once_and_listed() {
    let house = shared();
    let created = house.ok(&[
        "tenants", "create", "shop", "--name", "The Shop", "--plan", "team",
    ]);
    assert!(
        created.starts_with("ten_") && created.ends_with("  shop  active"),
        "{created}"
    );
    assert!(house.ok(&["tenants", "list"]).contains("shop"));
    for (arguments, says) in [
        (&["tenants", "create", "shop"][..], "slug: is already taken"),
        (
            &["tenants", "create", "Shop"],
            "slug: must be 1 to 63 of a-z",
        ),
        (&["tenants", "create", "admin"], "slug: is a reserved word"),
        (
            &["tenants", "create", "x", "--name", " "],
            "name: must not begin or end with a blank",
        ),
        (&["ticket", "--tenant", "nobody"], "there is no such tenant"),
        (
            &["ticket", "--tenant", "acme", "--user", "nobody@example.com"],
            "there is no such user",
        ),
    ] {
        let ran = house.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(
        house
            .run(&["ticket", "--tenant", "acme", "--ttl", "0"])
            .code,
        2
    );
}

#[test]
fn a_ticket_is_hex_with_the_tag_last() {
    let house = shared();
    let ticket = house.ok(&["ticket", "--tenant", "acme", "--access", "read"]);
    assert!(
        ticket.starts_with("\\x01") && ticket.len() == 216,
        "{ticket}"
    );
    assert!(ticket[2..].bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn the_owners_url_alone_is_enough() {
    let house = shared();
    let connection = house.connection();
    let owner = connection["database"]["owner"].as_str().unwrap();
    let ran = rowhouse()
        .args(["tenants", "list", "--json", "--database", owner])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let both = rowhouse()
        .args(["tenants", "list", "--database", owner, "--data", "x"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&both.stderr).contains("cannot be used with"));
}

#[test]
fn keys_are_rotated_at_most_once_a_minute_and_running_processes_go_on() {
    let house = shared();
    let before = house.ok(&["ticket", "--tenant", "acme"]);
    house.ok(&["seal", "rotate", "--force"]);
    let ran = house.run(&["seal", "rotate"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("less than a minute ago"),
        "{}",
        ran.stderr
    );
    let after = house.ok(&["ticket", "--tenant", "acme"]);
    for ticket in [before, after] {
        let answer = house.get(
            "/_int/tenancy/ping",
            &[("authorization", &format!("Bearer {ticket}"))],
        );
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_migration_again_is_a_no_op_and_a_dry_run_prints() {
    let house = shared();
    assert_eq!(
        house.ok(&["migrate"]),
        "Nothing to do: the database is up to date."
    );
    assert_eq!(house.ok(&["migrate", "--dry-run"]), "-- nothing to do");
}

#[test]
fn wrong_settings_and_places_are_named_with_the_way_out() {
    for (variables, arguments, says) in [
        (
            &[("ROWHOUSE_PROT", "1")][..],
            &["serve"][..],
            "there is no setting prot",
        ),
        (&[("ROWHOUSE_PORT", "many")], &["serve"], "ROWHOUSE_PORT"),
        (
            &[("ROWHOUSE_APP_URL", "postgresql://x")],
            &["serve"],
            "go together",
        ),
        (&[("ROWHOUSE_LOG", "rowhouse=loudest")], &["serve"], "log: "),
        (
            &[],
            &["tenants", "list", "--data", "/nowhere"],
            "holds no connection.json",
        ),
        (
            &[],
            &["migrate", "--database", "postgresql://x@127.0.0.1:1/y"],
            "cannot connect to the database",
        ),
        (
            &[],
            &["migrate", "--database", "nonsense"],
            "cannot be read",
        ),
        (
            &[],
            &["serve", "--config", "/nowhere.toml"],
            "/nowhere.toml cannot be read",
        ),
    ] {
        let ran = rowhouse()
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains(says),
            "{variables:?} {arguments:?}: {stderr}"
        );
    }
}

#[test]
fn a_table_goes_behind_the_wall_from_the_command_line() {
    let house = shared();
    let owner = house.connection()["database"]["owner"]
        .as_str()
        .unwrap()
        .to_owned();
    crate::world::sql(
        &owner,
        "create table public.memos (id int generated always as identity primary key, body text not null)",
    );
    crate::world::sql(&owner, "insert into public.memos (body) values ('old one')");
    let refused = house.run(&["tables", "protect", "memos"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("memos"),
        "{}",
        refused.stderr
    );
    let done = house.ok(&["tables", "protect", "memos", "--tenant", "acme"]);
    assert!(
        done.starts_with("public.memos: behind the wall (content, 1 rows)"),
        "{done}"
    );
    assert!(
        house
            .ok(&["tables", "protect", "memos"])
            .contains("behind the wall already")
    );
    assert!(house.ok(&["tables", "list"]).contains("public.memos"));

    let app = house.connection()["database"]["app"]
        .as_str()
        .unwrap()
        .to_owned();
    let count =
        |ticket: &str| crate::world::count_inside(&app, ticket, "select count(*) from memos");
    assert_eq!(count(&house.ok(&["ticket", "--tenant", "acme"])), 1);
    assert_eq!(count(&house.ok(&["ticket", "--tenant", "test-user"])), 0);
    for mode in ["shadow", "off", "enforce"] {
        house.ok(&["tables", "mode", "memos", mode]);
        let seen = count(&house.ok(&["ticket", "--tenant", "test-user"]));
        assert_eq!(seen, i64::from(mode != "enforce"), "{mode}");
    }
    assert!(
        house
            .run(&["tables", "protect", "nowhere"])
            .stderr
            .contains("nowhere")
    );
    assert_eq!(house.run(&["tables", "protect"]).code, 1);
}

#[test]
#[ignore = "long: make test.long"]
fn the_tour_holds_and_leaves_nothing_behind() {
    let house = shared();
    let told: serde_json::Value = serde_json::from_str(&house.ok(&["tour", "--json"])).unwrap();
    assert_eq!(
        (&told["attempts"], &told["leaks"], &told["unproved"]),
        (&10.into(), &0.into(), &0.into())
    );
    let read = house.ok(&["tour"]);
    for shown in [
        "USA                 523.06      France              195.10",
        "10 attacks, 0 leaks",
    ] {
        assert!(read.contains(shown), "{read}");
    }
    let owner = house.connection()["database"]["owner"]
        .as_str()
        .unwrap()
        .to_owned();
    let left = "select (select count(*) from pg_database where datname like '%tour%') + (select count(*) from pg_roles where rolname like '%tour%')";
    assert_eq!(crate::world::count(&owner, left), 0);
}

/// In a house of its own: sealing changes the trails of all tenants.
#[test]
#[ignore = "long: make test.long"]
fn the_trail_is_sealed_gone_over_and_exported() {
    let house = House::up();
    let verify = |code: i32| -> serde_json::Value {
        let ran = house.run(&["audit", "verify", "--tenant", "acme", "--json"]);
        assert_eq!(ran.code, code, "{} {}", ran.stdout, ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let before = verify(0);
    assert_eq!(before["sealed"], 0);
    assert!(before["unsealed"].as_i64().unwrap() > 0);
    assert!(house.ok(&["audit", "seal"]).ends_with(" rows sealed"));
    let sealed = verify(0);
    assert_eq!(
        (&sealed["whole"], &sealed["unsealed"]),
        (&true.into(), &0.into())
    );
    assert_eq!(sealed["sealed"], before["unsealed"]);

    let owner = house.connection()["database"]["owner"]
        .as_str()
        .unwrap()
        .to_owned();
    one_trail_that_cannot_be_sealed_is_named(&house, &owner);

    let events = house.ok(&["audit", "export", "--tenant", "acme"]);
    assert_eq!(
        Some(events.lines().count() as u64),
        sealed["sealed"].as_u64()
    );
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["class_uid"], 3004);
        assert!(!line.contains(":null"), "{line}");
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], 300_400 + activity);
        assert!(
            event["time"].is_i64() && event["entity"]["type"].is_string(),
            "{event}"
        );
    }

    crate::world::sql(
        &owner,
        "update rowhouse.audit_log set detail = '{\"changed\": true}'
         where id = (select a.id from rowhouse.audit_log a join rowhouse.tenants t on t.id = a.tenant_id where t.slug = 'acme' limit 1)",
    );
    let broken = verify(1);
    assert_eq!(
        (&broken["whole"], &broken["broken"]),
        (&false.into(), &serde_json::json!([1]))
    );
}

/// The others' are sealed all the same.
fn one_trail_that_cannot_be_sealed_is_named(house: &House, owner: &str) {
    let last = "delete from rowhouse.audit_seals where number = 9223372036854775807";
    // There is no number behind the highest.
    crate::world::sql(
        owner,
        "insert into rowhouse.audit_seals (tenant_id, number, rows, digest)
         select id, 9223372036854775807, 1, sha256('') from rowhouse.tenants where slug = 'acme';
         insert into rowhouse.audit_log (tenant_id, id, actor_id, action)
         select id, '00000000-0000-7000-8000-00000000f001', id, 'a.b' from rowhouse.tenants",
    );
    let ran = house.run(&["audit", "seal"]);
    assert_eq!(ran.code, 1, "{} {}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("NOT SEALED: the trail of ten_"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        crate::world::count(
            owner,
            "select count(distinct tenant_id) from rowhouse.audit_log where seal is null"
        ),
        1
    );
    crate::world::sql(
        owner,
        &format!("{last}; delete from rowhouse.audit_log where seal is null"),
    );
    house.ok(&["audit", "seal"]);
}
