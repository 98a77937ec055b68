//! What is written down, and read by whoever adds a route: what plain people may, and which routes are not asked, and why.

use super::Probe;
use crate::document::Operation;

const PROCESS: &str = "for whoever runs the process: says nothing of any tenant";
const CLIENT: &str = "for whoever writes a client: the same for everybody";
const REGISTRY: &str =
    "names no tenant: the registry, which a tenant's key is refused as Probe::Key";

/// What a member's session and a viewer's are answered: nothing where they are served, else the code of the refusal.
pub(super) struct People {
    pub(super) why: &'static str,
    pub(super) member: &'static str,
    pub(super) viewer: &'static str,
    pub(super) routes: &'static [(&'static str, &'static str)],
}

/// Each route that asks for a credential, by what plain people inside a tenant may do there.
pub(super) const PEOPLE: &[People] = &[
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
pub(super) const EXEMPT: &[(&str, &str, Probe, &str)] = &[
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
        "names no tenant: answers with the caller's own, as people/mod.rs shows",
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
        "for whoever has an invitation's token, of which people/invitations.rs shows what else it is refused for",
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

pub(super) fn is_exempt(operation: &Operation, probe: Probe) -> bool {
    EXEMPT.iter().any(|(method, path, from, _)| {
        (*method, *path, *from) == (operation.method, operation.path, probe)
    })
}
