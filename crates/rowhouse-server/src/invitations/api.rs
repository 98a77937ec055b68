//! `/api/v1/tenants/{tenant}/invitations`: for owners and admins, and for operators while the tenant has no owner.
//! `/api/v1/invitations/accept`: for whoever has an invitation's token, by mail.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rowhouse::Rowhouse;
use rowhouse::ids::{InvitationId, TenantId, UserId};
use rowhouse::invitations::{self, Invitation, NewInvitation};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::Answer;
use crate::app::RequestId;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, Change, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Where this service is reached from outside, without a slash at its end.
#[derive(Clone)]
pub struct PublicUrl(pub String);

/// Which invitation.
#[derive(Deserialize, IntoParams)]
pub struct InvitationPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    invitation: InvitationId,
}

/// Which invitations.
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

/// List the invitations, also those that are over, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/invitations", tag = "invitations",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Invitation>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Invitation>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let invitations = invitations::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(invitations, |invitation| {
        (invitation.created_at, invitation.id.uuid())
    })))
}

/// Invite an address. What opens goes there by mail, and is shown to nobody.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/invitations", tag = "invitations",
    params(TenantPath, Once),
    request_body(content = NewInvitation, example = json!({ "email": "grace@example.com", "role": "member" })),
    responses((status = 201, body = Invitation)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(insider: Insider, change: Change<NewInvitation>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&invitations::create(tx, change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The invitation, without what it opens with.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/invitations/{invitation}", tag = "invitations",
    params(InvitationPath),
    responses((status = 200, body = Invitation)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<InvitationPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let invitation = invitations::get(&mut tx, path.invitation).await?;
    tx.commit().await?;
    Answer::ok(&invitation)
}

/// Revoke an invitation that nobody has accepted.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/invitations/{invitation}", tag = "invitations",
    params(InvitationPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn revoke(
    insider: Insider,
    Path(path): Path<InvitationPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    invitations::revoke(&mut tx, path.invitation).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What came by mail, and who came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// `invite_` and 48 characters.
    token: String,
    /// The name of a user who is new; one who is known keeps his.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// Who came in, where, and what to go on with.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    user_id: UserId,
    tenant_id: TenantId,
    /// A session of the user in the tenant, as a bearer: `ses_` and 32 characters.
    session: String,
}

/// Accept an invitation: the user of its address, who is made where there is none, becomes a member.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "invitations",
    request_body(content = Accept, example = json!({ "token": "invite_000000000000000000000000000000000000000000000000", "name": "Grace Hopper" })),
    responses((status = 201, body = Accepted)),
)]
pub async fn accept(
    State(house): State<Rowhouse>,
    Extension(request): Extension<RequestId>,
    Body(body): Body<Accept>,
) -> Result<Answer, Problem> {
    let came = invitations::accept(&house, &body.token, &body.name, Some(&request.0)).await?;
    Answer::created(&Accepted {
        user_id: came.user_id,
        tenant_id: came.tenant.id,
        session: came.session.secret.reveal().to_owned(),
    })
}
