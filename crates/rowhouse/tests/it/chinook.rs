//! The Chinook music shop, split into two tenants: one unchanged query, two answers.

use rowhouse::tables::{Assign, Protect, Protected};

use crate::tables::{build, protect, truth};
use crate::world::World;

/// Where the binary's `tour` takes it from.
const CHINOOK: &str = include_str!("../../../rowhouse-server/data/chinook.sql");
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
const UNCHANGED: &str =
    "select billing_country, sum(total) from invoice group by 1 order by 2 desc limit 5";

/// The shop, its catalogue shared, its customers and what they bought split between alpha and beta.
pub async fn protected_chinook(world: &World) -> Vec<Protected> {
    build(world, CHINOOK).await;
    let (alpha, beta) = (world.alpha.id.uuid(), world.beta.id.uuid());
    let mut counted = 0;
    for table in CATALOGUE
        .into_iter()
        .chain(["customer", "invoice", "invoice_line"])
    {
        counted += truth(world, &format!("select count(*) from {table}")).await;
    }
    assert_eq!(counted, 15_607);

    let mut plan: Vec<Protect> = CATALOGUE.into_iter().map(Protect::shared).collect();
    plan.push(Protect::content(
        "invoice_line",
        Assign::Follow("invoice_id".into()),
    ));
    plan.push(Protect::content(
        "invoice",
        Assign::Follow("invoice_customer_id_fkey".into()),
    ));
    plan.push(Protect::content(
        "customer",
        Assign::Sql(format!(
            "case when country in ('USA', 'Canada', 'Brazil', 'Argentina', 'Chile') then '{alpha}' else '{beta}' end"
        )),
    ));
    protect(world, &plan).await.unwrap()
}

#[tokio::test]
async fn one_unchanged_query_gives_each_tenant_its_own_answer() {
    let world = World::new().await;
    let done = protected_chinook(&world).await;
    assert_eq!(
        done.iter().map(|table| table.rows.unwrap()).sum::<u64>(),
        15_607
    );

    for (tenant, counts) in [(&world.alpha, COUNTS[0]), (&world.beta, COUNTS[1])] {
        for (table, count) in ["customer", "invoice", "invoice_line"]
            .into_iter()
            .zip(counts)
        {
            let sql = format!("select count(*) from {table}");
            let rows = world
                .house
                .query(&tenant.context(), &sql, &[])
                .await
                .unwrap();
            assert_eq!(
                rows[0].get::<_, i64>(0),
                count,
                "{table} of {}",
                tenant.slug
            );
        }
        let tracks = world
            .house
            .query(&tenant.context(), "select count(*) from track", &[])
            .await
            .unwrap();
        assert_eq!(tracks[0].get::<_, i64>(0), 3503);
    }

    let superuser = world.superuser().await;
    let mut answers = Vec::new();
    for tenant in [&world.alpha, &world.beta] {
        let asked = format!(
            "select array_agg(format('%s %s', billing_country, sum) order by sum desc) from ({UNCHANGED}) q"
        );
        let rows = world
            .house
            .query(&tenant.context(), &asked, &[])
            .await
            .unwrap();
        let answer: Vec<String> = rows[0].get(0);
        let by_hand = superuser
            .query_one(
                "select array_agg(format('%s %s', country, sum) order by sum desc) from (
                   select i.billing_country as country, sum(i.total)
                   from invoice i join customer c using (customer_id)
                   where (c.country in ('USA', 'Canada', 'Brazil', 'Argentina', 'Chile')) = $1
                   group by 1 order by 2 desc limit 5) q",
                &[&(tenant.slug == "alpha")],
            )
            .await
            .unwrap();
        assert_eq!(answer, by_hand.get::<_, Vec<String>>(0), "{}", tenant.slug);
        answers.push(answer);
    }
    assert_ne!(answers[0], answers[1]);
    assert_eq!(answers[0][0], "USA 523.06");
}

/// Customers, invoices and lines of the two tenants; together 59, 412, 2240.
const COUNTS: [[i64; 3]; 2] = [[28, 196, 1064], [31, 216, 1176]];
