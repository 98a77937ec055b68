//! The only ways to a connection: `Rowhouse` hands out transactions, and nothing else.
//!
//! - [`TenantTx`]: inside one tenant, for one caller, as the app's login. [`Rowhouse::query`] is the short form for a
//!   single statement. [`Rowhouse::begin_system`] is the platform's: administration inside one tenant, no content.
//! - [`PlatformTx`]: the registry, as the platform's login.
//! - What waits to be sent is taken by functions of [`crate::mail`], as the mailer's login.
//! - [`Owner`]: the owner's connection, for migrations and for putting tables behind the wall.
//!
//! Invariants. BEGIN and `enter` ride with the first statement: isolation costs no round trip. COMMIT is preceded by a
//! check that the transaction is open and its context whole, so it cannot say yes to what the server rolled back.
//! A connection goes back into the pool only after the server said that the borrower left nothing on it; in every other
//! case (an error, a dropped future, a broken line) it is closed.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::{Either, join, select};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage, Statement};

use crate::connect::{
    Config, Connection, Group, Sealer, Secret, no_connection, pool, refuse_weak_login, single,
};
use crate::context::{Context, OWN_TICKET_TTL, Ticket};
use crate::error::{Error, Result};
use crate::ids::{KeyId, PrincipalId, SessionId, TenantId, UserId};
use crate::keys::KnownKeys;
use crate::operators::Operator;

/// A statement's parameters, as tokio-postgres takes them.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What came back of something that was sent.
type Answer<T> = std::result::Result<T, tokio_postgres::Error>;

pub(crate) const ENTER: &str = "select rowhouse.enter($1)";
/// Fails when an earlier statement failed, when the transaction is over, and when its context was changed.
const STILL_WHOLE: &str = "select rowhouse.bound_tenant()";
/// Simple-protocol text, so that nothing that the borrower prepared can stand in its place. What can be taken off a
/// connection is; what cannot is told by the last column. Behind it goes the number of statements that are ours.
pub(crate) const HAND_BACK: &str = "reset all; discard sequences;
    select pg_catalog.pg_advisory_unlock_all(), rowhouse.residue(";
/// How long a connection may take to come clean before it is closed.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// A database behind the wall. Cheap to clone; clones share the pools.
#[derive(Clone)]
pub struct Rowhouse {
    inner: Arc<Inner>,
}

struct Inner {
    app: Pool,
    platform: Option<Pool>,
    mailer: Option<Pool>,
    sealer: Sealer,
    pooled: bool,
    closed: AtomicU64,
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
        let app = single(&config.app, config.pooled).await?;
        refuse_weak_login(&app, Group::App).await?;
        crate::migrate::refuse_foreign_schema(&app).await?;
        if config.pooled {
            crate::connect::refuse_leaky_pooler(&app).await?;
        }
        for (url, group) in [
            (&config.platform, Group::Platform),
            (&config.mailer, Group::Mailer),
        ] {
            if let Some(url) = url {
                refuse_weak_login(&single(url, config.pooled).await?, group).await?;
            }
        }
        let pool_of = |url: &Option<Secret>, group| {
            let url = url.as_ref();
            url.map(|url| pool(url, group, &config)).transpose()
        };
        let inner = Inner {
            app: pool(&config.app, Group::App, &config)?,
            platform: pool_of(&config.platform, Group::Platform)?,
            mailer: pool_of(&config.mailer, Group::Mailer)?,
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
        let ticket = self.ticket(context, OWN_TICKET_TTL).await?;
        let connection = self.lease(&self.inner.app).await?;
        self.in_one_go(connection, ticket, sql, async |lease, statement| {
            lease.get().query(&statement, params).await
        })
        .await
    }

    /// As [`Rowhouse::query`], for a statement without rows; answers how many it touched.
    pub async fn execute(&self, context: &Context, sql: &str, params: Params<'_>) -> Result<u64> {
        let ticket = self.ticket(context, OWN_TICKET_TTL).await?;
        let connection = self.lease(&self.inner.app).await?;
        self.in_one_go(connection, ticket, sql, async |lease, statement| {
            lease.get().execute(&statement, params).await
        })
        .await
    }

    /// A transaction inside the context's tenant. Nothing is sent before its first statement.
    pub async fn begin(&self, context: &Context) -> Result<TenantTx> {
        let ticket = self.ticket(context, OWN_TICKET_TTL).await?;
        self.begin_with(&self.inner.app, ticket, context.request_id.clone())
            .await
    }

    /// A transaction of whoever holds this ticket. Whether it is good, the database says at the first statement.
    pub async fn begin_with_ticket(&self, ticket: Ticket) -> Result<TenantTx> {
        self.begin_with(&self.inner.app, ticket, None).await
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
        Ok(PlatformTx {
            lease: Some(lease),
            operator,
        })
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
        lease.clean.store(true, Ordering::Release);
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
        lease.clean.store(true, Ordering::Release); // one statement of ours: it left nothing
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
        lease.clean.store(true, Ordering::Release); // as in locate
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
        Ok(Arc::new(Lease {
            connection: Some(connection),
            clean: AtomicBool::new(false),
            house: self.inner.clone(),
        }))
    }

    async fn begin_with(
        &self,
        pool: &Pool,
        ticket: Ticket,
        request_id: Option<String>,
    ) -> Result<TenantTx> {
        let lease = self.lease(pool).await?;
        Ok(TenantTx {
            lease: Some(lease),
            ticket,
            request_id,
            operator: None,
            opened: false,
            failed: None,
        })
    }

    /// BEGIN, enter, the statement and COMMIT, all sent before the first answer is waited for.
    async fn in_one_go<T>(
        &self,
        lease: Arc<Lease>,
        ticket: Ticket,
        sql: &str,
        run: impl AsyncFnOnce(&Lease, Statement) -> Answer<T>,
    ) -> Result<T> {
        if self.inner.pooled {
            // A statement prepared outside of the transaction would be prepared on some other server connection.
            let mut tx = TenantTx {
                lease: Some(lease),
                ticket,
                request_id: None,
                operator: None,
                opened: false,
                failed: None,
            };
            let answer = tx.run(sql, run).await?;
            tx.commit().await?;
            return Ok(answer);
        }
        let statement = lease.get().prepare_cached(sql).await?;
        let head = open(&lease, &ticket);
        let body = run(&lease, statement);
        let ((head, answer), committed) = {
            let work = pin!(join(join(head, body), async {
                lease.get().batch_execute("commit").await
            }));
            give_back_behind(&lease, work).await
        };
        match (head.and(answer), committed) {
            // The line broke, and COMMIT was on its way.
            (Err(unanswered), Err(committed)) if unanswered.as_db_error().is_none() => {
                Err(commit_unknown(committed))
            }
            (answer, committed) => {
                let answer = answer?;
                committed.map_err(commit_unknown)?;
                Ok(answer)
            }
        }
    }
}

/// BEGIN and `enter`. Where nothing outlives a transaction, `enter` is an unnamed statement.
async fn open(lease: &Lease, ticket: &Ticket) -> Answer<()> {
    let connection = lease.get();
    let begin = connection.batch_execute("begin");
    let ticket = ticket.as_bytes();
    let enter = async {
        if lease.house.pooled {
            connection
                .query_typed(ENTER, &[(&ticket, Type::BYTEA)])
                .await
                .map(|_| ())
        } else {
            // Prepared when the connection was made: this does not wait.
            let enter = connection.prepare_cached(ENTER).await?;
            connection.execute(&enter, &[&ticket]).await.map(|_| ())
        }
    };
    let (opened, entered) = join(begin, enter).await;
    opened?;
    entered?;
    Ok(())
}

/// A failure of COMMIT, or of what went out with it, that the server told is a refusal (a deferred constraint); any other
/// leaves it open.
fn commit_unknown(error: tokio_postgres::Error) -> Error {
    if error.as_db_error().is_some() {
        error.into()
    } else {
        Error::CommitUnknown(error)
    }
}

/// Drives `work`, which ends in COMMIT, and sends the question after leftovers right behind it. The caller has his
/// answer as soon as `work` has; the rest goes on by itself.
async fn give_back_behind<T>(lease: &Arc<Lease>, work: impl Future<Output = T> + Unpin) -> T {
    let tail = Box::pin(come_clean(lease.clone(), None));
    match select(work, tail).await {
        Either::Left((done, tail)) => {
            tokio::spawn(tail);
            done
        }
        Either::Right(((), work)) => work.await,
    }
}

/// Asks what was left on a connection, after `before` (a ROLLBACK), and marks it as clean when that is nothing.
async fn come_clean(lease: Arc<Lease>, before: Option<&'static str>) {
    let asked = async {
        if let Some(before) = before {
            lease.get().batch_execute(before).await?;
        }
        if lease.house.pooled {
            return Ok(true); // the pooler cleans its servers, and our side of it holds nothing
        }
        // Statements that we prepared and somebody threw away would fail under the next borrower.
        let ours = lease.get().statement_cache.size();
        let answer = lease
            .get()
            .simple_query(&format!("{HAND_BACK}{ours})"))
            .await?;
        Ok::<_, tokio_postgres::Error>(answer.iter().any(
            |message| matches!(message, SimpleQueryMessage::Row(row) if row.get(1) == Some("{}")),
        ))
    };
    match tokio::time::timeout(CLEAN_UP, asked).await {
        Ok(Ok(true)) => lease.clean.store(true, Ordering::Release),
        Ok(Ok(false)) => {
            tracing::warn!("a connection was closed: its last borrower left something on it");
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection was closed: it did not come clean"),
        Err(_) => {
            // Something of the borrower's is still running there.
            let cancelled = lease
                .get()
                .cancel_token()
                .cancel_query(tokio_postgres::NoTls)
                .await;
            tracing::warn!(
                ?cancelled,
                "a connection was closed: its last borrower's statement did not end"
            );
        }
    }
}

/// A connection on loan. Whoever drops it last decides: clean, it goes back into the pool; otherwise it is closed.
struct Lease {
    connection: Option<Connection>,
    clean: AtomicBool,
    house: Arc<Inner>,
}

impl Lease {
    fn get(&self) -> &Connection {
        #[expect(clippy::expect_used, reason = "only Drop takes it")]
        self.connection
            .as_ref()
            .expect("a lease holds its connection until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.clean.load(Ordering::Acquire)
        {
            self.house.closed.fetch_add(1, Ordering::Relaxed);
            drop(Connection::take(connection));
        }
    }
}

/// A transaction inside one tenant, for one caller. Dropped without [`TenantTx::commit`], it is rolled back.
pub struct TenantTx {
    lease: Option<Arc<Lease>>,
    ticket: Ticket,
    request_id: Option<String>,
    operator: Option<Operator>,
    opened: bool,
    failed: Option<String>,
}

/// Either kind of transaction, for what is done alike inside a tenant and in the registry.
pub trait Transaction: sealed::Sealed + Send {
    /// The rows of a statement.
    fn query(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// The only row of a statement, or none.
    fn optional(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Option<Row>>> + Send;

    /// Runs a statement; answers how many rows it touched.
    fn execute(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Who acts for the platform; none for a caller inside a tenant.
    fn operator(&self) -> Option<&Operator>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::TenantTx {}
    impl Sealed for super::PlatformTx {}
}

impl Transaction for TenantTx {
    async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        self.query(sql, params).await
    }

    async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        self.optional(sql, params).await
    }

    async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.execute(sql, params).await
    }

    fn operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }
}

impl Transaction for PlatformTx {
    async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        self.query(sql, params).await
    }

    async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        self.optional(sql, params).await
    }

    async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.execute(sql, params).await
    }

    fn operator(&self) -> Option<&Operator> {
        Some(&self.operator)
    }
}

impl std::fmt::Debug for TenantTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantTx")
            .field("tenant", &self.tenant_id())
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

impl TenantTx {
    /// The tenant that this transaction is inside of.
    pub fn tenant_id(&self) -> TenantId {
        self.ticket.claimed_tenant()
    }

    /// Who asks, as the ticket claims.
    pub fn principal_id(&self) -> PrincipalId {
        self.ticket.claimed_principal()
    }

    /// Notes the request that this is part of; it goes into audit rows.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// The request that this is part of, where the context named one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The rows of a statement.
    pub async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        self.run(sql, async |lease, statement| {
            lease.get().query(&statement, params).await
        })
        .await
    }

    /// The only row of a statement; [`Error::NotFound`] when there is none.
    pub async fn one(&mut self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.optional(sql, params)
            .await?
            .ok_or(Error::NotFound("row"))
    }

    /// The only row of a statement, or none.
    pub async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        self.run(sql, async |lease, statement| {
            lease.get().query_opt(&statement, params).await
        })
        .await
    }

    /// Runs a statement; answers how many rows it touched.
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.run(sql, async |lease, statement| {
            lease.get().execute(&statement, params).await
        })
        .await
    }

    /// Runs several statements without parameters, as one text.
    pub async fn batch(&mut self, sql: &str) -> Result<()> {
        let lease = self.lease()?;
        self.ride(&lease, lease.get().batch_execute(sql)).await
    }

    /// Runs `work` inside a savepoint: when it fails, what it did is undone and the transaction goes on.
    pub async fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.batch("savepoint attempt").await?;
        let failed_before = self.failed.clone();
        match work(self).await {
            Ok(done) => {
                self.batch("release savepoint attempt").await?;
                Ok(done)
            }
            Err(error) => {
                self.batch("rollback to savepoint attempt; release savepoint attempt")
                    .await?;
                self.failed = failed_before;
                Err(error)
            }
        }
    }

    /// Makes it last. An `Ok` means that the server committed all of it.
    pub async fn commit(mut self) -> Result<()> {
        let lease = self.lease()?;
        self.lease = None;
        if !self.opened {
            lease.clean.store(true, Ordering::Release); // nothing was ever sent
            return Ok(());
        }
        // Apart, not as one text: a router in between would send a text of several statements to every server.
        let (whole, committed) = {
            let work = pin!(join(
                async { lease.get().batch_execute(STILL_WHOLE).await },
                async { lease.get().batch_execute("commit").await }
            ));
            give_back_behind(&lease, work).await
        };
        match whole.map_err(commit_unknown) {
            Ok(()) => committed.map_err(commit_unknown),
            Err(error) if error.sqlstate() == Some("25P02") => Err(Error::Aborted(
                self.failed
                    .take()
                    .unwrap_or_else(|| "its answer was not waited for".into()),
            )),
            Err(Error::NoTenant) => Err(Error::ContextLost(
                "the transaction had ended before".into(),
            )),
            Err(Error::Seal(_)) => Err(Error::ContextLost(
                "its context was changed by a statement".into(),
            )),
            Err(error) => Err(error),
        }
    }

    /// Undoes all of it. Dropping does the same, without waiting.
    pub async fn rollback(mut self) {
        if let Some(lease) = self.lease.take() {
            if self.opened {
                come_clean(lease, Some("rollback")).await;
            } else {
                lease.clean.store(true, Ordering::Release);
            }
        }
    }

    fn lease(&self) -> Result<Arc<Lease>> {
        self.lease
            .clone()
            .ok_or_else(|| Error::ContextLost("the transaction is over".into()))
    }

    async fn run<T>(
        &mut self,
        sql: &str,
        run: impl AsyncFnOnce(&Lease, Statement) -> Answer<T>,
    ) -> Result<T> {
        let lease = self.lease()?;
        if lease.house.pooled && !self.opened {
            self.ride(&lease, async { Ok(()) }).await?;
        }
        let prepared = if lease.house.pooled {
            lease.get().prepare(sql).await
        } else {
            lease.get().prepare_cached(sql).await
        };
        match prepared {
            Ok(statement) => self.ride(&lease, run(&lease, statement)).await,
            Err(error) => Err(self.note(error.into())),
        }
    }

    /// Sends `body`, and before the first one BEGIN and `enter`, without waiting in between.
    async fn ride<T>(&mut self, lease: &Lease, body: impl Future<Output = Answer<T>>) -> Result<T> {
        let answer = if self.opened {
            body.await
        } else {
            self.opened = true; // from here on something has been sent, whatever becomes of this future
            let (head, answer) = join(open(lease, &self.ticket), body).await;
            head.and(answer)
        };
        answer.map_err(|error| self.note(error.into()))
    }

    fn note(&mut self, error: Error) -> Error {
        if self.opened {
            self.failed.get_or_insert_with(|| error.to_string());
        }
        error
    }
}

impl Drop for TenantTx {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        if !self.opened {
            lease.clean.store(true, Ordering::Release);
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(come_clean(lease, Some("rollback")));
        }
    }
}

/// A transaction of the registry: tenants, users, plans. It has no right to what is inside of tenants.
pub struct PlatformTx {
    lease: Option<Arc<Lease>>,
    operator: Operator,
}

impl std::fmt::Debug for PlatformTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformTx")
    }
}

impl PlatformTx {
    /// Goes on inside a tenant, in the same transaction, as its principal `system`: its administration, and its row in the
    /// registry. [`Error::NotFound`] when there is no such tenant.
    pub async fn inside(mut self, tenant: TenantId) -> Result<TenantTx> {
        let context = self.system_of(tenant).await?;
        let ticket = self.vouch(&context).await?;
        let lease = self.lease()?;
        self.lease = None;
        let mut tx = TenantTx {
            lease: Some(lease),
            ticket: ticket.clone(),
            request_id: self.operator.request_id.clone(),
            operator: Some(self.operator.clone()),
            opened: true,
            failed: None,
        };
        tx.execute(ENTER, &[&ticket.as_bytes()]).await?;
        Ok(tx)
    }

    /// The platform's own context inside a tenant. [`Error::NotFound`] when there is no such tenant.
    pub async fn system_of(&mut self, tenant: TenantId) -> Result<Context> {
        let system: Option<uuid::Uuid> = self
            .one(
                "select rowhouse.service_principal($1, 'system')",
                &[&tenant],
            )
            .await?
            .get(0);
        let principal = system.ok_or(Error::NotFound("tenant"))?.into();
        Ok(Context::principal(tenant, principal))
    }

    /// A ticket for a caller for whom this process vouches, to be used at once.
    pub(crate) async fn vouch(&self, context: &Context) -> Result<Ticket> {
        let house = Rowhouse {
            inner: self.lease()?.house.clone(),
        };
        house.ticket(context, OWN_TICKET_TTL).await
    }

    /// Who acts, as the trail names him.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The rows of a statement.
    pub async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().query(&statement, params).await?)
    }

    /// The only row of a statement; [`Error::NotFound`] when there is none.
    pub async fn one(&mut self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.optional(sql, params)
            .await?
            .ok_or(Error::NotFound("row"))
    }

    /// The only row of a statement, or none.
    pub async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().query_opt(&statement, params).await?)
    }

    /// Runs a statement; answers how many rows it touched.
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().execute(&statement, params).await?)
    }

    /// Makes it last. An `Ok` means that the server committed all of it.
    pub async fn commit(mut self) -> Result<()> {
        let lease = self.lease()?;
        self.lease = None;
        let (whole, committed) = {
            let work = pin!(join(
                async { lease.get().batch_execute("savepoint whole").await }, // fails outside of a transaction, and in a failed one
                async { lease.get().batch_execute("commit").await }
            ));
            give_back_behind(&lease, work).await
        };
        match whole.map_err(commit_unknown) {
            Ok(()) => committed.map_err(commit_unknown),
            Err(error) if error.sqlstate() == Some("25P02") => {
                Err(Error::Aborted("see its error".into()))
            }
            Err(error) if error.sqlstate() == Some("25P01") => Err(Error::ContextLost(
                "the transaction had ended before".into(),
            )),
            Err(error) => Err(error),
        }
    }

    fn lease(&self) -> Result<Arc<Lease>> {
        self.lease
            .clone()
            .ok_or_else(|| Error::ContextLost("the transaction is over".into()))
    }
}

impl Lease {
    async fn prepare(&self, sql: &str) -> Result<Statement> {
        Ok(if self.house.pooled {
            self.get().prepare(sql).await?
        } else {
            self.get().prepare_cached(sql).await?
        })
    }
}

impl Drop for PlatformTx {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(come_clean(lease, Some("rollback")));
        }
    }
}

/// The connection of the database's owner (a superuser, or a member of `rowhouse_migrator`): for migrations, for
/// putting tables behind the wall, for rotating the seal. The wall does not bind a superuser.
#[derive(Debug)]
pub struct Owner {
    client: tokio_postgres::Client,
    url: Secret,
}

impl Owner {
    /// Connects. What the login may do shows when it does it.
    pub async fn connect(url: impl Into<Secret>) -> Result<Self> {
        let url = url.into();
        Ok(Self {
            client: single(&url, false).await?,
            url,
        })
    }

    /// The same without startup options, which poolers refuse: for a guest who reads, whoever he is. What the server or
    /// the login has stored as settings holds.
    pub async fn connect_as_guest(url: impl Into<Secret>) -> Result<Self> {
        let url = url.into();
        Ok(Self {
            client: single(&url, true).await?,
            url,
        })
    }

    /// A transaction; [`tokio_postgres::Transaction`] itself, since nothing is hidden from an owner.
    pub async fn begin(&mut self) -> Result<tokio_postgres::Transaction<'_>> {
        Ok(self.client.transaction().await?)
    }

    /// Another connection of the same owner.
    pub(crate) async fn another(&self) -> Result<tokio_postgres::Client> {
        single(&self.url, false).await
    }

    /// The connection itself.
    pub fn client(&mut self) -> &mut tokio_postgres::Client {
        &mut self.client
    }
}
