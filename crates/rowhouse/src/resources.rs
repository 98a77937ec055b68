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
use crate::select::{Param, Select};
use crate::tenants::changed_fields;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;
use crate::{names, workspaces};

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

text_enum! {
    /// What an ACL entry allows. Constraint `resource_acl_access`.
    AclAccess {
        /// To read it.
        Read = "read",
        /// To change it.
        Write = "write",
        /// To decide who else may.
        Admin = "admin",
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
    /// Who made it.
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

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only of this type.
    pub r#type: Option<ResourceType>,
    /// Only of this visibility.
    pub visibility: Option<Visibility>,
    /// Only those whose title holds this text, in any case.
    pub text: Option<String>,
    /// Behind this one: `updated_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, ResourceId)>,
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

/// A page of resources, the last changed first, at most `limit` (1 to 200).
pub async fn list(tx: &mut TenantTx, filter: &Filter, limit: u16) -> Result<Vec<Resource>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new("deleted_at is null").given(&tenant);
    page.and_if("workspace_id = ?", filter.workspace.as_ref());
    page.and_if("type = ?", filter.r#type.as_ref());
    page.and_if("visibility = ?", filter.visibility.as_ref());
    page.and_if("strpos(lower(title), lower(?)) > 0", filter.text.as_ref());
    let after = filter.after.as_ref().map(|(at, id)| (at, id as _));
    let may_be_job = tx.may_be_job();
    // Each of them has an index, and no two have one.
    let narrowed = [
        filter.workspace.is_some(),
        filter.r#type.is_some(),
        filter.visibility.is_some(),
    ];
    let is_indexed = filter.text.is_none() && narrowed.iter().filter(|by| **by).count() < 2;
    let rows = page
        .behind("updated_at", after)
        .within(limit, |conditions, asked| {
            each_way_of_seeing(conditions, asked, is_indexed, may_be_job)
        })
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Resource::from).collect())
}

/// As the indexes have it that lead to what a caller may see.
const NEWEST_FIRST: &str = "updated_at desc nulls last, id desc nulls last";
/// The caller and whom it stands for; and these with its projects, for any of which a resource may be meant. Nobody looks at the
/// seal for them: they lead to an index. The list asks once for the tenant, and the policies for each row.
const PRINCIPALS: &str = "(select rowhouse.ids(4))::uuid[]";
const AUDIENCES: &str = "(select rowhouse.ids(4) || rowhouse.ids(3))::uuid[]";

/// The policy of `resources` is one condition with alternatives, which no index answers: who sees three among a million would
/// wait for all of them. So each alternative is asked by its own index for the first page, and these are joined. Each page is of one
/// audience, owner or principal, so that no row is in it twice: one that is would take the place of another. `offset 0`
/// keeps the planner from reading the whole tenant where it takes the caller to have many entries.
///
/// Whoever has ten audiences would read ten pages to show one. So a few rows of each are looked at before: where these make a
/// page, its last row tells how old a row may be. Not where no index answers the conditions: the few would be as far to seek.
fn each_way_of_seeing(conditions: &str, asked: u16, is_indexed: bool, may_be_job: bool) -> String {
    let (few, last) = (asked.div_ceil(4), asked - 1);
    let (wanted, not_too_old) = if is_indexed {
        (
            format!(
                "with wanted (since) as materialized (
                   select coalesce((
                     select newest.updated_at
                     from (select distinct unnest({AUDIENCES})) mine (mine)
                     cross join lateral (
                       select updated_at from rowhouse.resources
                       where tenant_id = $1 and audience = mine.mine and {conditions} order by {NEWEST_FIRST} limit {few}) newest
                     where rowhouse.rows_in_order() -- what stands in `with` is planned before what is outside
                     order by newest.updated_at desc
                     offset {last} limit 1), '-infinity'))"
            ),
            " and updated_at >= (select since from wanted)",
        )
    } else {
        (String::new(), "")
    };
    let first = format!("order by {NEWEST_FIRST} limit {asked}");
    // No index knows this operator: so none of all the tenant's rows of a type, say, is read for those of an owner.
    let of_owner = conditions.replace(" = $", " is not distinct from $");
    let all_there_is = if may_be_job {
        format!(
            "union all
             (select {COLUMNS}
              from rowhouse.resources
              where (select rowhouse.caller_role()) = 'job' and tenant_id = $1 and {conditions}
              order by updated_at desc, id desc -- by the index of the whole tenant
              limit {asked})"
        )
    } else {
        String::new()
    };
    format!(
        "{wanted}
         select distinct on (updated_at, id) {COLUMNS}
         from (
           select r.*
           from unnest({AUDIENCES}) mine (mine)
           cross join lateral (select {COLUMNS} from rowhouse.resources where tenant_id = $1 and audience = mine.mine and {conditions}{not_too_old} {first}) r
           union all
           select r.*
           from unnest({PRINCIPALS}) mine (mine)
           cross join lateral (
             select {COLUMNS} from rowhouse.resources where tenant_id = $1 and owner_id = mine.mine and {of_owner}{not_too_old} {first}) r
           union all
           select r.*
           from unnest({PRINCIPALS}) mine (mine)
           cross join lateral (
             select {COLUMNS}
             from (select resource_id from rowhouse.resource_acl where tenant_id = $1 and principal_id = mine.mine offset 0) entry
             cross join lateral (
               select {COLUMNS} from rowhouse.resources where tenant_id = $1 and id = entry.resource_id{not_too_old} offset 0) shared
             where {conditions} {first}) r
           {all_there_is}
         ) seen
         where rowhouse.rows_in_order() and (select rowhouse.current_tenant()) = $1
         order by {NEWEST_FIRST}
         limit {asked}"
    )
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
}

/// Changes a resource. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
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
    ])?;
    if let Some(title) = &changes.title {
        names::title("title", title)?;
    }
    if let Some(payload) = &changes.payload {
        check_payload(payload)?;
    }
    check_place(tx, changes.workspace_id, None, None).await?;
    let resource = change(
        tx,
        id,
        "type = coalesce($4, type), title = coalesce($5, title), payload = coalesce($6, payload),
         visibility = coalesce($7, visibility), workspace_id = coalesce($8, workspace_id)",
        &[
            &changes.r#type,
            &changes.title,
            &changes.payload,
            &changes.visibility,
            &changes.workspace_id,
        ],
        read_at,
    )
    .await
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

/// Gives a principal access to a resource, or another access than it had. [`Error::NotPermitted`] for whoever does not
/// administer the resource: nobody gives more than it holds.
pub async fn grant(
    tx: &mut TenantTx,
    id: ResourceId,
    principal: PrincipalId,
    access: AclAccess,
) -> Result<()> {
    let resource = get(tx, id).await?;
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
         values ($1, $2, $3, $4)
         on conflict (tenant_id, resource_id, principal_id) do update set access = excluded.access",
        &[&tenant, &id, &principal, &access],
    )
    .await
    .on_constraint("resource_acl_principal", Error::NotFound("principal"))?;
    let detail = json!({ "principal": principal, "access": access });
    audit::record(tx, event("resources.grant", &resource).with_detail(detail)).await
}

/// Takes a principal's entry away.
pub async fn revoke(tx: &mut TenantTx, id: ResourceId, principal: PrincipalId) -> Result<()> {
    let resource = get(tx, id).await?;
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.resource_acl where tenant_id = $1 and resource_id = $2 and principal_id = $3",
            &[&tenant, &id, &principal],
        )
        .await?;
    if gone == 0 {
        let may_share = tx
            .one("select rowhouse.may_share($1, $2)", &[&tenant, &id])
            .await?
            .get(0);
        return Err(if may_share {
            Error::NotFound("entry")
        } else {
            not_the_callers()
        });
    }
    audit::record(
        tx,
        event("resources.revoke", &resource).with_detail(json!({ "principal": principal })),
    )
    .await
}

/// What a principal may do with a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AclEntry {
    /// Who.
    pub principal_id: PrincipalId,
    /// What it allows.
    pub access: AclAccess,
    /// When it was first given.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Who has an entry on a resource: a page, the newest first, behind `after` (`created_at` and principal of the last of the
/// page before), at most `limit` (1 to 200).
pub async fn acl(
    tx: &mut TenantTx,
    id: ResourceId,
    after: Option<(Timestamp, PrincipalId)>,
    limit: u16,
) -> Result<Vec<AclEntry>> {
    get(tx, id).await?;
    let tenant = tx.tenant_id();
    let mut page = Select::new(
        "select id, access, created_at, updated_at
         from (select tenant_id, resource_id, principal_id as id, access, created_at, updated_at from rowhouse.resource_acl) entries
         where true",
    );
    page.and("tenant_id = ?", &tenant);
    page.and("resource_id = ?", &id);
    let rows = page
        .newest_first(
            "created_at",
            after.as_ref().map(|(at, id)| (at, id as _)),
            limit,
        )
        .rows(tx)
        .await?;
    Ok(rows
        .iter()
        .map(|row| AclEntry {
            principal_id: row.get("id"),
            access: row.get("access"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
        .collect())
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
