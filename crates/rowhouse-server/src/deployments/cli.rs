//! `rowhouse deployments`: for whoever holds a key of the tenant, as its resources.

use clap::{Args, Subcommand};
use rowhouse::deployments::{self, Changes, Filter, NewDeployment, Status};
use rowhouse::ids::{DeploymentId, ResourceId};
use rowhouse::keys::{self, Environment};
use rowhouse::select::LONGEST_PAGE;
use rowhouse::{Context, Result};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};

/// `rowhouse deployments --key tk_..`.
#[derive(Args)]
pub struct Deployments {
    /// An API key of the tenant; better in the environment than on the command line, which wins
    #[arg(
        long,
        env = "ROWHOUSE_KEY",
        hide_env_values = true,
        value_name = "tk_.."
    )]
    key: String,
    #[command(subcommand)]
    command: Command,
}

/// What can be done with a tenant's deployments.
#[derive(Subcommand)]
enum Command {
    /// List them, the newest first
    List {
        /// Only of this resource
        #[arg(long)]
        resource: Option<ResourceId>,
        /// pending, active, stopped or failed
        #[arg(long)]
        status: Option<Status>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_PAGE)))]
        limit: u16,
    },
    /// Ask for a resource to be deployed
    Create {
        /// Its id
        resource: ResourceId,
        /// SANDBOX or PRODUCTION
        #[arg(long, default_value_t = Environment::Production)]
        environment: Environment,
    },
    /// Say how far one is now
    Set {
        /// Its id
        deployment: DeploymentId,
        /// pending, active, stopped or failed
        status: Status,
    },
    /// Delete one that is not active
    Delete {
        /// Its id
        deployment: DeploymentId,
    },
}

impl Deployments {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let context: Context = keys::authenticate(&house, &self.key).await?;
        let mut tx = house.begin(&context).await?;
        match self.command {
            Command::List {
                resource,
                status,
                limit,
            } => {
                let filter = Filter {
                    resource,
                    status,
                    ..Filter::default()
                };
                let all = deployments::list(&mut tx, &filter, limit).await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["RESOURCE", "ENVIRONMENT", "STATUS", "ID"],
                        all.iter().map(|one| {
                            vec![
                                one.resource_id.to_string(),
                                one.environment.to_string(),
                                one.status.to_string(),
                                one.id.to_string(),
                            ]
                        }),
                    )
                })
            }
            Command::Create {
                resource,
                environment,
            } => {
                let new = NewDeployment {
                    resource_id: resource,
                    environment,
                };
                let made = deployments::create(&mut tx, &new).await?;
                tx.commit().await?;
                out.show(&made, |one| format!("{}  {}", one.id, one.status))
            }
            Command::Set { deployment, status } => {
                let changes = Changes { status };
                let one = deployments::update(&mut tx, deployment, &changes, None).await?;
                tx.commit().await?;
                out.show(&one, |one| format!("{}  {}", one.id, one.status))
            }
            Command::Delete { deployment } => {
                deployments::delete(&mut tx, deployment, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": deployment }), |_| {
                    format!("{deployment}  deleted")
                })
            }
        }
    }
}
