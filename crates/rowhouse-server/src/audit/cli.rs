//! `rowhouse audit`.

use std::process::ExitCode;

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::audit::{self, Filter, Sealed, Verified};
use rowhouse::ids::{PrincipalId, ProjectId, ResourceId, WorkspaceId};
use rowhouse::select::LONGEST_PAGE;

use super::ocsf;
use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, line, table};
use crate::tenants::cli::inside;

/// What can be done with a tenant's trail.
#[derive(Subcommand)]
pub enum Command {
    /// Show its newest rows
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
        /// Only this action, such as keys.create
        #[arg(long)]
        action: Option<String>,
        /// Only what this principal did
        #[arg(long, value_name = "prn_..")]
        actor: Option<PrincipalId>,
        /// Only what was done in this workspace
        #[arg(long, value_name = "wsp_..")]
        workspace: Option<WorkspaceId>,
        /// Only what was done in this project
        #[arg(long, value_name = "prj_..")]
        project: Option<ProjectId>,
        /// Only what was done to this resource
        #[arg(long, value_name = "res_..")]
        resource: Option<ResourceId>,
        /// How many rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_PAGE)))]
        limit: u16,
    },
    /// Seal the trails of all tenants now: exit code 1 when one could not be sealed; a running service does it by itself
    Seal,
    /// Go over the chain of seals: exit code 1 when a row was changed, removed or slipped in
    Verify {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Print all of it, the newest first, as events of the Open Cybersecurity Schema Framework: a line of JSON each
    Export {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
}

impl Command {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<ExitCode> {
        let house = target.place(settings)?.house(settings).await?;
        match self {
            Self::List {
                tenant,
                action,
                actor,
                workspace,
                project,
                resource,
                limit,
            } => {
                let filter = Filter {
                    action,
                    actor,
                    workspace,
                    project,
                    resource,
                    after: None,
                };
                let mut tx = inside(&house, &tenant).await?;
                let entries = audit::list(&mut tx, &filter, limit).await?;
                tx.commit().await?;
                out.show(&entries, |entries| {
                    table(
                        &["WHEN", "ACTION", "BY", "ON"],
                        entries.iter().map(|entry| {
                            vec![
                                entry.created_at.to_string(),
                                entry.action.clone(),
                                entry.actor_id.to_string(),
                                entry.object_id.clone().unwrap_or_default(),
                            ]
                        }),
                    )
                })?;
            }
            Self::Seal => {
                let all = audit::seal_everywhere(&house).await?;
                out.show(&all, told)?;
                if !all.failed.is_empty() {
                    return Ok(ExitCode::from(1));
                }
            }
            Self::Verify { tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let found = audit::verify(&mut tx).await?;
                tx.commit().await?;
                out.show(&found, |found| sentence(&tenant, found))?;
                if !found.whole {
                    return Ok(ExitCode::from(1));
                }
            }
            Self::Export { tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let mut filter = Filter::default();
                loop {
                    let page = audit::list(&mut tx, &filter, LONGEST_PAGE).await?;
                    for entry in &page {
                        line(&ocsf::event(tx.tenant_id(), entry).to_string())?;
                    }
                    let Some(last) = page.last() else { break };
                    filter.after = Some((last.created_at, last.id));
                }
                tx.commit().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(all: &Sealed) -> String {
    let failed = all
        .failed
        .iter()
        .map(|tenant| format!("NOT SEALED: the trail of {tenant}\n"));
    format!("{}{} rows sealed", failed.collect::<String>(), all.sealed)
}

fn sentence(tenant: &str, found: &Verified) -> String {
    let whole = if found.whole {
        "whole".to_owned()
    } else {
        let broken: Vec<String> = found.broken.iter().map(ToString::to_string).collect();
        format!(
            "NOT WHOLE: what stands under seal {} is not what was sealed",
            broken.join(", ")
        )
    };
    let tail = match found.unsealed_since {
        None => "nothing is unsealed".to_owned(),
        Some(since) => format!("{} rows since {since} are not sealed yet", found.unsealed),
    };
    format!(
        "{tenant}  {whole}\n  {} rows under {} seals; {tail}\n  head {}",
        found.sealed,
        found.seals,
        found.head.as_deref().unwrap_or("none"),
    )
}
