//! What callers whom we know were refused, in the trail: who tried what, and by which rule not. A row of its own, in a second
//! transaction, since the first one left nothing.
//!
//! Only who has shown a credential of ours writes here. He may be refused for ever, so he gets a bounded number of rows in
//! each minute; what goes beyond is counted, and told by his next row.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use lru::LruCache;
use rowhouse::audit::{self, Event};
use rowhouse::ids::{ProjectId, ResourceId, WorkspaceId};
use rowhouse::{Error, TenantTx, tenants};
use serde_json::{Value, json};

use crate::app::RequestId;
use crate::auth::{Asker as _, Caller, Operator};
use crate::error::Code;

const REFUSED: &str = "access.refuse";
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
/// Of how many callers it is known how often they were refused; beyond that, whoever was not for longest is forgotten.
const CALLERS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Who asks, once his credential was found to be one of ours; put into a request before it runs.
#[derive(Clone, Default)]
pub struct Witness(Arc<Seen>);

#[derive(Default)]
struct Seen {
    known: OnceLock<Known>,
    strays: AtomicBool,
}

/// Whom a refusal is told of.
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

/// How often each caller was refused lately.
#[derive(Clone)]
pub struct Refusals(Arc<Mutex<LruCache<Vec<u8>, Lately>>>);

struct Lately {
    since: Instant,
    rows: u32,
    untold: u32,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(CALLERS))))
    }
}

impl Refusals {
    /// Whether this one gets a row, and how many before it got none.
    fn turn(&self, caller: Vec<u8>, now: Instant) -> Option<u32> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = callers.get_or_insert_mut(caller, || Lately {
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

/// Runs the request, and notes a refusal of its caller before the answer goes out.
pub async fn note(State(refusals): State<Refusals>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let witness = Witness::default();
    parts.extensions.insert(witness.clone());
    let tried = Tried::of(&mut parts, &witness).await;
    let response = next.run(Request::from_parts(parts, body)).await;

    let (Some(Code(code)), Some(known)) = (response.extensions().get(), witness.0.known.get())
    else {
        return response;
    };
    if !tried.strays() && !OF_THE_CALLER.contains(code) {
        return response;
    }
    if let Some(untold) = refusals.turn(known.identity(), Instant::now())
        && let Err(error) = known.write(&tried, code, untold).await
    {
        tracing::warn!(%error, code, "a refusal was not noted in the trail");
    }
    response
}

/// What somebody tries. Kept of each request, so it is taken apart only when it was refused.
struct Tried {
    method: Method,
    /// As the table of routes has it: without ids, and without what else he may have put there.
    path: Option<MatchedPath>,
    named: Option<RawPathParams>,
    request: RequestId,
    witness: Witness,
}

impl Tried {
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

    fn named(&self, name: &str) -> Option<&str> {
        let mut all = self.named.iter().flatten();
        all.find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    fn id<T: FromStr>(&self, name: &str) -> Option<T> {
        self.named(name)?.parse().ok()
    }

    fn event(&self, mut detail: Value) -> Event {
        detail["method"] = self.method.as_str().into();
        detail["path"] = self.path.as_ref().map(MatchedPath::as_str).into();
        let event = Event::new(REFUSED, None).with_detail(detail);
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

    async fn write(&self, tried: &Tried, code: &str, untold: u32) -> rowhouse::Result<()> {
        let mut detail = json!({ "code": code });
        if untold > 0 {
            detail["untold"] = untold.into();
        }
        match self {
            Self::Caller(caller) => {
                let written = write(caller.begin().await?, tried.event(detail.clone())).await;
                let Err(Error::NotAMember | Error::TenantNotActive | Error::TicketExpired) =
                    written
                else {
                    return written;
                };
                // That somebody tries with what is not good any more is for the tenant to know, and not for him to write.
                detail["caller"] = json!(caller.principal());
                let service =
                    rowhouse::Operator::local("service").with_request_id(&*tried.request.0);
                let tx = caller.house().begin_platform_as(service).await?;
                write(tx.inside(caller.tenant()).await?, tried.event(detail)).await
            }
            Self::Operator(operator) => {
                let mut tx = operator.begin().await?;
                let tenant = match tried.named("tenant") {
                    Some(tenant) => tenants::find(&mut tx, tenant).await.ok(),
                    None => None,
                };
                if let Some(tenant) = tenant {
                    return write(tx.inside(tenant.id).await?, tried.event(detail)).await;
                }
                audit::act(&mut tx, REFUSED, None, tried.event(detail).detail()).await?;
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
    fn who_is_refused_without_end_gets_so_many_rows_a_minute_and_the_rest_is_counted() {
        let refusals = Refusals::default();
        let (caller, began) = (vec![1], Instant::now());
        for _ in 0..ROWS {
            assert_eq!(refusals.turn(caller.clone(), began), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(refusals.turn(caller.clone(), began), None);
        }
        assert_eq!(refusals.turn(vec![2], began), Some(0));
        let later = began + WINDOW;
        assert_eq!(refusals.turn(caller.clone(), later), Some(3));
        assert_eq!(refusals.turn(caller, later), Some(0));
    }
}
