//! A list of resources over HTTP: the service with an API key, beside the same handler without credentials and without the
//! wall, which trusts the path. Each is a process of its own, with eight connections to the same database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rowhouse::ids::TenantId;
use rowhouse::keys::{self, NewKey, Permission};
use rowhouse::resources::{COLUMNS, Resource};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::report::{Goal, Part, Table, Target, time, times};
use crate::sample::{Samples, cpu_of_all, family_of};
use crate::service::{POOL, Service, exchange, free_port};
use crate::world::{Database, Result, Server};

/// The argument that makes this program the other handler; its settings are in the environment.
pub const PLAIN: &str = "serve-plain";
const URL: &str = "BENCH_URL";
const PORT: &str = "BENCH_PORT";

const TENANTS: usize = 10;
const EACH: i32 = 1000;
const LIMIT: usize = 20;
const CONNECTIONS: [usize; 2] = [1, 64];
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(900);

pub async fn measure(server: &Server) -> Result<Part> {
    let database = server.database("api").await?;
    let tenants = database.found(TENANTS).await?;
    fill(&database).await?;
    let mut asked: [Vec<String>; 3] = Default::default();
    for (tenant, (slug, key)) in keys_of(&database, &tenants).await? {
        let ask = |path: &str, more: &str| {
            format!(
                "GET /api/v1/tenants/{path}/resources?limit={LIMIT} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n"
            )
        };
        let bearer = format!("authorization: Bearer {key}\r\n");
        asked[0].push(ask(&tenant.to_string(), ""));
        asked[1].push(ask(&tenant.to_string(), &bearer));
        asked[2].push(ask(&slug, &bearer));
    }
    database.tidy().await?;

    let plain = start_plain(&database).await?;
    let ours = Service::ours(&database).await?;
    let mut variants = asked.map(|asked| Variant {
        service: &ours,
        asked,
        measured: Default::default(),
    });
    variants[0].service = &plain;
    let postmaster = server.postmaster()?;
    for (kind, connections) in CONNECTIONS.into_iter().enumerate() {
        for round in 0..=ROUNDS {
            for variant in &mut variants {
                let round_of = variant.round(connections, postmaster).await?;
                if round > 0 {
                    variant.measured[kind].add(&round_of);
                }
            }
        }
    }
    Ok(part(&variants))
}

fn part(variants: &[Variant<'_>; 3]) -> Part {
    let mut table = Table::new([
        "",
        "connections",
        "requests / s",
        "by plain",
        "p50",
        "p99",
        "CPU of the service",
        "CPU of Postgres",
    ]);
    let mut goals = Vec::new();
    for (kind, connections) in CONNECTIONS.into_iter().enumerate() {
        let plain = &variants[0].measured[kind];
        for (variant, name) in variants.iter().zip([
            "plain handler",
            "ours, with a key, tenant by id",
            "ours, with a key, tenant by slug",
        ]) {
            let of = &variant.measured[kind];
            let ratio = of.throughput.by(&plain.throughput).median();
            table.row([
                name.to_owned(),
                connections.to_string(),
                format!("{:.0}", of.throughput.median()),
                times(ratio),
                time(of.latency.median()),
                time(of.latency.quantile(0.99)),
                time(of.service.median()),
                time(of.postgres.median()),
            ]);
            if name.ends_with("by id") {
                goals.push(Goal {
                    what: format!("API with a key / plain handler, connections: {connections}"),
                    figure: ratio,
                    unit: "×",
                    target: Target::AtLeast(0.9),
                });
            }
        }
    }
    Part {
        title: "A list over HTTP",
        about: format!(
            "A list of {LIMIT} resources of a tenant, {TENANTS} tenants of {EACH} in turn, over loopback and connections that \
             are kept. Ours is `rowhouse serve` as it comes: API key, rights, limits, request id, a log line. The plain handler is the same \
             framework, rows and JSON: it believes the path, asks as the superuser with a filter written by hand, and does \
             nothing else. Both have {POOL} connections to Postgres and share the machine's cores with it and with the client, \
             so that at 64 connections the CPU of all of them is what is measured. CPU is that of all threads or processes, for each request. \
             Medians of {ROUNDS} interleaved rounds of {} ms.",
            ROUND.as_millis()
        ),
        tables: vec![table],
        goals,
    }
}

/// Resources of each tenant, for everybody inside.
async fn fill(database: &Database) -> Result {
    let superuser = database.superuser().await?;
    superuser
        .execute(
            "insert into rowhouse.resources (tenant_id, id, type, title, payload, workspace_id, owner_id, updated_at)
             select w.tenant_id, gen_random_uuid(), 'prompt', 'Resource ' || n, '{\"text\": \"Hello\"}', w.id, w.tenant_id,
               now() - n * interval '1 minute'
             from rowhouse.workspaces w cross join generate_series(1, $1::int) n",
            &[&EACH],
        )
        .await?;
    Ok(())
}

/// Slug and key of each tenant.
async fn keys_of(
    database: &Database,
    tenants: &[TenantId],
) -> Result<BTreeMap<TenantId, (String, String)>> {
    let house = database.house().await?;
    let mut all = BTreeMap::new();
    for id in tenants {
        let mut registry = house.begin_platform().await?;
        let tenant = rowhouse::tenants::get(&mut registry, *id).await?;
        registry.commit().await?;
        let mut tx = house.begin_system(*id).await?;
        let key = keys::create(&mut tx, NewKey::new("bench", &[Permission::Read])).await?;
        tx.commit().await?;
        all.insert(*id, (tenant.slug, key.secret.reveal().to_owned()));
    }
    Ok(all)
}

/// The other handler, in a process of its own.
async fn start_plain(database: &Database) -> Result<Service> {
    let port = free_port().await?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(PLAIN)
        .env(URL, database.superuser_url())
        .env(PORT, port.to_string());
    Service::start(command, port).await
}

#[derive(Default)]
struct Measured {
    throughput: Samples,
    latency: Samples,
    service: Samples,
    postgres: Samples,
}

/// What one round came to.
struct Round {
    throughput: f64,
    latency: Samples,
    service: f64,
    postgres: f64,
}

impl Measured {
    fn add(&mut self, round: &Round) {
        self.throughput.add(round.throughput);
        self.latency.join(&round.latency);
        self.service.add(round.service);
        self.postgres.add(round.postgres);
    }
}

struct Variant<'a> {
    service: &'a Service,
    asked: Vec<String>,
    measured: [Measured; CONNECTIONS.len()],
}

impl Variant<'_> {
    async fn round(&self, connections: usize, postmaster: i32) -> Result<Round> {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(TcpStream::connect(("127.0.0.1", self.service.port)).await?);
        }
        let service = self.service.pid()?;
        let cpu = || -> Result<(f64, f64)> {
            Ok((
                cpu_of_all(&[service])?,
                cpu_of_all(&family_of(postmaster)?)?,
            ))
        };
        let before = cpu()?;
        let began = Instant::now();
        let work = clients.into_iter().enumerate().map(|(number, client)| {
            let asked = self.asked.clone();
            tokio::spawn(async move { ask(client, &asked, number, began + ROUND).await })
        });
        let work: Vec<_> = work.collect();
        let mut latency = Samples::default();
        for one in work {
            latency.join(&one.await??);
        }
        let took = began.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_millis(20)).await; // what is done behind the last answers
        let after = cpu()?;
        let count = f64::from(u32::try_from(latency.count())?);
        Ok(Round {
            throughput: count / took,
            latency,
            service: (after.0 - before.0) / count,
            postgres: (after.1 - before.1) / count,
        })
    }
}

/// Asks one after the other until the time is over.
async fn ask(
    mut client: TcpStream,
    asked: &[String],
    from: usize,
    until: Instant,
) -> Result<Samples> {
    client.set_nodelay(true)?;
    let mut samples = Samples::default();
    let mut answer = Vec::with_capacity(16 * 1024);
    for request in asked.iter().cycle().skip(from % asked.len()) {
        let began = Instant::now();
        if began >= until {
            break;
        }
        let body = exchange(&mut client, request, 200, &mut answer).await?;
        samples.add_time(began.elapsed());
        let rows = body
            .windows(7)
            .filter(|bytes| bytes == b"\"title\"")
            .count();
        if rows != LIMIT {
            return Err(format!("{rows} rows").into());
        }
    }
    Ok(samples)
}

#[derive(Serialize)]
struct Listing {
    items: Vec<Resource>,
    next: Option<String>,
}

/// The other handler, in a process of its own until that is killed.
pub async fn plain() -> Result {
    let mut config = deadpool_postgres::Config::new();
    config.url = Some(std::env::var(URL)?);
    config.pool = Some(deadpool_postgres::PoolConfig::new(POOL));
    let pool = config.create_pool(
        Some(deadpool_postgres::Runtime::Tokio1),
        tokio_postgres::NoTls,
    )?;
    let routes = Router::new()
        .route("/api/v1/tenants/{tenant}/resources", get(list))
        .with_state(pool);
    let listener = TcpListener::bind(("127.0.0.1", std::env::var(PORT)?.parse()?)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn list(
    State(pool): State<deadpool_postgres::Pool>,
    Path(tenant): Path<String>,
) -> std::result::Result<Json<Listing>, StatusCode> {
    let tenant: TenantId = tenant.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    page(&pool, tenant)
        .await
        .map(Json)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the library is compared with has connections of its own"
)]
async fn page(pool: &deadpool_postgres::Pool, tenant: TenantId) -> Result<Listing> {
    let client = pool.get().await?;
    let statement = client
        .prepare_cached(&format!(
            "select {COLUMNS}
             from rowhouse.resources
             where tenant_id = $1 and deleted_at is null
             order by updated_at desc, id desc
             limit 21"
        ))
        .await?;
    let rows = client.query(&statement, &[&tenant]).await?;
    let mut items: Vec<Resource> = rows.iter().map(Resource::from).collect();
    items.truncate(LIMIT);
    let next = items
        .last()
        .map(|last| format!("{}{}", last.updated_at.as_microsecond(), last.id));
    Ok(Listing { items, next })
}
