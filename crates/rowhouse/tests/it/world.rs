//! The world that a test lives in: a database of its own, with two tenants, alpha and beta.
//!
//! One real server serves all tests of this process and dies with it. Each world is a copy of a furnished template, so it
//! costs a tenth of a second. Tests act as the app's or the platform's login; the owner's is there to build what they
//! act on, and to take the wall down by hand.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rowhouse::embedded::{Embedded, Options};
use rowhouse::ids::{PrincipalId, TenantId, UserId};
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Config, Context, Owner, Rowhouse, SealSource, migrate, users};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

const PASSWORD: &str = "test";
/// The same as Postgres keeps it, hashed once and not 4096 times: a run connects some thousand times.
const KEPT_PASSWORD: &str = "SCRAM-SHA-256$1:kuWInwQsyD1B4/bks1nhDA==$AWClMKWc6CjHCPQJeTk3l2M9TTEO70HMfaUCr9xHCuU=:aoehEm4xr0yi3tT2mXbndaKDmWkpN6QUoAYUKsxmdU0=";
/// Migrated, and nothing in it.
const BARE: &str = "world_bare";
/// With the two tenants.
const FURNISHED: &str = "world_furnished";

/// A tenant of the world and its owner.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: &'static str,
    pub owner: UserId,
}

impl Tenant {
    /// The context of the tenant's owner.
    pub fn context(&self) -> Context {
        Context::user(self.id, self.owner)
    }
}

pub struct World {
    pub house: Rowhouse,
    pub alpha: Tenant,
    pub beta: Tenant,
    pub database: String,
    with_mailer: OnceCell<Rowhouse>,
}

impl World {
    /// Two tenants, every table of ours in mode `enforce`, a pool of two connections.
    pub async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// The same with another configuration.
    pub async fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        Self::of(FURNISHED, configure).await
    }

    /// One like the furnished one, with what somebody has put into it.
    pub async fn copy_of(template: &str) -> Self {
        Self::of(template, |config| config).await
    }

    async fn of(template: &str, configure: impl FnOnce(Config) -> Config) -> Self {
        let database = copy(template).await;
        let house = Rowhouse::connect(configure(config(&database)))
            .await
            .unwrap();
        let [alpha, beta] = cluster().tenants.clone();
        Self {
            house,
            alpha,
            beta,
            database,
            with_mailer: OnceCell::new(),
        }
    }

    /// A second house that also has the mailer's login, which is for few: each login is a connection more for every world.
    pub async fn with_mailer(&self) -> &Rowhouse {
        let connect = async || {
            let config = config(&self.database).with_mailer(self.url("test_mailer"));
            Rowhouse::connect(config).await.unwrap()
        };
        self.with_mailer.get_or_init(connect).await
    }

    /// A connection as the app's login, outside of every transaction: what an attacker holds.
    pub async fn app(&self) -> Client {
        connect(&cluster().url("test_app", &self.database)).await
    }

    /// A connection as the platform's login.
    pub async fn platform(&self) -> Client {
        connect(&cluster().url("test_platform", &self.database)).await
    }

    /// The connection of the database's owner, a superuser.
    pub async fn owner(&self) -> Owner {
        Owner::connect(cluster().superuser(&self.database))
            .await
            .unwrap()
    }

    /// The same as a plain client.
    pub async fn superuser(&self) -> Client {
        connect(&cluster().superuser(&self.database)).await
    }

    /// Alpha's own job, which sees all there is.
    pub async fn job(&self) -> PrincipalId {
        let find = "select rowhouse.service_principal($1, 'job')";
        let platform = self.platform().await;
        let row = platform.query_one(find, &[&self.alpha.id]).await;
        row.unwrap().get(0)
    }

    /// A connection URL, for `test_app`, `test_platform`, `test_sealer`, `test_mailer`.
    pub fn url(&self, login: &str) -> String {
        cluster().url(login, &self.database)
    }
}

/// A migrated database of its own, and nothing in it.
pub async fn fresh_database() -> String {
    copy(BARE).await
}

async fn copy(template: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let database = format!("world_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    make(&cluster().postgres, &database, template).await;
    database
}

/// Makes a template out of the furnished world: the name of its database.
pub async fn template(name: &str, furnish: impl AsyncFnOnce(&Client, &[Tenant; 2])) -> String {
    let database = format!("world_{name}");
    make(&cluster().postgres, &database, FURNISHED).await;
    let root = connect(&cluster().superuser(&database)).await;
    furnish(&root, &cluster().tenants).await;
    database
}

/// Drops a database, each of which takes ten megabytes.
pub async fn drop_database(database: &str) {
    let drop = format!("drop database {database} with (force)");
    cluster().postgres.batch_execute(&drop).await.unwrap();
}

async fn make(postgres: &Client, database: &str, template: &str) {
    // Rights on a database are not part of a template: taken again.
    for statement in [
        format!("create database {database} template {template} strategy file_copy"), // half of the work
        format!("revoke temporary on database {database} from public"),
    ] {
        postgres.batch_execute(&statement).await.unwrap();
    }
}

/// What tests connect with; two connections for the app.
pub fn config(database: &str) -> Config {
    config_on(&cluster().server, database)
}

fn config_on(server: &Embedded, database: &str) -> Config {
    let url = |login| server.url(login, PASSWORD, database);
    let seal = SealSource::Database(url("test_sealer").into());
    Config {
        pool_size: 2,
        ..Config::new(url("test_app"), seal)
    }
    .with_platform(url("test_platform"))
}

async fn found(house: &Rowhouse, slug: &'static str) -> Tenant {
    let mut tx = house.begin_platform().await.unwrap();
    let owner = users::create(&mut tx, &format!("owner@{slug}.example"), "Owner")
        .await
        .unwrap();
    let tenant = tenants::create(
        &mut tx,
        NewTenant::organization(slug, slug.to_uppercase()).owned_by(owner.id),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    Tenant {
        id: tenant.id,
        slug,
        owner: owner.id,
    }
}

/// A plain connection: tests may hold one, the library's callers may not.
pub async fn connect(url: &str) -> Client {
    try_connect(url).await.unwrap()
}

/// The same, where a refusal is expected.
#[expect(
    clippy::disallowed_methods,
    reason = "tests attack from outside of the library"
)]
pub async fn try_connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub struct Cluster {
    server: Embedded,
    /// A superuser's, which makes and drops databases.
    postgres: Client,
    /// Those of every furnished world: alpha and beta.
    tenants: [Tenant; 2],
}

impl Cluster {
    pub fn superuser(&self, database: &str) -> String {
        superuser(&self.server, database)
    }

    pub fn url(&self, login: &str, database: &str) -> String {
        self.server.url(login, PASSWORD, database)
    }

    pub fn major(&self) -> u32 {
        self.server.major()
    }
}

fn superuser(server: &Embedded, database: &str) -> String {
    let url = server.superuser_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

/// The server of this process. It runs on a runtime of its own, since a test's runtime ends with the test.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = Box::leak(Box::new(tokio::runtime::Runtime::new().unwrap()));
            runtime.block_on(start_cluster())
        })
        .join()
        .unwrap()
    })
}

async fn start_cluster() -> Cluster {
    let folder = std::env::temp_dir().join(format!("rowhouse-world-{}", std::process::id()));
    remove_after_us(&folder);
    let mut options = Options::new(&folder);
    // Nothing here outlives the tests, and nothing happens by itself while they run.
    options.settings = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("autovacuum", "off"),
        ("jit", "off"),
        ("shared_preload_libraries", "plpgsql"), // nearly each connection asks for it
        ("max_connections", "300"),
        ("shared_buffers", "64MB"),
        ("track_activity_query_size", "16kB"), // tests read what the library has asked
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let server = Embedded::start(options).await.unwrap();
    let postgres = connect(&superuser(&server, "postgres")).await;
    postgres
        .batch_execute(&format!("create database {BARE}"))
        .await
        .unwrap();
    let mut owner = Owner::connect(superuser(&server, BARE)).await.unwrap();
    migrate::run(&mut owner).await.unwrap();
    drop(owner);
    for (login, groups) in [
        ("test_app", "rowhouse_app, rowhouse_shadow"),
        ("test_platform", "rowhouse_platform"),
        ("test_sealer", "rowhouse_sealer"),
        ("test_mailer", "rowhouse_mailer"),
    ] {
        postgres
            .batch_execute(&format!(
                "create role {login} login password '{KEPT_PASSWORD}'; grant {groups} to {login}"
            ))
            .await
            .unwrap();
    }
    make(&postgres, FURNISHED, BARE).await;
    let tenants = furnish(&server).await;
    Cluster {
        server,
        postgres,
        tenants,
    }
}

/// Two tenants, and every table of ours in mode `enforce`.
async fn furnish(server: &Embedded) -> [Tenant; 2] {
    let mut owner = Owner::connect(superuser(server, FURNISHED)).await.unwrap();
    owner
        .client()
        .batch_execute("select rowhouse.set_mode('rowhouse.resources', 'enforce'), rowhouse.set_mode('rowhouse.resource_acl', 'enforce')")
        .await
        .unwrap();
    let house = Rowhouse::connect(config_on(server, FURNISHED))
        .await
        .unwrap();
    [found(&house, "alpha").await, found(&house, "beta").await]
}

/// Removes the folder when this process has gone, however it went: in memory it would stay until the machine stops.
fn remove_after_us(folder: &Path) {
    let wait_and_remove = r#"trap "" INT TERM HUP; cat; until rm -rf "$0"; do sleep 0.1; done"#;
    let watcher = Command::new("sh")
        .args(["-c", wait_and_remove])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It reads from us until the end of us closes what it reads.
    std::mem::forget(watcher);
}
