//! `/openapi.json`, and a page that shows it at `/docs`: Swagger UI, from this process alone.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Problem;
use crate::input::Path;
use crate::openapi;

/// The page loads its own scripts and styles, and its style sheets set styles in elements.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The `OpenAPI` document of this service.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses((status = 200, content_type = "application/json")))]
pub async fn document() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(openapi::document).as_str();
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// A page that shows it.
#[utoipa::path(get, path = "/docs", tag = "service", responses((status = 308)))]
pub async fn page() -> Response {
    axum::response::Redirect::permanent("/docs/index.html").into_response()
}

/// Which file.
#[derive(Deserialize, IntoParams)]
pub struct FilePath {
    /// Its name.
    file: String,
}

/// A file of that page.
#[utoipa::path(get, path = "/docs/{file}", tag = "service", params(FilePath), responses((status = 200)))]
pub async fn file(Path(path): Path<FilePath>) -> Result<Response, Problem> {
    static CONFIG: OnceLock<Arc<utoipa_swagger_ui::Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| Arc::new(utoipa_swagger_ui::Config::from("/openapi.json")));
    let file = utoipa_swagger_ui::serve(&path.file, config.clone())
        .ok()
        .flatten()
        .ok_or_else(Problem::no_such_path)?;
    let kind = HeaderValue::from_str(&file.content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let policy = HeaderValue::from_static(POLICY);
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, file.bytes.into_owned()).into_response())
}
