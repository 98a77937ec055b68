//! `rowhouse teams`: a tenant's teams and who is in them.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::{TeamId, UserId};
use rowhouse::teams;
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with a tenant's teams.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Make one
    Create {
        /// Its name
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Give one another name
    Rename {
        /// Its id
        team: TeamId,
        /// The new name
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Delete one: nobody has a right by it any more
    Delete {
        /// Its id
        team: TeamId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// List who is in one
    Members {
        /// Its id
        team: TeamId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Put a member into one
    AddMember {
        /// Its id
        team: TeamId,
        /// Id of the user
        user: UserId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Take a member out of one
    RemoveMember {
        /// Its id
        team: TeamId,
        /// Id of the user
        user: UserId,
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
                    async |after, limit| teams::list(&mut tx, after, limit).await,
                    |team| (team.created_at, team.id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    let rows = all
                        .iter()
                        .map(|one| vec![one.name.clone(), one.id.to_string()]);
                    table(&["NAME", "ID"], rows)
                })
            }
            Self::Create { name, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let team = teams::create(&mut tx, &name).await?;
                tx.commit().await?;
                out.show(&team, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Rename { team, name, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let team = teams::rename(&mut tx, team, &name, None).await?;
                tx.commit().await?;
                out.show(&team, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Delete { team, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                teams::delete(&mut tx, team, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": team }), |_| format!("{team}  deleted"))
            }
            Self::Members { team, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let all = entire(
                    async |after, limit| teams::members(&mut tx, team, after, limit).await,
                    |member| (member.created_at, member.user_id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    let rows = all.iter().map(|one| vec![one.user_id.to_string()]);
                    table(&["ID"], rows)
                })
            }
            Self::AddMember { team, user, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                teams::add_member(&mut tx, team, user).await?;
                tx.commit().await?;
                out.show(&json!({ "team": team, "user": user }), |_| {
                    format!("{user}  is in {team}")
                })
            }
            Self::RemoveMember { team, user, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                teams::remove_member(&mut tx, team, user).await?;
                tx.commit().await?;
                out.show(&json!({ "team": team, "removed": user }), |_| {
                    format!("{user}  is out of {team}")
                })
            }
        }
    }
}
