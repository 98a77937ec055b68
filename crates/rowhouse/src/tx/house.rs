//! The house: its pools, its key, and who may borrow what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Pool, PoolError};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::lease::Lease;
use super::{Params, PlatformTx, TenantTx};
use crate::connect::{
    Config, Group, Sealer, Secret, no_connection, pool, refuse_leaky_pooler, refuse_weak_login,
    single,
};
use crate::context::{Context, OWN_TICKET_TTL, Ticket};
use crate::error::{Error, Result};
use crate::ids::{KeyId, SessionId, TenantId, UserId};
use crate::keys::KnownKeys;
use crate::migrate;
use crate::operators::Operator;

/// A database behind the wall. Cheap to clone; clones share the pools.
#[derive(Clone)]
pub struct Rowhouse {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    app: Pool,
    platform: Option<Pool>,
    mailer: Option<Pool>,
    sealer: Sealer,
    pub(super) pooled: bool,
    pub(super) closed: AtomicU64,
    known_keys: KnownKeys,
}

impl std::fmt::Debug for Rowhouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rowhouse")
            .field("app", &self.inner.app.status())
            .finish_non_exhaustive()
    }
}

impl Rowhouse {
    /// Connects, and refuses a login that could bypass the wall, a schema that this library does not understand, and a
    /// pooler that mixes its clients' state.
    pub async fn connect(config: Config) -> Result<Self> {
        let optional = async |url: &Option<Secret>, group| match url {
            Some(url) => Ok(Some(checked_pool(url, group, &config).await?)),
            None => Ok::<_, Error>(None),
        };
        let inner = Inner {
            app: checked_pool(&config.app, Group::App, &config).await?,
            platform: optional(&config.platform, Group::Platform).await?,
            mailer: optional(&config.mailer, Group::Mailer).await?,
            sealer: Sealer::new(config.seal.clone()),
            pooled: config.pooled,
            closed: AtomicU64::new(0),
            known_keys: KnownKeys::new(),
        };
        inner.sealer.reading(&inner.app).await?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// One statement in a transaction of its own, in one round trip (from its second use on a connection on).
    pub async fn query(
        &self,
        context: &Context,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let tx = self.begin(context).await?;
        tx.in_one_go(sql, params.len(), async |lease, statement| {
            lease.get().query(&statement, params).await
        })
        .await
    }

    /// As [`Rowhouse::query`], for a statement without rows; answers how many it touched.
    pub async fn execute(&self, context: &Context, sql: &str, params: Params<'_>) -> Result<u64> {
        let tx = self.begin(context).await?;
        tx.in_one_go(sql, params.len(), async |lease, statement| {
            lease.get().execute(&statement, params).await
        })
        .await
    }

    /// A transaction inside the context's tenant. Nothing is sent before its first statement.
    pub async fn begin(&self, context: &Context) -> Result<TenantTx> {
        let ticket = self.ticket(context, OWN_TICKET_TTL).await?;
        let mut tx = self.begin_with_ticket(ticket).await?;
        tx.known_from(context);
        Ok(tx)
    }

    /// A transaction of whoever holds this ticket. Whether it is good, the database says at the first statement.
    pub async fn begin_with_ticket(&self, ticket: Ticket) -> Result<TenantTx> {
        let lease = self.lease(&self.inner.app).await?;
        Ok(TenantTx::new(lease, ticket))
    }

    /// A transaction of the platform inside one tenant, as its principal `system`: members, teams, projects, keys, its
    /// trail. It has no right to content.
    pub async fn begin_system(&self, tenant: TenantId) -> Result<TenantTx> {
        self.begin_platform().await?.inside(tenant).await
    }

    /// A transaction of the registry.
    pub async fn begin_platform(&self) -> Result<PlatformTx> {
        self.begin_platform_as(Operator::local("library")).await
    }

    /// A transaction of the registry, for the operator whom its trail is to name.
    pub async fn begin_platform_as(&self, operator: Operator) -> Result<PlatformTx> {
        let lease = self.lease(self.platform_pool()?).await?;
        lease.get().batch_execute("begin").await?;
        Ok(PlatformTx::new(lease, operator))
    }

    /// Mints a ticket: for other clients of the database, which then say `select rowhouse.enter(..)` themselves.
    ///
    /// Needs a connection where the clock has to be read anew, so it is never called by one who holds one: a pool whose
    /// borrowers all wait for one more gives nobody anything.
    pub async fn ticket(&self, context: &Context, ttl: Duration) -> Result<Ticket> {
        let (key, now) = self.inner.sealer.reading(&self.inner.app).await?;
        let expires_at = now
            .checked_add(ttl)
            .map_err(|_| Error::invalid("ttl", "must end before the year 10000"))?;
        Ok(Ticket::mint(&key, context, expires_at))
    }

    /// Whether a ticket was minted under the key that this process mints under. False of a good one, too, that is older than
    /// the last rotation of the key; only the database knows whether a ticket is good now.
    pub async fn minted(&self, ticket: &Ticket) -> Result<bool> {
        let (key, _) = self.inner.sealer.reading(&self.inner.app).await?;
        Ok(ticket.is_under(&key))
    }

    /// Connections that were closed because something was left on them, or because it could not be ruled out.
    pub fn connections_closed(&self) -> u64 {
        self.inner.closed.load(Ordering::Relaxed)
    }

    /// Connections of the app's pool: those that are open, and of these how many nobody holds.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.inner.app.status();
        (status.size, status.available)
    }

    /// Answers once a connection of the app's pool does.
    pub async fn ready(&self) -> Result<()> {
        let lease = self.lease(&self.inner.app).await?;
        lease.get().simple_query("select").await?;
        lease.mark_clean();
        Ok(())
    }

    pub(crate) fn known_keys(&self) -> &KnownKeys {
        &self.inner.known_keys
    }

    /// The tenant that a slug leads to, also one that it had before.
    pub async fn leads_to(&self, slug: &str) -> Result<Option<TenantId>> {
        let row = self.locate("slug", &crate::tokens::digest(slug)).await?;
        Ok(row.map(|row| row.get(0)))
    }

    pub(crate) async fn locate_session(
        &self,
        digest: &[u8; 32],
    ) -> Result<Option<(TenantId, UserId, SessionId)>> {
        let row = self.locate("session", digest).await?;
        Ok(row.map(|row| (row.get(0), row.get(2), row.get(1))))
    }

    pub(crate) async fn locate_key(&self, digest: &[u8; 32]) -> Result<Option<(TenantId, KeyId)>> {
        let row = self.locate("key", digest).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// The one question that the app's login may ask outside of a tenant.
    async fn locate(&self, kind: &str, digest: &[u8; 32]) -> Result<Option<Row>> {
        let lease = self.lease(&self.inner.app).await?;
        let row = lease
            .get()
            .query_typed_opt(
                "select tenant_id, id, principal_id from rowhouse.locate($1, $2)",
                &[(&kind, Type::TEXT), (&digest.as_slice(), Type::BYTEA)],
            )
            .await?;
        lease.mark_clean(); // one statement of ours: it left nothing
        Ok(row)
    }

    /// Whether this process has a login that may take mail to be sent.
    pub fn may_send_mail(&self) -> bool {
        self.inner.mailer.is_some()
    }

    /// One statement as the mailer's login, in a transaction of its own: it has two functions, and enters no tenant.
    pub(crate) async fn as_mailer(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Option<Row>> {
        let pool = self.inner.mailer.as_ref().ok_or_else(|| {
            Error::Config("no login for mail is configured (database.mailer)".into())
        })?;
        let lease = self.lease(pool).await?;
        let row = lease.get().query_typed_opt(sql, params).await?;
        lease.mark_clean(); // as in locate
        Ok(row)
    }

    fn platform_pool(&self) -> Result<&Pool> {
        self.inner.platform.as_ref().ok_or_else(|| {
            Error::Config("no login for the registry is configured (database.platform)".into())
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that hands out connections"
    )]
    async fn lease(&self, pool: &Pool) -> Result<Arc<Lease>> {
        let connection = pool.get().await.map_err(no_connection)?;
        Ok(Arc::new(Lease::new(connection, self.inner.clone())))
    }
}

/// A pool whose first connection is there, so that what will not do is refused now and not at the first request.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that hands out connections"
)]
async fn checked_pool(url: &Secret, group: Group, config: &Config) -> Result<Pool> {
    let pool = pool(url, group, config)?;
    // A pooler is asked on a connection that no transaction gets: asking leaves something behind.
    if config.pooled {
        let single = single(url, true).await?;
        refuse(&single, group).await?;
        if group == Group::App {
            refuse_leaky_pooler(&single).await?;
        }
        return Ok(pool);
    }
    match pool.get().await {
        Ok(first) if group == Group::App => migrate::refuse_foreign_schema(&first).await?,
        Ok(_) => {}
        Err(error @ PoolError::PostCreateHook(_)) => {
            refuse(&single(url, false).await?, group).await?; // it says why, and what mends it
            return Err(no_connection(error));
        }
        Err(error) => return Err(no_connection(error)),
    }
    Ok(pool)
}

/// Refuses a login that could bypass the wall, and a schema that this library does not understand.
async fn refuse(client: &Client, group: Group) -> Result<()> {
    refuse_weak_login(client, group).await?;
    if group == Group::App {
        migrate::refuse_foreign_schema(client).await?;
    }
    Ok(())
}
