//! `rowhouse access explain`: why somebody may do something, or may not.

use clap::{Args, Subcommand};
use rowhouse::access::{self, Action};
use rowhouse::ids::{PrincipalId, ResourceId};
use rowhouse::{Error, Result, keys, sessions};

use crate::config::Settings;
use crate::connection::Target;
use crate::output::Output;

const KEY: &str = "ROWHOUSE_KEY";
const SESSION: &str = "ROWHOUSE_SESSION";

/// `rowhouse access --key tk_..`, or `--session ses_..`.
#[derive(Args)]
#[group(required = in_environment(KEY).or(in_environment(SESSION)).is_none(), multiple = false)]
pub struct Access {
    /// An API key of the tenant. Without it and --session: the environment's `ROWHOUSE_KEY`, which is the better place
    #[arg(long, value_name = "tk_..")]
    key: Option<String>,
    /// The session of a user, who may ask about himself, and as an owner or admin about everybody. Without it and --key: the
    /// environment's `ROWHOUSE_SESSION`, which is the better place
    #[arg(long, value_name = "ses_..")]
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
        let credential = self.credential()?;
        let house = target.place(settings)?.house(settings).await?;
        let context = match credential {
            Credential::Key(key) => keys::authenticate(&house, &key).await?,
            Credential::Session(session) => sessions::authenticate(&house, &session).await?,
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

    /// What the command line names, else the environment. One of two is not chosen for the caller: he could take the answer
    /// for the other's.
    fn credential(&self) -> Result<Credential> {
        let given = match (&self.key, &self.session) {
            (None, None) => (in_environment(KEY), in_environment(SESSION)),
            (key, session) => (key.clone(), session.clone()),
        };
        match given {
            (Some(key), None) => Ok(Credential::Key(key)),
            (None, Some(session)) => Ok(Credential::Session(session)),
            _ => Err(Error::Config(format!(
                "{KEY} and {SESSION} are both set: leave one of them, or say which with --key or --session"
            ))),
        }
    }
}

/// As whom is asked.
enum Credential {
    Key(String),
    Session(String),
}

fn in_environment(variable: &str) -> Option<String> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}
