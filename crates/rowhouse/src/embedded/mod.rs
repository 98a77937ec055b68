//! Embedded Postgres: the real server, found on the system, run in a private data folder. Never a mock.
//!
//! Invariants: one owner a folder (a lock held for our lifetime); only 127.0.0.1, only SCRAM passwords, the
//! superuser's is random and readable by us alone; the server's own databases are the superuser's alone; the server runs
//! as an unprivileged user when we are root; it ends when we end, and where even `kill -9` on us leaves one behind, the next
//! start takes the folder over.
//! `find` looks for a server, `folder` keeps the files, `recover` clears what a dead owner left, `conf` writes
//! the configuration, `process` runs the server, `user` says as whom, `log` quotes what it said.

mod conf;
mod error;
mod find;
mod folder;
mod log;
mod process;
mod recover;
mod user;

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use futures_util::future::join;
use nix::sys::signal::Signal;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

pub use self::error::{StartError, StopError};
use self::find::{Server, Wanted};
use self::folder::Folder;
use self::log::Log;
use self::process::Process;
pub use self::user::ServerUser;
use self::user::ServerUser as User;

/// How long a server may say nothing before it is given up.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a server may say that it is recovering. Killing it earlier would make the next start begin anew.
const RECOVERY: Duration = Duration::from_mins(15);
/// How often a start is tried when the port that we picked is taken by another before the server gets it, or dying
/// backends still hold the shared memory.
const TRIES: u32 = 10;

/// What an application's login may not do in its own database, such as ending other sessions of the same login, it could do
/// in these: rights on functions and large objects are of each database.
const CLOSE_OUR_DATABASES: &str = "
do $$
begin
  if not pg_is_in_recovery() then -- a standby has it from its primary
    revoke connect on database postgres, template1 from public;
  end if;
end
$$";

/// How to start the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept; made if it does not exist. As root, a folder that ordinary users can pass through.
    pub data_dir: PathBuf,
    /// The port on 127.0.0.1, or none: then a free one is picked, another one at each start.
    pub port: Option<u16>,
    /// Server settings beside the defaults, as in `postgresql.conf`: (`shared_buffers`, `256MB`).
    pub settings: Vec<(String, String)>,
    /// The folder with `postgres` and `initdb`, or none: then `ROWHOUSE_POSTGRES_BIN`, the folders of the
    /// distributions, `pg_config` and PATH are looked through.
    pub bin_dir: Option<PathBuf>,
}

impl Options {
    /// A server in `data_dir`, on a port that is free, with the defaults.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            settings: Vec::new(),
            bin_dir: None,
        }
    }
}

/// A running server and its data folder. Dropped, it ends at once (committed data is safe); better is
/// [`Embedded::stop`].
pub struct Embedded {
    // Before the folder: the lock is given back only when the server is gone.
    process: Process,
    folder: Folder,
    server: Server,
    port: u16,
    password: String,
}

impl Embedded {
    /// Starts the server: makes the database at the first time, recovers after a crash, and returns when it answers
    /// queries. Needs a second or two the first time; after a crash as long as the recovery takes.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            data_dir,
            port,
            settings,
            bin_dir,
        } = options;
        conf::check(&settings)?;
        let prepared = tokio::task::spawn_blocking(move || {
            let (folder, server) = prepare(&data_dir, bin_dir.as_deref())?;
            conf::write(&folder, &settings)?;
            let password = folder.password()?;
            Ok((folder, server, password))
        });
        let (folder, server, password) = prepared
            .await
            .map_err(|error| StartError::Interrupted(error.to_string()))??;

        let (process, port) = launch(&folder, &server, &password, port).await?;
        tracing::info!(
            port,
            major = server.major,
            pid = process.pid(),
            "embedded PostgreSQL answers"
        );
        Ok(Self {
            process,
            folder,
            server,
            port,
            password,
        })
    }

    /// The URL of the superuser `postgres`. It holds the password: not for logs.
    pub fn superuser_url(&self) -> String {
        self.url("postgres", &self.password, "postgres")
    }

    /// The URL of a login of your own. It holds the password: not for logs.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{}",
            percent_encoded(user),
            percent_encoded(password),
            self.port,
            percent_encoded(database)
        )
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's major version, 15 to 18.
    pub fn major(&self) -> u32 {
        self.server.major
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The folder of the server's programs. Some packages ship `postgres` and `initdb` only.
    pub fn bin_dir(&self) -> &Path {
        &self.server.bin
    }

    /// The data folder, as an absolute path without links.
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.log()
    }

    /// How the server ended, if it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits until the server ends, which it does by itself only when something is wrong.
    pub async fn wait(&self) -> ExitStatus {
        self.process.wait().await
    }

    /// Shuts down: sessions are cut, a checkpoint is written, the lock is given back. After 30 s without a checkpoint,
    /// shuts down without one.
    pub async fn stop(self) -> Result<(), StopError> {
        let status = self
            .process
            .end(&[
                (Signal::SIGINT, Duration::from_secs(30)),
                (Signal::SIGQUIT, Duration::from_secs(5)),
                (Signal::SIGKILL, Duration::from_secs(5)),
            ])
            .await;
        if status.success() {
            Ok(())
        } else {
            Err(StopError { status })
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Embedded");
        shown
            .field("data_dir", &self.data_dir())
            .field("port", &self.port)
            .field("major", &self.major());
        shown.finish_non_exhaustive() // never the password
    }
}

/// Everything up to the server's start. Refusals come before anything is made.
fn prepare(data_dir: &Path, bin: Option<&Path>) -> Result<(Folder, Server), StartError> {
    let data_dir = std::path::absolute(data_dir).map_err(error::io("resolve", data_dir))?;
    let pgdata = data_dir.join("postgres");
    let user = User::choose(&pgdata)?;
    let found = folder::cluster_major(&pgdata)?;
    let server = server_for(&pgdata, found, bin, user)?;

    let folder = Folder::open(&data_dir, user)?;
    recover::take_over(&folder)?;
    // Now that the folder is ours: an owner before us may have made the cluster since we looked.
    let pgdata = folder.pgdata();
    let cluster = folder::cluster_major(&pgdata)?;
    let server = if cluster == found {
        server
    } else {
        server_for(&pgdata, cluster, bin, user)?
    };
    if cluster.is_none() {
        folder.init(&server)?;
    }
    Ok((folder, server))
}

fn server_for(
    pgdata: &Path,
    major: Option<u32>,
    bin: Option<&Path>,
    user: User,
) -> Result<Server, StartError> {
    find::find(&Wanted {
        bin,
        cluster: major.map(|major| (pgdata, major)),
        user,
    })
}

/// Starts the server on a port and waits until it answers.
async fn launch(
    folder: &Folder,
    server: &Server,
    password: &str,
    wanted: Option<u16>,
) -> Result<(Process, u16), StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port(wanted)?;
        let (log, file) = Log::open(&folder.log())?;
        let program = server.bin.join("postgres");
        let mut command = process::command(&program, &folder.pgdata(), folder.user, "INT");
        let copy = file.try_clone().map_err(error::io("open", &log.path))?;
        command
            .args(conf::arguments(folder, port))
            .stdout(copy)
            .stderr(file);
        let process = Process::spawn(command).map_err(error::io("run", &program))?;

        match answers(&process, folder, &log, port, password).await {
            Ok(()) => return Ok((process, port)),
            Err(StartError::Died { tail, .. }) if taken(&tail) && wanted == Some(port) => {
                return Err(StartError::PortInUse { port });
            }
            Err(StartError::Died { tail, .. })
                if tries < TRIES && (taken(&tail) || held(&tail)) =>
            {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The port that is asked for, if nobody has it, or any free one.
fn free_port(wanted: Option<u16>) -> Result<u16, StartError> {
    let asked = wanted.unwrap_or(0);
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, asked)).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { port: asked },
            _ => StartError::Io {
                what: "listen on",
                path: format!("127.0.0.1:{asked}").into(),
                source: error,
            },
        })?;
    let address = listener
        .local_addr()
        .map_err(error::io("listen on", Path::new("127.0.0.1")))?;
    Ok(address.port())
}

/// Someone took the port between our look and the server's.
fn taken(tail: &str) -> bool {
    tail.contains("could not create any TCP/IP sockets")
        || tail.contains("could not bind IPv4 address")
}

/// Backends of a killed server still hold its shared memory.
fn held(tail: &str) -> bool {
    tail.contains("pre-existing shared memory block")
}

/// Connects until the server answers, ends, or has been silent for too long.
async fn answers(
    process: &Process,
    folder: &Folder,
    log: &Log,
    port: u16,
    password: &str,
) -> Result<(), StartError> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user("postgres")
        .password(password)
        .dbname("postgres")
        .application_name("rowhouse start")
        .connect_timeout(Duration::from_secs(2));

    let begun = Instant::now();
    let mut heard = begun;
    loop {
        if let Some(status) = process.exited() {
            let (log, tail) = (log.path.clone(), log.tail());
            return Err(StartError::Died { status, log, tail });
        }
        if listens(process, folder, port) {
            #[expect(
                clippy::disallowed_methods,
                reason = "only asks whether the server answers"
            )]
            let attempt = tokio::time::timeout(Duration::from_secs(5), config.connect(NoTls)).await;
            match attempt.map(|connected| connected.map_err(|error| error.code().cloned())) {
                Ok(Ok((client, connection))) => {
                    // The connection ends when its client is dropped.
                    let close = async move { client.batch_execute(CLOSE_OUR_DATABASES).await };
                    let (closed, _) = join(close, connection).await;
                    return closed.map_err(StartError::Databases);
                }
                Ok(Err(Some(code))) if code == SqlState::INVALID_PASSWORD => {
                    let file = folder.password_file();
                    return Err(StartError::Password { file });
                }
                Ok(Err(Some(code)))
                    if code == SqlState::CANNOT_CONNECT_NOW && begun.elapsed() < RECOVERY =>
                {
                    heard = Instant::now();
                }
                _ => {}
            }
        }
        if heard.elapsed() > SILENCE {
            let (seconds, log, tail) = (begun.elapsed().as_secs(), log.path.clone(), log.tail());
            return Err(StartError::Silent { seconds, log, tail });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether our server says that it has the port: its process id, port and address stand in lines 1, 4 and 6 of
/// `postmaster.pid`. Connecting earlier could reach another server that got the port first, whose refusal of our
/// password would say nothing, or, the port being one that clients get too, take it from the server ourselves.
fn listens(process: &Process, folder: &Folder, port: u16) -> bool {
    let text = std::fs::read_to_string(folder.pgdata().join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is = |line: usize, value: String| lines.get(line).is_some_and(|found| *found == value);
    is(0, process.pid().to_string()) && is(3, port.to_string()) && is(5, "127.0.0.1".to_owned())
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
