//! What a request brings that its operation does not look at. It is refused: `DELETE ..?dry_run=1` would delete, and an
//! `If-Match` that nobody compares would overwrite what its sender meant to spare.
//!
//! The `OpenAPI` document says what each operation takes, so that this holds for routes not written yet. Which of the
//! parameters of a query there are, its handler says (`input::Query`). Also which operations ask for no credential.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, ParameterIn};

use crate::error::Problem;
use crate::openapi::{parameters, takes};
use crate::router::Api;

/// What an operation looks at, beside its path and body.
struct Takes {
    query: bool,
    if_match: bool,
    credential: bool,
}

impl Takes {
    fn of(operation: &Operation) -> Self {
        Self {
            query: parameters(operation, &ParameterIn::Query).next().is_some(),
            if_match: takes(operation, "If-Match"),
            credential: operation.security.is_some(),
        }
    }
}

/// Each operation, by path and method.
fn operations() -> &'static HashMap<(String, Method), Takes> {
    static OPERATIONS: OnceLock<HashMap<(String, Method), Takes>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let mut all = HashMap::new();
        for (path, item) in Api::openapi().paths.paths {
            for (method, operation) in [
                (Method::GET, item.get),
                (Method::POST, item.post),
                (Method::PUT, item.put),
                (Method::PATCH, item.patch),
                (Method::DELETE, item.delete),
            ] {
                if let Some(operation) = operation {
                    all.insert((path.clone(), method), Takes::of(&operation));
                }
            }
        }
        all
    })
}

/// Runs the request, unless it brings what its operation does not take.
pub async fn refuse(request: Request, next: Next) -> Response {
    match surplus(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Whether anybody may ask for this, without a credential.
pub fn is_open(request: &Request) -> bool {
    operation(request).is_some_and(|takes| !takes.credential)
}

fn operation(request: &Request) -> Option<&'static Takes> {
    let path = request.extensions().get::<MatchedPath>()?;
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    operations().get(&(path.as_str().to_owned(), method))
}

fn surplus(request: &Request) -> Option<Problem> {
    let query = request.uri().query().unwrap_or_default();
    let has_if_match = request.headers().contains_key(header::IF_MATCH);
    if query.is_empty() && !has_if_match {
        return None;
    }
    let takes = operation(request)?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !takes.query
        && let Some((name, _)) = form_urlencoded::parse(query.as_bytes()).next()
    {
        let name = if name.is_empty() { "query" } else { &*name };
        return Some(Problem::invalid(name, "this operation takes no parameters"));
    }
    if !takes.if_match && !reads && has_if_match {
        return Some(Problem::invalid(
            "If-Match",
            "this operation does not take it: leave it out",
        ));
    }
    None
}
