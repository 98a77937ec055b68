//! `rowhouse members`: who belongs to a tenant. They come by an invitation.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::UserId;
use rowhouse::members::{self, Changes, Role};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with a tenant's members.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Give one a lesser role; any role while the tenant has no owner
    SetRole {
        /// Id of the user
        user: UserId,
        /// owner, admin, member or viewer
        role: Role,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Remove one, with teams, project roles, sessions and pending invitations
    Remove {
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
                    async |after, limit| members::list(&mut tx, after, limit).await,
                    |member| (member.created_at, member.user_id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["EMAIL", "NAME", "ROLE", "ID"],
                        all.iter().map(|m| {
                            vec![
                                m.email.clone(),
                                m.name.clone(),
                                m.role.to_string(),
                                m.user_id.to_string(),
                            ]
                        }),
                    )
                })
            }
            Self::SetRole { user, role, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let member = members::update(&mut tx, user, &Changes { role }, None).await?;
                tx.commit().await?;
                out.show(&member, |m| format!("{}  {}", m.user_id, m.role))
            }
            Self::Remove { user, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                members::remove(&mut tx, user).await?;
                tx.commit().await?;
                out.show(&json!({ "removed": user }), |_| format!("{user}  removed"))
            }
        }
    }
}
