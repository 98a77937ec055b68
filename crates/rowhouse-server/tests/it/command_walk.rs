//! From a tenant's founding to its end by the command line alone: each change leaves one row in the tenant's trail, and one
//! in the platform's when it is an operator's; what only shows leaves none.

use serde_json::Value;

use crate::callers::{fresh_slug, number, text};
use crate::world::shared;

struct Walk {
    slug: String,
}

impl Walk {
    /// Rows in the tenant's trail, and in the platform's about it.
    fn rows(&self) -> (i64, i64) {
        let count = |table: &str| {
            number(&format!(
                "select count(*) from rowhouse.{table}
                 where tenant_id in (select id from rowhouse.tenants where slug = '{}')",
                self.slug
            ))
        };
        (count("audit_log"), count("platform_audit"))
    }

    #[track_caller]
    fn leaves(&self, arguments: &[&str], expected: (i64, i64)) -> Value {
        let before = self.rows();
        let said = shared().ok(&[arguments, &["--json"]].concat());
        let after = self.rows();
        let left = (after.0 - before.0, after.1 - before.1);
        assert_eq!(left, expected, "{arguments:?}");
        serde_json::from_str(&said).unwrap()
    }

    /// Of somebody who works on the server.
    #[track_caller]
    fn changes(&self, arguments: &[&str]) -> Value {
        self.leaves(arguments, (1, 1))
    }

    #[track_caller]
    fn shows(&self, arguments: &[&str]) -> Value {
        self.leaves(arguments, (0, 0))
    }
}

#[test]
#[ignore = "long: make test.long"]
fn each_command_does_what_it_says_and_leaves_one_row() {
    let walk = Walk { slug: fresh_slug() };
    let slug = walk.slug.as_str();
    let id = text(&walk.changes(&["tenants", "create", slug])["id"]);
    assert_eq!(walk.shows(&["tenants", "show", slug])["status"], "active");
    let renamed = walk.changes(&["tenants", "update", slug, "--name", "Walked"]);
    assert_eq!(renamed["name"], "Walked");
    for (word, status) in [("suspend", "suspended"), ("resume", "active")] {
        assert_eq!(walk.changes(&["tenants", word, slug])["status"], status);
    }

    let ends = "2099-01-01T00:00:00Z";
    let tenant = ["--tenant", slug];
    let new = ["keys", "create", "ci", "--expires", ends];
    let made = walk.changes(&[&new[..], &tenant].concat());
    let old = text(&made["id"]);
    let shown = walk.shows(&[&["keys", "show", &old][..], &tenant].concat());
    assert_eq!(
        (&shown["name"], &shown["expires_at"]),
        (&"ci".into(), &ends.into())
    );
    assert!(shown["secret"].is_null(), "{shown}");
    let reroll = ["keys", "reroll", &old, "--overlap", "0"];
    let made = walk.changes(&[&reroll[..], &tenant].concat());
    let (key, secret) = (text(&made["id"]), text(&made["secret"]));
    let all = walk.shows(&[&["keys", "list"][..], &tenant].concat());
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(
        walk.shows(&["ping", "--key", &secret])["tenant_id"],
        id.as_str()
    );

    let (resource, workspace) = content(&walk, &secret, &id);
    let trail = |filter: &[&str]| {
        let list = walk.shows(&[&["audit", "list"][..], &tenant, filter].concat());
        list.as_array().unwrap().clone()
    };
    let done = trail(&["--resource", &resource]);
    assert_eq!(done.len(), 6, "{done:?}");
    let actor = text(&done[0]["actor_id"]);
    assert_eq!(trail(&["--actor", &actor]).len(), 6);
    assert_eq!(trail(&["--action", "resources.update"]).len(), 1);
    assert!(trail(&["--workspace", &workspace]).len() >= 6);
    assert_eq!(
        trail(&["--actor", &actor, "--action", "keys.create"]).len(),
        0
    );
    let refused = shared().run(&[&["audit", "list", "--action", "nonsense"][..], &tenant].concat());
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("action: must be"),
        "{}",
        refused.stderr
    );

    walk.changes(&[&["keys", "revoke", &key][..], &tenant].concat());
    assert_eq!(shared().run(&["ping", "--key", &secret]).code, 1);
    walk.changes(&["tenants", "delete", slug]);
}

/// The life of a resource by a key, in six changes; its id, and that of its workspace.
fn content(walk: &Walk, secret: &str, tenant: &str) -> (String, String) {
    let by_key = |arguments: &[&str], rows: i64| {
        walk.leaves(
            &[&["resources", "--key", secret][..], arguments].concat(),
            (rows, 0),
        )
    };
    let made = by_key(&["create", "Greeting", "--visibility", "private"], 1);
    assert_eq!(made["visibility"], "private");
    let (id, workspace) = (text(&made["id"]), text(&made["workspace_id"]));
    for (visibility, there) in [("private", 1), ("tenant", 0)] {
        let list = [
            "list",
            "--workspace",
            &workspace,
            "--visibility",
            visibility,
        ];
        assert_eq!(
            by_key(&list, 0).as_array().unwrap().len(),
            there,
            "{visibility}"
        );
    }
    let change = [
        "--title",
        "Hello",
        "--payload",
        r#"{"a": 1}"#,
        "--visibility",
        "tenant",
    ];
    let changed = by_key(&[&["update", &id][..], &change].concat(), 1);
    assert_eq!(
        (&changed["title"], &changed["payload"]["a"]),
        (&"Hello".into(), &1.into())
    );
    assert_eq!(changed["type"], made["type"], "what is not named stays");
    let entries = || {
        let all = by_key(&["acl", "list", &id], 0);
        let all = all.as_array().unwrap().clone();
        all.iter()
            .filter(|entry| entry["access"] == "write")
            .count()
    };
    let before = entries();
    by_key(&["acl", "grant", &id, tenant, "--access", "write"], 1);
    assert_eq!(entries(), before + 1);
    by_key(&["acl", "revoke", &id, tenant], 1);
    assert_eq!(entries(), before);
    by_key(&["delete", &id], 1);
    let gone = shared().run(&["resources", "--key", secret, "show", &id]);
    assert_eq!(gone.code, 1, "{}", gone.stdout);
    by_key(&["restore", &id], 1);
    assert_eq!(by_key(&["show", &id], 0)["id"], id.as_str());
    (id, workspace)
}
