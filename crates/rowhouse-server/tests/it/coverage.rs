//! Every route, also those not written yet: the OpenAPI document says which there are and who may call them. Each is asked
//! by everybody who must not get it, then by who may, with the same request. A route that is not asked stands in
//! [`EXEMPT`], with the reason.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rowhouse::members::Role;
use serde_json::json;

use crate::callers::{
    Call, Tenant, call, column, execute, fresh_slug, get, missing, number, operator, post, text,
    uuid,
};
use crate::document::{Operation, operations};
use crate::world::Answer;

/// Who asks, or what is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Probe {
    /// Without a credential, and with one that is not good.
    Nobody,
    /// Another tenant's key.
    Stranger,
    /// A key that may only read.
    Reader,
    /// A session of a member, and that of a viewer.
    Person,
    /// An operator, of content.
    Operator,
    /// A tenant's key, of what operators do.
    Key,
    /// Whoever may.
    Served,
    /// What the answer to him looks like.
    Documented,
    /// The rows in the trails.
    Trail,
    /// The rows in the trails of what only reads.
    Read,
    /// What an operation has no use for, or is to do once only.
    Surplus,
    /// What each answer has on its head.
    Dressed,
}

const PROCESS: &str = "for whoever runs the process: says nothing of any tenant";
const CLIENT: &str = "for whoever writes a client: the same for everybody";
const REGISTRY: &str =
    "names no tenant: the registry, which a tenant's key is refused as Probe::Key";

/// What a member's session and a viewer's are answered: nothing where they are served, else the code of the refusal.
struct People {
    why: &'static str,
    member: &'static str,
    viewer: &'static str,
    routes: &'static [(&'static str, &'static str)],
}

/// Each route that asks for a credential, by what plain people inside a tenant may do there.
const PEOPLE: &[People] = &[
    People {
        why: "a question, or what everybody inside sees, as far as he sees it",
        member: "",
        viewer: "",
        routes: &[
            ("get", "/_int/tenancy/ping"),
            ("get", "/api/v1/me"),
            ("get", "/api/v1/tenants/{tenant}"),
            ("post", "/api/v1/tenants/{tenant}/access/evaluation"),
            ("post", "/api/v1/tenants/{tenant}/access/evaluations"),
            ("post", "/api/v1/tenants/{tenant}/access/explain"),
            ("get", "/api/v1/tenants/{tenant}/audit"),
            ("get", "/api/v1/tenants/{tenant}/deployments"),
            ("get", "/api/v1/tenants/{tenant}/deployments/{deployment}"),
            ("get", "/api/v1/tenants/{tenant}/members"),
            ("get", "/api/v1/tenants/{tenant}/members/{user}"),
            ("get", "/api/v1/tenants/{tenant}/personas"),
            ("get", "/api/v1/tenants/{tenant}/personas/{persona}"),
            ("get", "/api/v1/tenants/{tenant}/projects"),
            ("get", "/api/v1/tenants/{tenant}/projects/{project}"),
            ("get", "/api/v1/tenants/{tenant}/projects/{project}/members"),
            ("get", "/api/v1/tenants/{tenant}/resources"),
            ("get", "/api/v1/tenants/{tenant}/resources/{resource}"),
            ("get", "/api/v1/tenants/{tenant}/resources/{resource}/acl"),
            ("get", "/api/v1/tenants/{tenant}/sessions"),
            ("post", "/api/v1/tenants/{tenant}/sessions"),
            ("get", "/api/v1/tenants/{tenant}/teams"),
            ("get", "/api/v1/tenants/{tenant}/teams/{team}"),
            ("get", "/api/v1/tenants/{tenant}/teams/{team}/members"),
            ("get", "/api/v1/tenants/{tenant}/workspaces"),
            ("get", "/api/v1/tenants/{tenant}/workspaces/{workspace}"),
            ("get", "/api/v1/tenants/{tenant}/invitations"),
            ("get", "/api/v1/tenants/{tenant}/keys"),
            ("get", "/api/v1/tenants/{tenant}/keys/{key}"),
        ],
    },
    People {
        why: "content, which members write and viewers read",
        member: "",
        viewer: "read-only",
        routes: &[
            ("post", "/api/v1/tenants/{tenant}/deployments"),
            (
                "delete",
                "/api/v1/tenants/{tenant}/deployments/{deployment}",
            ),
            ("patch", "/api/v1/tenants/{tenant}/deployments/{deployment}"),
            ("post", "/api/v1/tenants/{tenant}/resources"),
            ("delete", "/api/v1/tenants/{tenant}/resources/{resource}"),
            ("patch", "/api/v1/tenants/{tenant}/resources/{resource}"),
            (
                "put",
                "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}",
            ),
            (
                "delete",
                "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}",
            ),
            (
                "post",
                "/api/v1/tenants/{tenant}/resources/{resource}/restore",
            ),
        ],
    },
    People {
        why: "something new in the tenant's administration, which is its owners' and admins'",
        member: "not-permitted",
        viewer: "not-permitted",
        routes: &[
            ("post", "/api/v1/tenants/{tenant}/keys"),
            ("post", "/api/v1/tenants/{tenant}/personas"),
            ("post", "/api/v1/tenants/{tenant}/projects"),
            (
                "put",
                "/api/v1/tenants/{tenant}/projects/{project}/members/{user}",
            ),
            ("post", "/api/v1/tenants/{tenant}/teams"),
            (
                "put",
                "/api/v1/tenants/{tenant}/teams/{team}/members/{user}",
            ),
            ("post", "/api/v1/tenants/{tenant}/workspaces"),
        ],
    },
    People {
        why: "a change of the administration, which a viewer is refused for what he is",
        member: "not-permitted",
        viewer: "read-only",
        routes: &[
            ("post", "/api/v1/tenants/{tenant}/invitations"),
            ("delete", "/api/v1/tenants/{tenant}/keys/{key}"),
            ("post", "/api/v1/tenants/{tenant}/keys/{key}/reroll"),
            ("delete", "/api/v1/tenants/{tenant}/members/{user}"),
            ("patch", "/api/v1/tenants/{tenant}/members/{user}"),
            ("delete", "/api/v1/tenants/{tenant}/personas/{persona}"),
            ("patch", "/api/v1/tenants/{tenant}/personas/{persona}"),
            ("delete", "/api/v1/tenants/{tenant}/projects/{project}"),
            ("patch", "/api/v1/tenants/{tenant}/projects/{project}"),
            (
                "delete",
                "/api/v1/tenants/{tenant}/projects/{project}/members/{user}",
            ),
            ("delete", "/api/v1/tenants/{tenant}/teams/{team}"),
            ("patch", "/api/v1/tenants/{tenant}/teams/{team}"),
            (
                "delete",
                "/api/v1/tenants/{tenant}/teams/{team}/members/{user}",
            ),
            ("delete", "/api/v1/tenants/{tenant}/workspaces/{workspace}"),
            ("patch", "/api/v1/tenants/{tenant}/workspaces/{workspace}"),
        ],
    },
    People {
        why: "of others' sessions and invitations one sees none, and they are there for nobody",
        member: "not-found",
        viewer: "not-found",
        routes: &[
            ("get", "/api/v1/tenants/{tenant}/invitations/{invitation}"),
            ("delete", "/api/v1/tenants/{tenant}/sessions/{session}"),
        ],
    },
    People {
        why: "the same, which a viewer is refused for what he is before it is looked for",
        member: "not-found",
        viewer: "read-only",
        routes: &[(
            "delete",
            "/api/v1/tenants/{tenant}/invitations/{invitation}",
        )],
    },
    People {
        why: "the registry, and what the platform is run with, which are its operators'",
        member: "not-permitted",
        viewer: "not-permitted",
        routes: &[
            ("get", "/api/v1/tenants"),
            ("post", "/api/v1/tenants"),
            ("delete", "/api/v1/tenants/{tenant}"),
            ("patch", "/api/v1/tenants/{tenant}"),
            ("get", "/api/v1/tenants/{tenant}/provision"),
            ("post", "/api/v1/tenants/{tenant}/provision"),
            ("post", "/api/v1/tenants/{tenant}/resume"),
            ("post", "/api/v1/tenants/{tenant}/suspend"),
            ("get", "/dev/mail"),
            ("get", "/metrics"),
        ],
    },
];

/// Routes that are not asked by somebody, and why.
const EXEMPT: &[(&str, &str, Probe, &str)] = &[
    ("get", "/healthz", Probe::Nobody, PROCESS),
    ("get", "/readyz", Probe::Nobody, PROCESS),
    ("get", "/openapi.json", Probe::Nobody, CLIENT),
    ("get", "/docs", Probe::Nobody, CLIENT),
    ("get", "/docs/{file}", Probe::Nobody, CLIENT),
    ("get", "/api/v1/tenants", Probe::Stranger, REGISTRY),
    (
        "get",
        "/dev/mail",
        Probe::Stranger,
        "names no tenant: a developer's own data folder, which a key is refused as Probe::Key",
    ),
    (
        "get",
        "/metrics",
        Probe::Stranger,
        "names no tenant: numbers of the process, which a key is refused as Probe::Key",
    ),
    ("post", "/api/v1/tenants", Probe::Stranger, REGISTRY),
    (
        "get",
        "/_int/tenancy/ping",
        Probe::Stranger,
        "names no tenant: answers with the caller's own, as http.rs shows",
    ),
    (
        "get",
        "/api/v1/me",
        Probe::Stranger,
        "names no tenant: answers with the caller's own, as people.rs shows",
    ),
    (
        "get",
        "/metrics",
        Probe::Read,
        "numbers of the process, of no tenant, for which a machine asks every few seconds",
    ),
    (
        "post",
        "/api/v1/invitations/accept",
        Probe::Nobody,
        "for whoever has an invitation's token, of which people.rs shows what else it is refused for",
    ),
    (
        "get",
        "/invitations/accept",
        Probe::Nobody,
        "the page of an invitation's mail: says nothing of any tenant, as acceptance.rs shows",
    ),
    (
        "post",
        "/invitations/accept",
        Probe::Nobody,
        "for whoever has an invitation's token, of which acceptance.rs shows what else it is refused for",
    ),
    (
        "get",
        "/invitations/accept",
        Probe::Surplus,
        "a link in a mail, which programs that look after mail add parameters to; opening it changes nothing",
    ),
];

#[test]
fn nobody_gets_anything_but_what_is_open() {
    nothing_was_found(Probe::Nobody);
}

#[test]
fn another_tenant_is_answered_like_one_that_does_not_exist() {
    nothing_was_found(Probe::Stranger);
}

#[test]
fn who_may_only_read_changes_nothing() {
    nothing_was_found(Probe::Reader);
}

#[test]
fn members_and_viewers_may_do_what_is_written_down_and_nothing_else() {
    nothing_was_found(Probe::Person);
}

#[test]
fn each_route_stands_once_among_what_people_may() {
    let written: Vec<(&str, &str)> = PEOPLE
        .iter()
        .flat_map(|people| people.routes)
        .copied()
        .collect();
    for (method, path) in &written {
        let there = operations()
            .iter()
            .any(|operation| (operation.method, operation.path) == (*method, *path));
        assert!(there, "{method} {path} is gone");
        let times = written
            .iter()
            .filter(|one| *one == &(*method, *path))
            .count();
        assert_eq!(times, 1, "{method} {path}");
    }
    assert!(PEOPLE.iter().all(|people| people.why.len() > 20));
}

#[test]
fn an_operator_gets_no_content() {
    nothing_was_found(Probe::Operator);
}

#[test]
fn a_tenants_key_opens_no_operators_door() {
    nothing_was_found(Probe::Key);
}

#[test]
fn whoever_may_gets_the_same_that_the_others_were_refused() {
    nothing_was_found(Probe::Served);
}

#[test]
fn each_example_is_answered_as_documented() {
    nothing_was_found(Probe::Documented);
}

#[test]
fn each_change_leaves_one_row_in_its_trails_and_a_refused_one_that_it_was_refused() {
    nothing_was_found(Probe::Trail);
}

#[test]
fn each_read_of_an_operator_leaves_one_row_in_its_trails_and_that_of_a_caller_none() {
    nothing_was_found(Probe::Read);
}

#[test]
fn what_an_operation_takes_it_honours_and_what_it_does_not_take_it_refuses() {
    nothing_was_found(Probe::Surplus);
}

#[test]
fn each_answer_has_its_request_id_and_tells_browsers_what_not_to_do() {
    nothing_was_found(Probe::Dressed);
}

#[test]
fn the_list_of_exemptions_names_routes_that_are_there() {
    let operations = operations();
    for (method, path, probe, reason) in EXEMPT {
        let operation = operations
            .iter()
            .find(|operation| (operation.method, operation.path) == (*method, *path));
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is gone"));
        let needed = match probe {
            Probe::Nobody => operation.is_open(),
            Probe::Stranger => !operation.parameters().any(|name| name == "tenant"),
            Probe::Read => operation.takes("operator") && operation.parameters().next().is_none(),
            Probe::Surplus => !operation.changes() && operation.query() == ["token"],
            _ => false,
        };
        assert!(needed, "{method} {path} needs no exemption from {probe:?}");
        assert!(reason.len() > 20, "{method} {path}: why?");
    }
    assert!(operations.len() >= 74, "{}", operations.len());
}

#[track_caller]
fn nothing_was_found(probe: Probe) {
    static FINDINGS: OnceLock<Vec<(Probe, String)>> = OnceLock::new();
    let findings = FINDINGS.get_or_init(|| Stage::set().walk());
    let of_probe: Vec<&String> = findings
        .iter()
        .filter(|(found_by, _)| *found_by == probe)
        .map(|(_, finding)| finding)
        .collect();
    assert!(of_probe.is_empty(), "{of_probe:#?}");
}

/// Two tenants and their keys.
pub struct Stage {
    pub home: Tenant,
    other: Tenant,
    key: String,
    reader: String,
    stranger: String,
    workspace: String,
    /// A ticket of one of the home's admins.
    admin: String,
    /// A session of one of its members, and one of a viewer.
    session: String,
    viewer: String,
    findings: Vec<(Probe, String)>,
}

impl Stage {
    pub fn set() -> Self {
        let (home, other) = (Tenant::founded(), Tenant::founded());
        set_up(&home);
        let workspaces = get(&home.path("/workspaces"))
            .by(operator())
            .gets(200)
            .json();
        Self {
            key: home.key(&["read", "write"]).1,
            reader: home.key(&["read"]).1,
            stranger: other.key(&["read", "write"]).1,
            workspace: text(&workspaces["items"][0]["id"]),
            admin: home.member(Role::Admin),
            session: home.session(home.user(Role::Member)),
            viewer: home.session(home.user(Role::Viewer)),
            home,
            other,
            findings: Vec::new(),
        }
    }

    fn walk(mut self) -> Vec<(Probe, String)> {
        // What suspends or deletes the tenant comes last, in this order.
        let mut operations = operations();
        let last = |operation: &Operation| match operation.path.rsplit('/').next() {
            Some("suspend") => 1,
            Some("resume") => 2,
            _ if operation.method == "delete" && operation.path.ends_with("{tenant}") => 3,
            _ => 0,
        };
        operations.sort_by_key(last);
        for operation in &operations {
            let mut subject = self.subject(operation);
            self.people(operation, &mut subject);
            let before = self.home.footprint();
            self.refusals(operation, &subject);
            self.surplus(operation, &subject);
            if self.home.footprint() != before {
                let after = self.home.footprint();
                self.found(
                    Probe::Reader,
                    operation,
                    &format!("a refusal left something: {before:?} {after:?}"),
                );
            }
            self.whoever_may(operation, &subject);
        }
        self.findings
    }

    fn found(&mut self, probe: Probe, operation: &Operation, what: &str) {
        let (method, path) = (operation.method, operation.path);
        self.findings
            .push((probe, format!("{method} {path}: {what}")));
    }

    fn expect(
        &mut self,
        probe: Probe,
        operation: &Operation,
        answer: &Answer,
        expected: (u16, &str),
    ) {
        if (answer.status, answer.code().as_str()) != expected {
            self.found(
                probe,
                operation,
                &format!("not {expected:?} but {answer:?}"),
            );
        }
        let documented = operation.differs(answer.status, &answer.body);
        if let Some(differs) = documented {
            self.found(Probe::Documented, operation, &differs);
        }
        for (header, must) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("cache-control", "no-store"),
            ("x-request-id", ""),
        ] {
            let said = answer.header(header).unwrap_or_default();
            if said.is_empty() || !said.contains(must) {
                let what = format!("{header} is {said:?}: {answer:?}");
                self.found(Probe::Dressed, operation, &what);
            }
        }
    }

    /// What stands for each parameter of a path: things of the tenant `home`, in the state that the operation needs.
    pub fn subject(&self, operation: &Operation) -> Vec<(&'static str, String)> {
        let mut subject = Vec::new();
        for name in operation.parameters() {
            let value = match name {
                "tenant" => self.home.slug.clone(),
                "workspace" if operation.method == "delete" => self.made("/workspaces"),
                "workspace" => self.workspace.clone(),
                "key" => self.home.key(&["read", "write"]).0,
                "principal" => self.home.id.clone(),
                "user" => self.home.user(Role::Member).to_string(),
                "team" | "project" => self.made(&format!("/{name}s")),
                "invitation" => self.home.invited(&fresh_address(), Role::Member).0,
                "session" => {
                    let user = self.home.user(Role::Member);
                    self.home.session(user);
                    let list = format!("/sessions?user={user}");
                    let list = get(&self.home.path(&list)).by(operator()).gets(200).json();
                    text(&list["items"][0]["id"])
                }
                "resource" => text(&self.home.resource("Subject")["id"]),
                "deployment" => self.deployed(),
                "persona" => self.persona(),
                "file" => "index.html".into(),
                other => panic!("{}: what stands for {{{other}}}?", operation.path),
            };
            subject.push((name, value));
        }
        let here = |path: &str| fill(path, &subject);
        let resource = "/api/v1/tenants/{tenant}/resources/{resource}";
        if operation.path.ends_with("/restore") {
            call("DELETE", &here(resource)).by(&self.key).gets(204);
        }
        if operation.path.ends_with("/members/{user}")
            && operation.parameters().count() == 3
            && operation.method == "delete"
        {
            let put = call("PUT", &here(operation.path)).by(operator());
            let put = if operation.path.contains("/projects/") {
                put.json(&json!({ "role": "viewer" }))
            } else {
                put
            };
            put.gets(204);
        }
        if !operation.parameters().any(|name| name == "resource") {
            let of_body = operation
                .example()
                .map(ToString::to_string)
                .unwrap_or_default();
            if of_body.contains("res_") {
                subject.push(("resource", text(&self.home.resource("Subject")["id"])));
            }
            if of_body.contains("key_") {
                subject.push(("key", self.home.key(&["read"]).0));
            }
            return subject;
        }
        if operation.path.contains("/acl/") && operation.method == "delete" {
            call("PUT", &here(operation.path))
                .json(&json!({ "access": "read" }))
                .by(&self.key)
                .gets(204);
        }
        subject
    }

    /// Id of a new thing of the home, made by the operator.
    fn made(&self, list: &str) -> String {
        let body = json!({ "name": fresh_request() });
        let made = post(&self.home.path(list), &body).by(operator()).gets(201);
        text(&made.json()["id"])
    }

    /// A deployment of a new resource.
    fn deployed(&self) -> String {
        let resource = text(&self.home.resource("Subject")["id"]);
        let body = json!({ "resource_id": resource, "environment": "SANDBOX" });
        let made = post(&self.home.path("/deployments"), &body).by(&self.key);
        text(&made.gets(201).json()["id"])
    }

    /// A mapping of a new key.
    fn persona(&self) -> String {
        let key = self.home.key(&["read"]).0;
        let body = json!({ "api_key_id": key, "persona_id": uuid(&key), "name": "Concierge" });
        let made = post(&self.home.path("/personas"), &body).by(operator());
        text(&made.gets(201).json()["id"])
    }

    /// A member and a viewer. Who is served a change may have taken the subject away, so that it takes a new one.
    fn people(&mut self, operation: &Operation, subject: &mut Vec<(&'static str, String)>) {
        if operation.is_open() {
            return;
        }
        let route = (operation.method, operation.path);
        let Some(people) = PEOPLE.iter().find(|people| people.routes.contains(&route)) else {
            self.found(
                Probe::Person,
                operation,
                "nobody has said what people may do there",
            );
            return;
        };
        for (session, code) in [
            (self.session.clone(), people.member),
            (self.viewer.clone(), people.viewer),
        ] {
            let path = fill(operation.path, subject);
            let answer = request(operation, &path, subject).by(&session).send();
            if operation.changes() && answer.status < 300 {
                *subject = self.subject(operation);
            }
            let status = match code {
                "" => operation.success(),
                "not-found" => 404,
                _ => 403,
            };
            self.expect(Probe::Person, operation, &answer, (status, code));
        }
    }

    fn refusals(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        if operation.is_open() {
            if !is_exempt(operation, Probe::Nobody) {
                self.found(Probe::Nobody, operation, "is open, and nobody has said why");
            }
            return;
        }
        let (prefix, here) = (fresh_request(), fill(operation.path, subject));
        let ask = |path: &str| request(operation, path, subject).header("x-request-id", &prefix);
        let unknown = format!("op_{}", "0".repeat(32));
        for credential in [None, Some(unknown.as_str()), Some("tk_"), Some("")] {
            let asked = credential.map_or_else(|| ask(&here), |bearer| ask(&here).by(bearer));
            self.expect(
                Probe::Nobody,
                operation,
                &asked.send(),
                (401, "unauthorized"),
            );
        }
        if !operation.takes("operator") {
            let answer = ask(&here).by(operator()).send();
            self.expect(
                Probe::Operator,
                operation,
                &answer,
                (403, "support-access-required"),
            );
        }
        if operation.takes("caller") {
            if operation.changes() {
                let (reader, refused) = (self.reader.clone(), format!("{prefix}-reader"));
                let asked = request(operation, &here, subject).header("x-request-id", &refused);
                let answer = asked.by(&reader).send();
                if answer.status != 403
                    || !["read-only", "not-permitted"].contains(&answer.code().as_str())
                {
                    self.found(Probe::Reader, operation, &format!("{answer:?}"));
                }
                let told = refusals_of(&refused);
                if told != [format!("{} {}", uuid(&self.home.id), answer.code())] {
                    self.found(
                        Probe::Trail,
                        operation,
                        &format!("the refusal left {told:?}"),
                    );
                }
            }
        } else {
            for key in [self.key.clone(), self.stranger.clone()] {
                let answer = ask(&here).by(&key).send();
                self.expect(Probe::Key, operation, &answer, (403, "not-permitted"));
            }
        }
        self.strangers(operation, subject, &ask);
        self.failures(operation, &here, &ask);
        if rows_of(&prefix) != (Vec::new(), 0) {
            self.found(
                Probe::Trail,
                operation,
                &format!("a refused request left {:?}", rows_of(&prefix)),
            );
        }
    }

    /// The other tenant's key on what belongs to `home`, and on what does not exist: nobody can tell which is which.
    fn strangers(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        ask: &dyn Fn(&str) -> Call,
    ) {
        if !operation.parameters().any(|name| name == "tenant") {
            if !is_exempt(operation, Probe::Stranger) {
                self.found(
                    Probe::Stranger,
                    operation,
                    "names no tenant, and nobody has said why",
                );
            }
            return;
        }
        let refusal = if operation.takes("caller") {
            (404, "not-found")
        } else {
            (403, "not-permitted")
        };
        let at = |tenant: &str, inner: &dyn Fn(&str, &str) -> String| {
            let parameters: Vec<(&str, String)> = subject
                .iter()
                .map(|(name, value)| match *name {
                    "tenant" => (*name, tenant.to_owned()),
                    name => (name, inner(name, value)),
                })
                .collect();
            fill(operation.path, &parameters)
        };
        let theirs = |_: &str, value: &str| value.to_owned();
        let nothing = |_: &str, value: &str| missing_like(value);
        let mut pairs = vec![
            (at(&self.home.slug, &theirs), at("no-such-tenant", &theirs)),
            (at(&self.home.id, &theirs), at(&missing("ten"), &theirs)),
        ];
        if operation.takes("caller") && operation.parameters().count() > 1 {
            let own = &self.other.slug;
            pairs.push((at(own, &theirs), at(own, &nothing)));
        }
        let stranger = self.stranger.clone();
        for (foreign, missing) in pairs {
            let foreign = ask(&foreign).by(&stranger).send();
            let missing = ask(&missing).by(&stranger).send();
            self.expect(Probe::Stranger, operation, &foreign, refusal);
            if foreign.bytes() != missing.bytes() {
                self.found(
                    Probe::Stranger,
                    operation,
                    &format!("{foreign:?} is not {missing:?}"),
                );
            }
        }
        // The same of an operator, who came for one tenant and names what is another's.
        if operation.takes("operator") && operation.parameters().count() > 1 {
            let foreign = ask(&at(&self.other.slug, &theirs)).by(operator()).send();
            let missing = ask(&at(&self.other.slug, &nothing)).by(operator()).send();
            self.expect(Probe::Stranger, operation, &foreign, (404, "not-found"));
            if foreign.bytes() != missing.bytes() {
                self.found(
                    Probe::Stranger,
                    operation,
                    &format!("{foreign:?} is not {missing:?}"),
                );
            }
        }
    }

    /// Whoever may, with something that cannot be done.
    fn failures(&mut self, operation: &Operation, here: &str, ask: &dyn Fn(&str) -> Call) {
        if !operation.changes() || !operation.takes_body() {
            return;
        }
        let answer = ask(here)
            .body(r#"{"nonsense": 1}"#)
            .by(&self.may(operation))
            .send();
        self.expect(Probe::Served, operation, &answer, (400, "invalid"));
    }

    /// Whoever may, with a parameter that there is not, and with the tag of a state that there is not.
    fn surplus(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        let here = fill(operation.path, subject);
        let ask = |path: &str| {
            let asked = request(operation, path, subject);
            if operation.is_open() {
                asked
            } else {
                asked.by(&self.may(operation))
            }
        };
        let with_parameter = ask(&format!("{here}?surplus=1")).send();
        let with_tag = ask(&here).header("if-match", "\"1\"");
        let with_tag = operation.writes().then(|| with_tag.send());
        if !is_exempt(operation, Probe::Surplus) {
            self.refused_for("surplus", operation, &with_parameter);
        }
        match with_tag {
            Some(answer) if operation.headers().contains(&"If-Match") => {
                self.expect(Probe::Surplus, operation, &answer, (412, "changed"));
            }
            Some(answer) => self.refused_for("If-Match", operation, &answer),
            None => {}
        }
    }

    fn refused_for(&mut self, field: &str, operation: &Operation, answer: &Answer) {
        self.expect(Probe::Surplus, operation, answer, (400, "invalid"));
        if !answer.body.contains(&format!("\"field\":\"{field}\"")) {
            self.found(Probe::Surplus, operation, &format!("{field}: {answer:?}"));
        }
    }

    /// The credential of whoever may: an operator where one may, else the tenant's key.
    fn may(&self, operation: &Operation) -> String {
        if operation.takes("operator") {
            operator().to_owned()
        } else if operation.takes("session") {
            self.session.clone()
        } else {
            self.key.clone()
        }
    }

    fn whoever_may(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        let request_id = fresh_request();
        let here = fill(operation.path, subject);
        let mut asked = request(operation, &here, subject).header("x-request-id", &request_id);
        if !operation.is_open() {
            asked = asked.by(&self.may(operation));
        }
        let mut came_by = None;
        if operation.path.ends_with("/invitations/accept") {
            let (id, token) = self.home.invited(&fresh_address(), Role::Member);
            asked = accepting(operation, &token).header("x-request-id", &request_id);
            came_by = Some(id);
        }
        let is_done_once = operation.headers().contains(&"Idempotency-Key");
        if is_done_once {
            asked = asked.once(&request_id);
        }
        let answer = asked.send();
        self.expect(Probe::Served, operation, &answer, (operation.success(), ""));
        if is_done_once {
            let again = asked.send();
            self.expect(Probe::Surplus, operation, &again, (operation.success(), ""));
            if again.header("idempotency-replayed") != Some("true") {
                self.found(Probe::Surplus, operation, &format!("done again: {again:?}"));
            }
        }
        if operation.takes("operator") && operation.takes("caller") && !operation.changes() {
            // Who was asked to come in, and who is signed in, a key does not see.
            let people = ["/invitations", "/sessions"];
            let sees = if people.iter().any(|part| operation.path.contains(part)) {
                &self.admin
            } else {
                &self.key
            };
            let request_id = fresh_request();
            let inside = request(operation, &here, subject).header("x-request-id", &request_id);
            let inside = inside.by(sees).send();
            self.expect(Probe::Served, operation, &inside, (operation.success(), ""));
            if reads_of(&request_id) != (Vec::new(), Vec::new()) {
                let left = format!("a caller left {:?}", reads_of(&request_id));
                self.found(Probe::Read, operation, &left);
            }
        }
        if answer.status == operation.success() {
            let mut subject = subject.to_vec();
            subject.extend(came_by.map(|id| ("invitation", id)));
            self.trail(operation, &subject, &request_id, &answer);
        }
        if operation.path.ends_with("/invitations") && operation.changes() {
            // Its mail would be sent in the middle of what is compared.
            let home = uuid(&self.home.id);
            execute(&format!(
                "delete from rowhouse.jobs where tenant_id = '{home}'; delete from rowhouse.outbox where tenant_id = '{home}'"
            ));
        }
    }

    /// One row in the tenant's own trail, one in the platform's when it was an operator; none when nothing was changed.
    fn trail(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        request_id: &str,
        answer: &Answer,
    ) {
        let mut rows = rows_of(request_id);
        if !operation.changes() {
            if rows != (Vec::new(), 0) {
                self.found(Probe::Trail, operation, &format!("left {rows:?}"));
            }
            self.read(operation, subject, request_id);
            return;
        }
        let made = || text(&answer.json()["id"]);
        let of = |name: &str| {
            let value = subject.iter().find(|(of, _)| *of == name);
            value.map(|(_, value)| value.clone())
        };
        let founded = operation.path == "/api/v1/tenants";
        let tenant = if founded {
            made()
        } else {
            self.home.id.clone()
        };
        let resource = if operation.path.contains("/resources") {
            of("resource").or_else(|| Some(made()))
        } else {
            None
        };
        let object = if founded {
            tenant.clone()
        } else if let Some(resource) = &resource {
            resource.clone()
        } else if let Some(noun) = [
            "key",
            "workspace",
            "team",
            "project",
            "invitation",
            "session",
            "deployment",
            "persona",
        ]
        .into_iter()
        .find(|noun| operation.path.contains(&format!("/{noun}s")))
        {
            of(noun).unwrap_or_else(made)
        } else if let Some(user) = of("user") {
            user
        } else if operation.parameters().eq(["tenant"]) {
            tenant.clone()
        } else {
            panic!("{}: what is it done to?", operation.path)
        };
        let workspace = if founded {
            column(&format!(
                "select id::text from rowhouse.workspaces where tenant_id = '{}'",
                uuid(&tenant)
            ))
            .remove(0)
        } else if let Some(resource) = &resource {
            let id = uuid(resource);
            column(&format!(
                "select workspace_id::text from rowhouse.resources where id = '{id}'"
            ))
            .remove(0)
        } else if operation.path.contains("/workspaces") {
            uuid(&object).to_string()
        } else {
            "-".into()
        };
        let resource = if operation.path.contains("/deployments") {
            let id = uuid(&object);
            column(&format!(
                "select resource_id::text from rowhouse.deployments where id = '{id}'"
            ))
            .remove(0)
        } else {
            resource.map_or_else(|| "-".to_owned(), |resource| uuid(&resource).to_string())
        };
        if operation.path.ends_with("/invitations/accept") {
            // Beside it, a tenant of his own is founded for who is new, and begun to be set up.
            let home = uuid(&tenant).to_string();
            let all = rows.0.len();
            rows.0.retain(|row| row.starts_with(&home));
            let elsewhere = i64::try_from(all - rows.0.len()).unwrap();
            rows.1 = if elsewhere == 2 { rows.1 - 2 } else { -1 };
        }
        let row = format!("{} {} {workspace} {resource}", uuid(&tenant), uuid(&object));
        let expected = (vec![row], i64::from(operation.takes("operator")));
        if rows != expected {
            self.found(
                Probe::Trail,
                operation,
                &format!("left {rows:?}, not {expected:?}"),
            );
        }
    }

    /// What an operator read stands in both trails, or of the registry in the platform's; what others read, in none.
    fn read(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        request_id: &str,
    ) {
        let of = |name: &str| {
            let value = subject.iter().find(|(of, _)| *of == name);
            value.map_or_else(|| "-".to_owned(), |(_, value)| uuid(value).to_string())
        };
        let path = operation.path;
        let expected = if !operation.takes("operator") || is_exempt(operation, Probe::Read) {
            (Vec::new(), Vec::new())
        } else if operation.parameters().any(|name| name == "tenant") {
            let tenant = uuid(&self.home.id);
            let (workspace, project) = (of("workspace"), of("project"));
            (
                vec![format!("{tenant} GET {path} {workspace} {project}")],
                vec![format!("{tenant} GET {path}")],
            )
        } else {
            (Vec::new(), vec![format!("- GET {path}")])
        };
        let left = reads_of(request_id);
        if left != expected {
            let what = format!("left {left:?}, not {expected:?}");
            self.found(Probe::Read, operation, &what);
        }
    }
}

/// The request with the example of the document as its body; ids in it are the subject's.
pub fn request(operation: &Operation, path: &str, subject: &[(&'static str, String)]) -> Call {
    let request = call(operation.method, path);
    let Some(example) = operation.example() else {
        return request;
    };
    let mut body = example.to_string();
    for (name, value) in subject {
        let prefix = match *name {
            "resource" => "\"res_",
            "key" => "\"key_",
            _ => continue,
        };
        while let Some(at) = body.find(prefix).filter(|_| !body.contains(value.as_str())) {
            let id = body[at + 1..]
                .split('"')
                .next()
                .unwrap_or_default()
                .to_owned();
            body = body.replace(&id, value);
        }
    }
    request.json(&serde_json::from_str(&body).expect("still JSON"))
}

/// An id of the same kind that nothing has.
pub fn missing_like(id: &str) -> String {
    missing(id.rsplit_once('_').expect("an id").0)
}

/// What is asked with an invitation's token: by a program, by the link of its mail, or by the form of its page.
fn accepting(operation: &Operation, token: &str) -> Call {
    let path = operation.path;
    if operation.method == "get" {
        get(&format!("{path}?token={token}"))
    } else if path.starts_with("/api/") {
        post(path, &json!({ "token": token, "name": "Grace Hopper" }))
    } else {
        call("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}&name=Grace+Hopper"))
    }
}

/// So that nobody is still at it while others are refused; for the address of the example.
fn set_up(tenant: &Tenant) {
    let body = json!({ "admin_email": "admin@initech.example" });
    post(&tenant.path("/provision"), &body)
        .by(operator())
        .gets(202);
    let began = std::time::Instant::now();
    let left = format!(
        "select count(*) from rowhouse.jobs where tenant_id = '{}'",
        uuid(&tenant.id)
    );
    while number(&left) > 0 {
        assert!(began.elapsed() < crate::world::LIMIT, "it is not set up");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn fill(path: &str, parameters: &[(&str, String)]) -> String {
    parameters
        .iter()
        .fold(path.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), value)
        })
}

fn is_exempt(operation: &Operation, probe: Probe) -> bool {
    EXEMPT.iter().any(|(method, path, from, _)| {
        (*method, *path, *from) == (operation.method, operation.path, probe)
    })
}

fn fresh_address() -> String {
    format!("{}@example.com", fresh_slug())
}

fn fresh_request() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("coverage-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a request changed, by the tenants' trails (tenant, object, workspace and resource of each row), and how many rows in the
/// platform's.
fn rows_of(request_id: &str) -> (Vec<String>, i64) {
    let inside = column(&format!(
        "select concat_ws(' ', tenant_id, object_id, coalesce(workspace_id::text, '-'), coalesce(resource_id::text, '-'))
         from rowhouse.audit_log where request_id = '{request_id}' and action not in ('access.refuse', 'access.read')"
    ));
    let platform = number(&format!(
        "select count(*) from rowhouse.platform_audit
         where request_id = '{request_id}' and tenant_id is not null and action not in ('access.refuse', 'access.read')"
    ));
    (inside, platform)
}

/// What is told of a refused request in the tenants' trails: tenant and code of each row.
fn refusals_of(request_id: &str) -> Vec<String> {
    column(&format!(
        "select concat_ws(' ', tenant_id, detail ->> 'code') from rowhouse.audit_log
         where request_id = '{request_id}' and action = 'access.refuse'"
    ))
}

/// What a request read, by the tenants' trails (tenant, method, path, workspace and project of each row), and by the
/// platform's (tenant, method and path).
fn reads_of(request_id: &str) -> (Vec<String>, Vec<String>) {
    let inside = column(&format!(
        "select concat_ws(' ', tenant_id, detail ->> 'method', detail ->> 'path', coalesce(workspace_id::text, '-'),
           coalesce(project_id::text, '-'))
         from rowhouse.audit_log where request_id = '{request_id}' and action = 'access.read'"
    ));
    let platform = column(&format!(
        "select concat_ws(' ', coalesce(tenant_id::text, '-'), detail ->> 'method', detail ->> 'path')
         from rowhouse.platform_audit where request_id = '{request_id}' and action = 'access.read'"
    ));
    (inside, platform)
}

/// The trail as the tenant itself reads it has the same rows, and tells the operator by name.
#[test]
fn a_tenant_reads_in_its_own_trail_what_operators_did() {
    let tenant = Tenant::founded();
    let (key, _) = tenant.key(&["read"]);
    let trail = get(&tenant.path("/audit")).by(&tenant.reader()).gets(200);
    let rows = trail.json()["items"].as_array().unwrap().clone();
    let told: Vec<(String, String)> = rows
        .iter()
        .map(|row| (text(&row["action"]), text(&row["object_id"])))
        .collect();
    assert_eq!(
        told,
        [
            ("keys.create".to_owned(), key),
            ("tenants.create".to_owned(), tenant.id.clone())
        ]
    );
    assert_eq!(rows[0]["detail"]["operator"], "rowhouse up");
    let other = Tenant::founded();
    let elsewhere = get(&other.path("/audit")).by(&other.reader()).gets(200);
    assert!(!elsewhere.body.contains(&tenant.id), "{elsewhere:?}");
    post("/api/v1/tenants", &json!({})).by(operator()).gets(400);
}
