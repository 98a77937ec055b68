//! Every path on one page, grouped by who uses it. Who may call a handler stands in its signature (auth.rs); what it takes
//! and answers, in the annotation above it, which the page at `/docs` is made of.

use axum::Router;
use axum::routing::{delete, get, patch, post, put};
use rowhouse::Rowhouse;
use utoipa::OpenApi;

use crate::error::Problem;
use crate::openapi::{Common, Tags};
use crate::{
    access, audit, deployments, docs, health, invitations, keys, mail, members, metrics, personas,
    ping, projects, provisioning, resources, sessions, teams, tenants, workspaces,
};

/// A line of the table is method, path and handler. It becomes a route, and a part of the `OpenAPI` document.
macro_rules! routes {
    ($($method:ident $path:literal $($handler:ident)::+,)+) => {
        /// All of them.
        pub fn routes() -> Router<Rowhouse> {
            Router::new()
                $(.route($path, $method($($handler)::+)))+
                .fallback(async || Problem::no_such_path())
                .method_not_allowed_fallback(async || Problem::no_such_method())
        }

        /// What the page at `/docs` shows of them.
        #[derive(OpenApi)]
        #[openapi(paths($($($handler)::+),+), modifiers(&Common, &Tags))]
        pub struct Api;

        /// Method and path of each, as the table has them.
        #[cfg(test)]
        pub const ALL: &[(&str, &str)] = &[$((stringify!($method), $path)),+];
    };
}

routes! {
    // Whoever runs the process: no credential
    get    "/healthz"                                                      health::healthz,
    get    "/readyz"                                                       health::readyz,

    // Whoever writes a client: no credential
    get    "/openapi.json"                                                 docs::document,
    get    "/docs"                                                         docs::page,
    get    "/docs/{file}"                                                  docs::file,

    // Operators: what the process counts
    get    "/metrics"                                                      metrics::show,

    // Operators: what landed in the data folder of an `up`
    get    "/dev/mail"                                                     mail::api::list,

    // Operators: the registry
    get    "/api/v1/tenants"                                               tenants::api::list,
    post   "/api/v1/tenants"                                               tenants::api::create,
    patch  "/api/v1/tenants/{tenant}"                                      tenants::api::update,
    delete "/api/v1/tenants/{tenant}"                                      tenants::api::delete,
    post   "/api/v1/tenants/{tenant}/suspend"                              tenants::api::suspend,
    post   "/api/v1/tenants/{tenant}/resume"                               tenants::api::resume,
    get    "/api/v1/tenants/{tenant}/provision"                            provisioning::api::get,
    post   "/api/v1/tenants/{tenant}/provision"                            provisioning::api::start,

    // Operators, and callers inside the tenant: its administration
    get    "/api/v1/tenants/{tenant}"                                      tenants::api::get,
    get    "/api/v1/tenants/{tenant}/keys"                                 keys::api::list,
    post   "/api/v1/tenants/{tenant}/keys"                                 keys::api::create,
    get    "/api/v1/tenants/{tenant}/keys/{key}"                           keys::api::get,
    delete "/api/v1/tenants/{tenant}/keys/{key}"                           keys::api::revoke,
    post   "/api/v1/tenants/{tenant}/keys/{key}/reroll"                    keys::api::reroll,
    get    "/api/v1/tenants/{tenant}/personas"                             personas::api::list,
    post   "/api/v1/tenants/{tenant}/personas"                             personas::api::create,
    get    "/api/v1/tenants/{tenant}/personas/{persona}"                   personas::api::get,
    patch  "/api/v1/tenants/{tenant}/personas/{persona}"                   personas::api::update,
    delete "/api/v1/tenants/{tenant}/personas/{persona}"                   personas::api::delete,
    get    "/api/v1/tenants/{tenant}/deployments"                          deployments::api::list,
    get    "/api/v1/tenants/{tenant}/deployments/{deployment}"             deployments::api::get,
    get    "/api/v1/tenants/{tenant}/workspaces"                           workspaces::api::list,
    post   "/api/v1/tenants/{tenant}/workspaces"                           workspaces::api::create,
    get    "/api/v1/tenants/{tenant}/workspaces/{workspace}"               workspaces::api::get,
    patch  "/api/v1/tenants/{tenant}/workspaces/{workspace}"               workspaces::api::update,
    delete "/api/v1/tenants/{tenant}/workspaces/{workspace}"               workspaces::api::delete,
    get    "/api/v1/tenants/{tenant}/audit"                                audit::api::list,

    get    "/api/v1/tenants/{tenant}/members"                              members::api::list,
    get    "/api/v1/tenants/{tenant}/members/{user}"                       members::api::get,
    patch  "/api/v1/tenants/{tenant}/members/{user}"                       members::api::update,
    delete "/api/v1/tenants/{tenant}/members/{user}"                       members::api::remove,
    get    "/api/v1/tenants/{tenant}/invitations"                          invitations::api::list,
    post   "/api/v1/tenants/{tenant}/invitations"                          invitations::api::create,
    get    "/api/v1/tenants/{tenant}/invitations/{invitation}"             invitations::api::get,
    delete "/api/v1/tenants/{tenant}/invitations/{invitation}"             invitations::api::revoke,
    get    "/api/v1/tenants/{tenant}/sessions"                             sessions::api::list,
    delete "/api/v1/tenants/{tenant}/sessions/{session}"                   sessions::api::revoke,
    get    "/api/v1/tenants/{tenant}/teams"                                teams::api::list,
    post   "/api/v1/tenants/{tenant}/teams"                                teams::api::create,
    get    "/api/v1/tenants/{tenant}/teams/{team}"                         teams::api::get,
    patch  "/api/v1/tenants/{tenant}/teams/{team}"                         teams::api::update,
    delete "/api/v1/tenants/{tenant}/teams/{team}"                         teams::api::delete,
    get    "/api/v1/tenants/{tenant}/teams/{team}/members"                 teams::api::members,
    put    "/api/v1/tenants/{tenant}/teams/{team}/members/{user}"          teams::api::add_member,
    delete "/api/v1/tenants/{tenant}/teams/{team}/members/{user}"          teams::api::remove_member,
    get    "/api/v1/tenants/{tenant}/projects"                             projects::api::list,
    post   "/api/v1/tenants/{tenant}/projects"                             projects::api::create,
    get    "/api/v1/tenants/{tenant}/projects/{project}"                   projects::api::get,
    patch  "/api/v1/tenants/{tenant}/projects/{project}"                   projects::api::update,
    delete "/api/v1/tenants/{tenant}/projects/{project}"                   projects::api::delete,
    get    "/api/v1/tenants/{tenant}/projects/{project}/members"           projects::api::members,
    put    "/api/v1/tenants/{tenant}/projects/{project}/members/{user}"    projects::api::set_role,
    delete "/api/v1/tenants/{tenant}/projects/{project}/members/{user}"    projects::api::remove_member,

    // Whoever has an invitation's token, by mail
    get    "/invitations/accept"                                           invitations::page::show,
    post   "/invitations/accept"                                           invitations::page::accept,
    post   "/api/v1/invitations/accept"                                    invitations::api::accept,

    // Whoever has a session: what a user does across tenants
    get    "/api/v1/me"                                                    sessions::api::me,
    post   "/api/v1/tenants/{tenant}/sessions"                             sessions::api::create,

    // Callers inside the tenant: its content
    get    "/_int/tenancy/ping"                                            ping::ping,
    get    "/api/v1/tenants/{tenant}/resources"                            resources::api::list,
    post   "/api/v1/tenants/{tenant}/resources"                            resources::api::create,
    get    "/api/v1/tenants/{tenant}/resources/{resource}"                 resources::api::get,
    patch  "/api/v1/tenants/{tenant}/resources/{resource}"                 resources::api::update,
    delete "/api/v1/tenants/{tenant}/resources/{resource}"                 resources::api::delete,
    post   "/api/v1/tenants/{tenant}/resources/{resource}/restore"         resources::api::restore,
    get    "/api/v1/tenants/{tenant}/resources/{resource}/acl"             resources::api::acl,
    put    "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}" resources::api::grant,
    delete "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}" resources::api::revoke,
    post   "/api/v1/tenants/{tenant}/deployments"                          deployments::api::create,
    patch  "/api/v1/tenants/{tenant}/deployments/{deployment}"             deployments::api::update,
    delete "/api/v1/tenants/{tenant}/deployments/{deployment}"             deployments::api::delete,
    post   "/api/v1/tenants/{tenant}/access/explain"                       access::api::explain,
    post   "/api/v1/tenants/{tenant}/access/evaluation"                    access::api::evaluation,
    post   "/api/v1/tenants/{tenant}/access/evaluations"                   access::api::evaluations,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_and_the_annotations_say_the_same() {
        let document = serde_json::to_value(Api::openapi()).unwrap();
        let documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (method.clone(), path.clone()))
            })
            .collect();
        let routed = ALL
            .iter()
            .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(documented, routed);
    }
}
