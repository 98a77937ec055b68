//! `rowhouse access explain`: why somebody may do something, or may not.

use clap::{Args, Subcommand};
use rowhouse::access::{self, Action};
use rowhouse::ids::{PrincipalId, ResourceId};
use rowhouse::{Context, Result, keys, sessions};

use crate::config::Settings;
use crate::connection::Target;
use crate::output::Output;

/// `rowhouse access --key tk_..`, or `--session ses_..`.
#[derive(Args)]
pub struct Access {
    /// An API key of the tenant; better in the environment than on the command line
    #[arg(
        long,
        env = "ROWHOUSE_KEY",
        hide_env_values = true,
        value_name = "tk_..",
        required_unless_present = "session"
    )]
    key: Option<String>,
    /// The session of a user, who may ask about himself, and as an owner or admin about everybody
    #[arg(
        long,
        env = "ROWHOUSE_SESSION",
        hide_env_values = true,
        value_name = "ses_.."
    )]
    session: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// What can be asked.
#[derive(Subcommand)]
enum Command {
    /// Say whether somebody may do something with a resource, and why
    Explain {
        /// Who: the id of a user, key or principal, or of the tenant
        principal: String,
        /// read, write or admin
        action: Action,
        /// With which resource
        resource: ResourceId,
    },
}

impl Access {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        let house = target.place(settings)?.house(settings).await?;
        let context: Context = match (&self.session, &self.key) {
            (Some(session), _) => sessions::authenticate(&house, session).await?,
            (None, key) => keys::authenticate(&house, key.as_deref().unwrap_or_default()).await?,
        };
        let Command::Explain {
            principal,
            action,
            resource,
        } = self.command;
        let principal = PrincipalId::named(&principal)?;
        let mut tx = house.begin(&context).await?;
        let question = access::question(&mut tx, principal, action, resource).await?;
        tx.commit().await?;
        let said = question.answer(&house).await?;
        out.show(&said, |said| {
            let verdict = if said.allowed { "allowed" } else { "refused" };
            said.because.iter().fold(
                format!("{principal}  {action}  {resource}  {verdict}"),
                |text, because| format!("{text}\n  {:<16}{}", because.rule, because.text),
            )
        })
    }
}
