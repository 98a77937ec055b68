//! `rowhouse resources`: content, for whoever holds a key of the tenant. The command line of the server has no more right to
//! it than any other operator.

use clap::{Args, Subcommand};
use rowhouse::ids::{PrincipalId, ProjectId, ResourceId, TeamId, WorkspaceId};
use rowhouse::resources::{
    self, AclAccess, Changes, Filter, NewResource, Resource, ResourceType, Visibility,
};
use rowhouse::select::LONGEST_PAGE;
use rowhouse::{Context, Error, Result, TenantTx, keys};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::entire;

/// `rowhouse resources --key tk_..`.
#[derive(Args)]
pub struct Resources {
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
        /// Only of this workspace
        #[arg(long, value_name = "wsp_..")]
        workspace: Option<WorkspaceId>,
        /// private, team, project or tenant
        #[arg(long)]
        visibility: Option<Visibility>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_PAGE)))]
        limit: u16,
    },
    /// Show one
    Show {
        /// Its id
        resource: ResourceId,
    },
    /// Make one
    Create {
        /// Its title
        title: String,
        /// prompt, collection, model, integration or tag
        #[arg(long = "type", default_value_t = ResourceType::Prompt)]
        r#type: ResourceType,
        /// What it holds: a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        payload: String,
        /// Where it goes (default: the tenant's own workspace)
        #[arg(long, value_name = "wsp_..")]
        workspace: Option<WorkspaceId>,
        /// private, team, project or tenant
        #[arg(long, default_value_t = Visibility::Tenant)]
        visibility: Visibility,
        /// The team it is for
        #[arg(long, value_name = "team_..")]
        team: Option<TeamId>,
        /// The project it belongs to
        #[arg(long, value_name = "prj_..")]
        project: Option<ProjectId>,
    },
    /// Change what is named, and nothing else
    Update {
        /// Its id
        resource: ResourceId,
        /// Another title
        #[arg(long)]
        title: Option<String>,
        /// Another type
        #[arg(long = "type")]
        r#type: Option<ResourceType>,
        /// Another payload, whole: a JSON object
        #[arg(long, value_name = "JSON")]
        payload: Option<String>,
        /// Into another workspace
        #[arg(long, value_name = "wsp_..")]
        workspace: Option<WorkspaceId>,
        /// private, team, project or tenant
        #[arg(long)]
        visibility: Option<Visibility>,
        /// For another team
        #[arg(long, value_name = "team_..")]
        team: Option<TeamId>,
        /// Into another project
        #[arg(long, value_name = "prj_..")]
        project: Option<ProjectId>,
        /// To another owner
        #[arg(long, value_name = "prn_..")]
        owner: Option<PrincipalId>,
    },
    /// Who may do what with one, beside those who may by its visibility
    #[command(subcommand)]
    Acl(Acl),
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

/// What can be done with the entries of a resource.
#[derive(Subcommand)]
enum Acl {
    /// List them, the newest first
    List {
        /// Id of the resource
        resource: ResourceId,
    },
    /// Give somebody access, or another access than he had
    Grant {
        /// Id of the resource
        resource: ResourceId,
        /// Id of a user, team, key, principal, or of the tenant
        principal: String,
        /// read, write or admin
        #[arg(long, default_value_t = AclAccess::Read)]
        access: AclAccess,
    },
    /// Take somebody's entry away
    Revoke {
        /// Id of the resource
        resource: ResourceId,
        /// Whose
        principal: String,
    },
}

impl Resources {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let context: Context = keys::authenticate(&house, &self.key).await?;
        let mut tx = house.begin(&context).await?;
        match self.command {
            Command::List {
                q,
                r#type,
                workspace,
                visibility,
                limit,
            } => {
                let filter = Filter {
                    text: q,
                    r#type,
                    workspace,
                    visibility,
                    after: None,
                };
                let all = resources::list(&mut tx, &filter, limit).await?;
                tx.commit().await?;
                show_all(&all, out)
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
                workspace,
                visibility,
                team,
                project,
            } => {
                let new = NewResource {
                    payload: json_of(&payload)?,
                    workspace_id: workspace,
                    visibility,
                    team_id: team,
                    project_id: project,
                    ..NewResource::new(r#type, title)
                };
                let resource = resources::create(&mut tx, new).await?;
                tx.commit().await?;
                show(&resource, out)
            }
            Command::Update {
                resource,
                title,
                r#type,
                payload,
                workspace,
                visibility,
                team,
                project,
                owner,
            } => {
                let changes = Changes {
                    r#type,
                    title,
                    payload: payload.as_deref().map(json_of).transpose()?,
                    visibility,
                    workspace_id: workspace,
                    team_id: team,
                    project_id: project,
                    owner_id: owner,
                };
                let resource = resources::update(&mut tx, resource, changes, None).await?;
                tx.commit().await?;
                show(&resource, out)
            }
            Command::Acl(command) => command.run(tx, out).await,
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

fn show_all(all: &Vec<Resource>, out: Output) -> Result<()> {
    out.show(all, |all| {
        table(
            &["TITLE", "TYPE", "CHANGED", "ID"],
            all.iter().map(|resource| {
                vec![
                    resource.title.clone(),
                    resource.r#type.to_string(),
                    resource.updated_at.to_string(),
                    resource.id.to_string(),
                ]
            }),
        )
    })
}

impl Acl {
    async fn run(self, mut tx: TenantTx, out: Output) -> Result<()> {
        match self {
            Self::List { resource } => {
                let entries = entire(
                    async |after, limit| resources::acl(&mut tx, resource, after, limit).await,
                    |entry| (entry.created_at, entry.principal_id),
                )
                .await?;
                tx.commit().await?;
                out.show(&entries, |entries| {
                    table(
                        &["PRINCIPAL", "ACCESS", "SINCE"],
                        entries.iter().map(|entry| {
                            vec![
                                entry.principal_id.to_string(),
                                entry.access.to_string(),
                                entry.created_at.to_string(),
                            ]
                        }),
                    )
                })
            }
            Self::Grant {
                resource,
                principal,
                access,
            } => {
                let principal = PrincipalId::named(&principal)?;
                resources::grant(&mut tx, resource, principal, access).await?;
                tx.commit().await?;
                let told =
                    json!({ "resource": resource, "principal": principal, "access": access });
                out.show(&told, |_| format!("{resource}  {principal}  {access}"))
            }
            Self::Revoke {
                resource,
                principal,
            } => {
                let principal = PrincipalId::named(&principal)?;
                resources::revoke(&mut tx, resource, principal).await?;
                tx.commit().await?;
                let told = json!({ "resource": resource, "revoked": principal });
                out.show(&told, |_| format!("{resource}  {principal}  revoked"))
            }
        }
    }
}

fn json_of(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::Invalid {
        field: "payload".into(),
        rule: format!("must be JSON: {error}"),
    })
}

fn show(resource: &Resource, out: Output) -> Result<()> {
    out.show(resource, |r| format!("{}  {}  {}", r.id, r.r#type, r.title))
}
