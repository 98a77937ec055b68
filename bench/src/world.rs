//! The server that a run measures: its own, in a temporary folder, with a database for each part.
//!
//! Nothing is kept, so nothing is flushed to disk; autovacuum is off and done by hand after seeding, so that it does not
//! run in the middle of a round. What is measured connects with logins that row-level security binds, as a service
//! would; the superuser seeds.

use std::error::Error;
use std::os::unix::fs::PermissionsExt;

use futures_util::future::{join, join3, join4, try_join};
use rowhouse::embedded::{Embedded, Options};
use rowhouse::ids::TenantId;
use rowhouse::logins::{self, Logins};
use rowhouse::{Config, Owner, Rowhouse, SealSource, Secret, migrate};
use tempfile::TempDir;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A login that knows nothing of Rowhouse: what a service has that filters by hand or by plain policies.
const PLAIN: &str = "plain";
const SETTINGS: [(&str, &str); 8] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1d"),
    ("shared_buffers", "2GB"),
    ("maintenance_work_mem", "512MB"),
    ("autovacuum", "off"),
];

pub struct Server {
    embedded: Embedded,
    folder: TempDir,
}

impl Server {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("rowhouse-bench-")
            .permissions(std::fs::Permissions::from_mode(0o755)) // as root, the server runs as somebody else
            .tempdir()?;
        let mut options = Options::new(folder.path().join("data"));
        options.settings = SETTINGS
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
        let embedded = Embedded::start(options).await?;
        let postgres = connect(&embedded.superuser_url()).await?;
        postgres
            .batch_execute(&format!("create role {PLAIN} login password '{PLAIN}'"))
            .await?;
        Ok(Self { embedded, folder })
    }

    pub async fn stop(self) -> Result {
        self.embedded.stop().await?;
        self.folder.close()?;
        Ok(())
    }

    pub fn port(&self) -> u16 {
        self.embedded.port()
    }

    /// The process that all its others are children of.
    pub fn postmaster(&self) -> Result<i32> {
        let file = self.folder.path().join("data/postgres/postmaster.pid");
        let text = std::fs::read_to_string(file)?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }

    /// What the server says of itself, and its date.
    pub async fn says(&self) -> Result<(String, String)> {
        let postgres = connect(&self.embedded.superuser_url()).await?;
        let row = postgres
            .query_one("select version(), current_date::text", &[])
            .await?;
        Ok((row.get(0), row.get(1)))
    }

    /// A new database behind the wall, every table of Rowhouse's own in mode `enforce`.
    pub async fn database(&self, name: &str) -> Result<Database> {
        let postgres = connect(&self.embedded.superuser_url()).await?;
        postgres
            .batch_execute(&format!("create database {name}"))
            .await?;
        let superuser = self.embedded.superuser_url();
        let (server, _) = superuser.rsplit_once('/').ok_or("a URL has a path")?;
        let superuser = format!("{server}/{name}");
        let mut owner = Owner::connect(superuser.as_str()).await?;
        migrate::run(&mut owner).await?;
        let logins = logins::ensure(&mut owner, &Secret::from(superuser.as_str())).await?;
        owner
            .client()
            .batch_execute("select rowhouse.set_mode('rowhouse.resources', 'enforce'), rowhouse.set_mode('rowhouse.resource_acl', 'enforce')")
            .await?;
        Ok(Database {
            superuser,
            plain: self.embedded.url(PLAIN, PLAIN, name),
            logins,
            port: self.embedded.port(),
        })
    }
}

pub struct Database {
    superuser: String,
    plain: String,
    logins: Logins,
    port: u16,
}

impl Database {
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn superuser_url(&self) -> &str {
        &self.superuser
    }

    pub async fn superuser(&self) -> Result<Client> {
        connect(&self.superuser).await
    }

    pub async fn owner(&self) -> Result<Owner> {
        Ok(Owner::connect(self.superuser.as_str()).await?)
    }

    pub fn app_url(&self) -> Secret {
        self.logins.app.clone()
    }

    /// A plain connection of the app's login, with the one setting of our pools that a statement's price depends on.
    pub async fn app(&self, port: u16) -> Result<Client> {
        let client = connect(&self.over(self.logins.app.reveal(), port)).await?;
        client
            .batch_execute("set plan_cache_mode = force_generic_plan")
            .await?;
        Ok(client)
    }

    pub async fn plain(&self, port: u16) -> Result<Client> {
        connect(&self.plain_url(port)).await
    }

    /// The same for another driver.
    pub fn plain_url(&self, port: u16) -> String {
        self.over(&self.plain, port)
    }

    /// The library, with one connection, so that what it does behind the answer is seen too.
    pub async fn house(&self) -> Result<Rowhouse> {
        self.house_over(self.port).await
    }

    pub async fn house_over(&self, port: u16) -> Result<Rowhouse> {
        let seal = SealSource::Database(self.logins.sealer.clone());
        let config = Config {
            pool_size: 1,
            ..Config::new(self.over(self.logins.app.reveal(), port), seal)
        };
        let platform = self.logins.platform.reveal();
        Ok(Rowhouse::connect(config.with_platform(platform)).await?)
    }

    /// What autovacuum would have done after seeding.
    pub async fn tidy(&self) -> Result {
        let superuser = self.superuser().await?;
        superuser.batch_execute("vacuum analyze").await?;
        superuser.batch_execute("checkpoint").await?;
        Ok(())
    }

    /// Founds tenants, many in one statement, on two connections.
    pub async fn found(&self, count: usize) -> Result<Vec<TenantId>> {
        let ids: Vec<TenantId> = std::iter::repeat_with(TenantId::new).take(count).collect();
        let (left, right) = ids.split_at(count / 2);
        try_join(self.found_these(left), self.found_these(right)).await?;
        Ok(ids)
    }

    async fn found_these(&self, ids: &[TenantId]) -> Result {
        let client = self.superuser().await?;
        for batch in ids.chunks(500) {
            let batch: Vec<Uuid> = batch.iter().map(|id| id.uuid()).collect();
            client
                .execute(
                    "select rowhouse.found_tenant(id, 't-' || id, 'Tenant', 'organization', 'free', gen_random_uuid())
                     from unnest($1::uuid[]) id",
                    &[&batch],
                )
                .await?;
        }
        Ok(())
    }

    fn over(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the library is compared with has connections of its own"
)]
async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A bare connection, with its server process and the statement that opens a tenant there.
pub struct Raw {
    pub client: Client,
    pub pid: i32,
    pub open: Statement,
}

impl Raw {
    pub async fn new(client: Client, open: &str) -> Result<Self> {
        let pid = client
            .query_one("select pg_backend_pid()", &[])
            .await?
            .get(0);
        let open = client.prepare(open).await?;
        Ok(Self { client, pid, open })
    }

    /// BEGIN, what opens the tenant, the statement and COMMIT, all sent before the first answer is waited for. Answers
    /// the number of rows.
    pub async fn in_transaction(
        &self,
        key: &(dyn ToSql + Sync),
        statement: &Statement,
        params: Params<'_>,
    ) -> Result<usize> {
        let key = [key];
        let (begun, opened, rows, committed) = join4(
            self.client.batch_execute("begin"),
            self.client.execute(&self.open, &key),
            self.client.query(statement, params),
            self.client.batch_execute("commit"),
        )
        .await;
        begun?;
        opened?;
        committed?;
        Ok(rows?.len())
    }

    /// The same without the statement.
    pub async fn open_only(&self, key: &(dyn ToSql + Sync)) -> Result {
        let key = [key];
        let (begun, opened, committed) = join3(
            self.client.batch_execute("begin"),
            self.client.execute(&self.open, &key),
            self.client.batch_execute("commit"),
        )
        .await;
        begun?;
        opened?;
        committed?;
        Ok(())
    }

    /// The same without anything.
    pub async fn nothing(&self) -> Result {
        let (begun, committed) = join(
            self.client.batch_execute("begin"),
            self.client.batch_execute("commit"),
        )
        .await;
        begun?;
        committed?;
        Ok(())
    }
}

/// Which part of a statement's executions on this connection were planned anew.
pub async fn planned_anew(client: &Client, sql: &str) -> Result<f64> {
    let row = client
        .query_one(
            "select (sum(custom_plans) / sum(custom_plans + generic_plans))::float8
             from pg_prepared_statements
             where statement = $1",
            &[&sql],
        )
        .await?;
    Ok(row.get(0))
}

/// The server process of a house's only connection.
pub async fn pid_of(house: &Rowhouse, context: &rowhouse::Context) -> Result<i32> {
    let rows = house.query(context, "select pg_backend_pid()", &[]).await?;
    Ok(rows[0].get(0))
}

/// Opens a tenant without a seal, as the usual advice has it.
pub const SET_TENANT: &str = "select set_config('app.tenant_id', $1, true)";
pub const ENTER: &str = "select rowhouse.enter($1)";
