//! `/api/v1/tenants/{tenant}/projects` and who is in them: read by whoever is inside, changed by owners and admins; who is in
//! a project also by its own admins.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::{ProjectId, UserId};
use rowhouse::projects::{self, NewProject, Project, ProjectMember, ProjectRole};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which project.
#[derive(Deserialize, IntoParams)]
pub struct ProjectPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    project: ProjectId,
}

/// Who of which project.
#[derive(Deserialize, IntoParams)]
pub struct ProjectMemberPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Id of the project.
    project: ProjectId,
    /// The user.
    user: UserId,
}

/// Which projects.
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

/// Which members of a project.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListMembers {
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(ListMembers);

/// List the projects, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/projects", tag = "projects",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Project>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Project>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let projects = projects::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(projects, |project| {
        (project.created_at, project.id.uuid())
    })))
}

/// Make a project.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/projects", tag = "projects",
    params(TenantPath, Once),
    request_body(content = NewProject, example = json!({ "name": "Night shift" })),
    responses((status = 201, body = Project)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(insider: Insider, change: Change<NewProject>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&projects::create(tx, &change.body.name).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The project.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/projects/{project}", tag = "projects",
    params(ProjectPath),
    responses((status = 200, body = Project)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<ProjectPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let project = projects::get(&mut tx, path.project).await?;
    tx.commit().await?;
    Answer::ok(&project)
}

/// Give a project another name.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/projects/{project}", tag = "projects",
    params(ProjectPath, IfMatch),
    request_body(content = NewProject, example = json!({ "name": "Day shift" })),
    responses((status = 200, body = Project)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn update(
    insider: Insider,
    Path(path): Path<ProjectPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<NewProject>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let project = projects::rename(&mut tx, path.project, &changes.name, read_at).await?;
    tx.commit().await?;
    Answer::ok(&project)
}

/// Delete a project: nobody has a right by it any more.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/projects/{project}", tag = "projects",
    params(ProjectPath, IfMatch),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn delete(
    insider: Insider,
    Path(path): Path<ProjectPath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    projects::delete(&mut tx, path.project, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who is in a project by a role of its own, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/projects/{project}/members", tag = "projects",
    params(ProjectPath, ListMembers),
    responses((status = 200, body = Listing<ProjectMember>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn members(
    insider: Insider,
    Path(path): Path<ProjectPath>,
    Query(query): Query<ListMembers>,
) -> Result<Json<Listing<ProjectMember>>, Problem> {
    let page = Page::of_part(&query, &insider, path.project.uuid())?;
    let mut tx = insider.begin().await?;
    let members = projects::members(&mut tx, path.project, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(members, |member| {
        (member.created_at, member.user_id.uuid())
    })))
}

/// What a member is to be in a project.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    role: ProjectRole,
}

/// Give a member a role in a project, or another one than it had.
#[utoipa::path(
    put, path = "/api/v1/tenants/{tenant}/projects/{project}/members/{user}", tag = "projects",
    params(ProjectMemberPath),
    request_body(content = Membership, example = json!({ "role": "editor" })),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn set_role(
    insider: Insider,
    Path(path): Path<ProjectMemberPath>,
    Body(member): Body<Membership>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    projects::set_role(&mut tx, path.project, path.user, member.role).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a member out of a project.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/projects/{project}/members/{user}", tag = "projects",
    params(ProjectMemberPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn remove_member(
    insider: Insider,
    Path(path): Path<ProjectMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    projects::remove_member(&mut tx, path.project, path.user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
