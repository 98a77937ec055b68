//! A minute with the wall: a music shop written for one customer, split into two tenants; one unchanged query; then the
//! attacks, and how each ends.
//!
//! It wants a database of its own, migrated, whose schema `public` is empty. Every attack is made for real, as the app's
//! login, and beside each stands its control: the same thing inside one's own tenant works. So what is held is held by
//! the wall, and not by something else being broken.

mod attacks;
mod print;
mod residue;

use std::io::Write;
use std::time::{Duration, Instant};

use rowhouse::ids::TenantId;
use rowhouse::tables::{self, Assign, Protect, Protected};
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Context, Error, Owner, Result, Rowhouse, Secret};

use print::Page;

const CHINOOK: &str = include_str!("../../data/chinook.sql");
const CATALOGUE: [&str; 8] = [
    "artist",
    "album",
    "genre",
    "media_type",
    "track",
    "playlist",
    "playlist_track",
    "employee",
];
const AMERICAS: &str = "'USA', 'Canada', 'Brazil', 'Argentina', 'Chile'";
/// What the shop's program asked when it had one customer, and asks now.
const UNCHANGED: &str =
    "select billing_country, sum(total) from invoice group by 1 order by 2 desc limit 5";

/// How the tour ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TourReport {
    /// Attacks that were made.
    pub attempts: usize,
    /// Attacks that got through.
    pub leaks: usize,
    /// Attacks whose control failed, so that nothing can be said of them.
    pub unproved: usize,
}

/// Whose, its lines, and how long it took.
type Column = (&'static str, Vec<(String, String)>, Duration);

/// A tenant of the tour.
struct Side {
    slug: &'static str,
    id: TenantId,
}

impl Side {
    fn context(&self) -> Context {
        Context::tenant(self.id)
    }
}

/// Gives the tour, in colours where `colours` says that the reader sees them.
pub async fn run(
    owner_url: &Secret,
    house: &Rowhouse,
    app_url: &Secret,
    out: &mut impl Write,
    colours: bool,
) -> Result<TourReport> {
    let mut page = Page::new(out, colours);
    let mut owner = Owner::connect(owner_url.clone()).await?;
    refuse_used(&mut owner).await?;
    let americas = found(house, "americas", "Chinook Americas").await?;
    let elsewhere = found(house, "elsewhere", "Chinook Elsewhere").await?;
    build(&mut owner, &americas, &elsewhere, &mut page).await?;
    ask(house, [&americas, &elsewhere], &mut page).await?;
    let report = attacks::run(&mut owner, house, app_url, &americas, &elsewhere, &mut page).await?;
    page.close(&report)?;
    Ok(report)
}

async fn refuse_used(owner: &mut Owner) -> Result<()> {
    let used: Option<String> = owner
        .client()
        .query_one(
            "select string_agg(relname, ', ') from pg_class
             where relnamespace = to_regnamespace('public') and relkind in ('r', 'v', 'm', 'f', 'p')",
            &[],
        )
        .await?
        .get(0);
    match used {
        None => Ok(()),
        Some(names) => Err(Error::Config(format!(
            "the tour needs a database of its own, and this one holds tables already ({names})"
        ))),
    }
}

async fn found(house: &Rowhouse, slug: &'static str, name: &str) -> Result<Side> {
    let mut registry = house.begin_platform().await?;
    let tenant = tenants::create(&mut registry, NewTenant::organization(slug, name)).await?;
    registry.commit().await?;
    Ok(Side {
        slug,
        id: tenant.id,
    })
}

/// Loads the shop as it always was, then puts it behind the wall.
async fn build(
    owner: &mut Owner,
    americas: &Side,
    elsewhere: &Side,
    page: &mut Page<'_, impl Write>,
) -> Result<()> {
    let started = Instant::now();
    let tx = owner.begin().await?;
    tx.batch_execute(CHINOOK).await?;
    page.heading("A music shop (Chinook), written for one customer")?;
    page.fact("loaded, 11 tables as they are", Some(started.elapsed()))?;

    let started = Instant::now();
    let region = format!(
        "case when country in ({AMERICAS}) then '{}' else '{}' end",
        americas.id.uuid(),
        elsewhere.id.uuid()
    );
    let mut plan: Vec<Protect> = CATALOGUE.into_iter().map(Protect::shared).collect();
    plan.extend([
        Protect::content("customer", Assign::Sql(region)),
        Protect::content("invoice", Assign::Follow("customer_id".into())),
        Protect::content("invoice_line", Assign::Follow("invoice_id".into())),
    ]);
    let done = tables::protect(&tx, &plan).await?;
    tx.commit().await?;
    let rows = |of: &[Protected]| of.iter().filter_map(|table| table.rows).sum::<u64>();
    let (shared, walled) = done.split_at(CATALOGUE.len());
    page.fact(
        &format!(
            "customer, invoice, invoice_line: {} rows behind the wall; the catalogue: {} rows shared",
            rows(walled),
            rows(shared)
        ),
        Some(started.elapsed()),
    )?;
    page.fact(
        &format!(
            "two tenants: americas ({}), elsewhere",
            AMERICAS.replace('\'', "")
        ),
        None,
    )
}

/// The unchanged query, once for each tenant.
async fn ask(house: &Rowhouse, sides: [&Side; 2], page: &mut Page<'_, impl Write>) -> Result<()> {
    page.heading("One query, which nobody changed")?;
    page.sql(UNCHANGED)?;
    let mut answers: Vec<Column> = Vec::new();
    // Around it only what turns its numbers into text.
    let sql =
        format!("select country::text, total::text from ({UNCHANGED}) answer (country, total)");
    for side in sides {
        for _ in 0..4 {
            house.query(&side.context(), &sql, &[]).await?; // the first ones make the connections
        }
        let started = Instant::now();
        let rows = house.query(&side.context(), &sql, &[]).await?;
        let took = started.elapsed();
        let lines: Vec<(String, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        answers.push((side.slug, lines, took));
    }
    page.beside(&answers)
}
