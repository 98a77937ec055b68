//! `rowhouse sessions`: who is signed in to a tenant.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::SessionId;
use rowhouse::sessions;
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with a tenant's sessions.
#[derive(Subcommand)]
pub enum Command {
    /// List them, also those that have ended, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// End one: it opens nothing from the next transaction on
    Revoke {
        /// Its id
        session: SessionId,
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
                    async |after, limit| sessions::list(&mut tx, None, after, limit).await,
                    |session| (session.created_at, session.id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["USER", "STATE", "ID"],
                        all.iter().map(|s| {
                            let state = match s.revoked_at {
                                Some(_) => "ended".to_owned(),
                                None => format!("until {}", s.expires_at),
                            };
                            vec![s.user_id.to_string(), state, s.id.to_string()]
                        }),
                    )
                })
            }
            Self::Revoke { session, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                sessions::revoke(&mut tx, session).await?;
                tx.commit().await?;
                out.show(&json!({ "ended": session }), |_| {
                    format!("{session}  ended")
                })
            }
        }
    }
}
