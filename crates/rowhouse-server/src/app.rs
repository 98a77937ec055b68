//! The HTTP service around the routes: limits, request ids, logs, headers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use rowhouse::{Error, Result, Rowhouse};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tracing::Instrument as _;

use crate::config::Settings;
use crate::error::Problem;
use crate::mail::api::Landing;
use crate::mail::mailer::Mailer;
use crate::metrics::Metrics;
use crate::trail::{self, Turns};
use crate::worker::Worker;
use crate::{router, sockets, surplus};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How many bytes the headers of a request may have.
const HEADER_LIMIT: usize = 16 * 1024;
/// What part of the places is for requests that nobody needs a credential for: whoever holds none can be slow in these only.
const OPEN_SHARE: usize = 8;
/// How long an ending process waits for the mail that is under way.
const GRACE: Duration = Duration::from_secs(20);

/// Takes the port, so that a port in use is told before anything else is begun.
pub async fn listen(settings: &Settings) -> Result<TcpListener> {
    TcpListener::bind((settings.host, settings.port))
        .await
        .map_err(|error| {
            let way_out = match error.kind() {
                std::io::ErrorKind::AddrInUse => ": it is in use. Choose another with --port",
                _ => "",
            };
            Error::Config(format!(
                "cannot listen on {}:{} ({error}){way_out}",
                settings.host, settings.port
            ))
        })
}

/// Where mail lands that is not sent, and whether it is shown.
#[derive(Clone, Default)]
pub struct MailFolder {
    /// None: there is no data folder.
    pub folder: Option<PathBuf>,
    /// At `/dev/mail`.
    pub shown: bool,
}

/// Answers requests, and works beside them, until `stop` resolves; then takes no new ones and finishes what is under way.
pub async fn serve(
    listener: TcpListener,
    house: Rowhouse,
    settings: &Settings,
    mail: MailFolder,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let mailer = Mailer::new(settings, mail.folder.clone())?;
    let worker = Worker::start(&house, mailer, settings);
    let landing = Landing(mail.folder.filter(|_| mail.shown));
    let patience = Duration::from_secs(settings.timeout.into());
    sockets::serve(listener, service(house, settings, landing), patience, stop).await;
    worker.end(GRACE).await;
    Ok(())
}

fn service(house: Rowhouse, settings: &Settings, landing: Landing) -> Router {
    let limits = Limits {
        places: Arc::new(Semaphore::new(settings.concurrency)),
        open: Arc::new(Semaphore::new((settings.concurrency / OPEN_SHARE).max(1))),
        timeout: Duration::from_secs(settings.timeout.into()),
    };
    let metrics = Metrics::new();
    router::routes()
        .with_state(house)
        .layer(middleware::from_fn(surplus::refuse))
        .layer(middleware::from_fn_with_state(
            Turns::default(),
            trail::note,
        ))
        .layer(Extension(metrics.clone()))
        .layer(Extension(settings.public_url()))
        .layer(Extension(landing))
        .layer(RequestBodyLimitLayer::new(settings.body_limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(limits, limit))
        .layer(middleware::from_fn_with_state(metrics, observe))
}

/// A fault of ours ends one request, with an answer, and no other.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal().into_response()
}

#[derive(Clone)]
struct Limits {
    places: Arc<Semaphore>,
    /// As many of them as open requests may take.
    open: Arc<Semaphore>,
    timeout: Duration,
}

/// A place among the requests under way, a time to end by, and a named problem for whoever meets a limit.
async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > HEADER_LIMIT {
        return Problem::limit(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into_response();
    }
    // Whoever runs the process asks these two whether to end it: being busy is no reason.
    let is_asked_for_health = matches!(request.uri().path(), "/healthz" | "/readyz");
    let place = limits.places.try_acquire();
    let share = surplus::is_open(&request)
        .then(|| limits.open.try_acquire())
        .transpose();
    if (place.is_err() || share.is_err()) && !is_asked_for_health {
        return Problem::limit(StatusCode::SERVICE_UNAVAILABLE).into_response();
    }
    match tokio::time::timeout(limits.timeout, next.run(request)).await {
        Ok(response) if response.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::limit(StatusCode::PAYLOAD_TOO_LARGE).into_response()
        }
        Ok(response) => response,
        Err(_) => Problem::limit(StatusCode::REQUEST_TIMEOUT).into_response(),
    }
}

/// By which a request is found in the log and in audit rows.
#[derive(Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// Of this request; `observe` has put it there.
    pub fn of(parts: &Parts) -> Self {
        let id = parts.extensions.get::<Self>();
        Self(id.map_or_else(String::new, |id| id.0.clone()))
    }
}

/// One span and one log line a request, its id in both and in the answer; a place among the numbers; headers that every answer has.
async fn observe(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .as_bytes()
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        })
        .cloned()
        .unwrap_or_else(new_request_id);
    let text = id.to_str().unwrap_or_default().to_owned();
    request.extensions_mut().insert(RequestId(text));
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
        tenant_id = tracing::field::Empty,
        workspace_id = tracing::field::Empty,
        project_id = tracing::field::Empty,
        resource_id = tracing::field::Empty,
    );
    async move {
        let began = Instant::now();
        let met = Metrics::met(&request);
        let mut response = next.run(request).await;
        let took = began.elapsed();
        tracing::info!(
            status = response.status().as_u16(),
            micros = took.as_micros(),
            "answered"
        );
        metrics.answered(met, response.status(), took);
        dress(response.headers_mut(), id);
        response
    }
    .instrument(span)
    .await
}

/// The headers that every answer has.
pub fn dress(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "private, no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// A request id says when and nothing of whom.
pub fn new_request_id() -> HeaderValue {
    let id = rowhouse::ids::AuditId::new().uuid().simple().to_string();
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
