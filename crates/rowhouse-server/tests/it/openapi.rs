//! The document: checked in, served, whole. What its examples and answers look like, coverage.rs sees.
//! To write the file anew: `ROWHOUSE_WRITE_OPENAPI=1 cargo test -p rowhouse-server --test it openapi`.

use crate::callers::get;
use crate::document::{document, operations, printed};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_file_is_what_the_program_prints() {
    let printed = printed();
    if std::env::var_os("ROWHOUSE_WRITE_OPENAPI").is_some() {
        std::fs::write(FILE, &printed).unwrap();
    }
    let checked_in = std::fs::read_to_string(FILE).unwrap();
    let differs = checked_in
        .lines()
        .zip(printed.lines())
        .find(|(checked_in, printed)| checked_in != printed);
    assert!(
        checked_in == printed,
        "docs/openapi.json is not what the program prints; first difference: {differs:?}"
    );
}

#[test]
fn the_service_answers_with_it() {
    let served = get("/openapi.json").gets(200);
    assert_eq!(served.body, printed());
    assert_eq!(served.header("content-type"), Some("application/json"));
}

#[test]
fn the_page_that_shows_it_asks_nobody_else() {
    let page = get("/docs").gets(308);
    assert_eq!(page.header("location"), Some("/docs/index.html"));
    let html = get("/docs/index.html").gets(200);
    let policy = html.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(
        !html.body.contains("http://") && !html.body.contains("https://"),
        "{}",
        html.body
    );
    for quoted in html.body.split(['"', '\'']) {
        if let Some(file) = quoted.strip_prefix("./")
            && file.contains('.')
        {
            get(&format!("/docs/{file}")).gets(200);
        }
    }
    get("/docs/nothing.js").refused(404, "not-found");
    get("/docs/..%2fopenapi.json").refused(404, "not-found");
    get("/docs/%ff").invalid("file");
}

#[test]
fn each_list_documents_its_pages() {
    let mut lists = 0;
    for operation in operations() {
        let answers = document()["paths"][operation.path][operation.method]["responses"]["200"]
            .pointer("/content/application~1json/schema/$ref");
        if answers.is_some_and(|name| name.as_str().is_some_and(|name| name.contains("/Listing_")))
        {
            lists += 1;
            let query = operation.query();
            for name in ["limit", "cursor"] {
                assert!(query.contains(&name), "{}: {query:?}", operation.path);
            }
        }
    }
    assert!(lists >= 6, "{lists}");
}

/// Programs that make a client out of the document name its functions so.
#[test]
fn no_two_operations_have_one_name() {
    let mut names = std::collections::BTreeSet::new();
    for operation in operations() {
        let said = &document()["paths"][operation.path][operation.method];
        let name = said["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} is not the only one");
    }
    assert!(names.contains("resources_list"));
}

#[test]
fn each_operation_says_what_it_does_and_each_change_takes_an_example() {
    for operation in operations() {
        let said = &document()["paths"][operation.path][operation.method];
        assert!(
            said["summary"].as_str().is_some_and(|text| text.len() > 8),
            "{} {}",
            operation.method,
            operation.path
        );
        operation.example();
        operation.success();
    }
}

/// What each example of a refusal says is what its place in the document says, and has what its schema needs.
#[test]
fn the_examples_of_refusals_are_whole_problems() {
    let mut examples = 0;
    for operation in operations() {
        let said = &document()["paths"][operation.path][operation.method]["responses"];
        for (status, response) in said.as_object().unwrap() {
            let example = &response["content"]["application/problem+json"]["example"];
            if example.is_null() {
                continue;
            }
            examples += 1;
            let status: u16 = status.parse().unwrap();
            assert_eq!(operation.differs(status, &example.to_string()), None);
            assert_eq!(example["status"], status);
            let code = example["code"].as_str().unwrap();
            assert_eq!(example["type"], format!("urn:rowhouse:error:{code}"));
            assert!(response["description"].as_str().unwrap().contains(code));
            assert_eq!(example["field"].is_string(), code == "invalid");
        }
    }
    assert!(examples >= 500, "{examples}");
}
