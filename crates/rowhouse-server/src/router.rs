//! Every path on one page, grouped by who uses it.

use axum::Router;
use axum::routing::get;
use rowhouse::Rowhouse;

use crate::error::Problem;
use crate::{health, ping};

/// All of them.
pub fn routes() -> Router<Rowhouse> {
    Router::new()
        // Whoever runs the process: no credential
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        // Callers inside a tenant: ticket or key
        .route("/_int/tenancy/ping", get(ping::ping))
        .fallback(async || Problem::no_such_path())
        .method_not_allowed_fallback(async || Problem::no_such_method())
}
