//! `/api/v1/tenants/{tenant}/deployments`: read by whoever sees the resource, and by operators; changed by whoever edits it.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::deployments::{self, Changes, Deployment, Filter, NewDeployment, Status};
use rowhouse::ids::{DeploymentId, ResourceId};
use rowhouse::keys::Environment;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::answer::Answer;
use crate::auth::{Caller, Insider};
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which deployment.
#[derive(Deserialize, IntoParams)]
pub struct DeploymentPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    deployment: DeploymentId,
}

/// Which deployments.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only of this resource.
    resource: Option<ResourceId>,
    /// Only in this environment.
    #[param(inline)]
    environment: Option<Environment>,
    /// Only those so far.
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

/// List the deployments of the resources that the caller sees, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/deployments", tag = "deployments",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Deployment>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Deployment>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let filter = Filter {
        resource: query.resource,
        environment: query.environment,
        status: query.status,
        after: page.after(),
    };
    let mut tx = insider.begin().await?;
    let deployments = deployments::list(&mut tx, &filter, page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(deployments, |deployment| {
        (deployment.created_at, deployment.id.uuid())
    })))
}

/// Ask for a resource to be deployed.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/deployments", tag = "deployments",
    params(TenantPath, Once),
    request_body(content = NewDeployment, example = json!({ "resource_id": "res_01h455vb4pex5vsknk084sn02q", "environment": "SANDBOX" })),
    responses((status = 201, body = Deployment)),
    security(("caller" = [])),
)]
pub async fn create(caller: Caller, change: Change<NewDeployment>) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&deployments::create(tx, &change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The deployment.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/deployments/{deployment}", tag = "deployments",
    params(DeploymentPath),
    responses((status = 200, body = Deployment)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<DeploymentPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let deployment = deployments::get(&mut tx, path.deployment).await?;
    tx.commit().await?;
    Answer::ok(&deployment)
}

/// Say how far a deployment is now.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/deployments/{deployment}", tag = "deployments",
    params(DeploymentPath, IfMatch),
    request_body(content = Changes, example = json!({ "status": "active" })),
    responses((status = 200, body = Deployment)),
    security(("caller" = [])),
)]
pub async fn update(
    caller: Caller,
    Path(path): Path<DeploymentPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let deployment = deployments::update(&mut tx, path.deployment, &changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&deployment)
}

/// Delete a deployment. One that is active is stopped first.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/deployments/{deployment}", tag = "deployments",
    params(DeploymentPath, IfMatch),
    responses((status = 204)),
    security(("caller" = [])),
)]
pub async fn delete(
    caller: Caller,
    Path(path): Path<DeploymentPath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = caller.begin().await?;
    deployments::delete(&mut tx, path.deployment, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
