//! `/api/v1/tenants`: the registry, for operators; a tenant's own entry in it, for whoever is inside.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::names;
use rowhouse::tenants::{self, Changes, Filter, Kind, NewTenant, PlanTier, Status, Tenant};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::answer::Answer;
use crate::auth::{Insider, Operator};
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};

/// Which tenant.
#[derive(Deserialize, IntoParams)]
pub struct TenantPath {
    /// Its id or its slug.
    #[param(example = "acme")]
    pub tenant: String,
}

impl TenantPath {
    /// As the path has it.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }
}

/// Which tenants.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only those whose slug or name holds this text, in any case.
    #[param(min_length = 1, max_length = 200)]
    q: Option<String>,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<Kind>,
    /// Only of this tier.
    #[param(inline)]
    plan: Option<PlanTier>,
    /// Only in this stage of their life.
    #[param(inline)]
    status: Option<Status>,
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List the tenants, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "tenants",
    params(List),
    responses((status = 200, body = Listing<Tenant>)),
    security(("operator" = [])),
)]
pub async fn list(
    operator: Operator,
    Query(query): Query<List>,
) -> Result<Json<Listing<Tenant>>, Problem> {
    let page = Page::of(&query, &operator)?;
    if let Some(text) = &query.q {
        names::title("q", text)?;
    }
    let filter = Filter {
        text: query.q,
        kind: query.kind,
        plan: query.plan,
        status: query.status,
        after: page.after(),
    };
    let mut tx = operator.begin().await?;
    let tenants = tenants::list(&mut tx, &filter, page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(tenants, |tenant| {
        (tenant.created_at, tenant.id.uuid())
    })))
}

/// Found a tenant, with its baseline.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenants",
    params(Once),
    request_body(content = NewTenant, example = json!({ "slug": "initech", "name": "Initech", "kind": "organization" })),
    responses((status = 201, body = Tenant)),
    security(("operator" = [])),
)]
pub async fn create(operator: Operator, change: Change<NewTenant>) -> Result<Answer, Problem> {
    let mut tx = operator.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&tenants::create(tx, change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The tenant, as the registry has it.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath),
    responses((status = 200, body = Tenant)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let tenant = tenants::own(&mut tx).await?;
    tx.commit().await?;
    Answer::ok(&tenant)
}

/// Change its slug, name or plan.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath, IfMatch),
    request_body(content = Changes, example = json!({ "name": "Acme Corporation" })),
    responses((status = 200, body = Tenant)),
    security(("operator" = [])),
)]
pub async fn update(
    operator: Operator,
    Path(path): Path<TenantPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = operator.inside(&path.tenant).await?;
    let tenant = tenants::update(&mut tx, changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&tenant)
}

/// Close it: nobody enters from the next transaction on, on every node.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/suspend", tag = "tenants",
    params(TenantPath, IfMatch),
    responses((status = 200, body = Tenant)),
    security(("operator" = [])),
)]
pub async fn suspend(
    operator: Operator,
    Path(path): Path<TenantPath>,
    IfMatch(read_at): IfMatch,
) -> Result<Answer, Problem> {
    set_status(&operator, &path.tenant, Status::Suspended, read_at).await
}

/// Open it again: the first request after it is served.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/resume", tag = "tenants",
    params(TenantPath, IfMatch),
    responses((status = 200, body = Tenant)),
    security(("operator" = [])),
)]
pub async fn resume(
    operator: Operator,
    Path(path): Path<TenantPath>,
    IfMatch(read_at): IfMatch,
) -> Result<Answer, Problem> {
    set_status(&operator, &path.tenant, Status::Active, read_at).await
}

async fn set_status(
    operator: &Operator,
    tenant: &str,
    status: Status,
    read_at: Option<jiff::Timestamp>,
) -> Result<Answer, Problem> {
    let mut tx = operator.inside(tenant).await?;
    let tenant = tenants::set_status(&mut tx, status, read_at).await?;
    tx.commit().await?;
    Answer::ok(&tenant)
}

/// Mark it as deleted: nobody enters it any more. Its rows stay; its slug is never given to another.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath, IfMatch),
    responses((status = 204)),
    security(("operator" = [])),
)]
pub async fn delete(
    operator: Operator,
    Path(path): Path<TenantPath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = operator.inside(&path.tenant).await?;
    tenants::delete(&mut tx, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
