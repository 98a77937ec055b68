//! `/api/v1/tenants/{tenant}/resources`: content, for callers inside the tenant only.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::{PrincipalId, ResourceId, WorkspaceId};
use rowhouse::names;
use rowhouse::resources::{
    self, AclAccess, AclEntry, Changes, Filter, NewResource, Resource, ResourceType, Visibility,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::Answer;
use crate::auth::Caller;
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which resource.
#[derive(Deserialize, IntoParams)]
pub struct ResourcePath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    resource: ResourceId,
}

/// Which entry of which resource's ACL.
#[derive(Deserialize, IntoParams)]
pub struct AclPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Id of the resource.
    resource: ResourceId,
    /// Who: the id of a principal, or of the user, team, key or tenant that it stands for.
    #[param(pattern = "^(prn|usr|team|key|ten)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    principal: String,
}

/// Which resources.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only those whose title holds this text, in any case.
    #[param(min_length = 1, max_length = 200)]
    q: Option<String>,
    /// Only of this workspace.
    #[param(inline)]
    workspace: Option<WorkspaceId>,
    /// Only of this type.
    #[param(inline)]
    r#type: Option<ResourceType>,
    /// Only of this visibility.
    #[param(inline)]
    visibility: Option<Visibility>,
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List the resources, the last changed first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/resources", tag = "resources",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Resource>)),
    security(("caller" = [])),
)]
pub async fn list(
    caller: Caller,
    Query(query): Query<List>,
) -> Result<Json<Listing<Resource>>, Problem> {
    let page = Page::of(&query, &caller)?;
    if let Some(text) = &query.q {
        names::title("q", text)?;
    }
    let filter = Filter {
        text: query.q,
        workspace: query.workspace,
        r#type: query.r#type,
        visibility: query.visibility,
        after: page.after(),
    };
    let mut tx = caller.begin().await?;
    let resources = resources::list(&mut tx, &filter, page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(resources, |resource| {
        (resource.updated_at, resource.id.uuid())
    })))
}

/// Make a resource; without `workspace_id` it goes to the tenant's own workspace.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/resources", tag = "resources",
    params(TenantPath, Once),
    request_body(content = NewResource, example = json!({ "type": "prompt", "title": "Greeting", "payload": { "text": "Hello" } })),
    responses((status = 201, body = Resource)),
    security(("caller" = [])),
)]
pub async fn create(caller: Caller, change: Change<NewResource>) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&resources::create(tx, change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The resource.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/resources/{resource}", tag = "resources",
    params(ResourcePath),
    responses((status = 200, body = Resource)),
    security(("caller" = [])),
)]
pub async fn get(caller: Caller, Path(path): Path<ResourcePath>) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let resource = resources::get(&mut tx, path.resource).await?;
    tx.commit().await?;
    Answer::ok(&resource)
}

/// Change a resource; what is not given stays.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/resources/{resource}", tag = "resources",
    params(ResourcePath, IfMatch),
    request_body(content = Changes, example = json!({ "title": "Greeting, warmer" })),
    responses((status = 200, body = Resource)),
    security(("caller" = [])),
)]
pub async fn update(
    caller: Caller,
    Path(path): Path<ResourcePath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let resource = resources::update(&mut tx, path.resource, changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&resource)
}

/// Delete a resource; it can be restored.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/resources/{resource}", tag = "resources",
    params(ResourcePath, IfMatch),
    responses((status = 204)),
    security(("caller" = [])),
)]
pub async fn delete(
    caller: Caller,
    Path(path): Path<ResourcePath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = caller.begin().await?;
    resources::delete(&mut tx, path.resource, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring a deleted resource back.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/resources/{resource}/restore", tag = "resources",
    params(ResourcePath),
    responses((status = 200, body = Resource)),
    security(("caller" = [])),
)]
pub async fn restore(caller: Caller, Path(path): Path<ResourcePath>) -> Result<Answer, Problem> {
    let mut tx = caller.begin().await?;
    let resource = resources::restore(&mut tx, path.resource).await?;
    tx.commit().await?;
    Answer::ok(&resource)
}

/// Which entries of an ACL.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAcl {
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(ListAcl);

/// List who has an entry on a resource, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/resources/{resource}/acl", tag = "resources",
    params(ResourcePath, ListAcl),
    responses((status = 200, body = Listing<AclEntry>)),
    security(("caller" = [])),
)]
pub async fn acl(
    caller: Caller,
    Path(path): Path<ResourcePath>,
    Query(query): Query<ListAcl>,
) -> Result<Json<Listing<AclEntry>>, Problem> {
    let page = Page::of_part(&query, &caller, path.resource.uuid())?;
    let mut tx = caller.begin().await?;
    let entries = resources::acl(&mut tx, path.resource, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(entries, |entry| {
        (entry.created_at, entry.principal_id.uuid())
    })))
}

/// What an entry is to allow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    access: AclAccess,
}

/// Give a principal access to a resource, or another access than it had.
#[utoipa::path(
    put, path = "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}", tag = "resources",
    params(AclPath),
    request_body(content = Grant, example = json!({ "access": "read" })),
    responses((status = 204)),
    security(("caller" = [])),
)]
pub async fn grant(
    caller: Caller,
    Path(path): Path<AclPath>,
    Body(grant): Body<Grant>,
) -> Result<StatusCode, Problem> {
    let principal = PrincipalId::named(&path.principal)?;
    let mut tx = caller.begin().await?;
    resources::grant(&mut tx, path.resource, principal, grant.access).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a principal's entry away.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/resources/{resource}/acl/{principal}", tag = "resources",
    params(AclPath),
    responses((status = 204)),
    security(("caller" = [])),
)]
pub async fn revoke(caller: Caller, Path(path): Path<AclPath>) -> Result<StatusCode, Problem> {
    let principal = PrincipalId::named(&path.principal)?;
    let mut tx = caller.begin().await?;
    resources::revoke(&mut tx, path.resource, principal).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
