//! `rowhouse invitations`: who is asked to come into a tenant, as whoever works on the server, or for one of its owners.

use clap::Subcommand;
use rowhouse::Result;
use rowhouse::ids::InvitationId;
use rowhouse::invitations::{self, Invitation, NewInvitation};
use rowhouse::members::Role;
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};
use crate::tenants::cli::{entire, inside, inside_as};

/// What can be done with a tenant's invitations.
#[derive(Subcommand)]
pub enum Command {
    /// List them, also those that are over, the newest first
    List {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Invite an address; what opens goes there by mail
    Create {
        /// Whom
        email: String,
        /// owner, admin, member or viewer
        #[arg(long, default_value_t = Role::Member)]
        role: Role,
        /// Id or e-mail address of the owner or admin who invites (default: the platform, while the tenant has no owner)
        #[arg(long, value_name = "USER")]
        by: Option<String>,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Revoke one that nobody has accepted
    Revoke {
        /// Its id
        invitation: InvitationId,
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
    },
    /// Accept one, with the token that came by mail; prints the session, once
    Accept {
        /// `invite_` and 48 characters
        token: String,
        /// Name of a user who is new
        #[arg(long)]
        name: String,
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
                    async |after, limit| invitations::list(&mut tx, after, limit).await,
                    |invitation| (invitation.created_at, invitation.id),
                )
                .await?;
                tx.commit().await?;
                out.show(&all, |all| {
                    table(
                        &["EMAIL", "ROLE", "STATE", "MAIL", "ID"],
                        all.iter().map(row),
                    )
                })
            }
            Self::Create {
                email,
                role,
                by,
                tenant,
            } => {
                let mut tx = match by {
                    Some(by) => inside_as(&house, &tenant, &by).await?,
                    None => inside(&house, &tenant).await?,
                };
                let new = NewInvitation::new(email, role);
                let invitation = invitations::create(&mut tx, new).await?;
                tx.commit().await?;
                out.show(&invitation, |i| {
                    format!("{}  {}  {}", i.id, i.email, i.role)
                })
            }
            Self::Revoke { invitation, tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                invitations::revoke(&mut tx, invitation).await?;
                tx.commit().await?;
                out.show(&json!({ "revoked": invitation }), |_| {
                    format!("{invitation}  revoked")
                })
            }
            Self::Accept { token, name } => {
                let came = invitations::accept(&house, &token, &name, None).await?;
                let session = came.session.secret.reveal();
                out.show(
                    &json!({ "user_id": came.user_id, "tenant_id": came.tenant.id, "session": session }),
                    |_| session.to_owned(),
                )
            }
        }
    }
}

fn row(invitation: &Invitation) -> Vec<String> {
    let state = if invitation.accepted_at.is_some() {
        "accepted".to_owned()
    } else if invitation.revoked_at.is_some() {
        "revoked".to_owned()
    } else {
        format!("until {}", invitation.expires_at)
    };
    vec![
        invitation.email.clone(),
        invitation.role.to_string(),
        state,
        invitation.mail.to_string(),
        invitation.id.to_string(),
    ]
}
