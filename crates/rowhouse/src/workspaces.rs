//! Workspaces: the containers of resources; personal, a team's, or the whole tenant's. Table `rowhouse.workspaces`.
//!
//! Invariant: founding a tenant makes its first one, so there is always a place for a resource.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;

use crate::error::{Error, Result};
use crate::ids::{PrincipalId, TeamId, WorkspaceId};
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// Whose workspace it is. Constraint `workspaces_kind`.
    Kind {
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
        }
    }
}

/// The tenant's workspaces, the oldest first.
pub async fn list(tx: &mut TenantTx) -> Result<Vec<Workspace>> {
    let tenant = tx.tenant_id();
    let rows = tx
        .query(
            "select id, kind, name, owner_id, team_id, created_at
             from rowhouse.workspaces
             where tenant_id = $1 and deleted_at is null
             order by created_at, id",
            &[&tenant],
        )
        .await?;
    Ok(rows.iter().map(Workspace::from).collect())
}

/// Where a resource goes that names no workspace: the oldest of the tenant, which it was founded with.
pub async fn home(tx: &mut TenantTx) -> Result<WorkspaceId> {
    list(tx)
        .await?
        .first()
        .map(|workspace| workspace.id)
        .ok_or(Error::NotFound("workspace"))
}
