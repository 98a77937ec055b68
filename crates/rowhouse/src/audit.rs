//! The tenant's own trail. Table `rowhouse.audit_log`.
//!
//! Invariants: a row is written in the transaction of the change it tells of, so there is never one without the other;
//! who acted is taken from the context by the database, not from what the caller says; nobody can change or delete a row.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::ids::{AuditId, PrincipalId, ProjectId, ResourceId, WorkspaceId};
use crate::tx::TenantTx;

/// What happened, to what. Build it with [`Event::new`] and the `on_` functions.
#[derive(Clone, Debug, Default)]
pub struct Event {
    action: &'static str,
    object: Option<Uuid>,
    workspace: Option<WorkspaceId>,
    project: Option<ProjectId>,
    resource: Option<ResourceId>,
    detail: Value,
}

impl Event {
    /// `noun.verb`, such as `resources.create`, and the id of what it was done to.
    pub fn new(action: &'static str, object: impl Into<Option<Uuid>>) -> Self {
        Self {
            action,
            object: object.into(),
            detail: Value::Object(serde_json::Map::new()),
            ..Self::default()
        }
    }

    /// Inside this workspace.
    #[must_use]
    pub fn on_workspace(self, id: WorkspaceId) -> Self {
        Self {
            workspace: Some(id),
            ..self
        }
    }

    /// Inside this project.
    #[must_use]
    pub fn on_project(self, id: impl Into<Option<ProjectId>>) -> Self {
        Self {
            project: id.into(),
            ..self
        }
    }

    /// To this resource.
    #[must_use]
    pub fn on_resource(self, id: ResourceId) -> Self {
        Self {
            resource: Some(id),
            ..self
        }
    }

    /// What changed, as a JSON object. No content of the tenant's and no personal data: names of fields, ids, roles.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }
}

/// A row of the trail.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// Who acted.
    pub actor_id: PrincipalId,
    /// `noun.verb`.
    pub action: String,
    /// What it was done to.
    pub object_id: Option<Uuid>,
    /// The workspace it lies in.
    pub workspace_id: Option<WorkspaceId>,
    /// The project it lies in.
    pub project_id: Option<ProjectId>,
    /// The resource, if it is one.
    pub resource_id: Option<ResourceId>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// What changed.
    pub detail: Value,
    /// When, by the database's clock.
    pub created_at: Timestamp,
}

/// Writes a row of the trail, also in a context that may only read.
pub async fn record(tx: &mut TenantTx, event: Event) -> Result<()> {
    let tenant = tx.tenant_id();
    let request_id = tx.request_id().map(str::to_owned);
    tx.execute(
        "insert into rowhouse.audit_log
           (tenant_id, id, action, object_id, workspace_id, project_id, resource_id, request_id, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &tenant,
            &AuditId::new(),
            &event.action,
            &event.object,
            &event.workspace,
            &event.project,
            &event.resource,
            &request_id,
            &event.detail,
        ],
    )
    .await?;
    Ok(())
}

/// The newest rows of the trail, at most `limit` (1 to 1000).
pub async fn latest(tx: &mut TenantTx, limit: u16) -> Result<Vec<Entry>> {
    let tenant = tx.tenant_id();
    let limit = i64::from(limit.clamp(1, 1000));
    let rows = tx
        .query(
            "select id, actor_id, action, object_id, workspace_id, project_id, resource_id, request_id, detail, created_at
             from rowhouse.audit_log
             where tenant_id = $1
             order by created_at desc, id desc
             limit $2",
            &[&tenant, &limit],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Entry {
            id: row.get("id"),
            actor_id: row.get("actor_id"),
            action: row.get("action"),
            object_id: row.get("object_id"),
            workspace_id: row.get("workspace_id"),
            project_id: row.get("project_id"),
            resource_id: row.get("resource_id"),
            request_id: row.get("request_id"),
            detail: row.get("detail"),
            created_at: row.get("created_at"),
        })
        .collect())
}
