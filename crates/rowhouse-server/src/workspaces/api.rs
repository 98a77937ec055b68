//! `/api/v1/tenants/{tenant}/workspaces`: read by whoever is inside, changed by owners and admins.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::WorkspaceId;
use rowhouse::workspaces::{self, Changes, NewWorkspace, Workspace};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which workspace.
#[derive(Deserialize, IntoParams)]
pub struct WorkspacePath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    workspace: WorkspaceId,
}

/// Which workspaces.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List the workspaces, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/workspaces", tag = "workspaces",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Workspace>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Workspace>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let workspaces = workspaces::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(workspaces, |workspace| {
        (workspace.created_at, workspace.id.uuid())
    })))
}

/// The workspace.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/workspaces/{workspace}", tag = "workspaces",
    params(WorkspacePath),
    responses((status = 200, body = Workspace)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<WorkspacePath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let workspace = workspaces::get(&mut tx, path.workspace).await?;
    tx.commit().await?;
    Answer::ok(&workspace)
}

/// Make a workspace: a member's, a team's, or the whole tenant's.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/workspaces", tag = "workspaces",
    params(TenantPath, Once),
    request_body(content = NewWorkspace, example = json!({ "name": "Library" })),
    responses((status = 201, body = Workspace)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(insider: Insider, change: Change<NewWorkspace>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&workspaces::create(tx, change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Give a workspace another name.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/workspaces/{workspace}", tag = "workspaces",
    params(WorkspacePath, IfMatch),
    request_body(content = Changes, example = json!({ "name": "Archive" })),
    responses((status = 200, body = Workspace)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn update(
    insider: Insider,
    Path(path): Path<WorkspacePath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let workspace = workspaces::update(&mut tx, path.workspace, &changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&workspace)
}

/// Delete a workspace. A tenant keeps its last one.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/workspaces/{workspace}", tag = "workspaces",
    params(WorkspacePath, IfMatch),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn delete(
    insider: Insider,
    Path(path): Path<WorkspacePath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    workspaces::delete(&mut tx, path.workspace, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
