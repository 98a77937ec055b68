//! Tenants: the customers of the platform. Table `rowhouse.tenants`.
//!
//! Invariants: a slug is unique for ever, also after its tenant has gone (`rowhouse.locator` keeps it); a tenant is
//! founded with its baseline (principals, a workspace) in one transaction; a deleted tenant keeps its row until purged.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{TenantId, UserId, WorkspaceId};
use crate::names;
use crate::select::{Param, Select};
use crate::text_enum::text_enum;
use crate::tx::{PlatformTx, TenantTx};

text_enum! {
    /// What kind of customer this is. Constraint `tenants_kind`.
    Kind shown as TenantKind {
        /// One person's own: the Personal Org.
        Personal = "personal",
        /// An organization.
        Organization = "organization",
    }
}

text_enum! {
    /// The tier that the customer pays for. Constraint `tenants_plan`.
    PlanTier {
        /// Nothing.
        Free = "free",
        /// For a team.
        Team = "team",
        /// For a business.
        Business = "business",
        /// By contract.
        Enterprise = "enterprise",
    }
}

text_enum! {
    /// Where the tenant is in its life. Constraint `tenants_status`.
    Status shown as TenantStatus {
        /// Being set up: nobody enters yet.
        Provisioning = "provisioning",
        /// In use.
        Active = "active",
        /// Closed for a while: nobody enters.
        Suspended = "suspended",
        /// On its way out.
        Deleting = "deleting",
        /// Gone; the row remains until it is purged.
        Deleted = "deleted",
    }
}

/// A tenant, as the registry knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Personal or organization.
    pub kind: Kind,
    /// The tier it pays for.
    pub plan: PlanTier,
    /// Where it is in its life.
    pub status: Status,
    /// When it was founded.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Tenant {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            slug: row.get("slug"),
            name: row.get("name"),
            kind: row.get("kind"),
            plan: row.get("plan"),
            status: row.get("status"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// What a new tenant is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name in URLs: see [`names::slug`].
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    )]
    pub slug: String,
    /// Its name for people: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
    /// Personal or organization.
    pub kind: Kind,
    /// The tier; free when not given.
    #[serde(default)]
    pub plan: PlanTier,
    /// Its first member, as owner. A personal tenant with an owner gets a Personal Workspace.
    #[serde(default)]
    pub owner: Option<UserId>,
}

impl NewTenant {
    /// An organization on the free plan, without members.
    pub fn organization(slug: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            slug: slug.into(),
            name: name.into(),
            kind: Kind::Organization,
            plan: PlanTier::Free,
            owner: None,
        }
    }

    /// With a first member, as owner.
    #[must_use]
    pub fn owned_by(self, owner: UserId) -> Self {
        Self {
            owner: Some(owner),
            ..self
        }
    }
}

/// Founds a tenant with its baseline: its principals, a workspace, and with `owner` a first member.
/// [`Error::Taken`] when the slug was ever used.
pub async fn create(tx: &mut PlatformTx, new: NewTenant) -> Result<Tenant> {
    names::slug("slug", &new.slug)?;
    names::name("name", &new.name)?;
    let id = TenantId::new();
    let request_id = tx.operator().request_id.clone();
    tx.execute(
        "select rowhouse.found_tenant($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &id,
            &new.slug,
            &new.name,
            &new.kind,
            &new.plan,
            &WorkspaceId::new(),
            &new.owner,
            &request_id,
        ],
    )
    .await
    .on_constraint("locator_pkey", Error::Taken { field: "slug" })
    .on_constraint("tenant_members_user", Error::NotFound("user"))?;
    audit::act(
        tx,
        "tenants.create",
        Some(id),
        &json!({ "kind": new.kind, "plan": new.plan }),
    )
    .await?;
    get(tx, id).await
}

const COLUMNS: &str = "id, slug, name, kind, plan, status, created_at, updated_at";

/// The tenant of this id, unless it is deleted.
pub async fn get(tx: &mut PlatformTx, id: TenantId) -> Result<Tenant> {
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.tenants where id = $1 and deleted_at is null"),
            &[&id],
        )
        .await?;
    row.as_ref()
        .map(Tenant::from)
        .ok_or(Error::NotFound("tenant"))
}

/// The tenant that this transaction is inside of.
pub async fn own(tx: &mut TenantTx) -> Result<Tenant> {
    let id = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.tenants where id = $1 and deleted_at is null"),
            &[&id],
        )
        .await?;
    row.as_ref()
        .map(Tenant::from)
        .ok_or(Error::NotFound("tenant"))
}

/// The tenant that a slug leads to.
pub async fn by_slug(tx: &mut PlatformTx, slug: &str) -> Result<Tenant> {
    let row = tx
        .optional(
            "select tenant_id from rowhouse.locate('slug', $1)",
            &[&digest(slug).as_slice()],
        )
        .await?;
    let id = row.ok_or(Error::NotFound("tenant"))?.get(0);
    get(tx, id).await
}

/// The tenant that an id (`ten_..`) or a slug names.
pub async fn find(tx: &mut PlatformTx, id_or_slug: &str) -> Result<Tenant> {
    match id_or_slug.parse() {
        Ok(id) => get(tx, id).await,
        Err(_) => by_slug(tx, id_or_slug).await,
    }
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those whose slug or name holds this text, in any case.
    pub text: Option<String>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only of this tier.
    pub plan: Option<PlanTier>,
    /// Only in this stage of their life.
    pub status: Option<Status>,
    /// Behind this one: `created_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, TenantId)>,
}

/// A page of tenants, the newest first, at most `limit` (1 to 200).
pub async fn list(tx: &mut PlatformTx, filter: &Filter, limit: u16) -> Result<Vec<Tenant>> {
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.tenants where deleted_at is null"
    ));
    page.and_if(
        "(strpos(slug, lower(?)) > 0 or strpos(lower(name), lower(?)) > 0)",
        filter.text.as_ref(),
    );
    page.and_if("kind = ?", filter.kind.as_ref());
    page.and_if("plan = ?", filter.plan.as_ref());
    page.and_if("status = ?", filter.status.as_ref());
    let rows = page
        .newest_first("created_at", filter.after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Tenant::from).collect())
}

/// What is to become different; what is not given stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TenantChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another name in URLs. The old one goes on leading here.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", nullable = false)
    )]
    pub slug: Option<String>,
    /// Another name for people.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 200, nullable = false)
    )]
    pub name: Option<String>,
    /// Another tier.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub plan: Option<PlanTier>,
}

/// Changes the tenant, from inside, as the platform. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    changes: Changes,
    read_at: Option<Timestamp>,
) -> Result<Tenant> {
    let fields = changed_fields(&[
        ("slug", changes.slug.is_some()),
        ("name", changes.name.is_some()),
        ("plan", changes.plan.is_some()),
    ])?;
    if let Some(slug) = &changes.slug {
        names::slug("slug", slug)?;
    }
    if let Some(name) = &changes.name {
        names::name("name", name)?;
    }
    let tenant = change(
        tx,
        "slug = coalesce($3, slug), name = coalesce($4, name), plan = coalesce($5, plan)",
        &[&changes.slug, &changes.name, &changes.plan],
        read_at,
    )
    .await
    .on_constraint("locator_pkey", Error::Taken { field: "slug" })?;
    let event =
        Event::new("tenants.update", tenant.id.uuid()).with_detail(json!({ "fields": fields }));
    audit::record(tx, event).await?;
    Ok(tenant)
}

/// Opens or closes the tenant, from inside, as the platform. Takes effect at every caller's next transaction, on every
/// node.
pub async fn set_status(
    tx: &mut TenantTx,
    status: Status,
    read_at: Option<Timestamp>,
) -> Result<Tenant> {
    let tenant = change(tx, "status = $3", &[&status], read_at).await?;
    let action = match status {
        Status::Suspended => "tenants.suspend",
        Status::Active => "tenants.resume",
        Status::Provisioning | Status::Deleting | Status::Deleted => "tenants.set_status",
    };
    let event = Event::new(action, tenant.id.uuid()).with_detail(json!({ "status": status }));
    audit::record(tx, event).await?;
    Ok(tenant)
}

/// Marks the tenant as deleted, from inside, as the platform: nobody enters it any more, and its rows stay.
pub async fn delete(tx: &mut TenantTx, read_at: Option<Timestamp>) -> Result<()> {
    let tenant = change(
        tx,
        "status = $3, deleted_at = now()",
        &[&Status::Deleted],
        read_at,
    )
    .await?;
    audit::record(tx, Event::new("tenants.delete", tenant.id.uuid())).await
}

/// `set` begins at `$3`.
async fn change(
    tx: &mut TenantTx,
    set: &str,
    values: &[Param<'_>],
    read_at: Option<Timestamp>,
) -> Result<Tenant> {
    let id = tx.tenant_id();
    let mut params: Vec<Param<'_>> = vec![&id, &read_at];
    params.extend_from_slice(values);
    let row = tx
        .optional(
            &format!(
                "update rowhouse.tenants
                 set {set}
                 where id = $1 and deleted_at is null and ($2::timestamptz is null or updated_at = $2)
                 returning {COLUMNS}"
            ),
            &params,
        )
        .await?;
    if let Some(row) = row {
        Ok(Tenant::from(&row))
    } else {
        own(tx).await?;
        Err(Error::Changed)
    }
}

/// The names of the fields that a change holds, for the trail: never their values. One that holds none is refused.
pub(crate) fn changed_fields(fields: &[(&'static str, bool)]) -> Result<Vec<&'static str>> {
    let given: Vec<&str> = fields
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    if given.is_empty() {
        return Err(Error::invalid(
            "body",
            "must name at least one field to change",
        ));
    }
    Ok(given)
}

/// What `locator` keeps of a slug.
fn digest(slug: &str) -> [u8; 32] {
    Sha256::digest(slug.as_bytes()).into()
}
