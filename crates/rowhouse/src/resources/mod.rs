//! Resources: the envelope around what a tenant's people make, and the ACL of each. Tables `rowhouse.resources`,
//! `rowhouse.resource_acl`.
//!
//! Invariants: a resource lies in one workspace of its own tenant; deleting it is marking it, and can be undone; lists
//! run by key, newest change first, so a page costs the same however deep it lies. Who may do what with one is for the
//! policies to say (docs/adr/010): what is not to be seen is [`Error::NotFound`], what is not to be changed
//! [`Error::NotPermitted`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{PrincipalId, ProjectId, ResourceId, TeamId, WorkspaceId};
use crate::select::Param;
use crate::tenants::changed_fields;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;
use crate::{names, workspaces};

mod acl;
mod list;

pub use acl::{AclAccess, AclEntry, acl, grant, revoke};
pub use list::{Filter, list};

text_enum! {
    /// What a resource is. Constraint `resources_type`.
    ResourceType {
        /// A prompt.
        Prompt = "prompt",
        /// A collection of others.
        Collection = "collection",
        /// A model.
        Model = "model",
        /// A link to another system.
        Integration = "integration",
        /// A tag.
        Tag = "tag",
    }
}

text_enum! {
    /// Who inside the tenant it is meant for. Constraint `resources_visibility`.
    Visibility {
        /// Its owner.
        Private = "private",
        /// Its team.
        Team = "team",
        /// Its project.
        Project = "project",
        /// Everyone inside the tenant.
        Tenant = "tenant",
    }
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// What it is.
    pub r#type: ResourceType,
    /// Its title.
    pub title: String,
    /// What it holds: any JSON object.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
    /// Who it is meant for.
    pub visibility: Visibility,
    /// The workspace it lies in.
    pub workspace_id: WorkspaceId,
    /// The team it is for.
    pub team_id: Option<TeamId>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Whose it is: its maker's, until it is given away.
    pub owner_id: PrincipalId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; it can be restored.
    pub deleted_at: Option<Timestamp>,
}

impl From<&Row> for Resource {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            r#type: row.get("type"),
            title: row.get("title"),
            payload: row.get("payload"),
            visibility: row.get("visibility"),
            workspace_id: row.get("workspace_id"),
            team_id: row.get("team_id"),
            project_id: row.get("project_id"),
            owner_id: row.get("owner_id"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
            deleted_at: row.get("deleted_at"),
        }
    }
}

/// What a new resource is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewResource {
    /// What it is.
    pub r#type: ResourceType,
    /// Its title: see [`names::title`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub title: String,
    /// What it holds: a JSON object; empty when not given.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    #[serde(default = "empty_object")]
    pub payload: Value,
    /// Who it is meant for; the tenant when not given.
    #[serde(default = "for_the_tenant")]
    pub visibility: Visibility,
    /// Where it goes; the tenant's own workspace when not given.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
    /// The team it is for.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// The project it belongs to.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
}

fn empty_object() -> Value {
    json!({})
}

fn for_the_tenant() -> Visibility {
    Visibility::Tenant
}

impl NewResource {
    /// An empty resource for the whole tenant, in its own workspace.
    pub fn new(r#type: ResourceType, title: impl Into<String>) -> Self {
        Self {
            r#type,
            title: title.into(),
            payload: empty_object(),
            visibility: for_the_tenant(),
            workspace_id: None,
            team_id: None,
            project_id: None,
        }
    }
}

/// How deep a payload may be nested.
const DEEPEST_PAYLOAD: usize = 32;
/// How many characters a number in a payload may have.
const LONGEST_NUMBER: usize = 400;

/// What a [`Resource`] is read from, for statements of one's own.
pub const COLUMNS: &str =
    "id, type, title, payload, visibility, workspace_id, team_id, project_id, owner_id,
    created_at, updated_at, deleted_at";

/// Makes a resource; the caller becomes its owner. [`Error::NotPermitted`] for a workspace that is somebody else's, a team that
/// the caller is not in, a project that it does not edit.
pub async fn create(tx: &mut TenantTx, new: NewResource) -> Result<Resource> {
    names::title("title", &new.title)?;
    check_payload(&new.payload)?;
    match new.visibility {
        Visibility::Team if new.team_id.is_none() => {
            return Err(Error::invalid(
                "team_id",
                "must name the team that is to see it",
            ));
        }
        Visibility::Project if new.project_id.is_none() => {
            return Err(Error::invalid(
                "project_id",
                "must name the project that is to see it",
            ));
        }
        _ => {}
    }
    check_place(tx, new.workspace_id, new.team_id, new.project_id).await?;
    let workspace = match new.workspace_id {
        Some(id) => id,
        None => workspaces::home(tx).await?,
    };
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            &format!(
                "insert into rowhouse.resources
                   (tenant_id, id, type, title, payload, visibility, workspace_id, team_id, project_id)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 returning {COLUMNS}"
            ),
            &[
                &tenant,
                &ResourceId::new(),
                &new.r#type,
                &new.title,
                &new.payload,
                &new.visibility,
                &workspace,
                &new.team_id,
                &new.project_id,
            ],
        )
        .await?;
    let resource = Resource::from(&row);
    trail(tx, "resources.create", &resource).await?;
    Ok(resource)
}

/// What is named has to be there, before a policy says that it is not the caller's to use.
async fn check_place(
    tx: &mut TenantTx,
    workspace: Option<WorkspaceId>,
    team: Option<TeamId>,
    project: Option<ProjectId>,
) -> Result<()> {
    if workspace.is_none() && team.is_none() && project.is_none() {
        return Ok(());
    }
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            "select
               $2::uuid is null or exists (
                 select from rowhouse.workspaces where tenant_id = $1 and id = $2 and deleted_at is null) as workspace,
               $3::uuid is null or exists (
                 select from rowhouse.teams where tenant_id = $1 and id = $3 and deleted_at is null) as team,
               $4::uuid is null or exists (
                 select from rowhouse.projects where tenant_id = $1 and id = $4 and deleted_at is null) as project",
            &[&tenant, &workspace, &team, &project],
        )
        .await?;
    for part in ["workspace", "team", "project"] {
        if !row.get::<_, bool>(part) {
            return Err(Error::NotFound(part));
        }
    }
    Ok(())
}

/// The resource of this id, unless it is deleted.
pub async fn get(tx: &mut TenantTx, id: ResourceId) -> Result<Resource> {
    let found = find(tx, id).await?;
    if found.deleted_at.is_some() {
        return Err(Error::NotFound("resource"));
    }
    Ok(found)
}

/// Deleted or not.
async fn find(tx: &mut TenantTx, id: ResourceId) -> Result<Resource> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.resources where tenant_id = $1 and id = $2"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Resource::from)
        .ok_or(Error::NotFound("resource"))
}

/// What is to become different; what is not given stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ResourceChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another type.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub r#type: Option<ResourceType>,
    /// Another title.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 200, nullable = false)
    )]
    pub title: Option<String>,
    /// Another payload, whole.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, nullable = false))]
    pub payload: Option<Value>,
    /// For others.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub visibility: Option<Visibility>,
    /// Into another workspace.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub workspace_id: Option<WorkspaceId>,
    /// For another team.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub team_id: Option<TeamId>,
    /// Into another project.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project_id: Option<ProjectId>,
    /// To another owner.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub owner_id: Option<PrincipalId>,
}

/// Changes a resource; who sees it, as whoever administers it ([`Error::NotPermitted`] for others, and where the caller would see
/// it no more). [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    id: ResourceId,
    changes: Changes,
    read_at: Option<Timestamp>,
) -> Result<Resource> {
    let fields = changed_fields(&[
        ("type", changes.r#type.is_some()),
        ("title", changes.title.is_some()),
        ("payload", changes.payload.is_some()),
        ("visibility", changes.visibility.is_some()),
        ("workspace_id", changes.workspace_id.is_some()),
        ("team_id", changes.team_id.is_some()),
        ("project_id", changes.project_id.is_some()),
        ("owner_id", changes.owner_id.is_some()),
    ])?;
    if let Some(title) = &changes.title {
        names::title("title", title)?;
    }
    if let Some(payload) = &changes.payload {
        check_payload(payload)?;
    }
    check_place(
        tx,
        changes.workspace_id,
        changes.team_id,
        changes.project_id,
    )
    .await?;
    let resource = change(
        tx,
        id,
        "type = coalesce($4, type), title = coalesce($5, title), payload = coalesce($6, payload),
         visibility = coalesce($7, visibility), workspace_id = coalesce($8, workspace_id),
         team_id = coalesce($9, team_id), project_id = coalesce($10, project_id), owner_id = coalesce($11, owner_id)",
        &[
            &changes.r#type,
            &changes.title,
            &changes.payload,
            &changes.visibility,
            &changes.workspace_id,
            &changes.team_id,
            &changes.project_id,
            &changes.owner_id,
        ],
        read_at,
    )
    .await
    .on_constraint("resources_owner", Error::NotFound("owner"))
    .on_constraint(
        "resources_visible_to_a_team",
        Error::invalid("visibility", "`team` is for a resource with a team"),
    )
    .on_constraint(
        "resources_visible_to_a_project",
        Error::invalid("visibility", "`project` is for a resource in a project"),
    )?;
    let event = event("resources.update", &resource).with_detail(json!({ "fields": fields }));
    audit::record(tx, event).await?;
    Ok(resource)
}

/// `set` begins at `$4`.
async fn change(
    tx: &mut TenantTx,
    id: ResourceId,
    set: &str,
    values: &[Param<'_>],
    read_at: Option<Timestamp>,
) -> Result<Resource> {
    let tenant = tx.tenant_id();
    let mut params: Vec<Param<'_>> = vec![&tenant, &id, &read_at];
    params.extend_from_slice(values);
    let sql = format!(
        "update rowhouse.resources
         set {set}
         where tenant_id = $1 and id = $2 and deleted_at is null
           and ($3::timestamptz is null or updated_at = $3)
         returning {COLUMNS}"
    );
    let mut row = tx.optional(&sql, &params).await?;
    let is_the_callers = row.is_some() || lock(tx, id).await?;
    if row.is_none() && is_the_callers {
        row = tx.optional(&sql, &params).await?;
    }
    if let Some(row) = row {
        return Ok(Resource::from(&row));
    }
    get(tx, id).await?;
    Err(if is_the_callers {
        Error::Changed
    } else {
        not_the_callers()
    })
}

/// Whether the resource is there and for the caller to change, deleted or not; then nobody else changes it before the end of
/// this transaction. What a statement did not touch may have become what it asked for at the next moment: before the caller
/// hears why not, it is held still.
async fn lock(tx: &mut TenantTx, id: ResourceId) -> Result<bool> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            "select from rowhouse.resources where tenant_id = $1 and id = $2 for update",
            &[&tenant, &id],
        )
        .await?;
    Ok(row.is_some())
}

/// It is seen, and not for the caller to do this with.
fn not_the_callers() -> Error {
    Error::NotPermitted("the caller may see this resource, and not change it so".to_owned())
}

/// Marks a resource as deleted; [`restore`] brings it back. [`Error::Changed`] when `read_at` is not its `updated_at` any
/// more.
pub async fn delete(tx: &mut TenantTx, id: ResourceId, read_at: Option<Timestamp>) -> Result<()> {
    let resource = change(tx, id, "deleted_at = now()", &[], read_at).await?;
    trail(tx, "resources.delete", &resource).await
}

/// Brings a deleted resource back. One that is not deleted stays as it is.
pub async fn restore(tx: &mut TenantTx, id: ResourceId) -> Result<Resource> {
    let tenant = tx.tenant_id();
    let is_the_callers = lock(tx, id).await?;
    let row = tx
        .optional(
            &format!(
                "update rowhouse.resources
                 set deleted_at = null
                 where tenant_id = $1 and id = $2 and deleted_at is not null
                 returning {COLUMNS}"
            ),
            &[&tenant, &id],
        )
        .await?;
    let Some(row) = row else {
        let as_it_is = find(tx, id).await?;
        return match as_it_is.deleted_at {
            Some(_) if !is_the_callers => Err(not_the_callers()),
            _ => Ok(as_it_is),
        };
    };
    let resource = Resource::from(&row);
    trail(tx, "resources.restore", &resource).await?;
    Ok(resource)
}

/// A JSON object that Postgres can hold, and that a reader can walk.
fn check_payload(payload: &Value) -> Result<()> {
    fn is_fine(value: &Value, depth: usize) -> bool {
        match value {
            Value::String(text) => !text.contains('\0'),
            Value::Number(number) => {
                number.as_f64().is_some_and(f64::is_finite)
                    && number.as_str().len() <= LONGEST_NUMBER
            }
            Value::Array(items) => depth > 0 && items.iter().all(|item| is_fine(item, depth - 1)),
            Value::Object(fields) => {
                depth > 0
                    && fields
                        .iter()
                        .all(|(name, item)| !name.contains('\0') && is_fine(item, depth - 1))
            }
            _ => true,
        }
    }
    if !payload.is_object() {
        return Err(Error::invalid("payload", "must be a JSON object"));
    }
    if !is_fine(payload, DEEPEST_PAYLOAD) {
        return Err(Error::invalid(
            "payload",
            format!(
                "must not be deeper than {DEEPEST_PAYLOAD}, nor hold the character U+0000, nor a number beyond 1.8e308"
            ),
        ));
    }
    Ok(())
}

fn event(action: &'static str, resource: &Resource) -> Event {
    Event::new(action, resource.id.uuid())
        .on_resource(resource.id)
        .on_workspace(resource.workspace_id)
        .on_project(resource.project_id)
}

async fn trail(tx: &mut TenantTx, action: &'static str, resource: &Resource) -> Result<()> {
    audit::record(tx, event(action, resource)).await
}
