//! Tenants: the customers of the platform. Table `rowhouse.tenants`.
//!
//! Invariants: a slug is unique for ever, also after its tenant has gone (`rowhouse.locator` keeps it); a tenant is
//! founded with its baseline (principals, a workspace) in one transaction; a deleted tenant keeps its row until purged.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use crate::error::{Error, OnConstraint, Result};
use crate::ids::{TenantId, UserId, WorkspaceId};
use crate::names;
use crate::text_enum::text_enum;
use crate::tx::PlatformTx;

text_enum! {
    /// What kind of customer this is. Constraint `tenants_kind`.
    Kind {
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
    Status {
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
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name in URLs: see [`names::slug`].
    pub slug: String,
    /// Its name for people: see [`names::name`].
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
    tx.execute(
        "select rowhouse.found_tenant($1, $2, $3, $4, $5, $6, $7)",
        &[
            &id,
            &new.slug,
            &new.name,
            &new.kind,
            &new.plan,
            &WorkspaceId::new(),
            &new.owner,
        ],
    )
    .await
    .on_constraint("locator_pkey", Error::Taken { field: "slug" })
    .on_constraint("tenant_members_user", Error::NotFound("user"))?;
    get(tx, id).await
}

/// The tenant of this id.
pub async fn get(tx: &mut PlatformTx, id: TenantId) -> Result<Tenant> {
    let row = tx
        .optional(
            "select id, slug, name, kind, plan, status, created_at, updated_at
             from rowhouse.tenants
             where id = $1",
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

/// Tenants, newest first, at most `limit`, beginning behind `after`.
pub async fn list(tx: &mut PlatformTx, after: Option<TenantId>, limit: u16) -> Result<Vec<Tenant>> {
    let limit = i64::from(limit);
    let rows = tx
        .query(
            "select t.id, t.slug, t.name, t.kind, t.plan, t.status, t.created_at, t.updated_at
             from rowhouse.tenants t
             left join rowhouse.tenants a on a.id = $1
             where t.deleted_at is null
               and ($1 is null or (t.created_at, t.id) < (a.created_at, a.id))
             order by t.created_at desc, t.id desc
             limit $2",
            &[&after, &limit],
        )
        .await?;
    Ok(rows.iter().map(Tenant::from).collect())
}

/// Opens or closes a tenant. Takes effect at every caller's next transaction, on every node.
pub async fn set_status(tx: &mut PlatformTx, id: TenantId, status: Status) -> Result<Tenant> {
    let touched = tx
        .execute(
            "update rowhouse.tenants set status = $2 where id = $1",
            &[&id, &status],
        )
        .await?;
    if touched == 0 {
        return Err(Error::NotFound("tenant"));
    }
    get(tx, id).await
}

/// What `locator` keeps of a slug.
fn digest(slug: &str) -> [u8; 32] {
    Sha256::digest(slug.as_bytes()).into()
}
