//! `rowhouse up`: everything, from nothing. Its own Postgres (or `DATABASE_URL`), migrated, seeded and enforced; an operator
//! token; `connection.json` in the data folder; then the HTTP service until it is told to stop.
//!
//! Invariants: each step finds what an earlier run left and completes it, so a first start that was killed is finished by
//! the second; what was started is stopped, in reverse.

use std::path::{Path, PathBuf};

use rowhouse::embedded::{Embedded, Options};
use rowhouse::operators::{self, Expires};
use rowhouse::{Error, Owner, Result, Rowhouse, Secret, logins, migrate};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Settings;
use crate::connection::{Connection, Database, Place, with_database};
use crate::output::Output;
use crate::{app, seed};

const DATABASE: &str = "rowhouse";
/// Where mail lands in the data folder, while no mail server is configured.
pub const MAIL: &str = "mail";

/// Runs until it is told to stop, or until its Postgres dies.
pub async fn run(data: PathBuf, settings: &Settings, out: Output) -> Result<()> {
    let listener = app::listen(settings).await?;
    let (server, owner_url) = if let Some(url) = settings.database_url() {
        std::fs::create_dir_all(&data).map_err(|error| {
            Error::Config(format!("{} cannot be made: {error}", data.display()))
        })?;
        (None, url)
    } else {
        let server = Embedded::start(Options::new(&data)).await?;
        let url = own_database(&server).await?;
        (Some(server), url)
    };
    let ended = tokio::select! {
        ended = async {
            let house = prepare(&data, &owner_url, settings, out).await?;
            let mail = app::MailFolder { folder: Some(data.join(MAIL)), shown: true };
            app::serve(listener, house, settings, mail, asked_to_stop()).await
        } => ended,
        status = died(server.as_ref()) => Err(Error::Config(format!(
            "the database server ended ({status}); see {}. Start `rowhouse up` again: it recovers",
            data.join("postgres.log").display()
        ))),
    };
    if let Some(server) = server
        && server.exited().is_none()
    {
        server.stop().await?;
    }
    ended
}

async fn died(server: Option<&Embedded>) -> std::process::ExitStatus {
    match server {
        Some(server) => server.wait().await,
        None => std::future::pending().await,
    }
}

/// SIGINT or SIGTERM.
pub async fn asked_to_stop() {
    match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// The database `rowhouse` in the server that we run; nobody else's logins may connect to it.
async fn own_database(server: &Embedded) -> Result<Secret> {
    let mut postgres = Owner::connect(server.superuser_url()).await?;
    let client = postgres.client();
    if client
        .query_opt("select from pg_database where datname = $1", &[&DATABASE])
        .await?
        .is_none()
    {
        client
            .batch_execute(&format!("create database {DATABASE}"))
            .await?;
    }
    client
        .batch_execute(&format!("revoke all on database {DATABASE} from public"))
        .await?;
    with_database(&server.superuser_url().into(), DATABASE)
}

async fn prepare(
    data: &Path,
    owner_url: &Secret,
    settings: &Settings,
    out: Output,
) -> Result<Rowhouse> {
    let mut owner = Owner::connect(owner_url.clone()).await?;
    migrate::run(&mut owner).await?;
    let logins = logins::ensure(&mut owner, owner_url).await?;
    let house = Place::of(owner_url.clone()).house(settings).await?;
    let seeded = seed::run(&mut owner, &house).await?;
    let connection = Connection {
        url: format!("http://{}:{}", settings.host, settings.port),
        operator_token: operator_token(data, &house).await?,
        database: Database {
            owner: owner_url.reveal().to_owned(),
            app: logins.app.reveal().to_owned(),
            platform: logins.platform.reveal().to_owned(),
            sealer: logins.sealer.reveal().to_owned(),
            mailer: logins
                .mailer
                .map(|url| url.reveal().to_owned())
                .unwrap_or_default(),
        },
    };
    connection.write(data)?;
    if settings.probe_every > 0 {
        crate::probe::spawn(owner_url.clone(), logins.app, settings.probe_every);
    }
    out.show(
        &serde_json::json!({ "url": connection.url, "data": data }),
        |_| greeting(&connection, data, &seeded),
    )?;
    Ok(house)
}

/// The token of an earlier run while it is good, or a new one.
async fn operator_token(data: &Path, house: &Rowhouse) -> Result<String> {
    let mut tx = house.begin_platform().await?;
    if let Some(kept) = Connection::read(data)?
        && operators::verify(&mut tx, &kept.operator_token)
            .await?
            .is_some()
    {
        tx.commit().await?;
        return Ok(kept.operator_token);
    }
    // It lies beside the owner's URL, and nobody would look for why an `up` of three months answers no more.
    let (_, token) = operators::issue(&mut tx, "rowhouse up", Expires::Never).await?;
    tx.commit().await?;
    Ok(token.reveal().to_owned())
}

/// What a newcomer can paste. The README has the same lines; a test runs them.
const FIRST_STEPS: &str = include_str!("first_steps.sh");

fn greeting(connection: &Connection, data: &Path, seeded: &seed::Seeded) -> String {
    let data = data.display();
    let steps: Vec<String> = FIRST_STEPS
        .replace("http://127.0.0.1:7080", &connection.url)
        .replace(".rowhouse/", &format!("{data}/"))
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned())
        .collect();
    format!(
        "{}\n\nRowhouse answers at {url}; its API is described at {url}/docs. Its data and connection.json are in {data}. \
         Ctrl-C stops it.\n\nFirst steps, to be pasted into another terminal, in this folder:\n\n{}\n",
        seed::describe(seeded),
        steps.join("\n"),
        url = connection.url,
    )
}
