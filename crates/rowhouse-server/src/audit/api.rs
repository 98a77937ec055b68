//! `/api/v1/tenants/{tenant}/audit`: who did what.

use axum::Json;
use rowhouse::audit::{self, Entry, Filter};
use rowhouse::ids::{PrincipalId, ProjectId, ResourceId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::auth::Insider;
use crate::error::Problem;
use crate::input::Query;
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which rows of the trail.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only this action, such as `resources.create`.
    #[param(min_length = 1, max_length = 100, pattern = "^[a-z_]+\\.[a-z_]+$")]
    action: Option<String>,
    /// Only what this principal did.
    #[param(inline)]
    actor: Option<PrincipalId>,
    /// Only what was done in this workspace.
    #[param(inline)]
    workspace: Option<WorkspaceId>,
    /// Only what was done in this project.
    #[param(inline)]
    project: Option<ProjectId>,
    /// Only what was done to this resource.
    #[param(inline)]
    resource: Option<ResourceId>,
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List the trail, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/audit", tag = "audit",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Entry>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Entry>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let filter = Filter {
        action: query.action,
        actor: query.actor,
        workspace: query.workspace,
        project: query.project,
        resource: query.resource,
        after: page.after(),
    };
    let mut tx = insider.begin().await?;
    let entries = audit::list(&mut tx, &filter, page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(entries, |entry| {
        (entry.created_at, entry.id.uuid())
    })))
}
