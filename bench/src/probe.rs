//! What a run of the probe costs whoever works beside it: many tables behind the wall, a million rows in them, and a service
//! that reads and writes meanwhile. And which locks the probe takes, and for how long: seen from outside, many times a second.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rowhouse::ids::TenantId;
use rowhouse::tables::probe::{self, Options, Report};
use rowhouse::tables::{self, Assign, Protect};
use rowhouse::{Context, Owner, Rowhouse};
use tokio_postgres::Client;

use crate::report::{Part, Table, time};
use crate::sample::{Dice, Samples};
use crate::world::{Database, Result, Server};

const TABLES: usize = 200;
const ROWS: usize = 5_000;
const TENANTS: usize = 20;
const ALONE: Duration = Duration::from_secs(20);
/// Between two requests of the service.
const REST: Duration = Duration::from_millis(2);
/// Between two tables of the probe, in its second run.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at its locks.
const LOOK: Duration = Duration::from_millis(10);

pub async fn measure(server: &Server) -> Result<Part> {
    let mut place = Place::new(server).await?;
    let ((), alone) = place
        .beside(async {
            tokio::time::sleep(ALONE).await;
            Ok(())
        })
        .await?;
    let ((report, locks), full) = place.beside(place.probe(Duration::ZERO).await?).await?;
    let ((paused, _), resting) = place.beside(place.probe(PAUSE).await?).await?;

    let mut load = Table::new(["the service", "requests", "p50", "p99", "slowest"]);
    let resting_name = format!("beside the probe with `--pause {}`", PAUSE.as_millis());
    for (name, samples) in [
        ("alone", &alone),
        ("beside the probe", &full),
        (&resting_name, &resting),
    ] {
        load.row([
            name.to_owned(),
            samples.count().to_string(),
            time(samples.median()),
            time(samples.quantile(0.99)),
            time(samples.quantile(1.0)),
        ]);
    }
    let mut held = Table::new(["lock", "tables at once", "longest"]);
    for (mode, (most, longest)) in &locks.seen {
        held.row([
            mode.clone(),
            most.to_string(),
            time(longest.as_secs_f64() * 1e6),
        ]);
    }
    Ok(Part {
        title: "A probe beside a service",
        about: format!(
            "{TABLES} tables with {ROWS} rows each, {TENANTS} tenants. The service is one connection that reads a row of some \
             table by its key, changes one in five, and rests {} ms. The probe made {} attempts ({} leaks) in {:.0} s, resting {} ms after each \
             table in {:.0} s; that includes our own tables. Below, the locks on tables that its transactions held, looked at every {} ms.",
            REST.as_millis(),
            report.attempts,
            report.leaks,
            report.seconds,
            PAUSE.as_millis(),
            paused.seconds,
            LOOK.as_millis()
        ),
        tables: vec![load, held],
        goals: Vec::new(),
    })
}

struct Place {
    database: Database,
    house: Rowhouse,
    tenants: Vec<TenantId>,
    dice: Dice,
}

impl Place {
    async fn new(server: &Server) -> Result<Self> {
        let database = server.database("probe").await?;
        let tenants = database.found(TENANTS).await?;
        let superuser = database.superuser().await?;
        superuser
            .batch_execute(&format!(
                "do $$ begin
                   for n in 1 .. {TABLES} loop
                     execute format('create table t_%s (tenant_id uuid not null, id int not null, body text not null, primary key (tenant_id, id))', n);
                     execute format('insert into t_%s select t.id, n, ''lorem ipsum'' from rowhouse.tenants t, generate_series(1, {ROWS} / {TENANTS}) n', n);
                   end loop;
                 end $$"
            ))
            .await?;
        let mut owner = database.owner().await?;
        let tx = owner.begin().await?;
        let plan: Vec<Protect> = (1..=TABLES)
            .map(|n| Protect::content(format!("t_{n}"), Assign::Empty))
            .collect();
        tables::protect(&tx, &plan).await?;
        tx.commit().await?;
        database.tidy().await?;
        Ok(Self {
            house: database.house().await?,
            database,
            tenants,
            dice: Dice::new(17),
        })
    }

    /// A run of the probe, not begun.
    async fn probe(
        &self,
        pause: Duration,
    ) -> Result<impl Future<Output = Result<(Report, Locks)>> + Send + use<>> {
        let app = self.database.app(self.database.port()).await?;
        let login: String = app
            .query_one("select session_user::text", &[])
            .await?
            .get(0);
        let options = Options {
            app: Some(self.database.app_url()),
            pause,
            ..Options::new(login)
        };
        let owner = self.database.owner().await?;
        let superuser = self.database.superuser().await?;
        Ok(Box::pin(watched(owner, options, superuser))) // it is large
    }

    /// How long the service's requests take while something is done.
    async fn beside<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<(T, Samples)> {
        let work = tokio::spawn(work);
        let mut samples = Samples::default();
        while !work.is_finished() {
            let began = Instant::now();
            self.request().await?;
            samples.add_time(began.elapsed());
            tokio::time::sleep(REST).await;
        }
        Ok((work.await??, samples))
    }

    async fn request(&mut self) -> Result {
        let context = Context::tenant(*self.dice.pick(&self.tenants));
        let table = 1 + self.dice.throw(TABLES);
        let id = i32::try_from(1 + self.dice.throw(ROWS / TENANTS))?;
        let rows = if self.dice.throw(5) == 0 {
            let sql = format!("update t_{table} set body = body where id = $1");
            self.house.execute(&context, &sql, &[&id]).await?
        } else {
            let sql = format!("select body from t_{table} where id = $1");
            self.house.query(&context, &sql, &[&id]).await?.len() as u64
        };
        if rows == 1 {
            Ok(())
        } else {
            Err(format!("{rows} rows").into())
        }
    }
}

async fn watched(mut owner: Owner, options: Options, superuser: Client) -> Result<(Report, Locks)> {
    let mut locks = Locks::default();
    let report = tokio::select! {
        report = probe::run(&mut owner, &options, |_| {}) => report?,
        broken = locks.watch(&superuser) => return Err(broken.err().unwrap_or_else(|| "it ended".into())),
    };
    Ok((report, locks))
}

/// Modes of locks: on how many tables at once, and for how long at most.
#[derive(Default)]
struct Locks {
    seen: BTreeMap<String, (usize, Duration)>,
    held: HashMap<(u32, String), Instant>,
}

impl Locks {
    /// Until it is dropped.
    async fn watch(&mut self, client: &Client) -> Result {
        let look = client
            .prepare(
                "select l.relation, l.mode
                 from pg_locks l
                 join pg_stat_activity a on a.pid = l.pid
                 join pg_class c on c.oid = l.relation
                 where a.application_name = 'rowhouse probe' and l.granted and c.oid >= 16384 and c.relkind in ('r', 'p')",
            )
            .await?;
        loop {
            let rows = client.query(&look, &[]).await?;
            let now: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            self.note(&now);
            tokio::time::sleep(LOOK).await;
        }
    }

    fn note(&mut self, now: &[(u32, String)]) {
        self.held.retain(|lock, _| now.contains(lock));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for lock in now {
            let since = *self.held.entry(lock.clone()).or_insert_with(Instant::now);
            *counts.entry(&lock.1).or_default() += 1;
            let (most, longest) = self.seen.entry(lock.1.clone()).or_default();
            *most = (*most).max(counts[lock.1.as_str()]);
            *longest = (*longest).max(since.elapsed());
        }
    }
}
