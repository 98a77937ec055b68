//! What a transaction costs the server's CPU: bare, with a policy that anybody can lift, and behind the wall.
//!
//! Time on the CPU of the one server process that runs them, as the kernel counts it. It counts neither waiting nor the
//! client. Blocks of transactions take turns, and a ratio is that of two blocks of the same round.

use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::{Context, Rowhouse, Ticket};

use crate::report::{Goal, Part, Table, Target, time, times};
use crate::sample::{Dice, Samples, cpu_each};
use crate::shop::{self, JOIN, NEXT_PAGE, POINT, Statement};
use crate::world::{Database, ENTER, Raw, Result, SET_TENANT, Server, pid_of, planned_anew};

const ROUNDS: usize = 21;
const BLOCK: u32 = 250;
const STATEMENTS: [(&Statement, f64); 3] = [(&POINT, 1.6), (&NEXT_PAGE, 1.45), (&JOIN, 1.7)];

pub async fn measure(server: &Server) -> Result<Part> {
    let (database, tenants) = shop::open(server, "cpu").await?;
    let mut variants = Variants::new(&database, &tenants).await?;
    let mut table = Table::new([
        "",
        "bare query",
        "unsealed",
        "ours",
        "ours, all of it",
        "ours / unsealed",
        "half of the rounds",
        "all of it / unsealed",
        "unsealed / bare",
    ]);
    let mut plans = Table::new(["planned anew", "bare query", "unsealed", "ours"]);
    let mut goals = Vec::new();
    for (statement, most) in STATEMENTS {
        let ([bare, unsealed, ours, whole], planned_anew) = variants.rounds(statement).await?;
        let ratio = ours.by(&unsealed);
        table.row([
            statement.name.to_owned(),
            time(bare.median()),
            time(unsealed.median()),
            time(ours.median()),
            time(whole.median()),
            times(ratio.median()),
            format!("{:.2} to {:.2}", ratio.quantile(0.25), ratio.quantile(0.75)),
            times(whole.by(&unsealed).median()),
            times(unsealed.by(&bare).median()),
        ]);
        let [bare, unsealed, ours] = planned_anew.map(|part| format!("{:.0} %", 100.0 * part));
        plans.row([statement.name.to_owned(), bare, unsealed, ours]);
        goals.push(Goal {
            what: format!("server CPU, {}: ours / unsealed", statement.name),
            figure: ratio.median(),
            unit: "×",
            target: Target::AtMost(most),
        });
    }
    Ok(Part {
        title: "Server CPU of a transaction",
        about: format!(
            "CPU time of the server process for each transaction; medians of {ROUNDS} rounds of {BLOCK} transactions in each \
             variant, with prepared statements, {} tenants at random. Bare: one query filtered by hand, no transaction \
             block. Unsealed: BEGIN, `set_config`, the query, COMMIT, pipelined. Ours: BEGIN, `rowhouse.enter`, \
             the same query, COMMIT, pipelined, under the pool's `plan_cache_mode` (ADR 007). All of it: through `Rowhouse::query`, with what the pool asks behind each transaction \
             (`reset all`, `discard sequences`, what was left). The second table says for which part of its executions Postgres \
             planned a prepared statement anew, because the plan for any parameters looked dearer to it.",
            shop::TENANTS
        ),
        tables: vec![table, plans],
        goals,
    })
}

struct Variants {
    bare: Raw,
    unsealed: Raw,
    ours: Raw,
    house: Rowhouse,
    house_pid: i32,
    tenants: Vec<(TenantId, Ticket)>,
    dice: Dice,
}

impl Variants {
    async fn new(database: &Database, ids: &[TenantId]) -> Result<Self> {
        let house = database.house().await?;
        let mut tenants = Vec::new();
        for id in ids {
            let ticket = house
                .ticket(&Context::tenant(*id), Duration::from_hours(1))
                .await?;
            tenants.push((*id, ticket));
        }
        let port = database.port();
        Ok(Self {
            bare: Raw::new(database.plain(port).await?, SET_TENANT).await?,
            unsealed: Raw::new(database.plain(port).await?, SET_TENANT).await?,
            ours: Raw::new(database.app(port).await?, ENTER).await?,
            house_pid: pid_of(&house, &Context::tenant(ids[0])).await?,
            house,
            tenants,
            dice: Dice::new(11),
        })
    }

    /// CPU of each transaction: bare, unsealed, ours, ours with what the pool asks behind it. And which part of the first
    /// three's executions was planned anew.
    async fn rounds(&mut self, statement: &Statement) -> Result<([Samples; 4], [f64; 3])> {
        let bare = self.bare.client.prepare(&statement.bare()).await?;
        let unsealed = self.unsealed.client.prepare(&statement.unsealed()).await?;
        let ours = self.ours.client.prepare(&statement.walled()).await?;
        let walled = statement.walled();
        let keys = &statement.keys;
        let mut samples: [Samples; 4] = std::array::from_fn(|_| Samples::default());
        for round in 0..=ROUNDS {
            for (variant, samples) in samples.iter_mut().enumerate() {
                let asked: Vec<(TenantId, Ticket, i64)> = (0..BLOCK)
                    .map(|_| {
                        let (tenant, ticket) = self.dice.pick(&self.tenants).clone();
                        let key = keys.start + self.dice.throw(keys.len());
                        Ok((tenant, ticket, i64::try_from(key)?))
                    })
                    .collect::<Result<_>>()?;
                let work = async {
                    for (tenant, ticket, key) in &asked {
                        let rows = match variant {
                            0 => {
                                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                                    [key, tenant];
                                self.bare.client.query(&bare, &params).await?.len()
                            }
                            1 => {
                                let tenant = tenant.uuid().to_string();
                                self.unsealed
                                    .in_transaction(&tenant, &unsealed, &[key])
                                    .await?
                            }
                            2 => {
                                let ticket = ticket.as_bytes();
                                self.ours.in_transaction(&ticket, &ours, &[key]).await?
                            }
                            _ => {
                                let context = Context::tenant(*tenant);
                                self.house.query(&context, &walled, &[key]).await?.len()
                            }
                        };
                        if rows != statement.rows {
                            return Err(format!("{}: {rows} rows", statement.name).into());
                        }
                    }
                    Ok(())
                };
                let pid = [
                    self.bare.pid,
                    self.unsealed.pid,
                    self.ours.pid,
                    self.house_pid,
                ][variant];
                let cpu = cpu_each(pid, BLOCK, work).await?;
                if round > 0 {
                    samples.add(cpu);
                }
            }
        }
        let planned_anew = [
            planned_anew(&self.bare.client, &statement.bare()).await?,
            planned_anew(&self.unsealed.client, &statement.unsealed()).await?,
            planned_anew(&self.ours.client, &statement.walled()).await?,
        ];
        Ok((samples, planned_anew))
    }
}
