//! Lists of resources through the library: pages of 50 anywhere in a tenant, under every combination of filters that the
//! library offers.

use std::time::Instant;

use rowhouse::ids::{TenantId, WorkspaceId};
use rowhouse::resources::{self, Filter, ResourceType, Visibility};
use rowhouse::{Context, Rowhouse};

use crate::report::{Goal, Part, Table, Target, time};
use crate::sample::{Dice, Samples};
use crate::world::{Database, Result, Server};

const EACH: usize = 10_000;
const LARGE: usize = 100;
const WORKSPACES: i32 = 20;
const LIMIT: u16 = 50;
/// Pages of each combination of filters.
const PAGES: usize = 100;
const COMBINATIONS: usize = 8;

pub async fn measure(server: &Server) -> Result<Part> {
    let mut small = Shelf::new(server, "lists_small", 1).await?;
    let mut large = Shelf::new(server, "lists_large", LARGE).await?;
    let mut samples = [
        vec![Samples::default(); COMBINATIONS],
        vec![Samples::default(); COMBINATIONS],
    ];
    for round in 0..=PAGES {
        for combination in 0..COMBINATIONS {
            for (shelf, samples) in [&mut small, &mut large].into_iter().zip(&mut samples) {
                let took = shelf.page(combination).await?;
                if round > 0 {
                    samples[combination].add(took);
                }
            }
        }
    }

    let mut table = Table::new(["filters", "10 k, p50", "10 k, p95", "1 M, p50", "1 M, p95"]);
    let cells = |small: &Samples, large: &Samples| {
        [
            small.median(),
            small.quantile(0.95),
            large.median(),
            large.quantile(0.95),
        ]
        .map(time)
    };
    let mut all = [Samples::default(), Samples::default()];
    let [of_small, of_large] = &samples;
    for (combination, (small, large)) in of_small.iter().zip(of_large).enumerate() {
        let [a, b, c, d] = cells(small, large);
        table.row([label(combination), a, b, c, d]);
        all[0].join(small);
        all[1].join(large);
    }
    let [a, b, c, d] = cells(&all[0], &all[1]);
    table.row(["all of them".into(), a, b, c, d]);
    Ok(Part {
        title: "Lists of resources",
        about: format!(
            "`resources::list`, {LIMIT} a page, with BEGIN, `enter` and COMMIT: {} pages each, at random places, in one \
             tenant of 10,000 resources and in a random one of {LARGE} tenants with 10,000 each. {WORKSPACES} workspaces a tenant; types and \
             visibilities are unevenly frequent (60 % down to 3 %). What an access list allows is not part of it: the library \
             does not enforce it yet. Resources were written as the superuser with foreign-key checks off.",
            all[0].count()
        ),
        tables: vec![table],
        goals: vec![
            goal("10,000 resources", &all[0], 300.0),
            goal("1,000,000 resources", &all[1], 5.0),
        ],
    })
}

fn goal(what: &str, samples: &Samples, most: f64) -> Goal {
    Goal {
        what: format!("a page of 50 out of {what}, p95"),
        figure: samples.quantile(0.95) / 1e3,
        unit: "ms",
        target: Target::AtMost(most),
    }
}

const BY_WORKSPACE: usize = 1;
const BY_TYPE: usize = 2;
const BY_VISIBILITY: usize = 4;

fn label(combination: usize) -> String {
    let names: Vec<&str> = [
        (BY_WORKSPACE, "workspace"),
        (BY_TYPE, "type"),
        (BY_VISIBILITY, "visibility"),
    ]
    .into_iter()
    .filter(|(bit, _)| combination & bit != 0)
    .map(|(_, name)| name)
    .collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(" and ")
    }
}

/// A database of tenants with 10,000 resources each.
struct Shelf {
    house: Rowhouse,
    /// A place in some tenant where a page can begin, and what a filter for a row that is there would say.
    places: Vec<(TenantId, Filter)>,
    dice: Dice,
}

impl Shelf {
    async fn new(server: &Server, name: &str, tenants: usize) -> Result<Self> {
        let database = server.database(name).await?;
        database.found(tenants).await?;
        fill(&database).await?;
        Ok(Self {
            house: database.house().await?,
            places: places(&database).await?,
            dice: Dice::new(17),
        })
    }

    /// How long a page took, in microseconds.
    async fn page(&mut self, combination: usize) -> Result<f64> {
        let (tenant, place) = self.dice.pick(&self.places);
        let mut filter = place.clone();
        if combination & BY_WORKSPACE == 0 {
            filter.workspace = None;
        }
        if combination & BY_TYPE == 0 {
            filter.r#type = None;
        }
        if combination & BY_VISIBILITY == 0 {
            filter.visibility = None;
        }
        let begun = Instant::now();
        let mut tx = self.house.begin(&Context::tenant(*tenant)).await?;
        resources::list(&mut tx, &filter, LIMIT).await?;
        tx.commit().await?;
        let took = begun.elapsed().as_secs_f64() * 1e6;
        self.house.ready().await?; // what the pool does behind COMMIT is not this page's, nor the next one's
        Ok(took)
    }
}

/// Checks of foreign keys are triggers: left out, or a million rows take minutes.
async fn fill(database: &Database) -> Result {
    let superuser = database.superuser().await?;
    superuser
        .batch_execute("set session_replication_role = replica")
        .await?;
    superuser
        .execute(
            "insert into rowhouse.workspaces (tenant_id, id, kind, name)
             select t.id, gen_random_uuid(), 'tenant', 'Workspace ' || n
             from rowhouse.tenants t, generate_series(2, $1) n",
            &[&WORKSPACES],
        )
        .await?;
    superuser
        .execute(
            "insert into rowhouse.resources
               (tenant_id, id, type, title, payload, visibility, workspace_id, owner_id, created_at, updated_at)
             select t.id, gen_random_uuid(),
               case when a < 0.6 then 'prompt' when a < 0.8 then 'collection' when a < 0.9 then 'model'
                 when a < 0.97 then 'integration' else 'tag' end,
               'Resource ' || n,
               jsonb_build_object('text', repeat('lorem ipsum ', 12), 'number', n),
               case when b < 0.8 then 'tenant' when b < 0.92 then 'team' when b < 0.97 then 'project' else 'private' end,
               t.workspaces[1 + n % $2], t.id, at, at
             from (
               select w.tenant_id as id, array_agg(w.id) as workspaces from rowhouse.workspaces w group by w.tenant_id
             ) t
             cross join generate_series(1, $1) n
             cross join lateral (
               select random() as a, random() as b, timestamptz '2026-01-01' + random() * interval '180 days' as at
               where t.id is not null and n > 0 -- so that it is drawn for each row
             ) chance",
            &[&i32::try_from(EACH)?, &WORKSPACES],
        )
        .await?;
    database.tidy().await
}

async fn places(database: &Database) -> Result<Vec<(TenantId, Filter)>> {
    let rows = database
        .superuser()
        .await?
        .query(
            "select tenant_id, workspace_id, type, visibility, updated_at, id
             from rowhouse.resources
             order by random()
             limit 5000",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let filter = Filter {
                workspace: Some(row.get::<_, WorkspaceId>(1)),
                r#type: Some(row.get::<_, ResourceType>(2)),
                visibility: Some(row.get::<_, Visibility>(3)),
                after: Some((row.get(4), row.get(5))),
                ..Filter::default()
            };
            (row.get(0), filter)
        })
        .collect())
}
