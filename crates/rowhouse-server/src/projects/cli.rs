//! `rowhouse projects`: a tenant's projects and who is in them.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::{ProjectId, UserId};
use rowhouse::projects::{self, ProjectRole};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with a tenant's projects.
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
        project: ProjectId,
        /// The new name
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Delete one: nobody has a right by it any more
    Delete {
        /// Its id
        project: ProjectId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// List who is in one
    Members {
        /// Its id
        project: ProjectId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Give a member a role in one
    SetRole {
        /// Its id
        project: ProjectId,
        /// Id of the user
        user: UserId,
        /// admin, editor or viewer
        role: ProjectRole,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Take a member out of one
    RemoveMember {
        /// Its id
        project: ProjectId,
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
                    async |after, limit| projects::list(&mut tx, after, limit).await,
                    |project| (project.created_at, project.id),
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
                let project = projects::create(&mut tx, &name).await?;
                tx.commit().await?;
                out.show(&project, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Rename {
                project,
                name,
                tenant,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                let project = projects::rename(&mut tx, project, &name, None).await?;
                tx.commit().await?;
                out.show(&project, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Delete { project, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                projects::delete(&mut tx, project, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": project }), |_| {
                    format!("{project}  deleted")
                })
            }
            Self::Members { project, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let all = entire(
                    async |after, limit| projects::members(&mut tx, project, after, limit).await,
                    |member| (member.created_at, member.user_id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    let rows = all
                        .iter()
                        .map(|one| vec![one.user_id.to_string(), one.role.to_string()]);
                    table(&["ID", "ROLE"], rows)
                })
            }
            Self::SetRole {
                project,
                user,
                role,
                tenant,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                projects::set_role(&mut tx, project, user, role).await?;
                tx.commit().await?;
                out.show(&json!({ "project": project, "user": user }), |_| {
                    format!("{user}  is in {project}")
                })
            }
            Self::RemoveMember {
                project,
                user,
                tenant,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                projects::remove_member(&mut tx, project, user).await?;
                tx.commit().await?;
                out.show(&json!({ "project": project, "removed": user }), |_| {
                    format!("{user}  is out of {project}")
                })
            }
        }
    }
}
