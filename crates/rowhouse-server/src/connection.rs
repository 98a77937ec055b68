//! Which database a command works with: `--data DIR` of an `up`, `--database URL`, or the settings.
//!
//! `connection.json` (mode 0600) is what an `up` leaves in its data folder for other commands and for its users.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rowhouse::logins::{self, Logins};
use rowhouse::{Config, Error, Owner, Result, Rowhouse, SealSource, Secret};
use serde::{Deserialize, Serialize};

use crate::config::Settings;

const FILE: &str = "connection.json";

/// The contents of `connection.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Connection {
    /// Where HTTP is answered.
    pub url: String,
    /// A token for operators.
    pub operator_token: String,
    /// Connection URLs.
    pub database: Database,
}

/// Connection URLs, by login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Database {
    /// May create databases, and migrates.
    pub owner: String,
    /// Transactions of tenants.
    pub app: String,
    /// The registry.
    pub platform: String,
    /// Reads the ticket key.
    pub sealer: String,
    /// Takes mail that waits to be sent.
    #[serde(default)]
    pub mailer: String,
}

impl Connection {
    /// What an `up` left in `folder`, if it did.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Error::Config(format!(
                    "{} cannot be read: {error}",
                    path.display()
                )));
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::Config(format!(
                "{} is damaged ({error}): delete it and start `rowhouse up` again",
                path.display()
            ))
        })
    }

    /// Writes it whole or not at all, readable to its owner only.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (path, new) = (folder.join(FILE), folder.join(format!("{FILE}.new")));
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| {
            Error::Config(format!("{} cannot be written: {error}", path.display()))
        })
    }
}

/// `--data` and `--database`, as every command takes them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Target {
    /// Data folder of an `up` (default: .rowhouse, when it is there and no database is named)
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Connection URL of the database's owner
    #[arg(long, value_name = "URL", global = true, conflicts_with = "data")]
    pub database: Option<String>,
}

/// The folder that `up` uses when none is named.
pub const DEFAULT_DATA: &str = ".rowhouse";

/// A database, and how to reach it in each role.
pub struct Place {
    owner: Option<Secret>,
    known: Option<Database>,
}

impl Target {
    /// Resolves it: what the command line names wins over the settings, these over the default folder.
    pub fn place(&self, settings: &Settings) -> Result<Place> {
        if let Some(url) = &self.database {
            return Ok(Place {
                owner: Some(url.as_str().into()),
                known: None,
            });
        }
        if self.folder(settings).is_none() {
            return Ok(Place {
                owner: settings.database_url(),
                known: None,
            });
        }
        let folder = self.folder(settings).unwrap_or(Path::new(DEFAULT_DATA));
        match Connection::read(folder)? {
            Some(connection) => Ok(Place {
                owner: Some(connection.database.owner.as_str().into()),
                known: Some(connection.database),
            }),
            None => Err(Error::Config(format!(
                "{} holds no {FILE}: name the data folder of a running `rowhouse up` with --data, or a database with --database",
                folder.display()
            ))),
        }
    }
}

impl Target {
    /// The data folder, unless a database is named instead.
    pub fn folder(&self, settings: &Settings) -> Option<&Path> {
        let elsewhere = self.database.is_some()
            || settings.database_url().is_some()
            || settings.logins().is_some();
        match &self.data {
            Some(folder) => Some(folder),
            None => (!elsewhere).then_some(Path::new(DEFAULT_DATA)),
        }
    }
}

impl Place {
    /// A place by the owner's URL alone.
    pub fn of(owner: Secret) -> Self {
        Self {
            owner: Some(owner),
            known: None,
        }
    }

    /// The owner's URL.
    pub fn owner_url(&self) -> Result<&Secret> {
        self.owner.as_ref().ok_or_else(|| {
            Error::Config(
                "this needs the owner's URL: --database, or the setting database_url".into(),
            )
        })
    }

    /// The owner's connection.
    pub async fn owner(&self) -> Result<Owner> {
        Owner::connect(self.owner_url()?.clone()).await
    }

    /// The same, where a pooler may stand in between.
    pub async fn guest(&self) -> Result<Owner> {
        Owner::connect_as_guest(self.owner_url()?.clone()).await
    }

    /// The URLs of the logins: configured, written down, or found through the owner.
    pub async fn logins(&self, settings: &Settings) -> Result<Logins> {
        if let Some(configured) = settings.logins() {
            return Ok(configured);
        }
        if let Some(known) = &self.known {
            return Ok(Logins {
                app: known.app.as_str().into(),
                platform: known.platform.as_str().into(),
                sealer: known.sealer.as_str().into(),
                mailer: Some(known.mailer.as_str())
                    .filter(|url| !url.is_empty())
                    .map(Secret::from),
            });
        }
        let mut owner = self.owner().await?;
        logins::find(&mut owner, self.owner_url()?).await
    }

    /// The house, ready for transactions.
    pub async fn house(&self, settings: &Settings) -> Result<Rowhouse> {
        let logins = self.logins(settings).await?;
        let seal = match settings.seal_key()? {
            Some(key) => SealSource::Key(key),
            None => SealSource::Database(logins.sealer),
        };
        let config = Config {
            pool_size: settings.pool_size,
            pooled: settings.pooled,
            mailer: logins.mailer,
            // So that whoever gets none hears why, and not only that he was too slow.
            pool_timeout: Duration::from_millis(u64::from(settings.timeout) * 500),
            ..Config::new(logins.app, seal)
        };
        Rowhouse::connect(config.with_platform(logins.platform)).await
    }
}

/// The same server and login, another database.
pub fn with_database(url: &Secret, database: &str) -> Result<Secret> {
    let (before, parameters) = match url.reveal().split_once('?') {
        Some((before, parameters)) => (before, format!("?{parameters}")),
        None => (url.reveal(), String::new()),
    };
    let slash = before
        .find("://")
        .and_then(|scheme| {
            before[scheme + 3..]
                .rfind('/')
                .map(|slash| scheme + 3 + slash)
        })
        .ok_or_else(|| {
            Error::Config(
                "the owner's URL must have the form postgresql://user:password@host:port/database"
                    .into(),
            )
        })?;
    Ok(format!("{}/{database}{parameters}", &before[..slash]).into())
}
