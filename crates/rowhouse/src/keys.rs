//! API keys: `tk_` and 32 of `[0-9a-z]`. Table `rowhouse.api_keys`.
//!
//! Invariants: a key is shown once, and kept as a digest (to find it) and a bcrypt hash (to check it); it enters its
//! tenant as a principal of its own, so that `enter` refuses a revoked or expired one at its next transaction, whatever
//! this process remembers.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, Event};
use crate::connect::Secret;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::{KeyId, TenantId};
use crate::text_enum::text_enum;
use crate::tx::{Rowhouse, TenantTx};
use crate::{names, tokens};

const PREFIX: &str = "tk_";
/// `tk_` and five characters: enough to recognise a key by, far too little to guess the rest.
const SHOWN: usize = 8;
const BCRYPT_COST: u32 = 12;
/// How many keys a process remembers to have checked by bcrypt.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

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

/// A key that was just made.
#[derive(Clone, Debug, Serialize)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Its first characters.
    pub prefix: String,
    /// The key itself; nobody can show it again.
    #[serde(skip)]
    pub secret: Secret,
}

/// Makes a key for the tenant. `permissions` must hold at least one.
pub async fn create(
    tx: &mut TenantTx,
    name: &str,
    permissions: &[Permission],
    environment: Environment,
    expires_at: Option<Timestamp>,
) -> Result<NewKey> {
    names::name("name", name)?;
    if permissions.is_empty() {
        return Err(Error::invalid(
            "permissions",
            "must hold at least one of read, write",
        ));
    }
    let id = KeyId::new();
    let secret = tokens::make(PREFIX);
    let hash = hash(secret.clone()).await?;
    let prefix = secret.reveal()[..SHOWN].to_owned();
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.api_keys
           (tenant_id, id, name, prefix, digest, secret_hash, permissions, environment, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &tenant,
            &id,
            &name,
            &prefix,
            &tokens::digest(secret.reveal()).as_slice(),
            &hash,
            &json!(permissions),
            &environment,
            &expires_at,
        ],
    )
    .await?;
    audit::record(
        tx,
        Event::new("keys.create", id.uuid()).with_detail(json!({ "permissions": permissions })),
    )
    .await?;
    Ok(NewKey { id, prefix, secret })
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
        return Err(Error::NotFound("key"));
    }
    audit::record(tx, Event::new("keys.revoke", id.uuid())).await
}

/// The context of whoever presents this key; [`Error::NotAMember`] for anything that is not a key, in the same words.
///
/// bcrypt runs once for each key and process: afterwards its digest stands for it, and the database for its validity.
pub async fn authenticate(house: &Rowhouse, secret: &str) -> Result<Context> {
    if !tokens::has_form(PREFIX, secret) {
        return Err(Error::NotAMember);
    }
    let digest = tokens::digest(secret);
    if let Some((tenant, key)) = house.known_keys().get(&digest) {
        return Ok(Context::key(tenant, key));
    }
    let (tenant, key) = house.locate_key(&digest).await?.ok_or(Error::NotAMember)?;
    let context = Context::key(tenant, key);
    let rows = house
        .query(
            &context.clone().read_only(),
            "select rowhouse.own_key_hash()",
            &[],
        )
        .await?;
    let hash: Option<String> = rows.first().and_then(|row| row.get(0));
    if !fits(secret.to_owned(), hash.ok_or(Error::NotAMember)?).await? {
        return Err(Error::NotAMember);
    }
    house.known_keys().insert(digest, (tenant, key));
    Ok(context)
}

async fn hash(secret: Secret) -> Result<String> {
    off_the_runtime(move || bcrypt::hash(secret.reveal(), BCRYPT_COST)).await
}

async fn fits(secret: String, hash: String) -> Result<bool> {
    off_the_runtime(move || bcrypt::verify(secret, &hash)).await
}

/// bcrypt takes a quarter of a second by design: not on a thread that others wait for.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Config(format!("bcrypt was interrupted: {error}")))?
        .map_err(|error| Error::Config(format!("bcrypt: {error}")))
}

/// Digests of keys that this process has checked, and what they lead to. Says nothing about whether they are still
/// valid: that is asked of the database at every transaction.
pub(crate) struct KnownKeys(std::sync::Mutex<lru::LruCache<[u8; 32], (TenantId, KeyId)>>);

impl KnownKeys {
    pub(crate) fn new() -> Self {
        Self(std::sync::Mutex::new(lru::LruCache::new(REMEMBERED)))
    }

    fn get(&self, digest: &[u8; 32]) -> Option<(TenantId, KeyId)> {
        self.0.lock().ok()?.get(digest).copied()
    }

    fn insert(&self, digest: [u8; 32], leads_to: (TenantId, KeyId)) {
        if let Ok(mut known) = self.0.lock() {
            known.put(digest, leads_to);
        }
    }
}
