//! Keys as they are presented: whose one is, and what this process remembers of those it has seen.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::PREFIX;
use crate::connect::Secret;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::{KeyId, TenantId};
use crate::tokens;
use crate::tx::{Rowhouse, TenantTx};

const BCRYPT_COST: u32 = 12;
/// How often a process notes that a key is in use.
const NOTE_USE_EVERY: Duration = Duration::from_mins(1);
/// How many keys a process remembers to have checked by bcrypt.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The context of whoever presents this key; [`Error::NotAMember`] for anything that is not a key, in the same words.
///
/// bcrypt runs once for each key and process, its making counted: afterwards its digest stands for it, and the database for its
/// validity.
pub async fn authenticate(house: &Rowhouse, secret: &str) -> Result<Context> {
    if !tokens::has_form(PREFIX, secret) {
        return Err(Error::NotAMember);
    }
    let digest = tokens::digest(secret);
    if let Some(known) = house.known_keys().get(&digest) {
        let context = Context::key(known.tenant, known.key);
        if known.note_use {
            note_use(house, &context);
        }
        return Ok(context);
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
    let hash = hash.ok_or(Error::NotAMember)?;
    // Of many requests with a key that nobody has seen yet, one works it out, and the others find it known.
    let _turn = house.known_keys().turn().await;
    if house.known_keys().get(&digest).is_none() {
        if !house.known_keys().has_made(&digest, &hash) && !fits(secret.to_owned(), hash).await? {
            return Err(Error::NotAMember);
        }
        house.known_keys().insert(digest, tenant, key);
        note_use(house, &context);
    }
    Ok(context)
}

/// Notes that a key is in use, beside the request, which does not wait for it.
fn note_use(house: &Rowhouse, context: &Context) {
    let (house, context) = (house.clone(), context.clone());
    tokio::spawn(async move {
        if let Err(error) = house
            .query(&context, "select rowhouse.key_used()", &[])
            .await
        {
            tracing::debug!(%error, "the use of a key was not noted");
        }
    });
}

/// What was worked out to make a key need not be worked out again to check it. Whether it is there, the database says.
pub(super) fn remember(tx: &TenantTx, secret: &Secret, hash: String) -> Result<()> {
    let digest = tokens::digest(secret.reveal());
    tx.house()?.known_keys().insert_made(digest, hash);
    Ok(())
}

/// What the secret of a new key is to be checked by.
pub(super) async fn hash(secret: Secret) -> Result<String> {
    off_the_runtime(move || bcrypt::hash(secret.reveal(), BCRYPT_COST)).await
}

/// A hash that somebody wrote by SQL may name a cost at which it takes days to say no, and other keys wait meanwhile.
async fn fits(secret: String, hash: String) -> Result<bool> {
    let parts = hash.parse::<bcrypt::HashParts>();
    if parts.is_ok_and(|parts| parts.get_cost() <= BCRYPT_COST) {
        return off_the_runtime(move || bcrypt::verify(secret, &hash)).await;
    }
    Ok(false)
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
pub(crate) struct KnownKeys {
    known: std::sync::Mutex<lru::LruCache<[u8; 32], Remembered>>,
    /// What bcrypt has made of secrets here, by their digests.
    made: std::sync::Mutex<lru::LruCache<[u8; 32], String>>,
    /// As many hashes at once as there are cores: more would only make each of them slower.
    turns: tokio::sync::Semaphore,
}

struct Remembered {
    tenant: TenantId,
    key: KeyId,
    noted: Instant,
}

struct Known {
    tenant: TenantId,
    key: KeyId,
    /// Its use was last noted a while ago.
    note_use: bool,
}

impl KnownKeys {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            known: std::sync::Mutex::new(lru::LruCache::new(REMEMBERED)),
            made: std::sync::Mutex::new(lru::LruCache::new(REMEMBERED)),
            turns: tokio::sync::Semaphore::new(cores),
        }
    }

    /// To be held while a key is checked by bcrypt.
    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok() // it is never closed
    }

    fn get(&self, digest: &[u8; 32]) -> Option<Known> {
        let mut known = self.known.lock().ok()?;
        let known = known.get_mut(digest)?;
        let note_use = known.noted.elapsed() >= NOTE_USE_EVERY;
        if note_use {
            known.noted = Instant::now();
        }
        Some(Known {
            tenant: known.tenant,
            key: known.key,
            note_use,
        })
    }

    fn insert(&self, digest: [u8; 32], tenant: TenantId, key: KeyId) {
        if let Ok(mut known) = self.known.lock() {
            let noted = Instant::now();
            known.put(digest, Remembered { tenant, key, noted });
        }
    }

    fn insert_made(&self, digest: [u8; 32], hash: String) {
        if let Ok(mut made) = self.made.lock() {
            made.put(digest, hash);
        }
    }

    /// Whether the secret of this digest was hashed to this here: bcrypt would say that it fits.
    fn has_made(&self, digest: &[u8; 32], hash: &str) -> bool {
        let made = self.made.lock();
        made.is_ok_and(|mut made| made.get(digest).is_some_and(|made| made == hash))
    }
}
