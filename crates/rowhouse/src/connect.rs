//! Ways to a connection, and what is asked of a login before it gets one.
//!
//! Five kinds, by role: the app's pool (transactions of tenants), the platform's pool (the registry), the mailer's pool (mail
//! that waits), the sealer (reads the ticket key and is closed again), and the owner's single connection (migrations, `tables`,
//! `seal rotate`). Invariant: a connection of a pool belongs to a login that the wall binds. It is asked each
//! time one is made, since rights change while a process runs.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts,
};
use jiff::{SignedDuration, Timestamp};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::context::TicketKey;
use crate::error::{Error, Result};

/// Where the database is and how to use it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connection URL of a login that is a member of `rowhouse_app`.
    pub app: Secret,
    /// Connection URL of a login that is a member of `rowhouse_platform`; without it there is no [`crate::PlatformTx`].
    pub platform: Option<Secret>,
    /// Connection URL of a login that is a member of `rowhouse_mailer`; without it, mail waits for a process that has one.
    pub mailer: Option<Secret>,
    /// Where the ticket key comes from.
    pub seal: SealSource,
    /// Connections in the app's pool. The platform's and the mailer's have a quarter of it each.
    pub pool_size: usize,
    /// How long to wait for a free connection.
    pub pool_timeout: Duration,
    /// The `search_path` of tenants' transactions. `pg_temp` is put behind it.
    pub search_path: String,
    /// Between us and Postgres stands a pooler in transaction mode: no named statement outlives a transaction, and
    /// the pooler cleans up between its clients (PgBouncer: `server_reset_query_always = 1`).
    pub pooled: bool,
}

impl Config {
    /// What suits most: 8 connections, 30 s of patience, `search_path = public`, no pooler in between.
    pub fn new(app: impl Into<Secret>, seal: SealSource) -> Self {
        Self {
            app: app.into(),
            platform: None,
            mailer: None,
            seal,
            pool_size: 8,
            pool_timeout: Duration::from_secs(30),
            search_path: "public".into(),
            pooled: false,
        }
    }

    /// With a login for the registry.
    #[must_use]
    pub fn with_platform(self, url: impl Into<Secret>) -> Self {
        Self {
            platform: Some(url.into()),
            ..self
        }
    }

    /// With a login for mail that waits to be sent.
    #[must_use]
    pub fn with_mailer(self, url: impl Into<Secret>) -> Self {
        Self {
            mailer: Some(url.into()),
            ..self
        }
    }
}

/// Where the ticket key comes from.
#[derive(Clone, Debug)]
pub enum SealSource {
    /// Connection URL of a login that may read it (`rowhouse_sealer`, or the owner). It is read at start, and anew
    /// every half minute of use, so that a rotation needs no restart.
    Database(Secret),
    /// The key itself, as in `ROWHOUSE_SEAL_KEY`. After two rotations it is worthless.
    Key(TicketKey),
}

/// A text that never prints: a connection URL with its password.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The clients of all pools share this: they are deadpool's, with its cache of prepared statements.
pub(crate) type Connection = deadpool_postgres::Object;

fn parse(url: &Secret) -> Result<tokio_postgres::Config> {
    let mut config = tokio_postgres::Config::from_str(url.reveal()).map_err(|error| {
        Error::Config(format!(
            "the connection URL of the database cannot be read: {error}"
        ))
    })?;
    config
        .application_name("rowhouse")
        .connect_timeout(Duration::from_secs(10));
    Ok(config)
}

/// TLS with the system's certificates, for whoever asks for it in the URL (`sslmode=require`); loopback needs none.
fn tls(config: &tokio_postgres::Config) -> Result<MakeRustlsConnect> {
    let mut roots = rustls::RootCertStore::empty();
    if config.get_ssl_mode() == SslMode::Require {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Error::Config(
                "sslmode=require, but this system has no certificates to verify a server by".into(),
            ));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(client))
}

/// Startup options outlive `reset all` and win over `alter role .. set`, which a login can do to itself: one that stored
/// a library that is not there could not even be asked. A pooler takes none.
const OWN_SETTINGS: &str = "-c local_preload_libraries=";
/// A prepared statement gets one plan for all values. Left to itself, Postgres would plan it anew for each: the floor makes
/// planning look free (ADR 007), and which tenant is asked is not known while it plans anyway.
const GENERAL_PLANS: &str = "-c plan_cache_mode=force_generic_plan";
/// Nor one that stored a tiny timeout. Not for the pools, where the operator's timeouts are to hold.
const NO_TIMEOUT: &str = "-c statement_timeout=0";

/// A single connection, driven by a task of its own until the client is dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that makes connections"
)]
pub(crate) async fn single(url: &Secret, pooled: bool) -> Result<tokio_postgres::Client> {
    let mut config = parse(url)?;
    if !pooled && config.get_options().is_none() {
        config.options(format!("{OWN_SETTINGS} {NO_TIMEOUT}"));
    }
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    let (client, connection) = config
        .connect(tls(&config)?)
        .await
        .map_err(|error| cannot_connect(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// `db error: FATAL: password authentication failed ...`, or the operating system's word, without the URL.
fn cannot_connect(error: &tokio_postgres::Error) -> Error {
    let mut cause =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    // In PgBouncer's words, which name neither itself nor the way out.
    if cause.contains("unsupported startup parameter") {
        cause.push_str(". That is a pooler's answer: name the server itself, or set pooled = true for the application");
    }
    Error::Connect(cause)
}

/// Which of the groups a pool's login has to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    App,
    Platform,
    Mailer,
}

impl Group {
    fn role(self) -> &'static str {
        match self {
            Self::App => "rowhouse_app",
            Self::Platform => "rowhouse_platform",
            Self::Mailer => "rowhouse_mailer",
        }
    }
}

pub(crate) fn pool(url: &Secret, group: Group, config: &Config) -> Result<Pool> {
    let mut server = parse(url)?;
    if server.get_ssl_mode() == SslMode::Prefer {
        server.ssl_mode(SslMode::Disable);
    }
    if !config.pooled {
        server.options(format!(
            "{OWN_SETTINGS} {GENERAL_PLANS} -c search_path={},pg_temp",
            config.search_path.replace(' ', "")
        ));
    }
    let manager = Manager::from_config(
        server.clone(),
        tls(&server)?,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let size = match group {
        Group::App => config.pool_size,
        Group::Platform | Group::Mailer => config.pool_size.div_ceil(4),
    };
    let pooled = config.pooled;
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(config.pool_timeout),
            create: Some(Duration::from_secs(15)),
            recycle: Some(Duration::from_secs(5)),
        })
        .post_create(Hook::async_fn(move |client, _| {
            Box::pin(async move {
                refuse_weak_login(client, group)
                    .await
                    .map_err(|error| HookError::message(error.to_string()))?;
                if !pooled {
                    client
                        .prepare_cached(crate::tx::ENTER)
                        .await
                        .map_err(HookError::Backend)?;
                }
                Ok(())
            })
        }))
        .build()
        .map_err(|error| Error::Config(format!("the connection pool cannot be made: {error}")))
}

/// Refuses a login that could get around the wall, naming the statement that mends it.
///
/// One query over the catalogue, so that it is cheap enough to ask for every new connection. It looks at the login and
/// at every role that it may become (`SET ROLE`) or has the rights of.
pub(crate) async fn refuse_weak_login(client: &tokio_postgres::Client, group: Group) -> Result<()> {
    let row = client
        .query_typed_opt(
            include_str!("weak_login.sql"),
            &[(&group.role(), tokio_postgres::types::Type::TEXT)],
        )
        .await?;
    match row {
        None => Ok(()),
        Some(row) => Err(Error::WeakLogin {
            login: row.get("login"),
            why: row.get("why"),
            mend: row.get("mend"),
        }),
    }
}

/// The ticket key and the database's clock, as they were when last read.
#[derive(Debug)]
pub(crate) struct Sealer {
    source: SealSource,
    read: Mutex<Option<Reading>>,
}

#[derive(Clone, Debug)]
struct Reading {
    key: TicketKey,
    database_time: Timestamp,
    taken: Instant,
}

/// A reading older than this is taken anew. `seal rotate` leaves the key before in force until it is called again, and
/// refuses to be called twice within a minute: so no ticket is ever minted under a key that has gone.
const READING_FRESH: Duration = Duration::from_secs(30);

impl Sealer {
    pub(crate) fn new(source: SealSource) -> Self {
        Self {
            source,
            read: Mutex::new(None),
        }
    }

    /// The key to mint under, and the time by the database's clock.
    pub(crate) async fn reading(&self, pool: &Pool) -> Result<(TicketKey, Timestamp)> {
        let mut read = self.read.lock().await;
        let reading = match read.as_ref() {
            Some(reading) if reading.taken.elapsed() < READING_FRESH => reading.clone(),
            _ => {
                let fresh = self.take(pool).await?;
                *read = Some(fresh.clone());
                fresh
            }
        };
        let passed =
            SignedDuration::try_from(reading.taken.elapsed()).unwrap_or(SignedDuration::MAX);
        Ok((reading.key, reading.database_time + passed))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the clock is read before there is a tenant to enter"
    )]
    async fn take(&self, pool: &Pool) -> Result<Reading> {
        let taken = Instant::now();
        match &self.source {
            SealSource::Key(key) => {
                let client = pool.get().await.map_err(no_connection)?;
                let row = client
                    .query_typed_one("select clock_timestamp()", &[])
                    .await?;
                Ok(Reading {
                    key: key.clone(),
                    database_time: row.get(0),
                    taken,
                })
            }
            SealSource::Database(url) => {
                let client = single(url, false).await?;
                let row = client
                    .query_typed_opt("select ticket_head, ticket_key, clock_timestamp() from rowhouse_private.keyring", &[])
                    .await
                    .map_err(|error| Error::Schema(format!("the ticket key cannot be read: {}", Error::from(error))))?
                    .ok_or_else(|| {
                        Error::Schema(
                            "this database has lost the keys of its seal. Restore rowhouse_private.keyring from a backup, \
                             or make new ones: rowhouse seal rotate"
                                .into(),
                        )
                    })?;
                Ok(Reading {
                    key: TicketKey::from_columns(row.get(0), row.get(1))?,
                    database_time: row.get(2),
                    taken,
                })
            }
        }
    }
}

/// Why the pool gave none.
pub(crate) fn no_connection(error: deadpool_postgres::PoolError) -> Error {
    use deadpool_postgres::{PoolError, TimeoutType};
    match error {
        PoolError::Timeout(TimeoutType::Wait) => Error::PoolExhausted,
        // Also what the server says before it lets anybody in: a password refused, no place left, about to stop.
        PoolError::Backend(error) => cannot_connect(&error),
        PoolError::PostCreateHook(HookError::Message(why)) => Error::Connect(why.into_owned()),
        other => Error::Connect(other.to_string()),
    }
}

/// Refuses a pooler that hands one client's session state to the next, or that splits a transaction (statement pooling).
pub(crate) async fn refuse_leaky_pooler(client: &tokio_postgres::Client) -> Result<()> {
    let split = |error: tokio_postgres::Error| {
        Error::Config(format!(
            "the pooler in between does not keep a transaction on one connection ({error}). Set pool_mode = transaction"
        ))
    };
    client.batch_execute("begin").await.map_err(split)?;
    client
        .batch_execute("set local app.pooler = 'kept'")
        .await
        .map_err(split)?;
    let kept = client
        .query_typed_one("select current_setting('app.pooler', true)", &[])
        .await
        .map_err(split)?;
    client.batch_execute("rollback").await.map_err(split)?;
    if kept.get::<_, Option<&str>>(0) != Some("kept") {
        return Err(Error::Config(
            "the pooler in between splits transactions. Set pool_mode = transaction".into(),
        ));
    }
    // A session setting must not be there any more in the next transaction, whichever connection that gets.
    client.batch_execute("set app.pooler = 'left'").await?;
    for _ in 0..8 {
        let left = client
            .query_typed_one("select current_setting('app.pooler', true)", &[])
            .await?;
        if left.get::<_, Option<&str>>(0) == Some("left") {
            return Err(Error::Config(
                "between this process and Postgres, session state is left from one transaction to the next. In PgBouncer set \
                 server_reset_query = DISCARD ALL and server_reset_query_always = 1; without a pooler set pooled = false"
                    .into(),
            ));
        }
    }
    Ok(())
}
