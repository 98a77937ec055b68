//! Logs: one JSON object a line, on stderr. Fields of the request's span (request, tenant, workspace, project, resource)
//! stand in each line. No secrets and no content: ids only.

use rowhouse::{Error, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging with a filter such as `info` or `info,rowhouse=debug`.
pub fn start(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Error::Config(format!(
            "log: {error}. Use error, warn, info, debug, trace, or info,rowhouse=debug"
        ))
    })?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| Error::Config(format!("logging cannot be started: {error}")))
}
