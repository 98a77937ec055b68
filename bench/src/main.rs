//! What the wall costs, measured beside what a service would use instead: `make bench`, or `make bench ONLY=cpu`.
//!
//! One run starts a server of its own, seeds it, and measures everything there, so that figures are compared with
//! figures of the same hour on the same machine. What is compared runs interleaved, in many short rounds. A whole run
//! also writes `bench/RESULTS.md`. Nothing here is a test: a slow machine fails nothing.

mod api;
mod cpu;
mod enter;
mod foreign;
mod forwarder;
mod latency;
mod lists;
mod probe;
mod report;
mod sample;
mod service;
mod shop;
mod tenants;
mod world;

use std::time::Duration;

use report::{Part, Report};
use world::{Result, Server};

/// A run that takes longer has gone wrong. More tenants than the default take longer to found, and get more.
const BOUND: Duration = Duration::from_mins(25);
const PARTS: [&str; 8] = [
    "latency", "cpu", "tenants", "lists", "enter", "api", "foreign", "probe",
];

#[tokio::main]
async fn main() -> Result {
    let only = std::env::args().nth(1).filter(|part| !part.is_empty());
    if only.as_deref() == Some(api::PLAIN) {
        return api::plain().await;
    }
    if let Some(part) = &only
        && !PARTS.contains(&part.as_str())
    {
        return Err(format!("{part}: there is {}", PARTS.join(", ")).into());
    }
    let server = Server::start().await?;
    let bound = BOUND * tenants::many().div_ceil(tenants::MANY);
    // Whatever ends the run, the server is stopped and its folder removed.
    let done = tokio::select! {
        done = tokio::time::timeout(bound, run(&server, only.as_deref())) => {
            done.map_err(|_| format!("not done after {} minutes", bound.as_secs() / 60).into()).flatten()
        }
        stopped = tokio::signal::ctrl_c() => Err(stopped.err().map_or("interrupted".into(), Into::into)),
    };
    server.stop().await?;
    let report = done?;
    report::line(&report.to_string())?;
    if only.is_none() {
        report.write()?;
    }
    Ok(())
}

async fn run(server: &Server, only: Option<&str>) -> Result<Report> {
    let begun = std::time::Instant::now();
    let mut parts = Vec::new();
    for name in PARTS {
        if only.is_none_or(|only| only == name) {
            eprintln!("{name}, {} s after the start", begun.elapsed().as_secs());
            parts.push(measure(server, name).await?);
        }
    }
    Report::new(server, parts, begun.elapsed()).await
}

async fn measure(server: &Server, name: &str) -> Result<Part> {
    match name {
        "latency" => latency::measure(server).await,
        "cpu" => cpu::measure(server).await,
        "tenants" => tenants::measure(server).await,
        "lists" => lists::measure(server).await,
        "enter" => enter::measure(server).await,
        "api" => api::measure(server).await,
        "foreign" => foreign::measure(server).await,
        _ => probe::measure(server).await,
    }
}
