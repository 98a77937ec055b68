//! `GET /healthz`: the process lives. `GET /readyz`: the database answers, too.

use axum::Json;
use axum::extract::State;
use rowhouse::Rowhouse;
use serde_json::{Value, json};

use crate::error::Problem;

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200)))]
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database answers.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200)))]
pub async fn readyz(State(house): State<Rowhouse>) -> Result<Json<Value>, Problem> {
    house.ready().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::not_ready()
    })?;
    Ok(Json(json!({ "status": "ready" })))
}
