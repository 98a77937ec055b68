//! What can keep the embedded server from starting or stopping.
//!
//! Each message names the cause first and the way out second, because it is read by someone who wanted a
//! database and not a lesson about Postgres. No message holds a password.

use std::path::PathBuf;
use std::process::ExitStatus;

use super::user::ServerUser;

/// Why [`Embedded::start`](super::Embedded::start) did not start a server. Nothing of ours is left running then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No server of a usable version is on this machine.
    #[error(
        "no PostgreSQL server (15 to 18) was found{}. Install one (Debian and Ubuntu: apt-get install postgresql; \
         Fedora: dnf install postgresql-server; macOS: brew install postgresql@18), or set ROWHOUSE_POSTGRES_BIN to \
         the folder that holds `postgres` and `initdb`, or give Rowhouse a database that runs already",
        listed(.seen)
    )]
    NoServer {
        /// What was looked at and why it did not do, one entry a server.
        seen: Vec<String>,
    },

    /// The folder that the caller or `ROWHOUSE_POSTGRES_BIN` names holds no usable server.
    #[error(
        "{} is not a usable PostgreSQL: {reason}. Point ROWHOUSE_POSTGRES_BIN at the bin folder of a server 15 to 18, \
         or unset it to use the one installed on the system",
        .bin.display()
    )]
    NotAServer {
        /// The folder that was named.
        bin: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The data was written by another major version, and no server of that version is here.
    #[error(
        "{} holds data of PostgreSQL {cluster}, and no such server was found{}. Install PostgreSQL {cluster} (Debian \
         and Ubuntu: apt-get install postgresql-{cluster}), or set ROWHOUSE_POSTGRES_BIN to its bin folder, or use \
         another data folder",
        .folder.display(), listed(.seen)
    )]
    OtherMajor {
        /// The cluster's folder.
        folder: PathBuf,
        /// The cluster's major version.
        cluster: u32,
        /// The servers that were found instead.
        seen: Vec<String>,
    },

    /// There is something in the cluster's place that is not a cluster.
    #[error(
        "{} is there but is no PostgreSQL data folder (it has no readable PG_VERSION). Move it away, or use another \
         data folder",
        .folder.display()
    )]
    NotACluster {
        /// The folder in question.
        folder: PathBuf,
    },

    /// Another process works on this data folder now.
    #[error(
        "{} is in use by {}. Stop that process, or use another data folder",
        .folder.display(), .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The holder, if it said who it is.
        pid: Option<u32>,
    },

    /// The cluster belongs to another user than the one the server would run as.
    #[error(
        "{} belongs to user id {owner}, and this process may run the server only as user id {expected}. Start as that \
         user, or hand the folder over (chown -R), or use another data folder",
        .folder.display()
    )]
    NotOurs {
        /// The cluster's folder.
        folder: PathBuf,
        /// The user id it belongs to.
        owner: u32,
        /// The user id the server would run as.
        expected: u32,
    },

    /// The unprivileged user that runs the server cannot pass through a folder on the way.
    #[error(
        "the server runs as {user}, since PostgreSQL refuses to run as root, and that user may not pass through {}, \
         on the way to {}. Open it (chmod o+x {}), or use another folder, such as one under /var/lib",
        .folder.display(), .target.display(), .folder.display()
    )]
    Closed {
        /// The closed folder.
        folder: PathBuf,
        /// Where the way leads.
        target: PathBuf,
        /// Who is shut out.
        user: ServerUser,
    },

    /// We are root and there is no user to step down to.
    #[error(
        "PostgreSQL refuses to run as root, and this system has neither a user `postgres` nor `nobody`. Add one \
         (useradd --system postgres), or start Rowhouse as an ordinary user"
    )]
    NoUser,

    /// A setting that would break the promises of the embedded server, or cannot be written into a file.
    #[error(
        "the server setting `{name}` cannot be set here: {reason}. Remove it, or run your own PostgreSQL"
    )]
    Setting {
        /// The setting's name.
        name: String,
        /// Why not.
        reason: &'static str,
    },

    /// The port is taken.
    #[error(
        "port {port} on 127.0.0.1 is in use. Choose another port, or none: then a free one is picked"
    )]
    PortInUse {
        /// The port in question.
        port: u16,
    },

    /// `initdb` failed; its unfinished folder has been removed.
    #[error(
        "a new database could not be made in {}; nothing was left there. Check its free space and permissions. initdb \
         said: {said}",
        .folder.display()
    )]
    Initdb {
        /// The data folder.
        folder: PathBuf,
        /// The end of what it printed.
        said: String,
    },

    /// The server answers, and does not keep its own databases from everybody's logins.
    #[error(
        "the server's own databases could not be closed to other logins: {0}. Start again; its log says more"
    )]
    Databases(#[source] tokio_postgres::Error),

    /// The server ended before it answered.
    #[error("the server ended while it started ({status}). Its log ({}) ends with: {tail}", .log.display())]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },

    /// The server runs but did not answer in time; it has been stopped.
    #[error(
        "the server did not answer within {seconds} s and was stopped. Start again if the machine was busy. Its log \
         ({}) ends with: {tail}",
        .log.display()
    )]
    Silent {
        /// How long it was given, in seconds.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },

    /// The superuser's password that we keep is gone, or the server does not accept it.
    #[error(
        "the password of `postgres` in {} is missing, or the server refuses it. Write the right one there, readable by \
         its owner alone, or use another data folder",
        .file.display()
    )]
    Password {
        /// Where the password is kept.
        file: PathBuf,
    },

    /// A server or initdb of an earlier, dead owner does not go away.
    #[error("process {pid}, left by an earlier run in {}, does not end. End it, then start again", .folder.display())]
    LeftOver {
        /// The process.
        pid: u32,
        /// The cluster's folder.
        folder: PathBuf,
    },

    /// The system refused something: no permission, no room, not a folder.
    #[error("cannot {what} {}: {source}. Check its permissions and free space, or use another data folder", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The runtime shut down, or a thread of ours failed, before the start was done.
    #[error("the start was cut short: {0}. Start again")]
    Interrupted(String),
}

/// Why [`Embedded::stop`](super::Embedded::stop) did not end cleanly. The server is gone all the same, and
/// what was committed is safe: the next start replays it from the write-ahead log.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server did not shut down cleanly ({status}); committed data is safe, the next start recovers it"
)]
pub struct StopError {
    /// How the server ended.
    pub status: ExitStatus,
}

/// Turns an I/O error into one that names what was tried and where.
pub(super) fn io(
    what: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Io { what, path, source }
}

fn listed(servers: &[String]) -> String {
    if servers.is_empty() {
        return String::new();
    }
    format!(" (seen: {})", servers.join("; "))
}
