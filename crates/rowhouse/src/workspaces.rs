//! Workspaces: the containers of resources; personal, a team's, or the whole tenant's. Table `rowhouse.workspaces`.
//!
//! Invariant: founding a tenant makes its first one, and the last one stays, so there is always a place for a resource.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{TeamId, UserId, WorkspaceId};
use crate::members::not_done;
use crate::names;
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
    pub owner_id: Option<UserId>,
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
        .newest_first("created_at", after.as_ref(), limit)
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

/// Where a resource goes that names no workspace: of those that the caller may use, the oldest that is the whole tenant's, or
/// else the oldest.
pub async fn home(tx: &mut TenantTx) -> Result<WorkspaceId> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            "select id
             from rowhouse.workspaces
             where tenant_id = $1 and deleted_at is null and rowhouse.may_use_workspace(tenant_id, id)
             order by kind = 'tenant' desc, created_at, id
             limit 1",
            &[&tenant],
        )
        .await?;
    row.map(|row| row.get(0))
        .ok_or(Error::NotFound("workspace"))
}

/// What a new workspace is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// Its name: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
    /// The member whose it is to be: a personal one.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// The team whose it is to be. With neither, it is the whole tenant's.
    #[serde(default)]
    pub team_id: Option<TeamId>,
}

/// Makes a workspace: a member's, a team's, or the whole tenant's.
pub async fn create(tx: &mut TenantTx, new: NewWorkspace) -> Result<Workspace> {
    names::name("name", &new.name)?;
    let kind = match (new.owner_id, new.team_id) {
        (None, None) => Kind::Tenant,
        (Some(_), None) => Kind::Personal,
        (None, Some(_)) => Kind::Team,
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "team_id",
                "must not be given beside `owner_id`: a workspace is a member's or a team's",
            ));
        }
    };
    if let Some(team) = new.team_id {
        crate::teams::get(tx, team).await?;
    }
    if let Some(owner) = new.owner_id {
        crate::members::get(tx, owner).await?;
    }
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            &format!(
                "insert into rowhouse.workspaces (tenant_id, id, kind, name, owner_id, team_id)
                 values ($1, $2, $3, $4, $5, $6)
                 returning {COLUMNS}"
            ),
            &[
                &tenant,
                &WorkspaceId::new(),
                &kind,
                &new.name,
                &new.owner_id,
                &new.team_id,
            ],
        )
        .await
        .on_constraint("workspaces_owner", Error::NotFound("member"))
        .on_constraint("workspaces_team", Error::NotFound("team"))?;
    let workspace = Workspace::from(&row);
    trail(tx, "workspaces.create", workspace.id).await?;
    Ok(workspace)
}

/// What is to become different.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WorkspaceChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
}

/// Gives a workspace another name. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    id: WorkspaceId,
    changes: &Changes,
    read_at: Option<Timestamp>,
) -> Result<Workspace> {
    names::name("name", &changes.name)?;
    let workspace = change(tx, id, "name = $4", Some(&changes.name), read_at).await?;
    trail(tx, "workspaces.update", id).await?;
    Ok(workspace)
}

/// Marks a workspace as deleted. [`Error::WrongState`] for the last one.
pub async fn delete(tx: &mut TenantTx, id: WorkspaceId, read_at: Option<Timestamp>) -> Result<()> {
    change(
        tx,
        id,
        "deleted_at = now(), name = coalesce($4, name)",
        None,
        read_at,
    )
    .await
    .on_constraint(
        "workspaces_last",
        Error::WrongState("a tenant keeps its last workspace: make another one first".into()),
    )?;
    trail(tx, "workspaces.delete", id).await
}

async fn change(
    tx: &mut TenantTx,
    id: WorkspaceId,
    set: &str,
    value: Option<&str>,
    read_at: Option<Timestamp>,
) -> Result<Workspace> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "update rowhouse.workspaces
                 set {set}
                 where tenant_id = $1 and id = $2 and deleted_at is null and ($3::timestamptz is null or updated_at = $3)
                 returning {COLUMNS}"
            ),
            &[&tenant, &id, &read_at, &value],
        )
        .await?;
    if let Some(row) = row {
        return Ok(Workspace::from(&row));
    }
    let workspace = get(tx, id).await?;
    Err(not_done(read_at, workspace.updated_at))
}

async fn trail(tx: &mut TenantTx, action: &'static str, id: WorkspaceId) -> Result<()> {
    audit::record(tx, Event::new(action, id.uuid()).on_workspace(id)).await
}
