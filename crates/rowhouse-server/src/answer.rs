//! What is answered when something was done: status, body, and the `ETag` of what it shows.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rowhouse::idempotency;
use serde::Serialize;
use serde_json::Value;

use crate::error::Problem;

/// A JSON answer about one thing.
pub struct Answer {
    status: StatusCode,
    body: Value,
    /// Shown now, and never kept.
    secret: Option<(&'static str, String)>,
    again: bool,
}

impl Answer {
    /// 200, with the thing as it is.
    pub fn ok(thing: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::OK, thing)
    }

    /// 201, with what was made.
    pub fn created(thing: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::CREATED, thing)
    }

    /// Another status, with the thing as it is.
    pub fn with(status: StatusCode, thing: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_value(thing).map_err(|error| {
            rowhouse::Error::Schema(format!("cannot be shown as JSON: {error}"))
        })?;
        Ok(Self {
            status,
            body,
            secret: None,
            again: false,
        })
    }

    /// And a secret in this field, this once: a repeated request is answered without it.
    #[must_use]
    pub fn showing_once(self, field: &'static str, secret: &rowhouse::Secret) -> Self {
        Self {
            secret: Some((field, secret.reveal().to_owned())),
            ..self
        }
    }

    /// The answer that the same request was given before.
    pub fn again(before: idempotency::Answer) -> Self {
        Self {
            status: StatusCode::from_u16(before.status).unwrap_or(StatusCode::OK),
            body: before.body,
            secret: None,
            again: true,
        }
    }

    /// What is kept of it for a repeated request.
    pub fn to_keep(&self) -> idempotency::Answer {
        idempotency::Answer {
            status: self.status.as_u16(),
            body: self.body.clone(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        let tag = self.body["updated_at"]
            .as_str()
            .and_then(|at| at.parse::<Timestamp>().ok())
            .and_then(|at| HeaderValue::from_str(&format!("\"{}\"", at.as_microsecond())).ok());
        if let Some((field, secret)) = self.secret
            && let Some(body) = self.body.as_object_mut()
        {
            body.insert(field.into(), secret.into());
        }
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
        }
        if self.again {
            headers.insert(
                HeaderName::from_static("idempotency-replayed"),
                HeaderValue::from_static("true"),
            );
        }
        response
    }
}
