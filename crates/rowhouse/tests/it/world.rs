//! The world that a test lives in: a database of its own, with two tenants, alpha and beta.
//!
//! One real server serves all tests of this process and dies with it. Each world is a copy of a migrated template, so it
//! costs a tenth of a second. Tests act as the app's or the platform's login; the owner's is there to build what they
//! act on, and to take the wall down by hand.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rowhouse::embedded::{Embedded, Options};
use rowhouse::ids::{TenantId, UserId};
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Config, Context, Owner, Rowhouse, SealSource, migrate, users};
use tokio_postgres::{Client, NoTls};

const PASSWORD: &str = "test";
const TEMPLATE: &str = "world_template";

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
}

impl World {
    /// Two tenants, every table of ours in mode `enforce`, a pool of two connections.
    pub async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// The same with another configuration.
    pub async fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        let database = fresh_database().await;
        let mut owner = Owner::connect(cluster().superuser(&database))
            .await
            .unwrap();
        owner
            .client()
            .batch_execute("select rowhouse.set_mode('rowhouse.resources', 'enforce'), rowhouse.set_mode('rowhouse.resource_acl', 'enforce')")
            .await
            .unwrap();
        let house = Rowhouse::connect(configure(config(&database)))
            .await
            .unwrap();
        let alpha = found(&house, "alpha").await;
        let beta = found(&house, "beta").await;
        Self {
            house,
            alpha,
            beta,
            database,
        }
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

    /// A connection URL, for `test_app`, `test_platform`, `test_sealer`, `test_mailer`.
    pub fn url(&self, login: &str) -> String {
        cluster().url(login, &self.database)
    }
}

/// A migrated database of its own, and nothing in it.
pub async fn fresh_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let database = format!("world_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let postgres = connect(&cluster().superuser("postgres")).await;
    // Rights on a database are not part of a template: taken again.
    for statement in [
        format!("create database {database} template {TEMPLATE}"),
        format!("revoke temporary on database {database} from public"),
    ] {
        postgres.batch_execute(&statement).await.unwrap();
    }
    database
}

/// What tests connect with; two connections for the app.
pub fn config(database: &str) -> Config {
    let cluster = cluster();
    let seal = SealSource::Database(cluster.url("test_sealer", database).into());
    Config {
        pool_size: 2,
        ..Config::new(cluster.url("test_app", database), seal)
    }
    .with_platform(cluster.url("test_platform", database))
    .with_mailer(cluster.url("test_mailer", database))
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
}

impl Cluster {
    pub fn superuser(&self, database: &str) -> String {
        let url = self.server.superuser_url();
        let (server, _) = url.rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    pub fn url(&self, login: &str, database: &str) -> String {
        self.server.url(login, PASSWORD, database)
    }

    pub fn major(&self) -> u32 {
        self.server.major()
    }
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
    remove_dead_worlds();
    let mut options = Options::new(&folder);
    options.settings = [
        ("fsync", "off"),
        ("max_connections", "300"),
        ("full_page_writes", "off"),
        ("shared_buffers", "64MB"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let cluster = Cluster {
        server: Embedded::start(options).await.unwrap(),
    };
    let postgres = connect(&cluster.superuser("postgres")).await;
    postgres
        .batch_execute(&format!("create database {TEMPLATE}"))
        .await
        .unwrap();
    let mut owner = Owner::connect(cluster.superuser(TEMPLATE)).await.unwrap();
    migrate::run(&mut owner).await.unwrap();
    for (login, groups) in [
        ("test_app", "rowhouse_app, rowhouse_shadow"),
        ("test_platform", "rowhouse_platform"),
        ("test_sealer", "rowhouse_sealer"),
        ("test_mailer", "rowhouse_mailer"),
    ] {
        postgres
            .batch_execute(&format!(
                "create role {login} login password '{PASSWORD}'; grant {groups} to {login}"
            ))
            .await
            .unwrap();
    }
    cluster
}

/// Folders of test processes that are gone: their server went with them, their files remained.
fn remove_dead_worlds() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix("rowhouse-world-"));
        if let Some(pid) = owner
            && !std::path::Path::new(&format!("/proc/{pid}")).exists()
        {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}
