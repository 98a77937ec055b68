//! Errors as HTTP tells them: problem+json (RFC 9457). The only place with status codes.
//!
//! Each `code` is stable and has a page in docs/errors. What is told is the library's message, which holds no values of
//! rows; what went wrong inside is logged, once, here, and told as `internal`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rowhouse::Error;
use serde_json::json;

/// An answer that is a refusal.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    /// No credential, or one that is not good. One answer for all, so that nothing is learned from it.
    pub fn unauthorized() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "unauthorized",
            detail: "send `Authorization: Bearer` with a ticket or an API key that is good now"
                .into(),
        }
    }

    /// There is nothing under this path.
    pub fn no_such_path() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not-found",
            detail: "there is nothing under this path".into(),
        }
    }

    /// The path is there, the method is not.
    pub fn no_such_method() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method-not-allowed",
            detail: "this path does not take this method".into(),
        }
    }

    /// The database does not answer.
    pub fn not_ready() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "not-ready",
            detail: "the database does not answer".into(),
        }
    }

    /// A limit of the server was met, which the settings name.
    pub fn limit(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("body-too-large", "the body is larger than `body_limit`")
            }
            StatusCode::REQUEST_TIMEOUT => (
                "timeout",
                "the request took longer than `timeout` seconds and was given up",
            ),
            _ => (
                "overloaded",
                "more requests are under way than `concurrency` allows",
            ),
        };
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Seal(_) | Error::TicketExpired | Error::NotAMember => {
                return Self::unauthorized();
            }
            Error::TenantNotActive
            | Error::ReadOnly
            | Error::TooManyPrincipals
            | Error::NotPermitted(_) => StatusCode::FORBIDDEN,
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Taken { .. } => StatusCode::CONFLICT,
            Error::NotPlacedHere | Error::PoolExhausted | Error::Connect(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => {
                tracing::error!(code = error.code(), %error, "a request failed");
                return Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    code: "internal",
                    detail: "something failed on our side; the request id leads to it in the log"
                        .into(),
                };
            }
        };
        if status.is_server_error() {
            tracing::warn!(code = error.code(), %error, "a request could not be served");
        }
        Self {
            status,
            code: error.code(),
            detail: error.to_string(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:rowhouse:error:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("refused"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
