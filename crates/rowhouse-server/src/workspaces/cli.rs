//! `rowhouse workspaces`.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::{TeamId, UserId, WorkspaceId};
use rowhouse::workspaces::{self, Changes, NewWorkspace};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with a tenant's workspaces.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Make one: a member's, a team's, or with neither the whole tenant's
    Create {
        /// Its name
        name: String,
        /// The member whose it is to be
        #[arg(long, value_name = "USER", conflicts_with = "team")]
        owner: Option<UserId>,
        /// The team whose it is to be
        #[arg(long)]
        team: Option<TeamId>,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Give one another name
    Rename {
        /// Its id
        workspace: WorkspaceId,
        /// The new name
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Delete one; a tenant keeps its last
    Delete {
        /// Its id
        workspace: WorkspaceId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
}

impl Command {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        match self {
            Self::List { tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let all = entire(
                    async |after, limit| workspaces::list(&mut tx, after, limit).await,
                    |workspace| (workspace.created_at, workspace.id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["NAME", "KIND", "ID"],
                        all.iter()
                            .map(|w| vec![w.name.clone(), w.kind.to_string(), w.id.to_string()]),
                    )
                })
            }
            Self::Create {
                name,
                owner,
                team,
                tenant,
            } => {
                let new = NewWorkspace {
                    name,
                    owner_id: owner,
                    team_id: team,
                };
                let mut tx = inside(&house, &tenant).await?;
                let workspace = workspaces::create(&mut tx, new).await?;
                tx.commit().await?;
                out.show(&workspace, |w| format!("{}  {}  {}", w.id, w.name, w.kind))
            }
            Self::Rename {
                workspace,
                name,
                tenant,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                let workspace =
                    workspaces::update(&mut tx, workspace, &Changes { name }, None).await?;
                tx.commit().await?;
                out.show(&workspace, |w| format!("{}  {}", w.id, w.name))
            }
            Self::Delete { workspace, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                workspaces::delete(&mut tx, workspace, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": workspace }), |_| {
                    format!("{workspace}  deleted")
                })
            }
        }
    }
}
