//! Lists, page by page: each row once, in order, whatever else is going on; and what they are narrowed to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::callers::{Tenant, call, execute, fresh_slug, get, missing, operator, post, text, uuid};

/// The pages of a list, `between` each two something happens.
fn walk(path: &str, by: &str, mut between: impl FnMut(usize)) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut at = path.to_owned();
    loop {
        let page = get(&at).by(by).gets(200).json();
        pages.push(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else {
            return pages;
        };
        at = format!("{path}&cursor={next}");
        between(pages.len());
        assert!(pages.len() < 100, "{path} does not end");
    }
}

fn titles(pages: &[Vec<Value>]) -> Vec<String> {
    pages
        .iter()
        .flatten()
        .map(|row| text(&row["title"]))
        .collect()
}

/// 120 resources, three of which always changed at the same moment.
fn filled() -> Tenant {
    let home = Tenant::founded();
    let id = uuid(&home.id);
    execute(&format!(
        "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id, visibility, created_at, updated_at)
         select '{id}', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
           case n % 2 when 0 then 'prompt' else 'tag' end, 'Title ' || n, w.id, '{id}',
           case when n <= 10 then 'private' else 'tenant' end, now() - interval '1 day', now() - make_interval(mins => 200 - n / 3)
         from generate_series(1, 120) n, rowhouse.workspaces w
         where w.tenant_id = '{id}'"
    ));
    home
}

#[test]
fn pages_of_seven_give_each_of_120_rows_once_in_order() {
    let home = filled();
    let expected: Vec<String> = (1..=120).rev().map(|n| format!("Title {n}")).collect();
    let pages = walk(&home.path("/resources?limit=7"), &home.writer(), |_| {});
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [vec![7; 17], vec![1]].concat()
    );
    assert_eq!(titles(&pages), expected);
    for (limit, count) in [(120, 1), (119, 2), (60, 2), (199, 1)] {
        let path = home.path(&format!("/resources?limit={limit}"));
        let pages = walk(&path, &home.writer(), |_| {});
        assert_eq!(
            (pages.len(), titles(&pages) == expected),
            (count, true),
            "{limit}"
        );
    }
    let page = get(&home.path("/resources"))
        .by(&home.writer())
        .gets(200)
        .json();
    assert_eq!(page["items"].as_array().unwrap().len(), 50);
}

#[test]
fn rows_that_come_meanwhile_disturb_no_walk() {
    let home = filled();
    let writer = home.writer();
    let pages = walk(&home.path("/resources?limit=7"), &writer, |page| {
        home.resource(&format!("New {page}"));
        if page == 3 {
            // Changed, so it stands at the front now: it has been seen, or is not seen again.
            let newest = get(&home.path("/resources?q=title+120"))
                .by(&writer)
                .gets(200)
                .json();
            let id = text(&newest["items"][0]["id"]);
            call("PATCH", &home.path(&format!("/resources/{id}")))
                .json(&json!({ "visibility": "private" }))
                .by(&writer)
                .gets(200);
        }
    });
    let expected: Vec<String> = (1..=120).rev().map(|n| format!("Title {n}")).collect();
    assert_eq!(titles(&pages), expected);
    let fresh = walk(&home.path("/resources?limit=7"), &writer, |_| {});
    assert_eq!(titles(&fresh).len(), 120 + 17);
}

#[test]
fn a_filter_holds_on_every_page() {
    let home = filled();
    let writer = home.writer();
    let all = |query: &str| {
        titles(&walk(
            &home.path(&format!("/resources?limit=7&{query}")),
            &writer,
            |_| {},
        ))
    };
    let numbers = |keep: &dyn Fn(u32) -> bool| -> Vec<String> {
        (1..=120)
            .rev()
            .filter(|n| keep(*n))
            .map(|n| format!("Title {n}"))
            .collect()
    };
    assert_eq!(all("type=tag"), numbers(&|n| n % 2 == 1));
    assert_eq!(all("visibility=private"), numbers(&|n| n <= 10));
    assert_eq!(
        all("visibility=private&type=prompt"),
        numbers(&|n| n <= 10 && n % 2 == 0)
    );
    assert_eq!(
        all("q=TITLE+1"),
        numbers(&|n| n.to_string().starts_with('1'))
    );
    assert_eq!(
        all("q=Title+11&type=tag"),
        numbers(&|n| n % 2 == 1 && n.to_string().starts_with("11"))
    );
    for nothing in [
        "q=%25",
        "q=Title_1",
        "q=%5C",
        "type=model",
        "visibility=team",
    ] {
        assert_eq!(all(nothing), Vec::<String>::new(), "{nothing}");
    }
    let workspace =
        get(&home.path("/workspaces")).by(&writer).gets(200).json()["items"][0]["id"].clone();
    assert_eq!(all(&format!("workspace={}", text(&workspace))).len(), 120);
    let other = Tenant::founded();
    let theirs = get(&other.path("/workspaces"))
        .by(&other.writer())
        .gets(200)
        .json()["items"][0]["id"]
        .clone();
    assert_eq!(all(&format!("workspace={}", text(&theirs))).len(), 0);
    assert_eq!(all(&format!("workspace={}", missing("wsp"))).len(), 0);
}

#[test]
fn what_is_deleted_is_on_no_page_until_it_is_restored() {
    let home = Tenant::founded();
    let writer = home.writer();
    let (one, two) = (home.resource("One"), home.resource("Two"));
    let path = home.path(&format!("/resources/{}", text(&one["id"])));
    let listed = || titles(&walk(&home.path("/resources?limit=7"), &writer, |_| {}));
    assert_eq!(listed(), ["Two", "One"]);
    call("DELETE", &path).by(&writer).gets(204);
    assert_eq!(listed(), ["Two"]);
    for again in ["GET", "DELETE"] {
        call(again, &path).by(&writer).refused(404, "not-found");
    }
    call("PATCH", &path)
        .json(&json!({ "title": "Three" }))
        .by(&writer)
        .refused(404, "not-found");
    let restored = call("POST", &format!("{path}/restore"))
        .by(&writer)
        .gets(200)
        .json();
    assert_eq!(
        (&restored["title"], &restored["deleted_at"]),
        (&json!("One"), &Value::Null)
    );
    assert_eq!(listed(), ["One", "Two"], "restored is changed");
    let before = home.footprint();
    let again = call("POST", &format!("{path}/restore"))
        .by(&writer)
        .gets(200)
        .json();
    assert_eq!(again, restored, "what is not deleted stays as it is");
    assert_eq!(home.footprint(), before);
    call(
        "POST",
        &home.path(&format!("/resources/{}/restore", missing("res"))),
    )
    .by(&writer)
    .refused(404, "not-found");
    assert_eq!(two["deleted_at"], Value::Null);
}

#[test]
fn the_trail_is_walked_and_narrowed_like_any_list() {
    let home = Tenant::founded();
    let writer = home.writer();
    let resource = home.resource("One");
    let id = text(&resource["id"]);
    let path = home.path(&format!("/resources/{id}"));
    for title in ["Two", "Three", "Four"] {
        call("PATCH", &path)
            .json(&json!({ "title": title }))
            .by(&writer)
            .gets(200);
    }
    home.resource("Other");
    let actions = |query: &str| -> Vec<String> {
        let pages = walk(
            &home.path(&format!("/audit?limit=2&{query}")),
            &writer,
            |_| {},
        );
        pages
            .iter()
            .flatten()
            .map(|row| text(&row["action"]))
            .collect()
    };
    let all = [
        "resources.create",
        "resources.update",
        "resources.update",
        "resources.update",
        "resources.create",
        "tenants.create",
    ];
    assert_eq!(actions(""), all);
    assert_eq!(actions("action=resources.update"), ["resources.update"; 3]);
    assert_eq!(actions(&format!("resource={id}")), all[1..5]);
    assert_eq!(
        actions(&format!("workspace={}", text(&resource["workspace_id"]))),
        all
    );
    let actor = home.id.replacen("ten_", "prn_", 1);
    assert_eq!(actions(&format!("actor={actor}")), all[..5]);
    assert_eq!(actions("action=keys.create"), Vec::<String>::new());
    let other = Tenant::founded();
    let theirs = text(&other.resource("Theirs")["id"]);
    assert_eq!(actions(&format!("resource={theirs}")), Vec::<String>::new());
    // No values in the trail: what changed, not into what.
    let trail = get(&home.path("/audit")).by(&writer).gets(200).body;
    assert!(
        trail.contains("\"fields\":[\"title\"]") && !trail.contains("Three"),
        "{trail}"
    );
}

#[test]
fn entries_keys_and_workspaces_have_pages_too() {
    let home = Tenant::founded();
    let writer = home.writer();
    let resource = text(&home.resource("Subject")["id"]);
    let id = uuid(&home.id);
    execute(&format!(
        "insert into rowhouse.workspaces (tenant_id, id, kind, name)
         select '{id}', gen_random_uuid(), 'tenant', 'Workspace ' || n from generate_series(1, 9) n;
         insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
         select '{id}', '{}', p.id, 'read' from rowhouse.principals p where p.tenant_id = '{id}'",
        uuid(&resource)
    ));
    for _ in 0..5 {
        let resource = text(&home.resource("Deployed")["id"]);
        let body = json!({ "resource_id": resource, "environment": "SANDBOX" });
        post(&home.path("/deployments"), &body)
            .by(&writer)
            .gets(201);
        let key = home.key(&["read"]).0;
        let body = json!({ "api_key_id": key, "persona_id": uuid(&key), "name": "Concierge" });
        post(&home.path("/personas"), &body)
            .by(operator())
            .gets(201);
    }
    for (list, id, count) in [
        ("/workspaces".to_owned(), "id", 10),
        ("/deployments".to_owned(), "id", 5),
        ("/personas".to_owned(), "id", 5),
        (format!("/resources/{resource}/acl"), "principal_id", 3),
    ] {
        let pages = walk(&home.path(&format!("{list}?limit=2")), &writer, |_| {});
        let ids: BTreeSet<String> = pages.iter().flatten().map(|row| text(&row[id])).collect();
        assert_eq!(
            (ids.len(), pages.iter().flatten().count()),
            (count, count),
            "{list}"
        );
    }
}

#[test]
fn the_registry_is_searched_and_narrowed() {
    let slug = fresh_slug();
    let found = |number: u8, kind: &str, plan: &str| {
        let body = json!({ "slug": format!("{slug}-{number}"), "name": format!("Grün & Söhne {slug}"), "kind": kind, "plan": plan });
        Tenant::of(
            &post("/api/v1/tenants", &body)
                .by(operator())
                .gets(201)
                .json(),
        )
    };
    let (one, two, three) = (
        found(1, "personal", "free"),
        found(2, "organization", "team"),
        found(3, "organization", "free"),
    );
    call("POST", &two.path("/suspend")).by(operator()).gets(200);
    let all = |query: &str| -> Vec<String> {
        let pages = walk(
            &format!("/api/v1/tenants?limit=1&{query}"),
            operator(),
            |_| {},
        );
        pages
            .iter()
            .flatten()
            .map(|row| text(&row["slug"]))
            .collect()
    };
    let q = format!("q=gr%C3%BCn+%26+s%C3%B6hne+{slug}");
    assert_eq!(
        all(&q),
        [three.slug.clone(), two.slug.clone(), one.slug.clone()]
    );
    assert_eq!(all(&format!("q={}", two.slug)), [&*two.slug]);
    assert_eq!(all(&format!("{q}&kind=personal")), [&*one.slug]);
    assert_eq!(
        all(&format!("{q}&plan=free")),
        [three.slug.clone(), one.slug.clone()]
    );
    assert_eq!(all(&format!("{q}&status=suspended")), [&*two.slug]);
    call("DELETE", &three.path("")).by(operator()).gets(204);
    assert_eq!(all(&q), [two.slug.clone(), one.slug.clone()]);
    assert_eq!(all(&format!("{q}&status=deleted")), Vec::<String>::new());
}
