//! `rowhouse keys`: a tenant's keys, as whoever works on the server. Making one is for the tenant once it has an owner.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use rowhouse::Result;
use rowhouse::ids::KeyId;
use rowhouse::keys::{self, Environment, Key, MadeKey, NewKey, Permission, Scopes};
use rowhouse::select::LONGEST_PAGE;
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::inside;

/// What can be done with a tenant's keys.
#[derive(Subcommand)]
pub enum Command {
    /// List them, also those that were revoked
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Show one, without its secret
    Show {
        /// Its id
        key: KeyId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Make one, while the tenant has no owner; it is shown once
    Create {
        /// By which people recognise it
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
        /// read, write, or both
        #[arg(long = "permission", value_name = "P", default_values_t = [Permission::Read, Permission::Write])]
        permissions: Vec<Permission>,
        /// SANDBOX or PRODUCTION
        #[arg(long, default_value_t = Environment::Production)]
        environment: Environment,
        /// When it ends, such as 2030-01-01T00:00:00Z (default: never)
        #[arg(long, value_name = "WHEN")]
        expires: Option<Timestamp>,
    },
    /// Make one that takes the place of another
    Reroll {
        /// Id of the old key
        key: KeyId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
        /// Seconds for which the old key goes on
        #[arg(long, value_name = "S", default_value_t = 86_400)]
        overlap: u64,
    },
    /// Revoke one: it opens nothing from the next transaction on
    Revoke {
        /// Its id
        key: KeyId,
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
                let keys = keys::list(&mut tx, None, LONGEST_PAGE).await?;
                tx.commit().await?;
                out.show(&keys, |keys| {
                    table(
                        &["NAME", "BEGINS WITH", "ENVIRONMENT", "STATE", "ID"],
                        keys.iter().map(row),
                    )
                })
            }
            Self::Show { key, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let key = keys::get(&mut tx, key).await?;
                tx.commit().await?;
                out.show(&key, |key| row(key).join("  "))
            }
            Self::Create {
                name,
                tenant,
                permissions,
                environment,
                expires,
            } => {
                let new = NewKey {
                    name,
                    permissions,
                    scopes: Scopes::default(),
                    environment,
                    expires_at: expires,
                };
                let mut tx = inside(&house, &tenant).await?;
                let made = keys::create(&mut tx, new).await?;
                tx.commit().await?;
                show(&made, out)
            }
            Self::Reroll {
                key,
                tenant,
                overlap,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                let made = keys::reroll(&mut tx, key, Duration::from_secs(overlap)).await?;
                tx.commit().await?;
                show(&made, out)
            }
            Self::Revoke { key, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                keys::revoke(&mut tx, key).await?;
                tx.commit().await?;
                out.show(&json!({ "revoked": key }), |_| format!("{key}  revoked"))
            }
        }
    }
}

fn row(key: &Key) -> Vec<String> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "good".to_owned(),
    };
    vec![
        key.name.clone(),
        key.prefix.clone(),
        key.environment.to_string(),
        state,
        key.id.to_string(),
    ]
}

/// The secret alone on stdout, so that a script can take it.
fn show(made: &MadeKey, out: Output) -> Result<()> {
    let told =
        json!({ "id": made.key.id, "prefix": made.key.prefix, "secret": made.secret.reveal() });
    out.show(&told, |_| made.secret.reveal().to_owned())
}
