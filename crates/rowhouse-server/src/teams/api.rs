//! `/api/v1/tenants/{tenant}/teams` and who is in them: read by whoever is inside, changed by owners and admins.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::{TeamId, UserId};
use rowhouse::teams::{self, NewTeam, Team, TeamMember};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which team.
#[derive(Deserialize, IntoParams)]
pub struct TeamPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    team: TeamId,
}

/// Who of which team.
#[derive(Deserialize, IntoParams)]
pub struct TeamMemberPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Id of the team.
    team: TeamId,
    /// The user.
    user: UserId,
}

/// Which teams.
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

/// Which members of a team.
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

/// List the teams, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/teams", tag = "teams",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Team>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Team>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let teams = teams::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(
        page.listing(teams, |team| (team.created_at, team.id.uuid())),
    ))
}

/// Make a team.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/teams", tag = "teams",
    params(TenantPath, Once),
    request_body(content = NewTeam, example = json!({ "name": "Night shift" })),
    responses((status = 201, body = Team)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(insider: Insider, change: Change<NewTeam>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&teams::create(tx, &change.body.name).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The team.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/teams/{team}", tag = "teams",
    params(TeamPath),
    responses((status = 200, body = Team)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<TeamPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let team = teams::get(&mut tx, path.team).await?;
    tx.commit().await?;
    Answer::ok(&team)
}

/// Give a team another name.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/teams/{team}", tag = "teams",
    params(TeamPath, IfMatch),
    request_body(content = NewTeam, example = json!({ "name": "Day shift" })),
    responses((status = 200, body = Team)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn update(
    insider: Insider,
    Path(path): Path<TeamPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<NewTeam>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let team = teams::rename(&mut tx, path.team, &changes.name, read_at).await?;
    tx.commit().await?;
    Answer::ok(&team)
}

/// Delete a team: nobody has a right by it any more.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/teams/{team}", tag = "teams",
    params(TeamPath, IfMatch),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn delete(
    insider: Insider,
    Path(path): Path<TeamPath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    teams::delete(&mut tx, path.team, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who is in a team, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/teams/{team}/members", tag = "teams",
    params(TeamPath, ListMembers),
    responses((status = 200, body = Listing<TeamMember>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn members(
    insider: Insider,
    Path(path): Path<TeamPath>,
    Query(query): Query<ListMembers>,
) -> Result<Json<Listing<TeamMember>>, Problem> {
    let page = Page::of_part(&query, &insider, path.team.uuid())?;
    let mut tx = insider.begin().await?;
    let members = teams::members(&mut tx, path.team, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(members, |member| {
        (member.created_at, member.user_id.uuid())
    })))
}

/// Put a member into a team; nothing changes for who is in it.
#[utoipa::path(
    put, path = "/api/v1/tenants/{tenant}/teams/{team}/members/{user}", tag = "teams",
    params(TeamMemberPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn add_member(
    insider: Insider,
    Path(path): Path<TeamMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    teams::add_member(&mut tx, path.team, path.user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a member out of a team.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/teams/{team}/members/{user}", tag = "teams",
    params(TeamMemberPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn remove_member(
    insider: Insider,
    Path(path): Path<TeamMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    teams::remove_member(&mut tx, path.team, path.user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
