//! What the trails are told of a request besides its changes: what a caller whom we know was refused, by which rule; and what
//! an operator read. A row of its own, in a second transaction, before the answer goes out: a refused one left nothing, and a
//! read is noted here for each route, also those not written yet. What cannot be noted as read is not shown.
//!
//! Only who has shown a credential of ours writes here. He may be refused or read for ever, so he gets a bounded number of rows
//! in each minute, for reads in each tenant; what goes beyond is counted, and told by his next row.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use lru::LruCache;
use rowhouse::audit::{self, Event};
use rowhouse::ids::{ProjectId, ResourceId, WorkspaceId};
use rowhouse::{Error, TenantTx, tenants};
use serde_json::{Value, json};

use crate::app::RequestId;
use crate::auth::{Asker as _, Caller, Operator};
use crate::error::{Code, Problem};

const REFUSED: &str = "access.refuse";
const READ: &str = "access.read";
/// Numbers of the process: they are of no tenant, and a machine asks for them every few seconds.
const OF_NOBODY: &str = "/metrics";
/// What says that the caller may not; other refusals are of what he sent.
const OF_THE_CALLER: [&str; 6] = [
    "not-permitted",
    "read-only",
    "support-access-required",
    "tenant-not-active",
    "too-many-principals",
    "unauthorized",
];
const WINDOW: Duration = Duration::from_mins(1);
const ROWS: u32 = 60;
/// Of how many it is known how many rows they got; beyond that, whoever got none for longest is forgotten.
const WRITERS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Who asks, once his credential was found to be one of ours; put into a request before it runs.
#[derive(Clone, Default)]
pub struct Witness(Arc<Seen>);

#[derive(Default)]
struct Seen {
    known: OnceLock<Known>,
    strays: AtomicBool,
}

/// Whom a row is told of.
pub enum Known {
    /// Somebody inside a tenant.
    Caller(Caller),
    /// Somebody who runs the platform.
    Operator(Operator),
}

impl Witness {
    /// That of this request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or_default()
    }

    /// The caller of this request is known.
    pub fn saw(&self, known: Known) {
        self.0.known.get_or_init(|| known);
    }

    /// He named another tenant, and hears that there is none.
    pub fn strays(&self) {
        self.0.strays.store(true, Ordering::Relaxed);
    }
}

/// How many rows each writer got lately.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<LruCache<Vec<u8>, Lately>>>);

struct Lately {
    since: Instant,
    rows: u32,
    untold: u32,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(WRITERS))))
    }
}

impl Turns {
    /// Whether this one gets a row, and how many before it got none.
    fn take(&self, writer: Vec<u8>, now: Instant) -> Option<u32> {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = writers.get_or_insert_mut(writer, || Lately {
            since: now,
            rows: 0,
            untold: 0,
        });
        if now.duration_since(lately.since) >= WINDOW {
            lately.since = now;
            lately.rows = 0;
        }
        if lately.rows >= ROWS {
            lately.untold = lately.untold.saturating_add(1);
            return None;
        }
        lately.rows += 1;
        Some(std::mem::take(&mut lately.untold))
    }
}

/// Runs the request, and notes a refusal of its caller, or what an operator read.
pub async fn note(State(turns): State<Turns>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let witness = Witness::default();
    parts.extensions.insert(witness.clone());
    let asked = Asked::of(&mut parts, &witness).await;
    let response = next.run(Request::from_parts(parts, body)).await;

    let Some(known) = witness.0.known.get() else {
        return response;
    };
    let code = response.extensions().get().map(|Code(code)| *code);
    let (action, detail) = match code {
        Some(code) if asked.strays() || OF_THE_CALLER.contains(&code) => {
            (REFUSED, json!({ "code": code }))
        }
        None if known.is_operator() && asked.reads() => (READ, json!({})),
        _ => return response,
    };
    let Some(untold) = turns.take(asked.writer(known, action), Instant::now()) else {
        return response;
    };
    match known.write(&asked, action, detail, untold).await {
        Ok(()) => response,
        Err(error) if action == READ => Problem::from(error).into_response(),
        Err(error) => {
            tracing::warn!(%error, code, "a refusal was not noted in the trail");
            response
        }
    }
}

/// What somebody asks. Kept of each request, so it is taken apart only when it is noted.
struct Asked {
    method: Method,
    /// As the table of routes has it: without ids, and without what else he may have put there.
    path: Option<MatchedPath>,
    named: Option<RawPathParams>,
    request: RequestId,
    witness: Witness,
}

impl Asked {
    async fn of(parts: &mut Parts, witness: &Witness) -> Self {
        Self {
            method: parts.method.clone(),
            path: parts.extensions.get().cloned(),
            named: RawPathParams::from_request_parts(parts, &()).await.ok(),
            request: RequestId::of(parts),
            witness: witness.clone(),
        }
    }

    fn strays(&self) -> bool {
        self.witness.0.strays.load(Ordering::Relaxed)
    }

    /// Whether it is a question, of what is somebody's.
    fn reads(&self) -> bool {
        self.method.is_safe() && self.path() != Some(OF_NOBODY)
    }

    /// As the table of routes has it.
    fn path(&self) -> Option<&str> {
        self.path.as_ref().map(MatchedPath::as_str)
    }

    /// Whose rows are counted together. Reads in one tenant use up nothing of what another is told.
    fn writer(&self, known: &Known, action: &str) -> Vec<u8> {
        let tenant = self.named("tenant").filter(|_| action == READ);
        let tenant = tenant.unwrap_or_default().as_bytes();
        [action.as_bytes(), &known.identity(), tenant].concat()
    }

    fn named(&self, name: &str) -> Option<&str> {
        let mut all = self.named.iter().flatten();
        all.find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    fn id<T: FromStr>(&self, name: &str) -> Option<T> {
        self.named(name)?.parse().ok()
    }

    fn event(&self, action: &'static str, mut detail: Value) -> Event {
        detail["method"] = self.method.as_str().into();
        detail["path"] = self.path().into();
        let event = Event::new(action, None).with_detail(detail);
        // What he names in another tenant's place is not this tenant's, and stands nowhere in its trail.
        if self.strays() {
            return event;
        }
        let event = event.on_project(self.id::<ProjectId>("project"));
        let event = match self.id::<WorkspaceId>("workspace") {
            Some(workspace) => event.on_workspace(workspace),
            None => event,
        };
        match self.id::<ResourceId>("resource") {
            Some(resource) => event.on_resource(resource),
            None => event,
        }
    }
}

impl Known {
    fn identity(&self) -> Vec<u8> {
        match self {
            Self::Caller(caller) => caller.identity(),
            Self::Operator(operator) => operator.identity(),
        }
    }

    fn is_operator(&self) -> bool {
        matches!(self, Self::Operator(_))
    }

    async fn write(
        &self,
        asked: &Asked,
        action: &'static str,
        mut detail: Value,
        untold: u32,
    ) -> rowhouse::Result<()> {
        if untold > 0 {
            detail["untold"] = untold.into();
        }
        match self {
            Self::Caller(caller) => {
                let written =
                    write(caller.begin().await?, asked.event(action, detail.clone())).await;
                let Err(Error::NotAMember | Error::TenantNotActive | Error::TicketExpired) =
                    written
                else {
                    return written;
                };
                // That somebody tries with what is not good any more is for the tenant to know, and not for him to write.
                detail["caller"] = json!(caller.principal());
                let service =
                    rowhouse::Operator::local("service").with_request_id(&*asked.request.0);
                let tx = caller.house().begin_platform_as(service).await?;
                write(
                    tx.inside(caller.tenant()).await?,
                    asked.event(action, detail),
                )
                .await
            }
            Self::Operator(operator) => {
                let mut tx = operator.begin().await?;
                let tenant = match asked.named("tenant") {
                    Some(tenant) => tenants::find(&mut tx, tenant).await.ok(),
                    None => None,
                };
                if let Some(tenant) = tenant {
                    let inside = tx.inside(tenant.id).await;
                    if !matches!(inside, Err(Error::NotPlacedHere)) {
                        return write(inside?, asked.event(action, detail)).await;
                    }
                    tx = operator.begin().await?; // its own trail is where it is
                }
                audit::act(&mut tx, action, None, asked.event(action, detail).detail()).await?;
                tx.commit().await
            }
        }
    }
}

async fn write(mut tx: TenantTx, event: Event) -> rowhouse::Result<()> {
    audit::record(&mut tx, event).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_without_end_gets_so_many_rows_a_minute_and_the_rest_is_counted() {
        let turns = Turns::default();
        let (writer, began) = (vec![1], Instant::now());
        for _ in 0..ROWS {
            assert_eq!(turns.take(writer.clone(), began), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(turns.take(writer.clone(), began), None);
        }
        assert_eq!(turns.take(vec![2], began), Some(0));
        let later = began + WINDOW;
        assert_eq!(turns.take(writer.clone(), later), Some(3));
        assert_eq!(turns.take(writer, later), Some(0));
    }
}
