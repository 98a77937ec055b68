//! `rowhouse workspaces`.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::select::LONGEST_PAGE;
use rowhouse::workspaces;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::inside;

/// What can be done with a tenant's workspaces.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
}

impl Command {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let Self::List { tenant } = self;
        let mut tx = inside(&house, &tenant).await?;
        let all = workspaces::list(&mut tx, None, LONGEST_PAGE).await?;
        tx.commit().await?;
        out.show(&all, |all| {
            table(
                &["NAME", "KIND", "ID"],
                all.iter()
                    .map(|w| vec![w.name.clone(), w.kind.to_string(), w.id.to_string()]),
            )
        })
    }
}
