//! `rowhouse personas`: as whom a tenant's keys speak.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::{KeyId, PersonaMappingId};
use rowhouse::personas::{self, Changes, Filter, NewPersonaMapping};
use serde_json::json;
use uuid::Uuid;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside};

/// What can be done with the personas of a tenant's keys.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Only of this key
        #[arg(long)]
        of: Option<KeyId>,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Let a key speak as a persona
    Create {
        /// Id of the key
        of: KeyId,
        /// The application's own id of the persona: a UUID
        persona: Uuid,
        /// By which people recognise it
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Give a mapping another name
    Rename {
        /// Its id
        persona: PersonaMappingId,
        /// The new name
        name: String,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Take a persona away from a key
    Delete {
        /// Id of the mapping
        persona: PersonaMappingId,
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
            Self::List { of, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let all = entire(
                    async |after, limit| {
                        let filter = Filter {
                            key: of,
                            after,
                            ..Filter::default()
                        };
                        personas::list(&mut tx, &filter, limit).await
                    },
                    |mapping| (mapping.created_at, mapping.id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["NAME", "KEY", "PERSONA", "ID"],
                        all.iter().map(|one| {
                            vec![
                                one.name.clone(),
                                one.api_key_id.to_string(),
                                one.persona_id.to_string(),
                                one.id.to_string(),
                            ]
                        }),
                    )
                })
            }
            Self::Create {
                of,
                persona,
                name,
                tenant,
            } => {
                let new = NewPersonaMapping {
                    api_key_id: of,
                    persona_id: persona,
                    name,
                };
                let mut tx = inside(&house, &tenant).await?;
                let made = personas::create(&mut tx, &new).await?;
                tx.commit().await?;
                out.show(&made, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Rename {
                persona,
                name,
                tenant,
            } => {
                let mut tx = inside(&house, &tenant).await?;
                let one = personas::update(&mut tx, persona, &Changes { name }, None).await?;
                tx.commit().await?;
                out.show(&one, |one| format!("{}  {}", one.id, one.name))
            }
            Self::Delete { persona, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                personas::delete(&mut tx, persona, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": persona }), |_| {
                    format!("{persona}  deleted")
                })
            }
        }
    }
}
