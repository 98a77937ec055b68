//! `/api/v1/tenants/{tenant}/sessions`: one's own; of all members, for owners, admins and operators. `/api/v1/me`: where the
//! holder of a session belongs.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::{SessionId, TenantId, UserId};
use rowhouse::sessions::{self, Membership, Session};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::Answer;
use crate::auth::{Insider, Person};
use crate::error::Problem;
use crate::input::{Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which session.
#[derive(Deserialize, IntoParams)]
pub struct SessionPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    session: SessionId,
}

/// Which sessions.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only of this user.
    #[param(inline)]
    user: Option<UserId>,
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List the sessions that the caller may see, also those that have ended, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/sessions", tag = "sessions",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Session>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Session>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let sessions = sessions::list(&mut tx, query.user, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(sessions, |session| {
        (session.created_at, session.id.uuid())
    })))
}

/// A session that was just made.
#[derive(Serialize, ToSchema)]
pub struct Switched {
    id: SessionId,
    tenant_id: TenantId,
    /// When it ends by itself: with the session that it was made by.
    #[schema(value_type = String, format = DateTime)]
    expires_at: jiff::Timestamp,
    /// A bearer: `ses_` and 32 characters, shown here and never again.
    session: String,
}

/// Switch: a session in this tenant for the user whose session asks, who is a member here too.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/sessions", tag = "sessions",
    params(TenantPath),
    responses((status = 201, body = Switched)),
    security(("session" = [])),
)]
pub async fn create(person: Person, Path(path): Path<TenantPath>) -> Result<Answer, Problem> {
    let made = person.switch(&path.tenant).await?;
    Answer::created(&Switched {
        id: made.id,
        tenant_id: made.tenant,
        expires_at: made.expires_at,
        session: made.secret.reveal().to_owned(),
    })
}

/// End a session: it opens nothing from the next transaction on, on every node.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/sessions/{session}", tag = "sessions",
    params(SessionPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn revoke(
    insider: Insider,
    Path(path): Path<SessionPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    sessions::revoke(&mut tx, path.session).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who asks, and all that he may ask for.
#[derive(Serialize, ToSchema)]
pub struct Me {
    user_id: UserId,
    /// The tenant of this session.
    tenant_id: TenantId,
    /// Every tenant that the user may enter now, as what, with the projects there.
    memberships: Vec<Membership>,
}

/// Who I am, and where I belong: every tenant and project that I may work in, as it is now.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "sessions",
    responses((status = 200, body = Me)),
    security(("session" = [])),
)]
pub async fn me(person: Person) -> Result<Json<Me>, Problem> {
    let context = person.request_context().await?;
    Ok(Json(Me {
        user_id: context.user,
        tenant_id: context.tenant,
        memberships: context.memberships,
    }))
}
