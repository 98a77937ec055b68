//! Whether the time of an answer tells what the answer does not: what is another tenant's, or hidden from the caller, is
//! answered like what is not there. Both are asked for over HTTP on one connection, in a random order.

use std::time::Instant;

use rowhouse::ids::{ResourceId, TenantId};
use rowhouse::keys::{self, NewKey, Permission};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::report::{Part, Table, time};
use crate::sample::{Dice, Samples};
use crate::service::{Service, exchange};
use crate::world::{Database, Result, Server};

const EACH: usize = 500;
const ASKED: usize = 8000;
/// Before the first that counts: until plans are made and pages are where they stay.
const WARM: usize = 800;

pub async fn measure(server: &Server) -> Result<Part> {
    let database = server.database("missing").await?;
    let tenants = database.found(2).await?;
    let (mine, theirs) = (tenants[0], tenants[1]);
    let (key, somebody) = keys_of(&database, mine).await?;
    // By turns, so that no kind is older than another.
    let all: Vec<ResourceId> = std::iter::repeat_with(ResourceId::new)
        .take(4 * EACH)
        .collect();
    let [own, hidden, foreign, nothing] = [0, 1, 2, 3]
        .map(|kind| -> Vec<ResourceId> { all.iter().copied().skip(kind).step_by(4).collect() });
    fill(&database, mine, &own, mine.uuid(), "tenant").await?;
    fill(&database, mine, &hidden, somebody, "private").await?;
    fill(&database, theirs, &foreign, theirs.uuid(), "tenant").await?;
    database.tidy().await?;

    let service = Service::ours(&database).await?;
    let mut asker = Asker {
        client: TcpStream::connect(("127.0.0.1", service.port)).await?,
        key,
        dice: Dice::new(1),
    };
    asker.client.set_nodelay(true)?;
    let nobody: Vec<TenantId> = (0..EACH).map(|_| TenantId::new()).collect();
    let resources = |ids: &[ResourceId]| -> Vec<String> {
        ids.iter()
            .map(|id| format!("{mine}/resources/{id}"))
            .collect()
    };
    let lists = |ids: &[TenantId]| -> Vec<String> {
        ids.iter().map(|id| format!("{id}/resources")).collect()
    };
    asker.ask(&resources(&own)[0], 200).await?; // what is there and may be seen has another answer

    let mut table = Table::new([
        "asked for",
        "it is",
        "p50",
        "p90",
        "p50 of missing",
        "slower",
    ]);
    for (what, it_is, there, missing) in [
        (
            "a resource",
            "another tenant's",
            resources(&foreign),
            resources(&nothing),
        ),
        (
            "a list",
            "another tenant's",
            lists(&[theirs]),
            lists(&nobody),
        ),
        (
            "a resource",
            "hidden inside the tenant",
            resources(&hidden),
            resources(&nothing),
        ),
    ] {
        let [there, missing] = asker.compare([&there, &missing]).await?;
        table.row([
            what.to_owned(),
            it_is.to_owned(),
            time(there.median()),
            time(there.quantile(0.9)),
            time(missing.median()),
            format!("{:.1} %", there.exceed(&missing) * 100.0),
        ]);
    }
    Ok(Part {
        title: "What is foreign, and what is missing",
        about: format!(
            "A key asks `rowhouse serve` over loopback for what is not for it, and for what is not there: {ASKED} requests for each \
             line, in a random order. Both are answered `404`, in the same words. `slower` says how often one of the former took longer \
             than one of the latter: 50 % is what a coin says, and between 48.6 and 51.4 % is what a coin says in 19 of 20 such runs."
        ),
        tables: vec![table],
        goals: Vec::new(),
    })
}

/// A key that asks, and the principal of another one, to whom something belongs.
async fn keys_of(database: &Database, tenant: TenantId) -> Result<(String, Uuid)> {
    let house = database.house().await?;
    let mut tx = house.begin_system(tenant).await?;
    let asks = keys::create(&mut tx, NewKey::new("asks", &[Permission::Read])).await?;
    let owns = keys::create(&mut tx, NewKey::new("owns", &[Permission::Read])).await?;
    tx.commit().await?;
    Ok((asks.secret.reveal().to_owned(), owns.key.id.uuid()))
}

/// Resources of a tenant.
async fn fill(
    database: &Database,
    tenant: TenantId,
    ids: &[ResourceId],
    owner: Uuid,
    visibility: &str,
) -> Result {
    let superuser = database.superuser().await?;
    superuser
        .execute(
            "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, owner_id, visibility)
             select w.tenant_id, made.id, 'prompt', 'Resource', w.id, $3, $4
             from rowhouse.workspaces w cross join unnest($2::uuid[]) made (id)
             where w.tenant_id = $1",
            &[&tenant, &ids, &owner, &visibility],
        )
        .await?;
    Ok(())
}

struct Asker {
    client: TcpStream,
    key: String,
    dice: Dice,
}

impl Asker {
    async fn ask(&mut self, path: &str, expected: u16) -> Result {
        let request = format!(
            "GET /api/v1/tenants/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            self.key
        );
        let mut answer = Vec::with_capacity(4096);
        exchange(&mut self.client, &request, expected, &mut answer).await?;
        Ok(())
    }

    /// How long each of two kinds takes to be answered that it is not there.
    async fn compare(&mut self, kinds: [&[String]; 2]) -> Result<[Samples; 2]> {
        let mut samples = <[Samples; 2]>::default();
        for turn in 0..WARM + ASKED {
            let kind = self.dice.throw(2);
            let path = self.dice.pick(kinds[kind]);
            let began = Instant::now();
            self.ask(path, 404).await?;
            if turn >= WARM {
                samples[kind].add_time(began.elapsed());
            }
        }
        Ok(samples)
    }
}
