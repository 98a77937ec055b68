//! The guide to a customer's first hour is typed as it is printed, in a real shell: what each block prints is what stands
//! under it, whole. Once more with a real mail server, where the mail is read there.

use std::collections::BTreeSet;

use crate::readme::type_in;
use crate::smtp::Smtp;
use crate::world::House;

const GUIDE: &str = include_str!("../../../../docs/guides/onboarding.md");
/// Stands before the block that says where mail is read.
const MAIL: &str = "<!-- mail:";
const BETWEEN: &str = "== next ==";

/// A block of commands, and what it prints.
struct Step {
    commands: String,
    prints: String,
    reads_mail: bool,
}

fn steps() -> Vec<Step> {
    let parts: Vec<&str> = GUIDE.split("```").collect();
    let mut steps: Vec<Step> = Vec::new();
    // Text, block, text, block, .. and text.
    for pair in parts.chunks_exact(2) {
        let (before, (kind, block)) = (pair[0], pair[1].split_once('\n').unwrap());
        match (kind, steps.last_mut()) {
            ("sh", _) => steps.push(Step {
                commands: block.to_owned(),
                prints: String::new(),
                reads_mail: before.contains(MAIL),
            }),
            ("text", Some(step)) => block.clone_into(&mut step.prints),
            _ => panic!("a block of {kind}"),
        }
    }
    steps
}

/// Two that differ by their ids only are the same.
fn without_ids(text: &str) -> String {
    let mut parts = text.split('_');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let id = part.bytes().take_while(u8::is_ascii_alphanumeric).count() == 26;
        plain += "_";
        plain += if id { &part[26..] } else { part };
    }
    plain
}

/// Types the guide; `mails` stands for the block that says where mail is read.
fn follow(house: &House, mails: Option<&str>) {
    let steps = steps();
    assert!(steps.len() >= 9, "blocks of the guide");
    assert_eq!(steps.iter().filter(|step| step.reads_mail).count(), 1);
    let commands: Vec<&str> = steps
        .iter()
        .map(|step| match mails {
            Some(mails) if step.reads_mail => mails,
            _ => &step.commands,
        })
        .collect();
    let output = type_in(house, &commands.join(&format!("\necho '{BETWEEN}'\n")));
    let printed: Vec<&str> = output.split(&format!("{BETWEEN}\n")).collect();
    assert_eq!(printed.len(), steps.len(), "{output}");
    for (step, printed) in steps.iter().zip(printed) {
        assert_eq!(
            without_ids(printed),
            without_ids(&step.prints),
            "{}\nprinted:\n{printed}",
            step.commands
        );
    }
}

#[test]
#[ignore = "long: make test.long"]
fn the_first_hour_is_as_printed() {
    follow(&House::up(), None);
}

#[test]
#[ignore = "long: make test.long"]
fn the_first_hour_is_the_same_with_a_mail_server() {
    let smtp = Smtp::up("accept");
    let port = smtp.port.to_string();
    let settings = [
        ("ROWHOUSE_MAIL_HOST", "localhost"),
        ("ROWHOUSE_MAIL_PORT", port.as_str()),
        ("ROWHOUSE_MAIL_TLS", "none"),
    ];
    let house = House::up_with(tempfile::tempdir().unwrap(), &settings);
    // As it travelled: quoted-printable breaks long lines.
    let mails = format!(
        r#"token_of() {{ grep -sF "\"$1\"" {} | sed 's/=\\r\\n//g' | grep -o 'invite_[0-9a-f]*' | head -n 1; }}"#,
        smtp.log().display()
    );
    follow(&house, Some(&mails));
    let given = smtp.given();
    let to: BTreeSet<&str> = given.iter().filter_map(|m| m["to"][0].as_str()).collect();
    let people = ["ada", "ben", "cleo"].map(|name| format!("{name}@northwind.example"));
    assert_eq!(to, people.iter().map(String::as_str).collect());
    assert_eq!(given.len(), 3, "each once");
    let landed = std::fs::read_dir(house.data().join("mail"));
    assert!(landed.is_err(), "and nowhere else");
}
