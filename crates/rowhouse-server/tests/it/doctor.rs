//! `rowhouse doctor`: its answers, its exit codes, its baseline, and what it says when it cannot ask.

use serde_json::Value;

use crate::world::{House, Ran, one_text, rowhouse, shared, sql};

fn owner(house: &House) -> String {
    house.connection()["database"]["owner"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn doctor(house: &House, arguments: &[&str], code: i32) -> Ran {
    let ran = house.run(&[&["doctor"], arguments].concat());
    assert_eq!(ran.code, code, "{} {}", ran.stdout, ran.stderr);
    ran
}

fn answer(house: &House, arguments: &[&str], code: i32) -> Value {
    let ran = doctor(house, &[&["--json"], arguments].concat(), code);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn of_level<'a>(answer: &'a Value, level: &str) -> Vec<&'a Value> {
    answer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["level"] == level)
        .collect()
}

/// A door for every tenant; and an index that is only slow.
const HOLE: &str = "create view public.titles as select title from rowhouse.resources; grant select on public.titles to rowhouse_app;
    create index on rowhouse.resources (title)";
const WORSE: &str = "drop policy tenant_floor on rowhouse.resource_acl";

#[test]
#[ignore = "long: make test.long"]
fn a_seeded_database_is_exit_code_0_and_a_hole_is_1() {
    let house = House::up();
    let closed = answer(&house, &[], 0);
    assert!(of_level(&closed, "error").is_empty(), "{closed:#}");
    let text = doctor(&house, &[], 0).stdout;
    assert!(
        text.trim_end()
            .lines()
            .last()
            .unwrap()
            .starts_with("0 errors, "),
        "{text}"
    );
    // A pipe is no terminal: nothing is painted.
    assert!(!text.contains('\x1b'), "{text}");

    sql(&owner(&house), HOLE);
    let open = answer(&house, &[], 1);
    let found = of_level(&open, "error");
    assert_eq!(found.len(), 1, "{open:#}");
    assert_eq!(found[0]["rule"], "view-with-owners-rights");
    assert_eq!(found[0]["object"], "view public.titles");
    assert_eq!(open["counts"]["error"], 1);
    for finding in open["findings"].as_array().unwrap() {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["rule", "level", "object", "what", "why", "mend"]);
        for (key, value) in finding.as_object().unwrap() {
            assert!(!value.as_str().unwrap().is_empty(), "{key} of {finding}");
        }
    }
    let text = doctor(&house, &[], 1).stdout;
    let mend = found[0]["mend"].as_str().unwrap();
    assert!(
        text.starts_with("ERROR (1)\n\n  view public.titles "),
        "{text}"
    );
    assert!(text.contains(mend), "{text}");

    as_sarif(&house, &open);
    known_holes_pass_and_a_new_one_does_not(&house);
}

/// The same findings, in the shape that code hosts read.
fn as_sarif(house: &House, answer: &Value) {
    let log: Value = serde_json::from_str(&doctor(house, &["--sarif"], 1).stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "rowhouse doctor");
    let rules = driver["rules"].as_array().unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let findings = answer["findings"].as_array().unwrap();
    assert_eq!(results.len(), findings.len());
    for (result, finding) in results.iter().zip(findings) {
        let level = match finding["level"].as_str().unwrap() {
            "info" => "note",
            level => level,
        };
        assert_eq!(result["level"], level, "{result:#}");
        assert_eq!(result["ruleId"], finding["rule"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], finding["rule"]);
        let place = &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
        assert_eq!(place, &finding["object"]);
        let message = result["message"]["text"].as_str().unwrap();
        assert!(message.contains(finding["what"].as_str().unwrap()));
    }
    let levels: Vec<&str> = results
        .iter()
        .map(|result| result["level"].as_str().unwrap())
        .collect();
    for level in ["error", "note"] {
        assert!(levels.contains(&level), "no {level}: {levels:?}");
    }
}

fn known_holes_pass_and_a_new_one_does_not(house: &House) {
    let file = house.folder.path().join("baseline.json");
    let path = file.to_str().unwrap();
    let written = answer(house, &["--write-baseline", path], 1);
    let known = answer(house, &["--baseline", path], 0);
    assert_eq!(known["findings"], Value::Array(Vec::new()), "{known:#}");
    let count = written["findings"].as_array().unwrap().len();
    assert_eq!(known["counts"]["baseline"], count);
    let text = doctor(house, &["--baseline", path], 0).stdout;
    assert!(
        text.trim_end()
            .ends_with(&format!("; {count} in the baseline.")),
        "{text}"
    );

    // An earlier answer is a baseline, too.
    let earlier = house.folder.path().join("earlier.json");
    std::fs::write(&earlier, written.to_string()).unwrap();
    doctor(house, &["--baseline", earlier.to_str().unwrap()], 0);

    sql(&owner(house), WORSE);
    let new = answer(house, &["--baseline", path], 1);
    let objects: Vec<&Value> = of_level(&new, "error")
        .iter()
        .map(|found| &found["object"])
        .collect();
    assert!(!objects.is_empty(), "{new:#}");
    assert!(
        objects
            .iter()
            .all(|object| object.as_str().unwrap().contains("resource_acl")),
        "{new:#}"
    );

    // What is no baseline is told before anything is asked.
    std::fs::write(&file, "{}").unwrap();
    let ran = doctor(house, &["--baseline", path], 2);
    assert!(ran.stderr.contains("is no baseline"), "{}", ran.stderr);
    std::fs::remove_file(&file).unwrap();
    let ran = doctor(house, &["--baseline", path], 2);
    assert!(ran.stderr.contains("cannot be read"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_asked_is_exit_code_2() {
    // A port on which nobody listens.
    let nowhere = format!(
        "postgres://nobody:nothing@127.0.0.1:{}/nothing",
        crate::world::free_port()
    );
    let elsewhere = |arguments: &[&str]| {
        Ran::from(
            rowhouse()
                .args(["doctor", "--database", &nowhere])
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    let ran = elsewhere(&[]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("rowhouse: "), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let ran = elsewhere(&["--json"]);
    assert_eq!(ran.code, 2);
    let told: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(!told["detail"].as_str().unwrap().is_empty(), "{told}");

    // A command line that cannot be understood.
    for (arguments, says) in [
        (&["--colour"][..], "--colour"),
        (&["--sarif", "--json"], "cannot be used with"),
        (&["--seconds", "0"], "--seconds"),
    ] {
        let ran = elsewhere(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }

    let house = shared();
    let ran = doctor(house, &["--rule", "rls-of"], 2);
    assert_eq!(
        ran.stderr.trim_end(),
        "rowhouse: rule: there is none called rls-of"
    );
    let only = answer(house, &["--rule", "rls-off"], 0);
    assert_eq!(only["findings"], Value::Array(Vec::new()));
    // The database was there all the time.
    assert_eq!(one_text(&owner(house), "select 'here'"), "here");
}

/// Warnings that a rule could not be asked are no answer where there was no other.
#[test]
#[ignore = "long: make test.long"]
fn rules_that_could_not_be_asked_are_no_good_news() {
    let house = House::up();
    sql(
        &owner(&house),
        "revoke select on pg_event_trigger from public",
    );
    let app = house.connection()["database"]["app"]
        .as_str()
        .unwrap()
        .to_owned();
    let as_app = |arguments: &[&str], code: i32| {
        let ran = Ran::from(
            rowhouse()
                .args(["doctor", "--json", "--database", &app])
                .args(arguments)
                .output()
                .unwrap(),
        );
        assert_eq!(
            ran.code, code,
            "{arguments:?}: {} {}",
            ran.stdout, ran.stderr
        );
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let closed = ["--rule", "event-trigger"];
    let told = as_app(&closed, 2);
    assert_eq!(told["findings"][0]["level"], "warning");
    assert_eq!(
        told["findings"][0]["what"],
        "could not be asked: permission denied for table pg_event_trigger"
    );
    // Named twice it is still one rule; and that it is known does not make it asked.
    as_app(&[&closed[..], &closed].concat(), 2);
    let known = house.folder.path().join("known.json");
    let known = known.to_str().unwrap();
    as_app(&[&closed[..], &["--write-baseline", known]].concat(), 2);
    as_app(&[&closed[..], &["--baseline", known]].concat(), 2);
    // Another one was asked.
    let both = [&closed[..], &["--rule", "rls-off"]].concat();
    as_app(&both, 0);
    as_app(&[&both[..], &["--strict"]].concat(), 2);
    as_app(&["--rule", "rls-off", "--strict"], 0);
    // A hole is a hole, and said first.
    sql(&owner(&house), HOLE);
    let hole = ["--rule", "view-with-owners-rights", "--strict"];
    as_app(&[&closed[..], &hole].concat(), 1);
}

#[test]
#[ignore = "long: make test.long"]
fn a_name_does_not_steer_the_terminal() {
    let house = House::up();
    sql(
        &owner(&house),
        "create table public.\"red\x1b[31m\u{202e}\" (tenant_id uuid); grant select on public.\"red\x1b[31m\u{202e}\" to rowhouse_app",
    );
    let text = doctor(&house, &[], 1).stdout;
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    assert!(text.contains(r#"public."red\u{1b}[31m\u{202e}""#), "{text}");
    // A machine gets the name as it is.
    let found = answer(&house, &["--rule", "table-without-rls"], 1);
    assert_eq!(
        found["findings"][0]["object"],
        "public.\"red\x1b[31m\u{202e}\""
    );
}
