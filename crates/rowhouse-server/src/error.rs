//! Errors as HTTP tells them: problem+json (RFC 9457). The only place with status codes.
//!
//! Each `code` is stable and has a page in docs/errors. What is told is the library's message, which holds no values of
//! rows; what went wrong inside is logged, once, here, and told as `internal`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rowhouse::Error;
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal as it is sent (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:rowhouse:error:` and the code.
    r#type: String,
    /// What the status means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable; each has a page in docs/errors.
    code: &'static str,
    /// What is wrong with this request.
    detail: String,
    /// Of bad input: the field, as the caller named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Of bad input: the rule it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

impl ProblemBody {
    /// One as it may come with this status and code, for the `OpenAPI` document.
    pub fn example(status: u16, code: &'static str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let is_of_input = code == "invalid";
        let field = "title";
        let rule = "must be 1 to 200 characters";
        Self {
            detail: if is_of_input {
                format!("{field}: {rule}")
            } else {
                "what is wrong with this request".into()
            },
            field: is_of_input.then(|| field.into()),
            rule: is_of_input.then(|| rule.into()),
            ..Self::of(status, code)
        }
    }

    fn of(status: StatusCode, code: &'static str) -> Self {
        Self {
            r#type: format!("urn:rowhouse:error:{code}"),
            title: status.canonical_reason().unwrap_or("refused"),
            status: status.as_u16(),
            code,
            detail: String::new(),
            field: None,
            rule: None,
        }
    }
}

/// What an operation is, as far as it says by what it can be refused.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub struct Kind {
    /// It has a body.
    pub takes_body: bool,
    /// It is not for everybody.
    pub needs_credential: bool,
    /// There is a variable part in its path.
    pub names_something: bool,
    /// Something is different afterwards.
    pub changes: bool,
    /// It takes an `Idempotency-Key`.
    pub is_done_once: bool,
    /// It takes an `If-Match`.
    pub is_conditional: bool,
}

/// By what a request can be refused: status, codes, and whether it applies to an operation.
type Refusal = (u16, &'static [&'static str], fn(&Kind) -> bool);

/// Every refusal there is, for the `OpenAPI` document.
pub const REFUSALS: &[Refusal] = &[
    (400, &["invalid"], |_| true),
    (401, &["unauthorized"], |kind| kind.needs_credential),
    (
        403,
        &[
            "not-permitted",
            "read-only",
            "support-access-required",
            "tenant-not-active",
            "too-many-principals",
        ],
        |kind| kind.needs_credential,
    ),
    (404, &["not-found"], |kind| {
        kind.takes_body || kind.names_something
    }),
    (405, &["method-not-allowed"], |_| true),
    (408, &["timeout"], |_| true),
    (409, &["taken", "wrong-state", "last-owner"], |kind| {
        kind.changes
    }),
    (410, &["invitation-over"], |kind| kind.changes),
    (412, &["changed"], |kind| kind.is_conditional),
    (413, &["body-too-large"], |_| true),
    (415, &["not-json"], |kind| kind.takes_body),
    (422, &["idempotency-key-reused"], |kind| kind.is_done_once),
    (431, &["headers-too-large"], |_| true),
    (500, &["internal", "commit-unknown"], |_| true),
    (
        503,
        &[
            "overloaded",
            "not-ready",
            "pool-exhausted",
            "connect",
            "contention",
            "not-placed-here",
        ],
        |_| true,
    ),
];

/// The `code` of an answer that is a refusal, for what stands around the handlers.
#[derive(Clone, Copy)]
pub struct Code(pub &'static str);

/// An answer that is a refusal.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// The field of the input, and the rule it breaks.
    input: Option<(String, String)>,
}

impl Problem {
    /// No credential, or one that is not good. One answer for all, so that nothing is learned from it.
    pub fn unauthorized() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "unauthorized",
            detail: "send `Authorization: Bearer` with a ticket or an API key that is good now"
                .into(),
            input: None,
        }
    }

    /// For a page, which tells it in words of its own.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// As it stands in the body.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// As it stands in the body.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// There is nothing under this path.
    pub fn no_such_path() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not-found",
            detail: "there is nothing under this path".into(),
            input: None,
        }
    }

    /// There is no such tenant, or it is not the caller's: nobody can tell which.
    pub fn no_such_tenant() -> Self {
        Error::NotFound("tenant").into()
    }

    /// A caller inside a tenant asked for what operators do.
    pub fn operators_only() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "not-permitted",
            detail: "only an operator may do this".into(),
            input: None,
        }
    }

    /// Input that breaks a rule.
    pub fn invalid(field: &str, rule: &str) -> Self {
        Error::Invalid {
            field: field.to_owned().into(),
            rule: rule.to_owned(),
        }
        .into()
    }

    /// A body that does not say that it is JSON.
    pub fn not_json() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "not-json",
            detail: "send the body as `Content-Type: application/json`".into(),
            input: None,
        }
    }

    /// A body that could not be read to its end.
    pub fn unread(status: StatusCode) -> Self {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Self::limit(status),
            _ => Error::Invalid {
                field: "body".into(),
                rule: "must arrive whole".into(),
            }
            .into(),
        }
    }

    /// The path is there, the method is not.
    pub fn no_such_method() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method-not-allowed",
            detail: "this path does not take this method".into(),
            input: None,
        }
    }

    /// Something failed on our side.
    pub fn internal() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: "something failed on our side; the request id leads to it in the log".into(),
            input: None,
        }
    }

    /// The database does not answer.
    pub fn not_ready() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "not-ready",
            detail: "the database does not answer".into(),
            input: None,
        }
    }

    /// A limit of the server was met, which the settings name.
    pub fn limit(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("body-too-large", "the body is larger than `body_limit`")
            }
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                "headers-too-large",
                "the headers have more than 16384 bytes",
            ),
            StatusCode::REQUEST_TIMEOUT => (
                "timeout",
                "the request took longer than `timeout` seconds and was given up: what it asked for may have been done",
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
            input: None,
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
            | Error::SupportAccessRequired
            | Error::NotPermitted(_) => StatusCode::FORBIDDEN,
            Error::Changed => StatusCode::PRECONDITION_FAILED,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Taken { .. } | Error::WrongState(_) | Error::LastOwner => StatusCode::CONFLICT,
            Error::InvitationOver(_) => StatusCode::GONE,
            Error::NotPlacedHere | Error::PoolExhausted | Error::Connect(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::CommitUnknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
            error if error.is_contention() => StatusCode::SERVICE_UNAVAILABLE,
            _ => {
                tracing::error!(code = error.code(), %error, "a request failed");
                return Self::internal();
            }
        };
        if status.is_server_error() {
            tracing::warn!(code = error.code(), %error, "a request could not be served");
        }
        let detail = match &error {
            // What the server said names its files and addresses, or the statement: it stands in the log.
            Error::Connect(_) => "the database cannot be reached, or has no room now".into(),
            error if error.is_contention() => {
                "others were at the same rows, and nothing was done: send it again".into()
            }
            error => error.to_string(),
        };
        Self {
            status,
            code: error.code(),
            detail,
            input: match error {
                Error::Invalid { field, rule } => Some((field.into_owned(), rule)),
                Error::Taken { field } => Some((field.into(), "must not be taken".into())),
                _ => None,
            },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (field, rule) = self.input.unzip();
        let body = ProblemBody {
            detail: self.detail,
            field,
            rule,
            ..ProblemBody::of(self.status, self.code)
        };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(Code(self.code));
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
