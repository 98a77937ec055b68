//! The binary `rowhouse`: HTTP service and command line, a client of the library and nothing more.
//!
//! Every command takes `--data DIR` of an `up`, or `--database URL`; `--json` answers with one JSON value. Exit code 0:
//! done; 1: not done, with the cause and the way out on stderr; 2: the command line cannot be understood.

#![expect(
    unused_qualifications,
    reason = "the annotations of utoipa expand to qualified names"
)]

mod access;
mod answer;
mod app;
mod audit;
mod auth;
mod commands;
mod config;
mod connection;
mod deployments;
mod docs;
mod doctor;
mod error;
mod health;
mod html;
mod input;
mod invitations;
mod keys;
mod logs;
mod mail;
mod members;
mod metrics;
mod openapi;
mod output;
mod page;
mod personas;
mod ping;
mod probe;
mod projects;
mod provisioning;
mod resources;
mod router;
mod seed;
mod sessions;
mod sockets;
mod surplus;
mod teams;
mod tenants;
mod tour;
mod trail;
mod up;
mod worker;
mod workspaces;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use rowhouse::ids::OperatorTokenId;
use rowhouse::operators::Expires;
use rowhouse::tables::Mode;
use rowhouse::{Access, Error, Result};

use crate::config::Settings;
use crate::connection::{DEFAULT_DATA, Target};
use crate::output::Output;

/// Multi-tenancy for PostgreSQL whose walls can be proved.
#[derive(Parser)]
#[command(name = "rowhouse", version)]
struct Cli {
    #[command(flatten)]
    target: Target,
    /// Settings file (default: rowhouse.toml, when it is there)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Answer with JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything: a database of its own (or `DATABASE_URL`), migrated and seeded, and the HTTP service
    Up {
        /// Port of the HTTP service
        #[arg(long)]
        port: Option<u16>,
    },
    /// Run the HTTP service; never migrates
    Serve {
        /// Port of the HTTP service
        #[arg(long)]
        port: Option<u16>,
        /// Probe the wall at this interval, and soon after it was changed (0: never)
        #[arg(long, value_name = "S")]
        probe_every: Option<u64>,
    },
    /// Build or complete the wall in a database
    Migrate {
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Make two tenants, three users and two projects to look at
    Seed,
    /// Say who the holder of a key is to the database
    Ping {
        /// An API key; better in the environment than on the command line, which wins
        #[arg(
            long,
            env = "ROWHOUSE_KEY",
            hide_env_values = true,
            value_name = "tk_.."
        )]
        key: String,
    },
    /// The customers
    #[command(subcommand)]
    Tenants(tenants::cli::Command),
    /// A tenant's API keys
    #[command(subcommand)]
    Keys(keys::cli::Command),
    /// Who belongs to a tenant
    #[command(subcommand)]
    Members(members::cli::Command),
    /// Who is asked to come into a tenant
    #[command(subcommand)]
    Invitations(invitations::cli::Command),
    /// A tenant's teams, and who is in them
    #[command(subcommand)]
    Teams(teams::cli::Command),
    /// A tenant's projects, and who is in them
    #[command(subcommand)]
    Projects(projects::cli::Command),
    /// Who is signed in to a tenant
    #[command(subcommand)]
    Sessions(sessions::cli::Command),
    /// Where a tenant's resources lie
    #[command(subcommand)]
    Workspaces(workspaces::cli::Command),
    /// A tenant's resources, for whoever holds one of its keys
    Resources(resources::cli::Resources),
    /// Which of a tenant's resources run where, for whoever holds one of its keys
    Deployments(deployments::cli::Deployments),
    /// As whom a tenant's keys speak
    #[command(subcommand)]
    Personas(personas::cli::Command),
    /// Who may do what with a resource, and why
    Access(access::cli::Access),
    /// A tenant's trail
    #[command(subcommand)]
    Audit(audit::cli::Command),
    /// Print the OpenAPI document of the HTTP service
    Openapi,
    /// The tables behind the wall
    #[command(subcommand)]
    Tables(Tables),
    /// Read a database's catalogue, ours or not, and say what is open in its row security
    Doctor(doctor::Arguments),
    /// Attack the wall of a live database, ours or not, as its own login would, and say what held
    Probe(Box<probe::Arguments>),
    /// A minute with the wall: two tenants, one query, the attacks and how they end
    Tour,
    /// Print a ticket, for `select rowhouse.enter('..')` in any client, or as a bearer of the HTTP service
    Ticket {
        /// Slug or id of the tenant
        #[arg(long)]
        tenant: String,
        /// Id or e-mail address of a user; without it, the tenant's own principal
        #[arg(long)]
        user: Option<String>,
        /// The most that it may do
        #[arg(long, value_enum, default_value_t = AccessArgument::Write)]
        access: AccessArgument,
        /// Seconds until it expires
        #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
        ttl: u64,
    },
    /// The keys of tickets and seals
    #[command(subcommand)]
    Seal(Seal),
    /// Those who run the platform
    #[command(subcommand)]
    Operator(Operator),
}

#[derive(Subcommand)]
enum Tables {
    /// Put fresh or small tables behind the wall, together
    Protect {
        /// Tables whose rows belong to tenants
        tables: Vec<String>,
        /// All their rows belong to this tenant (slug or id)
        #[arg(long, conflicts_with = "assign")]
        tenant: Option<String>,
        /// An SQL expression over a row that gives its tenant's UUID
        #[arg(long, value_name = "SQL")]
        assign: Option<String>,
        /// A table whose rows belong to the tenant of the row that this foreign key's column leads to
        #[arg(long, value_name = "TABLE:COLUMN")]
        follow: Vec<String>,
        /// Reference data that every tenant reads and none writes
        #[arg(long, value_name = "TABLE")]
        shared: Vec<String>,
        /// The column that holds a row's project
        #[arg(long, value_name = "COLUMN")]
        project_column: Option<String>,
    },
    /// List them with class and mode
    List,
    /// Switch one between off, shadow and enforce
    Mode {
        /// The table
        table: String,
        /// off, shadow or enforce
        mode: Mode,
    },
}

#[derive(Subcommand)]
enum Seal {
    /// Make new keys; the ones from before stay good until the next time
    Rotate {
        /// Also when the last time was less than a minute ago
        #[arg(long)]
        force: bool,
    },
}

#[derive(Subcommand)]
enum Operator {
    /// Issue a token, shown once
    Token {
        /// By which people recognise it
        #[arg(long, default_value = "operator")]
        name: String,
        /// When it ends, such as 2030-01-01T00:00:00Z, or never (default: 90 days from now)
        #[arg(long, value_name = "WHEN")]
        expires: Option<Expires>,
    },
    /// List the tokens, also those that were revoked
    List,
    /// Revoke a token: it opens nothing from the next request on
    Revoke {
        /// Its id
        token: OperatorTokenId,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum AccessArgument {
    Read,
    Write,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    // Its 1 says that something was found.
    let not_done = match cli.command {
        Command::Doctor(_) | Command::Probe(_) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    };
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error, json);
            not_done
        }
    }
}

/// The cause and the way out, on stderr.
#[expect(clippy::print_stderr, reason = "the last word of the process")]
fn complain(error: &Error, json: bool) {
    if json {
        eprintln!(
            "{}",
            serde_json::json!({ "code": error.code(), "detail": error.to_string() })
        );
    } else {
        eprintln!("rowhouse: {error}");
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    let mut settings = Settings::load(cli.config.as_deref())?;
    // A command's last word is its error; only a service has a log to be read.
    let service = matches!(cli.command, Command::Up { .. } | Command::Serve { .. });
    logs::start(if service { &settings.log } else { "off" })?;
    if let Command::Up { port: Some(port) }
    | Command::Serve {
        port: Some(port), ..
    } = cli.command
    {
        settings.port = port;
    }
    if let Command::Serve {
        probe_every: Some(every),
        ..
    } = cli.command
    {
        settings.probe_every = every;
    }
    tokio::runtime::Runtime::new()
        .map_err(|error| Error::Config(format!("cannot start: {error}")))?
        .block_on(run(cli, settings))
}

async fn run(cli: Cli, settings: Settings) -> Result<ExitCode> {
    let out = Output { json: cli.json };
    match cli.command {
        Command::Doctor(arguments) => doctor::run(&cli.target, &settings, arguments, out).await,
        Command::Probe(arguments) => probe::run(&cli.target, &settings, *arguments, out).await,
        Command::Audit(command) => command.run(&cli.target, &settings, out).await,
        _ => do_it(cli, settings).await.map(|()| ExitCode::SUCCESS),
    }
}

/// The commands that are done, or not.
async fn do_it(cli: Cli, mut settings: Settings) -> Result<()> {
    let (target, out) = (&cli.target, Output { json: cli.json });
    match cli.command {
        Command::Doctor(_) | Command::Probe(_) | Command::Audit(_) => Ok(()), // run
        Command::Up { .. } => {
            settings.take_database(target.database.clone());
            up::run(
                target.data.clone().unwrap_or_else(|| DEFAULT_DATA.into()),
                &settings,
                out,
            )
            .await
        }
        Command::Serve { .. } => commands::serve(target, &settings).await,
        Command::Migrate { dry_run } => commands::migrate(target, &settings, dry_run, out).await,
        Command::Seed => commands::seed(&target.place(&settings)?, &settings, out).await,
        Command::Ping { key } => ping::command(target, &settings, &key, out).await,
        Command::Tenants(command) => command.run(target, &settings, out).await,
        Command::Keys(command) => command.run(target, &settings, out).await,
        Command::Members(command) => command.run(target, &settings, out).await,
        Command::Invitations(command) => command.run(target, &settings, out).await,
        Command::Teams(command) => command.run(target, &settings, out).await,
        Command::Projects(command) => command.run(target, &settings, out).await,
        Command::Sessions(command) => command.run(target, &settings, out).await,
        Command::Workspaces(command) => command.run(target, &settings, out).await,
        Command::Access(command) => command.run(target, &settings, out).await,
        Command::Resources(command) => command.run(target, &settings, out).await,
        Command::Deployments(command) => command.run(target, &settings, out).await,
        Command::Personas(command) => command.run(target, &settings, out).await,
        Command::Openapi => output::line(openapi::document().trim_end()),
        Command::Tables(Tables::Protect {
            tables,
            tenant,
            assign,
            follow,
            shared,
            project_column,
        }) => {
            let plan = commands::Plan {
                tables,
                tenant,
                assign,
                follow,
                shared,
                project_column,
            };
            commands::protect(target, &settings, plan, out).await
        }
        Command::Tables(Tables::List) => commands::list_tables(target, &settings, out).await,
        Command::Tables(Tables::Mode { table, mode }) => {
            commands::set_mode(target, &settings, &table, mode, out).await
        }
        Command::Tour => commands::tour(target, &settings, out).await,
        Command::Ticket {
            tenant,
            user,
            access,
            ttl,
        } => {
            let access = match access {
                AccessArgument::Read => Access::Read,
                AccessArgument::Write => Access::Write,
            };
            commands::ticket(target, &settings, (tenant, user, access, ttl), out).await
        }
        Command::Seal(Seal::Rotate { force }) => {
            commands::rotate_seal(target, &settings, force, out).await
        }
        Command::Operator(Operator::Token { name, expires }) => {
            commands::operator_token(target, &settings, &name, expires.unwrap_or_default(), out)
                .await
        }
        Command::Operator(Operator::List) => commands::list_operators(target, &settings, out).await,
        Command::Operator(Operator::Revoke { token }) => {
            commands::revoke_operator(target, &settings, token, out).await
        }
    }
}
