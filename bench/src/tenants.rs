//! Whether it matters how many tenants there are: the same statements, the same rows for each tenant, in a database with
//! 100 of them and in one with very many.
//!
//! Beside ours runs the bare query over the same table, by a login that policies do not bind: what it loses too is a
//! larger table's price and not the wall's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rowhouse::ids::TenantId;
use rowhouse::tables::{self, Assign, Protect};
use rowhouse::{Context, Rowhouse};

use crate::report::{Goal, Part, Table, Target, time};
use crate::sample::{Dice, Samples, cpu_each};
use crate::world::{ENTER, Raw, Result, SET_TENANT, Server, pid_of};

const FEW: usize = 100;
/// `ROWHOUSE_BENCH_TENANTS=1000000` founds more.
pub const MANY: u32 = 100_000;
const ROWS: usize = 10;
const ROUNDS: usize = 15;
const BLOCK: u32 = 250;
const TICKET_TTL: Duration = Duration::from_mins(1);

const POINT: &str = "select title from notes where id = $1";
const PAGE: &str = "select id, title, created_at from notes
    where (created_at, id) < (timestamptz '2026-01-01' + $1::bigint * interval '1 day', $1)
    order by created_at desc, id desc limit 50";
const BARE_POINT: &str = "select title from notes where id = $1 and tenant_id = $2";
const BARE_PAGE: &str = "select id, title, created_at from notes
    where (created_at, id) < (timestamptz '2026-01-01' + $1::bigint * interval '1 day', $1) and tenant_id = $2
    order by created_at desc, id desc limit 50";

/// How many the large database has.
pub fn many() -> u32 {
    std::env::var("ROWHOUSE_BENCH_TENANTS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MANY)
}

pub async fn measure(server: &Server) -> Result<Part> {
    let begun = Instant::now();
    let mut few = Crowd::new(server, "few", FEW).await?;
    let mut many = Crowd::new(server, "many", many() as usize).await?;
    let seeded = begun.elapsed();

    let mut table = Table::new([
        "",
        "CPU, few",
        "CPU, many",
        "few / many",
        "time, few",
        "time, many",
        "few / many",
    ]);
    let mut goals = Vec::new();
    for (name, walled, bare) in [
        ("point read", POINT, BARE_POINT),
        ("page of a tenant's 10", PAGE, BARE_PAGE),
    ] {
        let mut whole = [Measured::default(), Measured::default()];
        let [mut ours, mut others] = [whole.clone(), whole.clone()];
        for round in 0..=ROUNDS {
            for (size, crowd) in [&mut few, &mut many].into_iter().enumerate() {
                let [all_of_it, by_us, by_hand] = [
                    crowd.whole(walled).await?,
                    crowd.ours(walled).await?,
                    crowd.bare(bare).await?,
                ];
                if round > 0 {
                    whole[size].add(all_of_it);
                    ours[size].add(by_us);
                    others[size].add(by_hand);
                }
            }
        }
        for (label, [few, many], goal) in [
            ("ours", &ours, true),
            ("ours, all of it", &whole, false),
            ("bare", &others, false),
        ] {
            let cpu = few.cpu.by(&many.cpu).median();
            let wall = few.time.by(&many.time).median();
            table.row([
                format!("{name}, {label}"),
                time(few.cpu.median()),
                time(many.cpu.median()),
                format!("{cpu:.2}"),
                time(few.time.median()),
                time(many.time.median()),
                format!("{wall:.2}"),
            ]);
            if goal {
                for (what, figure) in [
                    ("transactions a second of CPU", cpu),
                    ("transactions a second", wall),
                ] {
                    goals.push(Goal {
                        what: format!("{} tenants / {FEW}, {name}: {what}", many_in_words()),
                        figure,
                        unit: "×",
                        target: Target::AtLeast(0.9),
                    });
                }
            }
        }
    }
    Ok(Part {
        title: "Number of tenants",
        about: format!(
            "{FEW} tenants and {}, {ROWS} rows each, one connection, a random tenant for each transaction; {ROUNDS} \
             rounds of {BLOCK}. Ours is BEGIN, `rowhouse.enter`, the statement and COMMIT, pipelined; all of it is `Rowhouse::query`, with \
             what the pool asks behind it. `few / many` is how much of the throughput is \
             left: 1.00 means that the number of tenants does not matter. Tenants were founded by `rowhouse.found_tenant`, 500 a \
             statement, and rows by one INSERT as the superuser, before the table was put behind the wall: {} s together.",
            many_in_words(),
            seeded.as_secs()
        ),
        tables: vec![table],
        goals,
    })
}

fn many_in_words() -> String {
    let count = many();
    if count.is_multiple_of(1000) {
        format!("{},000", count / 1000)
    } else {
        count.to_string()
    }
}

/// Medians are taken over blocks: CPU and time of each transaction.
#[derive(Clone, Default)]
struct Measured {
    cpu: Samples,
    time: Samples,
}

impl Measured {
    fn add(&mut self, (cpu, time): (f64, f64)) {
        self.cpu.add(cpu);
        self.time.add(time);
    }
}

/// A database with so many tenants.
struct Crowd {
    house: Rowhouse,
    house_pid: i32,
    raw: Raw,
    bare: Raw,
    tenants: Vec<TenantId>,
    dice: Dice,
}

impl Crowd {
    async fn new(server: &Server, name: &str, count: usize) -> Result<Self> {
        let database = server.database(name).await?;
        let tenants = database.found(count).await?;
        let superuser = database.superuser().await?;
        superuser
            .batch_execute(
                "create table notes (
                   tenant_id uuid not null, id bigint not null, title text not null, body text not null,
                   created_at timestamptz not null, primary key (tenant_id, id));
                 create index on notes (tenant_id, created_at desc, id desc)",
            )
            .await?;
        superuser
            .execute(
                "insert into notes
                 select t.id, n, 'Note ' || n, repeat('lorem ipsum ', 5), timestamptz '2026-01-01' + n * interval '1 minute'
                 from rowhouse.tenants t, generate_series(1, $1) n",
                &[&i32::try_from(ROWS)?],
            )
            .await?;
        let mut owner = database.owner().await?;
        let tx = owner.begin().await?;
        let plan = Protect::content("notes", Assign::Empty).rows_at_most(u64::MAX);
        tables::protect(&tx, &[plan]).await?;
        tx.commit().await?;
        database.tidy().await?;

        let house = database.house().await?;
        Ok(Self {
            house_pid: pid_of(&house, &Context::tenant(tenants[0])).await?,
            house,
            raw: Raw::new(database.app(database.port()).await?, ENTER).await?,
            bare: Raw::new(superuser, SET_TENANT).await?,
            tenants,
            dice: Dice::new(13),
        })
    }

    async fn whole(&mut self, sql: &str) -> Result<(f64, f64)> {
        let asked = self.asked()?;
        block(self.house_pid, &asked, async |tenant, key| {
            let context = Context::tenant(tenant);
            Ok(self.house.query(&context, sql, &[&key]).await?.len())
        })
        .await
    }

    async fn ours(&mut self, sql: &str) -> Result<(f64, f64)> {
        let asked = self.asked()?;
        let statement = self.raw.client.prepare(sql).await?;
        let mut tickets = HashMap::new();
        for (tenant, _) in &asked {
            let context = Context::tenant(*tenant);
            tickets.insert(*tenant, self.house.ticket(&context, TICKET_TTL).await?);
        }
        block(self.raw.pid, &asked, async |tenant, key| {
            let ticket = tickets[&tenant].as_bytes();
            self.raw.in_transaction(&ticket, &statement, &[&key]).await
        })
        .await
    }

    async fn bare(&mut self, sql: &str) -> Result<(f64, f64)> {
        let asked = self.asked()?;
        let statement = self.bare.client.prepare(sql).await?;
        block(self.bare.pid, &asked, async |tenant, key| {
            let rows = self.bare.client.query(&statement, &[&key, &tenant]).await?;
            Ok(rows.len())
        })
        .await
    }

    fn asked(&mut self) -> Result<Vec<(TenantId, i64)>> {
        (0..BLOCK)
            .map(|_| {
                let key = i64::try_from(1 + self.dice.throw(ROWS))?;
                Ok((*self.dice.pick(&self.tenants), key))
            })
            .collect()
    }
}

/// CPU and time of each of a block's transactions, in microseconds.
async fn block(
    pid: i32,
    asked: &[(TenantId, i64)],
    ask: impl AsyncFn(TenantId, i64) -> Result<usize>,
) -> Result<(f64, f64)> {
    let mut took = 0.0;
    let cpu = cpu_each(pid, BLOCK, async {
        for (tenant, key) in asked {
            let begun = Instant::now();
            let rows = ask(*tenant, *key).await?;
            took += begun.elapsed().as_secs_f64() * 1e6;
            if rows == 0 {
                return Err("no rows".into());
            }
        }
        Ok(())
    })
    .await?;
    Ok((cpu, took / f64::from(BLOCK)))
}
