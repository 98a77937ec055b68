//! `/api/v1/tenants/{tenant}/members`: read by whoever is inside, changed by owners and admins. They come by an invitation.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::UserId;
use rowhouse::members::{self, Changes, Member};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, IfMatch, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which member.
#[derive(Deserialize, IntoParams)]
pub struct MemberPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// The user.
    user: UserId,
}

/// Which members.
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

/// List the members, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/members", tag = "members",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Member>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Member>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let members = members::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(members, |member| {
        (member.created_at, member.user_id.uuid())
    })))
}

/// The member.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(MemberPath),
    responses((status = 200, body = Member)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<MemberPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let member = members::get(&mut tx, path.user).await?;
    tx.commit().await?;
    Answer::ok(&member)
}

/// Give a member another role. Owners are made and unmade by owners; an operator raises nobody where there is one.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(MemberPath, IfMatch),
    request_body(content = Changes, example = json!({ "role": "viewer" })),
    responses((status = 200, body = Member)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn update(
    insider: Insider,
    Path(path): Path<MemberPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let member = members::update(&mut tx, path.user, &changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&member)
}

/// Remove a member, with its teams, project roles, sessions and pending invitations, from its next transaction on. Whoever
/// names himself leaves.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(MemberPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn remove(insider: Insider, Path(path): Path<MemberPath>) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    members::remove(&mut tx, path.user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
