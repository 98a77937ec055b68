//! Projects: the second wall inside a tenant. Tables `rowhouse.projects`, `rowhouse.user_project_roles`.
//!
//! Invariants: a name is unique inside its tenant; owners and admins are in every project, others in those they have a
//! role in; who is in a project is for them and for the project's own admins to say; a change takes effect at the next
//! transaction of whoever it concerns.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{ProjectId, UserId};
use crate::members::not_done;
use crate::names;
use crate::select::Select;
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// What a new project is made of, and what can change of one.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
}

const COLUMNS: &str = "id, name, created_at, updated_at";

/// A page of the tenant's projects, the newest first, behind `after` (`created_at` and id of the last of the page before), at
/// most `limit` (1 to 200).
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, ProjectId)>,
    limit: u16,
) -> Result<Vec<Project>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.projects where deleted_at is null"
    ));
    page.and("tenant_id = ?", &tenant);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Project::from).collect())
}

/// The project of this name.
pub async fn by_name(tx: &mut TenantTx, name: &str) -> Result<Project> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.projects where tenant_id = $1 and name = $2 and deleted_at is null"),
            &[&tenant, &name],
        )
        .await?;
    row.as_ref()
        .map(Project::from)
        .ok_or(Error::NotFound("project"))
}

/// The project of this id.
pub async fn get(tx: &mut TenantTx, id: ProjectId) -> Result<Project> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.projects where tenant_id = $1 and id = $2 and deleted_at is null"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Project::from)
        .ok_or(Error::NotFound("project"))
}

/// Gives a project another name. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn rename(
    tx: &mut TenantTx,
    id: ProjectId,
    name: &str,
    read_at: Option<Timestamp>,
) -> Result<Project> {
    names::name("name", name)?;
    let project = change(tx, id, "name = $4", Some(name), read_at)
        .await
        .on_constraint("projects_name", Error::Taken { field: "name" })?;
    audit::record(
        tx,
        Event::new("projects.update", id.uuid()).on_project(project.id),
    )
    .await?;
    Ok(project)
}

/// Marks a project as deleted: nobody is in it any more, and what was deployed of what lies in it is stopped.
pub async fn delete(tx: &mut TenantTx, id: ProjectId, read_at: Option<Timestamp>) -> Result<()> {
    change(
        tx,
        id,
        "deleted_at = now(), name = coalesce($4, name)",
        None,
        read_at,
    )
    .await?;
    audit::record(tx, Event::new("projects.delete", id.uuid()).on_project(id)).await
}

async fn change(
    tx: &mut TenantTx,
    id: ProjectId,
    set: &str,
    value: Option<&str>,
    read_at: Option<Timestamp>,
) -> Result<Project> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "update rowhouse.projects
                 set {set}
                 where tenant_id = $1 and id = $2 and deleted_at is null and ($3::timestamptz is null or updated_at = $3)
                 returning {COLUMNS}"
            ),
            &[&tenant, &id, &read_at, &value],
        )
        .await?;
    if let Some(row) = row {
        return Ok(Project::from(&row));
    }
    let project = get(tx, id).await?;
    Err(not_done(read_at, project.updated_at))
}

/// A member of a project, by a role of its own. Owners and admins of the tenant are in every project, and not listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectMember {
    /// The user.
    pub user_id: UserId,
    /// What it is in the project.
    pub role: ProjectRole,
    /// Since when.
    pub created_at: Timestamp,
    /// When its role last changed.
    pub updated_at: Timestamp,
}

/// A page of a project's members, the newest first.
pub async fn members(
    tx: &mut TenantTx,
    id: ProjectId,
    after: Option<(Timestamp, UserId)>,
    limit: u16,
) -> Result<Vec<ProjectMember>> {
    get(tx, id).await?;
    let tenant = tx.tenant_id();
    let mut page = Select::new(
        "select id, role, created_at, updated_at
         from (select tenant_id, project_id, user_id as id, role, created_at, updated_at from rowhouse.user_project_roles) members
         where true",
    );
    page.and("tenant_id = ?", &tenant);
    page.and("project_id = ?", &id);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows
        .iter()
        .map(|row| ProjectMember {
            user_id: row.get("id"),
            role: row.get("role"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
        .collect())
}

/// Gives a member of the tenant a role in a project, or another one than it had: as an owner or admin of the tenant, or as an
/// admin of the project.
pub async fn set_role(
    tx: &mut TenantTx,
    project: ProjectId,
    user: UserId,
    role: ProjectRole,
) -> Result<()> {
    get(tx, project).await?;
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.user_project_roles (tenant_id, project_id, user_id, role)
         values ($1, $2, $3, $4)
         on conflict (tenant_id, project_id, user_id) do update set role = excluded.role",
        &[&tenant, &project, &user, &role],
    )
    .await
    .on_constraint("user_project_roles_member", Error::NotFound("member"))?;
    let event = Event::new("projects.set_role", project.uuid())
        .on_project(project)
        .with_detail(json!({ "user": user, "role": role }));
    audit::record(tx, event).await
}

/// Takes a member out of a project.
pub async fn remove_member(tx: &mut TenantTx, project: ProjectId, user: UserId) -> Result<()> {
    let found = get(tx, project).await?;
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.user_project_roles where tenant_id = $1 and project_id = $2 and user_id = $3",
            &[&tenant, &project, &user],
        )
        .await?;
    if gone == 0 {
        let row = tx
            .optional(
                "select from rowhouse.user_project_roles where tenant_id = $1 and project_id = $2 and user_id = $3",
                &[&tenant, &project, &user],
            )
            .await?;
        row.ok_or(Error::NotFound("member"))?;
        return Err(not_done(None, found.updated_at));
    }
    let event = Event::new("projects.remove_member", project.uuid())
        .on_project(project)
        .with_detail(json!({ "user": user }));
    audit::record(tx, event).await
}
