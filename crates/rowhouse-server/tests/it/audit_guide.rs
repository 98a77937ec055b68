//! The guide to an audit is typed as it is printed, on a database of nobody's but its own: what it shows is what one sees.

use crate::readme::type_in;
use crate::world::House;

const GUIDE: &str = include_str!("../../../../docs/guides/audit.md");
const BETWEEN: &str = "== next ==\n";
/// Those of the guide's third minute.
const ROWS: &str = "
insert into tenant values ('00000000-0000-0000-0000-00000000000a', 'A'), ('00000000-0000-0000-0000-00000000000b', 'B');
insert into contact (tenant_id, email) select tenant_id, name || '@example.com' from tenant;
insert into note (tenant_id, contact_id, body) select tenant_id, contact_id, 'b''s secret' from contact where email like 'B%';";

fn blocks() -> Vec<&'static str> {
    let odd = GUIDE.split("```").skip(1).step_by(2);
    odd.map(|block| block.split_once('\n').unwrap().1).collect()
}

/// What stands behind the comment signs of a block.
fn shown(block: &'static str, sign: &str) -> Vec<&'static str> {
    let lines = block.lines().filter_map(|line| line.strip_prefix(sign));
    lines.map(str::trim).collect()
}

/// `10 errors, 6 warnings, 4 for information.`, as numbers.
fn counts(line: &str) -> Vec<u32> {
    line.split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// The last line of what doctor says is that of the guide, but for what it says of the server itself, if anything.
fn ends_in(said: &str, guide: &str, of_the_server: u32, place: usize) {
    let mut expected = counts(guide);
    expected[place] += of_the_server;
    assert_eq!(
        counts(said.trim_end().lines().last().unwrap()),
        expected,
        "{said}"
    );
}

#[test]
#[ignore = "long: make test.long"]
fn a_foreign_database_is_audited_as_printed() {
    let blocks = blocks();
    let [build, ask, said, attack, baseline, mend, again] = blocks[..] else {
        panic!("blocks of the guide: {blocks:#?}");
    };
    let psql = |url: &str, sql: &str| {
        format!("psql -qAt -v ON_ERROR_STOP=1 \"{url}\" <<'SQL'\n{sql}\nSQL\n")
    };
    let script = [
        "owner=$(sed -n 's/.*\"owner\": \"\\(.*\\)\".*/\\1/p' .rowhouse/connection.json)
         address=${owner#*@}; address=${address%%/*}\n"
            .to_owned()
            + &psql("$owner", build)
            + &psql("${owner%/*}/crm", ROWS),
        ask.replace("127.0.0.1", "$address"),
        psql("$crm", attack),
        baseline.to_owned(),
        psql("postgres://crm_owner:o@$address/crm", mend),
        again.to_owned(),
    ]
    .join(&format!("\necho '{}'\n", BETWEEN.trim_end()));
    let output = type_in(&House::up(), &script);
    let printed: Vec<&str> = output.split(BETWEEN).collect();
    let [setup, asked, attacked, known, mended, asked_again] = printed[..] else {
        panic!("{output}");
    };

    assert_eq!((setup, mended), ("", ""), "{output}");
    let of_the_server = u32::from(asked.contains("[server-minor]"));
    let mut rest = asked;
    for line in said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "..")
    {
        if line.ends_with("for information.") {
            ends_in(asked, line, of_the_server, 1);
            continue;
        }
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("{line}\nis not in\n{asked}"));
        rest = &rest[at + line.len()..];
    }
    let mut rows: Vec<String> = attacked
        .lines()
        .map(|row| row.replace('|', " | "))
        .collect();
    let mut leaked: Vec<String> = shown(attack, "--")
        .iter()
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    rows.sort();
    leaked.sort();
    assert_eq!(rows, leaked, "{attacked}");
    ends_in(known, shown(baseline, "# ")[0], of_the_server, 3);
    ends_in(asked_again, shown(again, "# ")[0], of_the_server, 1);
}
