//! How long one caller waits for one row of its tenant, on one connection, over links of three lengths.
//!
//! After each timed call everybody comes to rest, untimed: pools ask and tidy up behind the answer, and the next one's
//! turn is not to be disturbed by that. What it costs to come back at once, before the connection is clean, is a row of
//! its own.

use std::time::{Duration, Instant};

use rowhouse::ids::TenantId;
use rowhouse::{Context, Rowhouse};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio_postgres::{Client, Statement};

use crate::forwarder;
use crate::report::{Goal, Part, Table, Target, time, times};
use crate::sample::{Dice, Samples};
use crate::shop::{self, POINT};
use crate::world::{Database, ENTER, Params, Raw, Result, SET_TENANT, Server};

/// Round trips that the link adds, and how many rounds are run over it.
const LINKS: [(&str, Duration, usize); 3] = [
    ("loopback", Duration::ZERO, 1000),
    ("0.5 ms", Duration::from_micros(500), 500),
    ("3 ms", Duration::from_millis(3), 200),
];
const WARM_UP: usize = 20;
const TICKET_TTL: Duration = Duration::from_mins(1);

const NAMES: [&str; 7] = [
    "bare query, filtered by hand",
    "ours, `Rowhouse::query`",
    "ours, again at once on that connection",
    "ours, pipelined by hand, no pool",
    "unsealed transaction, pipelined",
    "unsealed transaction, sqlx without its ping",
    "unsealed transaction, sqlx as it comes",
];
const BARE: usize = 0;
const OURS: usize = 1;
const OURS_AGAIN: usize = 2;
const OURS_BY_HAND: usize = 3;
const UNSEALED: usize = 4;
const SQLX: usize = 5;
const SQLX_AS_IT_COMES: usize = 6;

pub async fn measure(server: &Server) -> Result<Part> {
    let (database, tenants) = shop::open(server, "latency").await?;
    let mut table = Table::new(["link", "", "median", "p99", "by bare"]);
    let mut goals = Vec::new();
    for (name, round_trip, rounds) in LINKS {
        let port = if round_trip.is_zero() {
            server.port()
        } else {
            forwarder::start(server.port(), round_trip / 2)?
        };
        let callers = Callers::new(&database, port).await?;
        let mut dice = Dice::new(7);
        let mut samples = vec![Samples::default(); NAMES.len()];
        for round in 0..WARM_UP + rounds {
            for turn in 0..NAMES.len() {
                let who = (round + turn) % NAMES.len();
                let tenant = *dice.pick(&tenants);
                let note = i64::try_from(1 + dice.throw(shop::NOTES))?;
                let took = callers.ask(who, tenant, note).await?;
                callers.rest().await?;
                if round >= WARM_UP {
                    samples[who].add_time(took);
                }
            }
        }
        let median = |who: usize| samples[who].median();
        for (who, label) in NAMES.iter().enumerate() {
            table.row([
                name.to_owned(),
                (*label).to_owned(),
                time(median(who)),
                time(samples[who].quantile(0.99)),
                times(median(who) / median(BARE)),
            ]);
        }
        let most = match name {
            "3 ms" => Some((1.05, 4.0)),
            "0.5 ms" => Some((1.3, 3.0)),
            _ => None,
        };
        if let Some((by_bare, by_sqlx)) = most {
            for (what, figure, target) in [
                (
                    "ours / bare query",
                    median(OURS) / median(BARE),
                    Target::AtMost(by_bare),
                ),
                (
                    "sqlx as it comes / ours",
                    median(SQLX_AS_IT_COMES) / median(OURS),
                    Target::AtLeast(by_sqlx),
                ),
                (
                    "sqlx without its ping / ours",
                    median(SQLX) / median(OURS),
                    Target::AtLeast(by_sqlx),
                ),
            ] {
                goals.push(Goal {
                    what: format!("latency over {name}: {what}"),
                    figure,
                    unit: "×",
                    target,
                });
            }
        }
    }
    Ok(Part {
        title: "Latency of one row",
        about: format!(
            "One point read by primary key, one connection, {} tenants of {} notes. The link is a forwarder that adds half of \
             the named round trip in each direction. The pipelined transaction is BEGIN, `set_config`, the query and COMMIT \
             sent together; sqlx sends the same four one after the other. As it comes, sqlx's pool pings a connection \
             before it lends it; ours does not. \"Again at once\" asks while the connection still answers what was left on it: \
             a pool with a second connection does not wait there.",
            shop::TENANTS,
            shop::NOTES
        ),
        tables: vec![table],
        goals,
    })
}

/// Everybody who asks, each with one connection over the same link.
struct Callers {
    bare: Client,
    bare_point: Statement,
    house: Rowhouse,
    walled_point: String,
    walled: Raw,
    walled_statement: Statement,
    unsealed: Raw,
    unsealed_point: Statement,
    sqlx: PgPool,
    sqlx_as_it_comes: PgPool,
}

impl Callers {
    async fn new(database: &Database, port: u16) -> Result<Self> {
        let bare = database.plain(port).await?;
        let bare_point = bare.prepare(&POINT.bare()).await?;
        let walled = Raw::new(database.app(port).await?, ENTER).await?;
        let walled_statement = walled.client.prepare(&POINT.walled()).await?;
        let unsealed = Raw::new(database.plain(port).await?, SET_TENANT).await?;
        let unsealed_point = unsealed.client.prepare(&POINT.unsealed()).await?;
        let url = database.plain_url(port);
        let one = || PgPoolOptions::new().max_connections(1);
        Ok(Self {
            bare,
            bare_point,
            house: database.house_over(port).await?,
            walled_point: POINT.walled(),
            walled,
            walled_statement,
            unsealed,
            unsealed_point,
            sqlx: one().test_before_acquire(false).connect(&url).await?,
            sqlx_as_it_comes: one().connect(&url).await?,
        })
    }

    async fn ask(&self, who: usize, tenant: TenantId, note: i64) -> Result<Duration> {
        let context = Context::tenant(tenant);
        let own: Params<'_> = &[&note];
        if who == OURS_AGAIN {
            self.house.query(&context, &self.walled_point, own).await?;
        }
        let ticket = self.house.ticket(&context, TICKET_TTL).await?;
        let begun = Instant::now();
        let rows = match who {
            BARE => {
                let rows = self.bare.query(&self.bare_point, &[&note, &tenant]).await?;
                rows.len()
            }
            OURS | OURS_AGAIN => {
                let rows = self.house.query(&context, &self.walled_point, own).await?;
                rows.len()
            }
            OURS_BY_HAND => {
                self.walled
                    .in_transaction(&ticket.as_bytes(), &self.walled_statement, own)
                    .await?
            }
            UNSEALED => {
                let tenant = tenant.uuid().to_string();
                self.unsealed
                    .in_transaction(&tenant, &self.unsealed_point, own)
                    .await?
            }
            SQLX => through_sqlx(&self.sqlx, tenant, note).await?,
            _ => through_sqlx(&self.sqlx_as_it_comes, tenant, note).await?,
        };
        let took = begun.elapsed();
        if rows == 1 {
            Ok(took)
        } else {
            Err(format!("{}: {rows} rows", NAMES[who]).into())
        }
    }

    /// Until what pools do behind the answer is over: ours answers only then, sqlx's have had two round trips by then.
    async fn rest(&self) -> Result {
        self.house.ready().await?;
        self.bare.batch_execute("select").await?;
        Ok(())
    }
}

async fn through_sqlx(pool: &PgPool, tenant: TenantId, note: i64) -> Result<usize> {
    let mut tx = pool.begin().await?;
    sqlx::query("select set_config('app.tenant_id', $1, true)")
        .bind(tenant.uuid().to_string())
        .execute(&mut *tx)
        .await?;
    let rows = sqlx::query("select title from unsealed.notes n where n.id = $1")
        .bind(note)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(rows.len())
}
