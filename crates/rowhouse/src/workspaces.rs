//! Workspaces: the containers of resources; personal, a team's, or the whole tenant's. Table `rowhouse.workspaces`.
//!
//! Invariant: founding a tenant makes its first one, so there is always a place for a resource.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;

use crate::error::{Error, Result};
use crate::ids::{PrincipalId, TeamId, WorkspaceId};
use crate::select::Select;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// Whose workspace it is. Constraint `workspaces_kind`.
    Kind shown as WorkspaceKind {
        /// One member's.
        Personal = "personal",
        /// A team's.
        Team = "team",
        /// The whole tenant's.
        Tenant = "tenant",
    }
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Whose it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The member whose it is, of a personal one.
    pub owner_id: Option<PrincipalId>,
    /// The team whose it is, of a team's.
    pub team_id: Option<TeamId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Workspace {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            kind: row.get("kind"),
            name: row.get("name"),
            owner_id: row.get("owner_id"),
            team_id: row.get("team_id"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

const COLUMNS: &str = "id, kind, name, owner_id, team_id, created_at, updated_at";

/// A page of the tenant's workspaces, the newest first, behind `after` (`created_at` and id of the last of the page before),
/// at most `limit` (1 to 200).
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, WorkspaceId)>,
    limit: u16,
) -> Result<Vec<Workspace>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.workspaces where deleted_at is null"
    ));
    page.and("tenant_id = ?", &tenant);
    let rows = page
        .newest_first(
            "created_at",
            after.as_ref().map(|(at, id)| (at, id as _)),
            limit,
        )
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Workspace::from).collect())
}

/// The workspace of this id.
pub async fn get(tx: &mut TenantTx, id: WorkspaceId) -> Result<Workspace> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.workspaces where tenant_id = $1 and id = $2 and deleted_at is null"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Workspace::from)
        .ok_or(Error::NotFound("workspace"))
}

/// Where a resource goes that names no workspace: the oldest that the caller may use, as a rule the one that the tenant was
/// founded with.
pub async fn home(tx: &mut TenantTx) -> Result<WorkspaceId> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            "select id
             from rowhouse.workspaces
             where tenant_id = $1 and deleted_at is null and rowhouse.may_use_workspace(id)
             order by created_at, id
             limit 1",
            &[&tenant],
        )
        .await?;
    row.map(|row| row.get(0))
        .ok_or(Error::NotFound("workspace"))
}
