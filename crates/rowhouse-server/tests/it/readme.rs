//! The README is typed as it is printed, in a real shell, against a running `rowhouse up`. What stands as a comment behind
//! a command, or as `# ERROR: ..` under it, has to be in what was printed, in that order.

use crate::world::{House, without_settings};

const README: &str = include_str!("../../../../README.md");
const FIRST_STEPS: &str = include_str!("../../src/first_steps.sh");

#[test]
#[ignore = "long: make test.long"]
fn the_five_minutes_work_as_printed() {
    let house = House::up();
    let (_, section) = README.split_once("\n## Five minutes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let script: Vec<&str> = blocks(section)
        .filter(|block| block.trim() != "make run")
        .collect();
    assert_eq!(script.len(), 4, "blocks of the section");
    let script = script.concat();
    let output = type_in(&house, &script);

    let mut rest = output.as_str();
    let mut expected = 0;
    for line in script.lines() {
        let Some(comment) = expectation(line) else {
            continue;
        };
        expected += 1;
        let at = rest.find(comment).unwrap_or_else(|| {
            panic!("not printed, or not there: {comment}\n--- all of it:\n{output}")
        });
        rest = &rest[at + comment.len()..];
    }
    assert!(expected >= 13, "{expected}");
    assert!(output.contains("0 leaks"), "the tour: {output}");
    for token in ["command not found", "syntax error"] {
        assert!(!output.contains(token), "{output}");
    }
}

#[test]
fn the_readme_has_the_lines_that_up_prints() {
    let (_, block) = README
        .split_once("<!-- first_steps.sh: kept equal to the file by a test -->\n```sh\n")
        .unwrap();
    let (block, _) = block
        .split_once("```\n<!-- end of first_steps.sh -->")
        .unwrap();
    assert_eq!(block, FIRST_STEPS);
    let house = crate::world::shared();
    let said = house.said();
    let url = format!("http://127.0.0.1:{}", house.port);
    let data = house.data();
    for line in FIRST_STEPS.lines() {
        let line = line
            .replace("http://127.0.0.1:7080", &url)
            .replace(".rowhouse/", &format!("{}/", data.display()));
        assert!(said.contains(line.trim_end()), "{line}\n--- in:\n{said}");
    }
}

/// What is inside the fences of shell blocks.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
}

/// `command   # what it prints`, or `# ERROR: ..`.
fn expectation(line: &str) -> Option<&str> {
    if let Some(error) = line.strip_prefix("# ERROR:") {
        return Some(error.trim());
    }
    let (command, comment) = line.split_once("   # ")?;
    (!command.trim().is_empty()).then_some(comment.trim())
}

/// Types it into a shell in a folder whose `.rowhouse` is the house's data folder.
pub fn type_in(house: &House, script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(house.data(), folder.path().join(".rowhouse")).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_rowhouse"));
    let path = [
        program.parent().unwrap().display().to_string(),
        std::env::var("ROWHOUSE_POSTGRES_BIN").unwrap_or_default(),
        std::env::var("PATH").unwrap(),
    ]
    .join(":");
    let script = script
        .replace(r#"export PATH="$PWD/target/debug:$PATH""#, "")
        .replace(":7080", &format!(":{}", house.port));
    let output = without_settings("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
