//! `GET /metrics`: what this process has answered since it began, and what the database says of the platform, in the text
//! format that Prometheus reads. For operators.
//!
//! Invariants: no label names a tenant, or anything else that a caller chose: a request is counted by the route that it met,
//! so that made-up paths and methods add no line.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, http::Extensions};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use rowhouse::tables::probe::{self, Summary};
use rowhouse::{Rowhouse, jobs};

use crate::auth::Operator;
use crate::error::Problem;

/// Seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// One label, of a closed set.
type Label = [(&'static str, &'static str); 1];

/// What is counted as it happens.
#[derive(Clone)]
pub struct Metrics(Family<Met, Histogram>);

/// Which requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Met {
    method: &'static str,
    /// As the router has it; nothing where it has none.
    route: String,
    status: u16,
}

impl Metrics {
    pub fn new() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(BUCKETS)))
    }

    /// Which of the counted this request will be, once it has a status.
    pub fn met(request: &Request) -> Met {
        Met {
            method: name(request.method()),
            route: route(request.extensions()),
            status: 0,
        }
    }

    pub fn answered(&self, met: Met, status: StatusCode, took: Duration) {
        let status = status.as_u16();
        self.0
            .get_or_create(&Met { status, ..met })
            .observe(took.as_secs_f64());
    }
}

fn route(extensions: &Extensions) -> String {
    let matched = extensions.get::<MatchedPath>();
    matched.map_or_else(String::new, |path| path.as_str().to_owned())
}

/// A method may be any word.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Numbers for Prometheus: requests of this process, its connections, the probe's history, jobs that wait.
#[utoipa::path(
    get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")),
    security(("operator" = [])),
)]
pub async fn show(
    by: Operator,
    State(house): State<Rowhouse>,
    Extension(metrics): Extension<Metrics>,
) -> Result<impl IntoResponse, Problem> {
    let mut registry = Registry::with_prefix("rowhouse");
    registry.register(
        "http_request_duration_seconds",
        "Requests that were answered, and how long that took",
        metrics.0,
    );
    connections(&mut registry, &house);
    let mut tx = by.begin().await?;
    probes(&mut registry, &probe::summary(&mut tx).await?);
    let (waiting, due) = (
        Family::<Label, Gauge>::default(),
        Family::<Label, Gauge>::default(),
    );
    for kind in jobs::Kind::ALL {
        let count = jobs::waiting(&mut tx, *kind).await?;
        let label = [("kind", kind.as_str())];
        waiting.get_or_create(&label).set(count.0);
        due.get_or_create(&label).set(count.1);
    }
    tx.commit().await?;
    registry.register("jobs_waiting", "Jobs that are not done", waiting);
    registry.register("jobs_due", "Jobs that a worker should be at", due);

    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Problem::internal())?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

fn connections(registry: &mut Registry, house: &Rowhouse) {
    let (open, idle) = house.connections();
    for (name, help, count) in [
        ("connections_open", "Connections of the app's pool", open),
        ("connections_idle", "Of these, how many nobody holds", idle),
    ] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        registry.register(name, help, ConstGauge::new(count));
    }
    registry.register(
        "connections_closed",
        "Connections that were closed because something was left on them, or because it could not be ruled out",
        ConstCounter::new(house.connections_closed()),
    );
}

/// Of the whole platform, whichever process probed, and also those that an operator made.
fn probes(registry: &mut Registry, summary: &Summary) {
    let runs = Family::<Label, Counter>::default();
    for (verdict, count) in [
        ("held", summary.held),
        ("incomplete", summary.incomplete),
        ("leak", summary.leaked),
    ] {
        runs.get_or_create(&[("verdict", verdict)])
            .inc_by(count.unsigned_abs());
    }
    registry.register("probe_runs", "Probes of the wall", runs);
    let Some(at) = summary.at else { return };
    for (name, help, value) in [
        (
            "probe_last_leaks",
            "Leaks that the newest found: 0 when the wall held",
            i64::from(summary.leaks),
        ),
        (
            "probe_last_attempts",
            "Attempts of the newest",
            i64::from(summary.attempts),
        ),
        (
            "probe_last_timestamp_seconds",
            "When the newest was",
            at.as_second(),
        ),
    ] {
        registry.register(name, help, ConstGauge::new(value));
    }
    registry.register(
        "probe_last_duration_seconds",
        "How long the newest took",
        ConstGauge::new(summary.seconds),
    );
}
