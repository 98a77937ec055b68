//! Lists of resources through the library, as far as the caller may see them: pages of 50 anywhere in a tenant, under every
//! combination of filters that the library offers, and the first page of callers who see much, little and nothing.

use std::time::Instant;

use rowhouse::ids::{TenantId, UserId, WorkspaceId};
use rowhouse::members::{self, Role};
use rowhouse::resources::{self, Filter, ResourceType, Visibility};
use rowhouse::{Context, Rowhouse};

use crate::report::{Goal, Part, Table, Target, time};
use crate::sample::{Dice, Samples, cpu_of_all, family_of};
use crate::world::{Database, Result, Server};

const EACH: usize = 10_000;
const LARGE: usize = 100;
const WORKSPACES: i32 = 20;
const LIMIT: u16 = 50;
/// Pages of each combination of filters.
const PAGES: usize = 100;
const COMBINATIONS: usize = 8;
/// First pages of each caller.
const FIRST_PAGES: usize = 400;
/// People of each tenant. The first is its owner; the second is in each team and project; the ninth in none, with entries in
/// ACLs; the tenth is named nowhere.
const PEOPLE: usize = 10;
const CALLERS: [(&str, usize, bool); 3] = [
    ("much: in each team and project of an open tenant", 2, true),
    (
        "little: in no team, a few entries in a closed tenant",
        9,
        false,
    ),
    ("nothing: named nowhere in a closed tenant", 10, false),
];

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

    let (callers, goals) = first_pages(server.postmaster()?, &mut large).await?;

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
             tenant of 10,000 resources and in a random one of {LARGE} tenants with 10,000 each, for a member who is in each team and project. \
             Each tenant has {PEOPLE} people, 4 teams, 4 projects, {WORKSPACES} workspaces; types and visibilities are \
             unevenly frequent; 5 % of the resources have an entry in their ACL, one in five for a team. In an open tenant half of the resources are for everyone inside; \
             in a closed one, which is every other, none is. The second table is the first page, without filters, of callers \
             who see much, little and nothing; in the database is the CPU time of all of the server's processes, what the pool asks behind the \
             page among it. Resources were written as the superuser with foreign-key checks off.",
            all[0].count()
        ),
        tables: vec![table, callers],
        goals: [
            goal("10,000 resources", &all[0], 300.0),
            goal("1,000,000 resources", &all[1], 5.0),
        ]
        .into_iter()
        .chain(goals)
        .collect(),
    })
}

/// The first page of each caller: how long it takes, and of that the CPU of the server, whose process `postmaster` is.
async fn first_pages(postmaster: i32, large: &mut Shelf) -> Result<(Table, Vec<Goal>)> {
    let mut callers = Table::new([
        "the caller sees",
        "rows seen",
        "p50",
        "p95",
        "in the database, p50",
        "in the database, p95",
    ]);
    let mut goals = Vec::new();
    for (who, person, open) in CALLERS {
        let (mut samples, mut inside) = (Samples::default(), Samples::default());
        let mut seen = 0;
        let server = family_of(postmaster)?; // the connection is there: pages were read over it
        for round in 0..=FIRST_PAGES {
            let before = cpu_of_all(&server)?;
            let (took, rows) = large.first_page(person, open).await?;
            if round > 0 {
                samples.add(took);
                inside.add(cpu_of_all(&server)? - before);
                seen = seen.max(rows);
            }
        }
        callers.row([
            who.to_owned(),
            format!(
                "{seen}{}",
                if seen == usize::from(LIMIT) {
                    " and more"
                } else {
                    ""
                }
            ),
            time(samples.median()),
            time(samples.quantile(0.95)),
            time(inside.median()),
            time(inside.quantile(0.95)),
        ]);
        let (first, _) = who.split_once(':').unwrap_or((who, ""));
        goals.push(goal(
            &format!("1,000,000, by who sees {first}"),
            &samples,
            5.0,
        ));
    }
    Ok((callers, goals))
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
    /// Each tenant with its people, and whether it is open.
    tenants: Vec<(TenantId, Vec<UserId>, bool)>,
    dice: Dice,
}

impl Shelf {
    async fn new(server: &Server, name: &str, tenants: usize) -> Result<Self> {
        let database = server.database(name).await?;
        database.found(tenants).await?;
        let house = database.house().await?;
        let tenants = people(&database, &house).await?;
        fill(&database).await?;
        Ok(Self {
            house,
            places: places(&database).await?,
            tenants,
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
        let home = self.tenants.iter().find(|(id, ..)| id == tenant);
        let (_, people, _) = home.ok_or("a place in no tenant")?;
        let context = Context::user(*tenant, people[1]);
        Ok(self.list(&context, &filter).await?.0)
    }

    /// The first page of the person with this number in some tenant of this kind: how long it took, and its rows.
    async fn first_page(&mut self, person: usize, open: bool) -> Result<(f64, usize)> {
        let kind: Vec<_> = self
            .tenants
            .iter()
            .filter(|(.., is_open)| *is_open == open)
            .collect();
        let (tenant, people, _) = self.dice.pick(&kind);
        let context = Context::user(*tenant, people[person - 1]);
        self.list(&context, &Filter::default()).await
    }

    async fn list(&self, context: &Context, filter: &Filter) -> Result<(f64, usize)> {
        let begun = Instant::now();
        let mut tx = self.house.begin(context).await?;
        let rows = resources::list(&mut tx, filter, LIMIT).await?.len();
        tx.commit().await?;
        let took = begun.elapsed().as_secs_f64() * 1e6;
        self.house.ready().await?; // what the pool does behind COMMIT is not this page's, nor the next one's
        Ok((took, rows))
    }
}

/// The people, teams and projects of each tenant. The owner comes last: while there is none, the platform names members.
async fn people(
    database: &Database,
    house: &Rowhouse,
) -> Result<Vec<(TenantId, Vec<UserId>, bool)>> {
    let superuser = database.superuser().await?;
    let mut tenants = Vec::new();
    let founded = superuser
        .query("select id from rowhouse.tenants order by id", &[])
        .await?;
    for (number, row) in founded.iter().enumerate() {
        let tenant: TenantId = row.get(0);
        let people: Vec<UserId> = (0..PEOPLE).map(|_| UserId::new()).collect();
        for (n, user) in people.iter().enumerate() {
            superuser
                .execute(
                    "insert into rowhouse.users (id, email, name) values ($1, $2, 'Somebody')",
                    &[user, &format!("person{n}@tenant{number}.example")],
                )
                .await?;
        }
        let mut tx = house.begin_platform().await?;
        let platform = tx.system_of(tenant).await?;
        for (n, user) in people.iter().enumerate().rev() {
            let role = if n == 0 { Role::Owner } else { Role::Member };
            members::add(&mut tx, &platform, *user, role).await?;
        }
        tx.commit().await?;
        let mut tx = house.begin(&Context::user(tenant, people[0])).await?;
        tx.batch(
            "insert into rowhouse.teams (id, name) select gen_random_uuid(), 'Team ' || n from generate_series(1, 4) n;
             insert into rowhouse.projects (id, name) select gen_random_uuid(), 'Project ' || n from generate_series(1, 4) n",
        )
        .await?;
        tx.execute("insert into rowhouse.team_members (team_id, user_id) select id, $1 from rowhouse.teams", &[&people[1]])
            .await?;
        tx.execute(
            "insert into rowhouse.user_project_roles (project_id, user_id, role) select id, $1, 'editor' from rowhouse.projects",
            &[&people[1]],
        )
        .await?;
        tx.commit().await?;
        tenants.push((tenant, people, number % 2 == 0));
    }
    Ok(tenants)
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
               (tenant_id, id, type, title, payload, visibility, team_id, project_id, workspace_id, owner_id, created_at, updated_at)
             select t.id, gen_random_uuid(),
               case when a < 0.6 then 'prompt' when a < 0.8 then 'collection' when a < 0.9 then 'model'
                 when a < 0.97 then 'integration' else 'tag' end,
               'Resource ' || n,
               jsonb_build_object('text', repeat('lorem ipsum ', 12), 'number', n),
               visibility,
               case when visibility = 'team' then t.teams[1 + n % 4] end,
               case when visibility = 'project' then t.projects[1 + n % 4] end,
               t.workspaces[1 + n % $2],
               t.people[1 + n % 8], -- the last two own nothing
               at, at
             from (
               select t.id, row_number() over (order by t.id) % 2 = 1 as open,
                 array(select w.id from rowhouse.workspaces w where w.tenant_id = t.id) as workspaces,
                 array(select x.id from rowhouse.teams x where x.tenant_id = t.id) as teams,
                 array(select x.id from rowhouse.projects x where x.tenant_id = t.id) as projects,
                 array(select m.user_id from rowhouse.tenant_members m where m.tenant_id = t.id order by m.user_id) as people
               from rowhouse.tenants t
             ) t
             cross join generate_series(1, $1) n
             cross join lateral (
               select random() as a, random() as b, timestamptz '2026-01-01' + random() * interval '180 days' as at
               where t.id is not null and n > 0 -- so that it is drawn for each row
             ) chance
             cross join lateral (
               select case
                 when b < 0.5 and t.open then 'tenant'
                 when b < 0.7 then 'team'
                 when b < 0.9 then 'project'
                 else 'private'
               end as visibility
             ) meant",
            &[&i32::try_from(EACH)?, &WORKSPACES],
        )
        .await?;
    superuser
        .execute(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
             select r.tenant_id, r.id,
               case when random() < 0.8 then m.people[1 + (random() * 8)::int] else t.teams[1 + floor(random() * 4)::int] end,
               'read'
             from rowhouse.resources r
             join (
               select tenant_id, array_agg(user_id order by user_id) as people
               from rowhouse.tenant_members group by tenant_id
             ) m using (tenant_id)
             join (
               select tenant_id, array_agg(id) as teams from rowhouse.teams group by tenant_id
             ) t using (tenant_id)
             where r.project_id is null and random() < 0.06",
            &[],
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
