//! API keys: `tk_` and 32 of `[0-9a-z]`. Table `rowhouse.api_keys`.
//!
//! Invariants: a key is shown once, and kept as a digest (to find it) and a bcrypt hash (to check it); it enters its
//! tenant as a principal of its own, so that `enter` refuses a revoked or expired one at its next transaction, whatever
//! this process remembers.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::{self, Event};
use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::ids::{KeyId, ProjectId};
use crate::select::Select;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;
use crate::{names, personas, tokens};

mod presented;

pub(crate) use presented::KnownKeys;
pub use presented::authenticate;
use presented::{hash, remember};

const PREFIX: &str = "tk_";
/// `tk_` and five characters: enough to recognise a key by, far too little to guess the rest.
const SHOWN: usize = 8;
/// How long an old key may go on beside the new one.
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 30);
/// How many projects a key can be narrowed to.
const MOST_PROJECTS: usize = 100;

text_enum! {
    /// What a key may do at most. An array of these is the column `permissions`.
    Permission {
        /// To read.
        Read = "read",
        /// To write.
        Write = "write",
    }
}

text_enum! {
    /// Which of a customer's environments a key is for. Constraint `api_keys_environment`.
    Environment {
        /// To try things.
        Sandbox = "SANDBOX",
        /// The real one.
        Production = "PRODUCTION",
    }
}

/// What a key is good for beyond its permissions: nothing is narrowed by what is not given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Only these projects; every project of the tenant, also later ones, when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<ProjectId>>,
}

/// An API key, without what it opens with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// By which people recognise it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do at most.
    pub permissions: Vec<Permission>,
    /// What it is narrowed to.
    pub scopes: Scopes,
    /// Which environment it is for.
    pub environment: Environment,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl TryFrom<&Row> for Key {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        let typed = |what: &str| Error::Schema(format!("api_keys.{what} has an unknown form"));
        let scopes: StoredScopes =
            serde_json::from_value(row.get("scopes")).map_err(|_| typed("scopes"))?;
        Ok(Self {
            id: row.get("id"),
            name: row.get("name"),
            prefix: row.get("prefix"),
            permissions: serde_json::from_value(row.get("permissions"))
                .map_err(|_| typed("permissions"))?,
            scopes: Scopes {
                projects: scopes
                    .projects
                    .map(|ids| ids.into_iter().map(ProjectId::from).collect()),
            },
            environment: row.get("environment"),
            expires_at: row.get("expires_at"),
            last_used_at: row.get("last_used_at"),
            revoked_at: row.get("revoked_at"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
    }
}

/// As the column has them: bare UUIDs, which the database compares with its own.
#[derive(Serialize, Deserialize)]
struct StoredScopes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<Uuid>>,
}

/// What a new key is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// By which people recognise it: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
    /// What it may do at most: one or both.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub permissions: Vec<Permission>,
    /// What it is narrowed to; to nothing when not given.
    #[serde(default)]
    pub scopes: Scopes,
    /// Which environment it is for; production when not given.
    #[serde(default = "production")]
    pub environment: Environment,
    /// When it ends by itself; never when not given.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

fn production() -> Environment {
    Environment::Production
}

impl NewKey {
    /// A key for production that does not end by itself.
    pub fn new(name: impl Into<String>, permissions: &[Permission]) -> Self {
        Self {
            name: name.into(),
            permissions: permissions.to_vec(),
            scopes: Scopes::default(),
            environment: Environment::Production,
            expires_at: None,
        }
    }
}

/// A key that was just made, and what it opens with: nobody can show that again.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// The key.
    pub key: Key,
    /// What opens: `tk_` and 32 characters.
    pub secret: Secret,
}

const COLUMNS: &str = "id, name, prefix, permissions, scopes, environment, expires_at, revoked_at, created_at, updated_at";

/// Makes a key for the tenant. [`Error::SupportAccessRequired`] for the platform where the tenant has an owner.
pub async fn create(tx: &mut TenantTx, new: NewKey) -> Result<MadeKey> {
    let draft = draft(tx, new).await?;
    rehearse(tx).await?;
    draft.insert(tx, "").await?;
    let hash = hash_after(tx, &draft.secret).await?;
    let row = draft.insert(tx, &hash).await?;
    remember(tx, &draft.secret, hash)?;
    let made = draft.made(&row)?;
    let detail =
        json!({ "permissions": made.key.permissions, "environment": made.key.environment });
    audit::record(
        tx,
        Event::new("keys.create", made.key.id.uuid()).with_detail(detail),
    )
    .await?;
    Ok(made)
}

async fn draft(tx: &mut TenantTx, new: NewKey) -> Result<Draft> {
    names::name("name", &new.name)?;
    if new.permissions.is_empty() {
        return Err(Error::invalid(
            "permissions",
            "must hold at least one of read, write",
        ));
    }
    // Postgres has no room for what lies before the year -4712: it is told here, by the rule that it breaks anyway.
    if new.expires_at.is_some_and(|at| at < Timestamp::UNIX_EPOCH) {
        return Err(past());
    }
    let mut permissions = new.permissions;
    permissions.sort_by_key(|permission| permission.as_str());
    permissions.dedup();
    let scopes = stored(tx, &new.scopes).await?;
    let secret = tokens::make(PREFIX);
    Ok(Draft {
        id: KeyId::new(),
        name: new.name,
        secret,
        permissions: json!(permissions),
        scopes: json!(scopes),
        environment: new.environment,
        expires_at: new.expires_at,
    })
}

/// Opens a rehearsal. Whether this caller may do it at all shows when it is done, so it is done once without a hash and taken
/// back, before the hash, which takes a third of a second: nobody else is to have that for the asking, nor to hold the
/// tenant's lock for so long.
async fn rehearse(tx: &mut TenantTx) -> Result<()> {
    tx.batch("savepoint rehearsal").await
}

/// Takes back what was rehearsed, with its locks, and makes the hash.
async fn hash_after(tx: &mut TenantTx, secret: &Secret) -> Result<String> {
    tx.batch("rollback to savepoint rehearsal; release savepoint rehearsal")
        .await?;
    hash(secret.clone()).await
}

/// A row that is to be written.
struct Draft {
    id: KeyId,
    name: String,
    secret: Secret,
    permissions: Value,
    scopes: Value,
    environment: Environment,
    expires_at: Option<Timestamp>,
}

impl Draft {
    async fn insert(&self, tx: &mut TenantTx, hash: &str) -> Result<Row> {
        let tenant = tx.tenant_id();
        tx.optional(
            &format!(
                "insert into rowhouse.api_keys
                   (tenant_id, id, name, prefix, digest, secret_hash, permissions, scopes, environment, expires_at)
                 select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
                 where $10::timestamptz is null or $10 > clock_timestamp()
                 returning {COLUMNS}, null::timestamptz as last_used_at"
            ),
            &[
                &tenant,
                &self.id,
                &self.name,
                &&self.secret.reveal()[..SHOWN],
                &tokens::digest(self.secret.reveal()).as_slice(),
                &hash,
                &self.permissions,
                &self.scopes,
                &self.environment,
                &self.expires_at,
            ],
        )
        .await?
        .ok_or_else(past)
    }

    fn made(self, row: &Row) -> Result<MadeKey> {
        Ok(MadeKey {
            key: Key::try_from(row)?,
            secret: self.secret,
        })
    }
}

fn past() -> Error {
    Error::invalid("expires_at", "must lie in the future")
}

/// Scopes as the column has them; [`Error::NotFound`] for a project that the tenant does not have.
async fn stored(tx: &mut TenantTx, scopes: &Scopes) -> Result<StoredScopes> {
    let Some(projects) = &scopes.projects else {
        return Ok(StoredScopes { projects: None });
    };
    if projects.len() > MOST_PROJECTS {
        return Err(Error::invalid(
            "scopes.projects",
            format!("must hold at most {MOST_PROJECTS}"),
        ));
    }
    let tenant = tx.tenant_id();
    let found: i64 = tx
        .one(
            "select count(*)
             from rowhouse.projects
             where tenant_id = $1 and id = any ($2) and deleted_at is null",
            &[&tenant, projects],
        )
        .await?
        .get(0);
    let wanted: BTreeSet<Uuid> = projects.iter().map(|id| id.uuid()).collect();
    if usize::try_from(found) != Ok(wanted.len()) {
        return Err(Error::NotFound("project"));
    }
    Ok(StoredScopes {
        projects: Some(wanted.into_iter().collect()),
    })
}

const SELECT: &str = "select k.id, k.name, k.prefix, k.permissions, k.scopes, k.environment, k.expires_at, u.last_used_at,
    k.revoked_at, k.created_at, k.updated_at
    from rowhouse.api_keys k
    left join rowhouse.key_uses() u on u.key_id = k.id";

/// A page of the tenant's keys, also those that are revoked, the newest first, behind `after` (`created_at` and id of the
/// last of the page before), at most `limit` (1 to 200).
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, KeyId)>,
    limit: u16,
) -> Result<Vec<Key>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select * from ({SELECT} where k.tenant_id = rowhouse.current_tenant()) keys where true"
    ));
    page.and("rowhouse.current_tenant() = ?", &tenant);
    page.newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?
        .iter()
        .map(Key::try_from)
        .collect()
}

/// The key of this id.
pub async fn get(tx: &mut TenantTx, id: KeyId) -> Result<Key> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("{SELECT} where k.tenant_id = $1 and k.id = $2"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Key::try_from)
        .ok_or(Error::NotFound("key"))?
}

/// Makes a key that takes the place of another: the same name, permissions, scopes, environment and personas. The old one is good for
/// `overlap` longer, and no longer than it was before.
pub async fn reroll(tx: &mut TenantTx, id: KeyId, overlap: Duration) -> Result<MadeKey> {
    if overlap > LONGEST_OVERLAP {
        return Err(Error::invalid(
            "overlap_seconds",
            format!("must be at most {}", LONGEST_OVERLAP.as_secs()),
        ));
    }
    let old = get(tx, id).await?;
    let draft = draft(
        tx,
        NewKey {
            name: old.name,
            permissions: old.permissions,
            scopes: old.scopes,
            environment: old.environment,
            expires_at: old.expires_at,
        },
    )
    .await?;
    rehearse(tx).await?;
    end(tx, id, overlap).await?;
    draft.insert(tx, "").await?;
    let hash = hash_after(tx, &draft.secret).await?;
    end(tx, id, overlap).await?;
    let row = draft.insert(tx, &hash).await?;
    remember(tx, &draft.secret, hash)?;
    let made = draft.made(&row)?;
    personas::go_over(tx, id, made.key.id).await?;
    let detail = json!({ "by": made.key.id, "overlap_seconds": overlap.as_secs() });
    audit::record(tx, Event::new("keys.reroll", id.uuid()).with_detail(detail)).await?;
    Ok(made)
}

/// Lets a key that is good end after the overlap.
async fn end(tx: &mut TenantTx, id: KeyId, overlap: Duration) -> Result<()> {
    let tenant = tx.tenant_id();
    let seconds = overlap.as_secs_f64();
    let touched = tx
        .execute(
            "update rowhouse.api_keys
             set expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $3))
             where tenant_id = $1 and id = $2 and revoked_at is null
               and (expires_at is null or expires_at > clock_timestamp())",
            &[&tenant, &id, &seconds],
        )
        .await?;
    if touched == 0 {
        return Err(untouched(
            tx,
            id,
            "revoked_at is null and coalesce(expires_at > clock_timestamp(), true)",
        )
        .await?);
    }
    Ok(())
}

/// Revokes a key. It opens nothing from the next transaction on, on every node.
pub async fn revoke(tx: &mut TenantTx, id: KeyId) -> Result<()> {
    let tenant = tx.tenant_id();
    let touched = tx
        .execute(
            "update rowhouse.api_keys set revoked_at = now() where tenant_id = $1 and id = $2 and revoked_at is null",
            &[&tenant, &id],
        )
        .await?;
    if touched == 0 {
        return Err(untouched(tx, id, "revoked_at is null").await?);
    }
    audit::record(tx, Event::new("keys.revoke", id.uuid())).await
}

/// Why a change touched no key: it is not there, or it has ended, or (it being `open` to the change) it is not for the
/// caller to change.
async fn untouched(tx: &mut TenantTx, id: KeyId, open: &'static str) -> Result<Error> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "select {open} as open from rowhouse.api_keys where tenant_id = $1 and id = $2"
            ),
            &[&tenant, &id],
        )
        .await?;
    Ok(match row {
        Some(row) if row.get("open") => {
            Error::NotPermitted("the caller may see this key, and not change it".to_owned())
        }
        _ => Error::NotFound("key"),
    })
}
