//! Two tenants, their keys and people, and what a request is about: things that are there, in the state that it needs.

use std::sync::atomic::{AtomicU32, Ordering};

use rowhouse::members::Role;
use serde_json::json;

use super::Probe;
use crate::callers::{
    Call, Tenant, call, fresh_slug, get, missing, number, operator, post, text, uuid,
};
use crate::document::Operation;

/// Two tenants and their keys.
pub struct Stage {
    pub home: Tenant,
    pub(super) other: Tenant,
    pub(super) key: String,
    pub(super) reader: String,
    pub(super) stranger: String,
    pub(super) workspace: String,
    /// A ticket of one of the home's admins.
    pub(super) admin: String,
    /// A session of one of its members, and one of a viewer.
    pub(super) session: String,
    pub(super) viewer: String,
    pub(super) findings: Vec<(Probe, String)>,
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
    pub(super) fn made(&self, list: &str) -> String {
        let body = json!({ "name": fresh_request() });
        let made = post(&self.home.path(list), &body).by(operator()).gets(201);
        text(&made.json()["id"])
    }

    /// A deployment of a new resource.
    pub(super) fn deployed(&self) -> String {
        let resource = text(&self.home.resource("Subject")["id"]);
        let body = json!({ "resource_id": resource, "environment": "SANDBOX" });
        let made = post(&self.home.path("/deployments"), &body).by(&self.key);
        text(&made.gets(201).json()["id"])
    }

    /// A mapping of a new key.
    pub(super) fn persona(&self) -> String {
        let key = self.home.key(&["read"]).0;
        let body = json!({ "api_key_id": key, "persona_id": uuid(&key), "name": "Concierge" });
        let made = post(&self.home.path("/personas"), &body).by(operator());
        text(&made.gets(201).json()["id"])
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
pub(super) fn accepting(operation: &Operation, token: &str) -> Call {
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

pub(super) fn fresh_address() -> String {
    format!("{}@example.com", fresh_slug())
}

pub(super) fn fresh_request() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("coverage-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
