//! The documents say what is there: each error code has its page, each path that they name exists, the README's example
//! is the one that runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rowhouse::tables::{self, Assign, Protect};
use serde_json::json;

use crate::world::World;

#[expect(dead_code, reason = "its main is for those who run it by hand")]
#[path = "../../examples/embed.rs"]
mod embed;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn each_error_code_has_a_page_and_each_page_a_code() {
    let library = read("crates/rowhouse/src/error.rs");
    let (_, arms) = library.split_once("pub fn code(").unwrap();
    let (arms, _) = arms.split_once("\n    }\n").unwrap();
    let mut codes: BTreeSet<String> = literals(arms)
        .filter(|(before, _, _)| before.ends_with("=>"))
        .map(|(_, code, _)| code.to_owned())
        .collect();
    assert!(codes.contains("no-tenant") && codes.contains("embedded"));
    // `code: ".."`, and the pairs of a code and what is said.
    let server = read("crates/rowhouse-server/src/error.rs");
    codes.extend(
        literals(&server)
            .filter(|(before, code, after)| {
                let pair = before.ends_with('(') && after.starts_with(',') && is_code(code);
                pair || before.ends_with("code:")
            })
            .map(|(_, code, _)| code.to_owned()),
    );
    assert!(codes.contains("unauthorized") && codes.contains("overloaded"));

    let mut pages = BTreeSet::new();
    for path in files("docs/errors") {
        let code = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let page = fs::read_to_string(&path).unwrap();
        for part in [
            &format!("# `{code}`\n"),
            "\n## Cause\n",
            "\n## What to do\n",
            "\n## Example\n",
        ] {
            assert!(page.contains(part), "{code}: its page has no {part:?}");
        }
        pages.insert(code);
    }
    assert_eq!(codes, pages);
}

#[test]
fn each_path_that_a_document_names_exists() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        let named = code_spans(&text).filter(|span| looks_like_a_path(span));
        let in_the_root = named.map(|path| (path, Path::new(ROOT).join(path)));
        let linked = links(&text).map(|path| (path, folder.join(path)));
        for (name, path) in in_the_root.chain(linked) {
            assert!(
                path.exists(),
                "{} names {name}, which does not exist",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} paths were found");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let readme = read("README.md");
    let (_, shown) = readme
        .split_once("<!-- embed.rs: kept equal to the file by a test -->\n```rust\n")
        .unwrap();
    let (shown, _) = shown.split_once("```\n<!-- end of embed.rs -->\n").unwrap();
    assert!(
        shown == read("crates/rowhouse/examples/embed.rs"),
        "the README shows another embed.rs than there is"
    );
}

#[tokio::test]
async fn the_example_of_the_readme_works_as_printed() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let tx = owner.begin().await.unwrap();
    tx.batch_execute(table_of_the_readme(&read("README.md")))
        .await
        .unwrap();
    tables::protect(&tx, &[Protect::content("notes", Assign::Empty)])
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("connection.json");
    let urls = json!({ "database": {
        "app": world.url("test_app"), "platform": world.url("test_platform"), "sealer": world.url("test_sealer"),
    } });
    fs::write(&file, urls.to_string()).unwrap();
    for slug in ["alpha", "beta"] {
        let titles = embed::notes(file.to_str().unwrap(), slug).await.unwrap();
        assert_eq!(
            titles,
            ["from Rust"],
            "{slug} sees its own note and no other"
        );
    }
}

fn table_of_the_readme(readme: &str) -> &str {
    let start = readme.find("create table notes").unwrap();
    let length = readme[start..].find("SQL\n").unwrap();
    &readme[start..start + length]
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(Path::new(ROOT).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect()
}

fn documents() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["README.md", "SECURITY.md"]
        .iter()
        .map(|name| Path::new(ROOT).join(name))
        .collect();
    for folder in ["docs", "docs/adr", "docs/errors", "docs/guides"] {
        all.extend(
            files(folder)
                .into_iter()
                .filter(|path| path.extension().is_some_and(|is| is == "md")),
        );
    }
    all
}

/// What stands between single backticks on a line, outside of blocks of code.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines()
        .filter(move |line| {
            let fence = line.starts_with("```");
            in_block ^= fence;
            !in_block && !fence
        })
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// A path of the repository, not a URL, a file of the user's or a pattern.
fn looks_like_a_path(span: &str) -> bool {
    let plain = span
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let ours = ["crates/", "docs/", "scripts/", "bench/", ".ci/"];
    plain
        && (ours.iter().any(|folder| span.starts_with(folder))
            || (span.contains('/')
                && !span.starts_with(['/', '.'])
                && Path::new(span).extension().is_some()))
}

/// The targets of `[..](..)` that are files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.starts_with('#') && !target.contains("://"))
        .map(|target| target.split('#').next().unwrap_or(target))
}

/// Text literals of a source file, with what stands before and behind them.
fn literals(source: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + source[rest..].find('"')?;
        let end = start + 1 + source[start + 1..].find('"')?;
        rest = end + 1;
        Some((
            source[..start].trim_end(),
            &source[start + 1..end],
            source[rest..].trim_start(),
        ))
    })
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
