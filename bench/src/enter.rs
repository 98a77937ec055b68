//! What `rowhouse.enter` alone costs, for callers with few and with many projects: their ids are part of the context that
//! it writes and seals, and that each policy then verifies.
//!
//! Transactions without a statement, whose own cost is measured too and taken off.

use std::time::{Duration, Instant};

use rowhouse::members::{self, Role};
use rowhouse::{Context, Rowhouse, users};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::report::{Part, Table, time, times};
use crate::sample::{Samples, cpu_each};
use crate::world::{ENTER, Raw, Result, SET_TENANT, Server};

const PROJECTS: [i32; 4] = [1, 10, 100, 1000];
const ROUNDS: usize = 15;
const BLOCK: u32 = 200;
/// What a policy asks.
const CHECK: &str = "select rowhouse.bound_tenant()";

pub async fn measure(server: &Server) -> Result<Part> {
    let database = server.database("enter").await?;
    let tenant = database.found(1).await?[0];
    let house = database.house().await?;
    let callers = callers(&house, tenant).await?;
    database.tidy().await?;

    let port = database.port();
    let unsealed = Raw::new(database.plain(port).await?, SET_TENANT).await?;
    let ours = Raw::new(database.app(port).await?, ENTER).await?;
    let check = ours.client.prepare(CHECK).await?;
    let id = tenant.uuid().to_string();
    let mut variants = vec![
        Variant::new(&unsealed, Does::Nothing),
        Variant::new(&unsealed, Does::Open(Box::new(id))),
    ];
    for context in &callers {
        let ticket = house.ticket(context, Duration::from_hours(1)).await?;
        let ticket = || Box::new(ticket.as_bytes().to_vec());
        variants.push(Variant::new(&ours, Does::Open(ticket())));
        variants.push(Variant::new(&ours, Does::OpenAndCheck(ticket(), &check)));
    }
    for round in 0..=ROUNDS {
        for variant in &mut variants {
            variant.block(round > 0).await?;
        }
    }

    let cost = |variant: usize| {
        let empty = &variants[0];
        (
            variants[variant].cpu.without(&empty.cpu).median(),
            variants[variant].time.without(&empty.time).median(),
        )
    };
    let mut table = Table::new([
        "",
        "CPU",
        "latency",
        "CPU by set_config",
        "CPU with one check",
    ]);
    let unsealed = cost(1);
    table.row([
        "unsealed `set_config`".into(),
        time(unsealed.0),
        time(unsealed.1),
        times(1.0),
        String::new(),
    ]);
    for (number, projects) in PROJECTS.iter().enumerate() {
        let (cpu, latency) = cost(2 + 2 * number);
        let (with_check, _) = cost(3 + 2 * number);
        table.row([
            format!("`enter`, projects: {projects}"),
            time(cpu),
            time(latency),
            times(cpu / unsealed.0),
            time(with_check),
        ]);
    }
    Ok(Part {
        title: "Entering",
        about: format!(
            "Transactions without a statement, pipelined: BEGIN, the call, COMMIT. What BEGIN and COMMIT alone cost was \
             taken off ({} of CPU, {} in all). The last column adds `select rowhouse.bound_tenant()`, which each \
             walled table of a statement asks once. Medians of {ROUNDS} rounds of {BLOCK} transactions. There is no target for this.",
            time(variants[0].cpu.median()),
            time(variants[0].time.median())
        ),
        tables: vec![table],
        goals: Vec::new(),
    })
}

/// Members of one tenant with a role in so many of its projects each.
async fn callers(house: &Rowhouse, tenant: rowhouse::ids::TenantId) -> Result<Vec<Context>> {
    let mut tx = house.begin_system(tenant).await?;
    tx.execute(
        "insert into rowhouse.projects (tenant_id, id, name)
         select $1, gen_random_uuid(), 'Project ' || n from generate_series(1, $2) n",
        &[&tenant, &PROJECTS[PROJECTS.len() - 1]],
    )
    .await?;
    tx.commit().await?;
    let mut callers = Vec::new();
    for projects in PROJECTS {
        let mut registry = house.begin_platform().await?;
        let user = users::create(
            &mut registry,
            &format!("of-{projects}@example.com"),
            "Member",
        )
        .await?;
        let system = registry.system_of(tenant).await?;
        members::add(&mut registry, &system, user.id, Role::Member).await?;
        registry.commit().await?;
        let mut tx = house.begin_system(tenant).await?;
        tx.execute(
            "insert into rowhouse.user_project_roles (tenant_id, project_id, user_id, role)
             select p.tenant_id, p.id, $2, 'editor' from rowhouse.projects p where p.tenant_id = $1 limit $3",
            &[&tenant, &user.id, &i64::from(projects)],
        )
        .await?;
        tx.commit().await?;
        callers.push(Context::user(tenant, user.id));
    }
    Ok(callers)
}

/// What stands between BEGIN and COMMIT.
enum Does<'a> {
    Nothing,
    Open(Box<dyn ToSql + Sync>),
    OpenAndCheck(Box<dyn ToSql + Sync>, &'a Statement),
}

struct Variant<'a> {
    raw: &'a Raw,
    does: Does<'a>,
    cpu: Samples,
    time: Samples,
}

impl<'a> Variant<'a> {
    fn new(raw: &'a Raw, does: Does<'a>) -> Self {
        Self {
            raw,
            does,
            cpu: Samples::default(),
            time: Samples::default(),
        }
    }

    async fn block(&mut self, counts: bool) -> Result {
        let mut took = 0.0;
        let cpu = cpu_each(self.raw.pid, BLOCK, async {
            for _ in 0..BLOCK {
                let begun = Instant::now();
                match &self.does {
                    Does::Nothing => self.raw.nothing().await?,
                    Does::Open(key) => self.raw.open_only(&**key).await?,
                    Does::OpenAndCheck(key, check) => {
                        self.raw.in_transaction(&**key, check, &[]).await?;
                    }
                }
                took += begun.elapsed().as_secs_f64() * 1e6;
            }
            Ok(())
        })
        .await?;
        if counts {
            self.cpu.add(cpu);
            self.time.add(took / f64::from(BLOCK));
        }
        Ok(())
    }
}
