//! What the `OpenAPI` document says beside the handlers' annotations: credentials, headers, and how a refusal looks.
//!
//! `rowhouse openapi` prints it; docs/openapi.json is a copy, which a test compares.

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
};
use utoipa::{Modify, OpenApi as _, PartialSchema as _, ToSchema as _};

use crate::error::{Kind, ProblemBody, REFUSALS};
use crate::page;
use crate::router::Api;

/// The document, as text.
pub fn document() -> String {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Credentials, the problem, and for each operation the refusals that it can meet.
pub struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut OpenApi) {
        api.info = InfoBuilder::new()
            .title("Rowhouse")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "Tenants, keys and resources behind a wall that PostgreSQL enforces. \
                 A tenant that is not yours is answered like one that does not exist.",
            ))
            .build();
        let components = api
            .components
            .get_or_insert_with(|| ComponentsBuilder::new().build());
        for (name, what) in [
            (
                "operator",
                "An operator's token: `op_` and 32 characters. It ends 90 days after it was issued, unless another moment or `never` was asked for",
            ),
            (
                "caller",
                "An API key (`tk_` and 32 characters), a session (`ses_` and 32 characters), or a ticket (`\\x..`)",
            ),
            ("session", "A session: `ses_` and 32 characters"),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(what))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
        components
            .schemas
            .insert(ProblemBody::name().into(), ProblemBody::schema());
        for (path, item) in &mut api.paths.paths {
            let operations = [
                (HttpMethod::Get, &mut item.get),
                (HttpMethod::Post, &mut item.post),
                (HttpMethod::Put, &mut item.put),
                (HttpMethod::Patch, &mut item.patch),
                (HttpMethod::Delete, &mut item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    complete(path, &method, operation);
                }
            }
        }
    }
}

/// What an operation has by its kind, so that no handler has to say it.
fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    // The handler's name, which other slices have too, behind its slice's: `resources_list`.
    let slice = operation.tags.iter().flatten().next().cloned();
    if let (Some(slice), Some(handler)) = (slice, &mut operation.operation_id) {
        *handler = format!("{slice}_{handler}");
    }
    let kind = Kind {
        takes_body: operation.request_body.is_some(),
        needs_credential: operation.security.is_some(),
        names_something: path.contains("/{"),
        changes: !matches!(method, HttpMethod::Get),
        is_done_once: takes(operation, "Idempotency-Key"),
        is_conditional: takes(operation, "If-Match"),
    };
    if is_list(operation) {
        operation
            .parameters
            .get_or_insert_default()
            .extend([limit().into(), cursor().into()]);
    }
    for (status, codes, applies) in REFUSALS {
        if applies(&kind) {
            operation
                .responses
                .responses
                .entry(status.to_string())
                .or_insert_with(|| refusal(*status, codes));
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status == "200" || status == "201")
            && path.starts_with("/api/")
        {
            let id = HeaderBuilder::new()
                .description(Some("Leads to this request in the log and in audit rows"))
                .build();
            response.headers.insert("X-Request-Id".into(), id.into());
        }
    }
}

/// Whether the document says that it takes this header.
pub fn takes(operation: &Operation, header: &str) -> bool {
    parameters(operation, &ParameterIn::Header).any(|parameter| parameter.name == header)
}

/// What the document says that it takes there.
pub fn parameters<'a>(
    operation: &'a Operation,
    place: &'a ParameterIn,
) -> impl Iterator<Item = &'a Parameter> {
    operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .filter(move |parameter| parameter.parameter_in == *place)
}

/// Whether it answers with a page.
fn is_list(operation: &Operation) -> bool {
    let Some(RefOr::T(response)) = operation.responses.responses.get("200") else {
        return false;
    };
    response.content.values().any(|content| {
        matches!(content, RefOr::T(content)
            if matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.contains("/Listing_")))
    })
}

fn limit() -> Parameter {
    ParameterBuilder::new()
        .name("limit")
        .parameter_in(ParameterIn::Query)
        .description(Some("How many"))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1))
                .maximum(Some(page::LONGEST))
                .default(Some(page::DEFAULT_LIMIT.into())),
        ))
        .build()
}

fn cursor() -> Parameter {
    ParameterBuilder::new()
        .name("cursor")
        .parameter_in(ParameterIn::Query)
        .description(Some("The `next` of the page before"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn refusal(status: u16, codes: &[&'static str]) -> RefOr<Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemBody::name())))
        .example(Some(json!(ProblemBody::example(status, codes[0]))))
        .build();
    ResponseBuilder::new()
        .description(
            codes
                .iter()
                .map(|code| format!("`{code}`"))
                .collect::<Vec<_>>()
                .join(", "),
        )
        .content("application/problem+json", content)
        .build()
        .into()
}

/// What each group of paths is about, in the order of the page.
pub struct Tags;

impl Modify for Tags {
    fn modify(&self, api: &mut OpenApi) {
        let tags = [
            ("tenants", "The customers: for operators"),
            ("keys", "API keys of a tenant"),
            ("members", "Who belongs to a tenant"),
            ("invitations", "How people come into a tenant"),
            ("sessions", "Who is signed in"),
            ("teams", "Members who share a right"),
            ("projects", "The second wall inside a tenant"),
            ("workspaces", "Where resources lie"),
            ("resources", "Content: for callers inside the tenant only"),
            ("deployments", "Which resources run where"),
            ("personas", "As whom keys speak"),
            ("access", "Who may do what, and why"),
            ("audit", "Who did what"),
            ("service", "The process itself"),
        ];
        api.tags = Some(
            tags.iter()
                .map(|(name, what)| {
                    TagBuilder::new()
                        .name(*name)
                        .description(Some(*what))
                        .build()
                })
                .collect(),
        );
    }
}
