//! `rowhouse resources`: content, for whoever holds a key of the tenant. The command line of the server has no more right to
//! it than any other operator.

use clap::{Args, Subcommand};
use rowhouse::ids::ResourceId;
use rowhouse::resources::{self, Filter, NewResource, Resource, ResourceType};
use rowhouse::select::LONGEST_PAGE;
use rowhouse::{Context, Error, Result, keys};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};

/// `rowhouse resources --key tk_..`.
#[derive(Args)]
pub struct Resources {
    /// An API key of the tenant; better in the environment than on the command line
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

/// What can be done with a tenant's resources.
#[derive(Subcommand)]
enum Command {
    /// List them, the last changed first
    List {
        /// Only those whose title holds this text
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
        /// prompt, collection, model, integration or tag
        #[arg(long = "type")]
        r#type: Option<ResourceType>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_PAGE)))]
        limit: u16,
    },
    /// Show one
    Show {
        /// Its id
        resource: ResourceId,
    },
    /// Make one, in the tenant's own workspace
    Create {
        /// Its title
        title: String,
        /// prompt, collection, model, integration or tag
        #[arg(long = "type", default_value_t = ResourceType::Prompt)]
        r#type: ResourceType,
        /// What it holds: a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        payload: String,
    },
    /// Delete one
    Delete {
        /// Its id
        resource: ResourceId,
    },
    /// Bring a deleted one back
    Restore {
        /// Its id
        resource: ResourceId,
    },
}

impl Resources {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let context: Context = keys::authenticate(&house, &self.key).await?;
        let mut tx = house.begin(&context).await?;
        match self.command {
            Command::List { q, r#type, limit } => {
                let filter = Filter {
                    text: q,
                    r#type,
                    ..Filter::default()
                };
                let all = resources::list(&mut tx, &filter, limit).await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["TITLE", "TYPE", "CHANGED", "ID"],
                        all.iter().map(|r| {
                            vec![
                                r.title.clone(),
                                r.r#type.to_string(),
                                r.updated_at.to_string(),
                                r.id.to_string(),
                            ]
                        }),
                    )
                })
            }
            Command::Show { resource } => {
                let resource = resources::get(&mut tx, resource).await?;
                tx.commit().await?;
                show(&resource, out)
            }
            Command::Create {
                title,
                r#type,
                payload,
            } => {
                let new = NewResource {
                    payload: serde_json::from_str(&payload).map_err(|error| Error::Invalid {
                        field: "payload".into(),
                        rule: format!("must be JSON: {error}"),
                    })?,
                    ..NewResource::new(r#type, title)
                };
                let resource = resources::create(&mut tx, new).await?;
                tx.commit().await?;
                show(&resource, out)
            }
            Command::Delete { resource } => {
                resources::delete(&mut tx, resource, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": resource }), |_| {
                    format!("{resource}  deleted")
                })
            }
            Command::Restore { resource } => {
                let resource = resources::restore(&mut tx, resource).await?;
                tx.commit().await?;
                show(&resource, out)
            }
        }
    }
}

fn show(resource: &Resource, out: Output) -> Result<()> {
    out.show(resource, |r| format!("{}  {}  {}", r.id, r.r#type, r.title))
}
