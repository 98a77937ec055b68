//! `rowhouse audit`.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::audit::{self, Filter};
use rowhouse::select::LONGEST_PAGE;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::inside;

/// What can be done with a tenant's trail.
#[derive(Subcommand)]
pub enum Command {
    /// Show its newest rows
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
        /// Only this action, such as keys.create
        #[arg(long)]
        action: Option<String>,
        /// How many rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_PAGE)))]
        limit: u16,
    },
}

impl Command {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let Self::List {
            tenant,
            action,
            limit,
        } = self;
        let filter = Filter {
            action,
            ..Filter::default()
        };
        let mut tx = inside(&house, &tenant).await?;
        let entries = audit::list(&mut tx, &filter, limit).await?;
        tx.commit().await?;
        out.show(&entries, |entries| {
            table(
                &["WHEN", "ACTION", "BY", "ON"],
                entries.iter().map(|entry| {
                    vec![
                        entry.created_at.to_string(),
                        entry.action.clone(),
                        entry.actor_id.to_string(),
                        entry.object_id.clone().unwrap_or_default(),
                    ]
                }),
            )
        })
    }
}
