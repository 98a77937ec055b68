//! Deployments: which resource runs in which environment, and whether it does. Table `rowhouse.deployments`.
//!
//! Invariants: who sees the resource sees its deployments, who edits it makes and changes them; a resource has one in each
//! environment; it goes from `pending` to `active` or `failed`, from `active` to `failed`, from `stopped` to `active`, from
//! `failed` to `pending`, and to `stopped` from where it is not `failed`; one of a deleted resource, or of one in a deleted
//! project, was stopped with it, and does not start before that is back, nor by itself then.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{DeploymentId, PrincipalId, ResourceId};
use crate::keys::Environment;
use crate::resources;
use crate::select::{Param, Select};
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// How far a deployment is. Constraint `deployments_status`.
    Status shown as DeploymentStatus {
        /// Asked for.
        Pending = "pending",
        /// It runs.
        Active = "active",
        /// Somebody stopped it.
        Stopped = "stopped",
        /// It stopped by itself, or never ran.
        Failed = "failed",
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// What is deployed.
    pub resource_id: ResourceId,
    /// Where.
    pub environment: Environment,
    /// How far it is.
    pub status: Status,
    /// Who asked for it.
    pub created_by: PrincipalId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Deployment {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            resource_id: row.get("resource_id"),
            environment: row.get("environment"),
            status: row.get("status"),
            created_by: row.get("created_by"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// What a new deployment is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDeployment {
    /// What is to be deployed: a resource that the caller edits.
    pub resource_id: ResourceId,
    /// Where.
    pub environment: Environment,
}

/// What is to become different.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeploymentChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// How far it is now.
    pub status: Status,
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this resource.
    pub resource: Option<ResourceId>,
    /// Only in this environment.
    pub environment: Option<Environment>,
    /// Only those so far.
    pub status: Option<Status>,
    /// Behind this one: `created_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, DeploymentId)>,
}

const COLUMNS: &str = "id, resource_id, environment, status, created_by, created_at, updated_at";

/// Asks for a resource to be deployed: `pending`. [`Error::NotPermitted`] for whoever does not edit the resource;
/// [`Error::Taken`] when it has a deployment in this environment.
pub async fn create(tx: &mut TenantTx, new: &NewDeployment) -> Result<Deployment> {
    resources::get(tx, new.resource_id).await?;
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            &format!(
                "insert into rowhouse.deployments (tenant_id, id, resource_id, environment)
                 values ($1, $2, $3, $4)
                 returning {COLUMNS}"
            ),
            &[
                &tenant,
                &DeploymentId::new(),
                &new.resource_id,
                &new.environment,
            ],
        )
        .await
        .on_constraint(
            "deployments_place",
            Error::Taken {
                field: "environment",
            },
        )?;
    let deployment = Deployment::from(&row);
    trail(tx, "deployments.create", &deployment).await?;
    Ok(deployment)
}

/// A page of the deployments that the caller sees, the newest first, at most `limit` (1 to 200).
pub async fn list(tx: &mut TenantTx, filter: &Filter, limit: u16) -> Result<Vec<Deployment>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.deployments where deleted_at is null"
    ));
    page.and("tenant_id = ?", &tenant);
    page.and_if("resource_id = ?", filter.resource.as_ref());
    page.and_if("environment = ?", filter.environment.as_ref());
    page.and_if("status = ?", filter.status.as_ref());
    let rows = page
        .newest_first("created_at", filter.after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Deployment::from).collect())
}

/// The deployment of this id.
pub async fn get(tx: &mut TenantTx, id: DeploymentId) -> Result<Deployment> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.deployments where tenant_id = $1 and id = $2 and deleted_at is null"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Deployment::from)
        .ok_or(Error::NotFound("deployment"))
}

/// Says how far a deployment is now. [`Error::WrongState`] for what it does not become from what it is;
/// [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    id: DeploymentId,
    changes: &Changes,
    read_at: Option<Timestamp>,
) -> Result<Deployment> {
    let deployment = change(tx, id, "status = $4", &[&changes.status], read_at).await?;
    let event =
        event("deployments.update", &deployment).with_detail(json!({ "status": changes.status }));
    audit::record(tx, event).await?;
    Ok(deployment)
}

/// Marks a deployment as deleted. [`Error::WrongState`] for one that is active; [`Error::Changed`] when `read_at` is not its
/// `updated_at` any more.
pub async fn delete(tx: &mut TenantTx, id: DeploymentId, read_at: Option<Timestamp>) -> Result<()> {
    let deployment = change(tx, id, "deleted_at = now()", &[], read_at).await?;
    trail(tx, "deployments.delete", &deployment).await
}

/// `set` begins at `$4`. The resource is locked first, as its deletion locks it before what it stops.
async fn change(
    tx: &mut TenantTx,
    id: DeploymentId,
    set: &str,
    values: &[Param<'_>],
    read_at: Option<Timestamp>,
) -> Result<Deployment> {
    let deployment = get(tx, id).await?;
    let tenant = tx.tenant_id();
    tx.optional(
        "select from rowhouse.resources where tenant_id = $1 and id = $2 for share",
        &[&tenant, &deployment.resource_id],
    )
    .await?
    .ok_or_else(|| Error::NotPermitted("a resource is deployed by those who edit it".into()))?;
    let mut params: Vec<Param<'_>> = vec![&tenant, &id, &read_at];
    params.extend_from_slice(values);
    let row = tx
        .optional(
            &format!(
                "update rowhouse.deployments
                 set {set}
                 where tenant_id = $1 and id = $2 and deleted_at is null and ($3::timestamptz is null or updated_at = $3)
                 returning {COLUMNS}"
            ),
            &params,
        )
        .await?;
    row.as_ref().map(Deployment::from).ok_or(Error::Changed)
}

fn event(action: &'static str, deployment: &Deployment) -> Event {
    Event::new(action, deployment.id.uuid()).on_resource(deployment.resource_id)
}

async fn trail(tx: &mut TenantTx, action: &'static str, deployment: &Deployment) -> Result<()> {
    audit::record(tx, event(action, deployment)).await
}
