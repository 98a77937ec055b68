//! A service that keeps notes behind the wall. It founds nothing: the tenant and the table `notes` are there already.
//! Arguments: the path of `connection.json`, the slug of a tenant.

use std::error::Error;
use std::io::Write;

use rowhouse::{Config, Context, Rowhouse, SealSource, tenants};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(slug)) = (arguments.next(), arguments.next()) else {
        return Err("usage: embed path/to/connection.json SLUG".into());
    };
    for title in notes(&file, &slug).await? {
        writeln!(std::io::stdout(), "{title}")?;
    }
    Ok(())
}

/// Writes a note for the tenant; answers the titles of its notes, the newest first.
pub async fn notes(file: &str, slug: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let connection: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let url = |login: &str| connection["database"][login].as_str().unwrap_or_default();

    // Once, at start. A login that could bypass the wall is refused here.
    let seal = SealSource::Database(url("sealer").into());
    let config = Config::new(url("app"), seal).with_platform(url("platform"));
    let house = Rowhouse::connect(config).await?;

    let mut registry = house.begin_platform().await?;
    let tenant = tenants::by_slug(&mut registry, slug).await?;
    registry.commit().await?;

    // Once a request: who asks, for which tenant.
    let ctx = Context::tenant(tenant.id);

    let mut tx = house.begin(&ctx).await?; // nothing is sent yet
    tx.execute("insert into notes (title) values ($1)", &[&"from Rust"])
        .await?; // BEGIN and enter ride along; tenant_id comes from the context
    tx.commit().await?;

    // BEGIN, enter, the statement and COMMIT, in one round trip.
    let sql = "select title from notes order by created_at desc limit 50";
    let rows = house.query(&ctx, sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get("title")).collect())
}
