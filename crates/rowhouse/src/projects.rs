//! Projects: the second wall inside a tenant. Tables `rowhouse.projects`, `rowhouse.user_project_roles`.
//!
//! Invariants: a name is unique inside its tenant; owners and admins are in every project, others in those they have a
//! role in; a change takes effect at the next transaction of whoever it concerns.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{ProjectId, UserId};
use crate::names;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// What a user is in a project. Constraint `user_project_roles_role`.
    ProjectRole {
        /// Also decides who else is in it.
        Admin = "admin",
        /// Reads and writes.
        Editor = "editor",
        /// Only reads.
        Viewer = "viewer",
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique inside the tenant.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Project {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// Makes a project. [`Error::Taken`] when the name is in use.
pub async fn create(tx: &mut TenantTx, name: &str) -> Result<Project> {
    names::name("name", name)?;
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            "insert into rowhouse.projects (tenant_id, id, name)
             values ($1, $2, $3)
             returning id, name, created_at, updated_at",
            &[&tenant, &ProjectId::new(), &name],
        )
        .await
        .on_constraint("projects_name", Error::Taken { field: "name" })?;
    let project = Project::from(&row);
    audit::record(
        tx,
        Event::new("projects.create", project.id.uuid()).on_project(project.id),
    )
    .await?;
    Ok(project)
}

/// The tenant's projects, by name.
pub async fn list(tx: &mut TenantTx) -> Result<Vec<Project>> {
    let tenant = tx.tenant_id();
    let rows = tx
        .query(
            "select id, name, created_at, updated_at
             from rowhouse.projects
             where tenant_id = $1 and deleted_at is null
             order by name",
            &[&tenant],
        )
        .await?;
    Ok(rows.iter().map(Project::from).collect())
}

/// Gives a member a role in a project, or another one than it had.
pub async fn set_role(
    tx: &mut TenantTx,
    project: ProjectId,
    user: UserId,
    role: ProjectRole,
) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.user_project_roles (tenant_id, project_id, user_id, role)
         values ($1, $2, $3, $4)
         on conflict (tenant_id, project_id, user_id) do update set role = excluded.role",
        &[&tenant, &project, &user, &role],
    )
    .await
    .on_constraint("user_project_roles_project", Error::NotFound("project"))
    .on_constraint("user_project_roles_member", Error::NotFound("member"))?;
    let event = Event::new("projects.set_role", user.uuid())
        .on_project(project)
        .with_detail(json!({ "role": role }));
    audit::record(tx, event).await
}

/// Takes a member out of a project.
pub async fn remove_member(tx: &mut TenantTx, project: ProjectId, user: UserId) -> Result<()> {
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.user_project_roles where tenant_id = $1 and project_id = $2 and user_id = $3",
            &[&tenant, &project, &user],
        )
        .await?;
    if gone == 0 {
        return Err(Error::NotFound("member"));
    }
    audit::record(
        tx,
        Event::new("projects.remove_member", user.uuid()).on_project(project),
    )
    .await
}
