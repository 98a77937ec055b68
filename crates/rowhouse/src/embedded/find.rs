//! Finds a Postgres server on this machine: a folder with `postgres` and `initdb` of a major from 15 to 18.
//!
//! The order: what the caller names, then `ROWHOUSE_POSTGRES_BIN`, then the folders of the distributions, newest
//! first, then `pg_config` and PATH. A folder that was named and is no server is an error and never skipped in
//! silence. An existing cluster decides the major: only a server of that major will do.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::StartError;
use super::user::ServerUser;

/// The majors that Rowhouse is tested with, newest first.
const MAJORS: [u32; 4] = [18, 17, 16, 15];

/// Names the bin folder of the server to use.
pub(super) const BIN_VARIABLE: &str = "ROWHOUSE_POSTGRES_BIN";

/// A server that runs here.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub bin: PathBuf,
    pub major: u32,
}

/// What the caller asks for.
pub(super) struct Wanted<'a> {
    /// The bin folder that was named, if any.
    pub bin: Option<&'a Path>,
    /// The cluster that is there already, and its major.
    pub cluster: Option<(&'a Path, u32)>,
    pub user: ServerUser,
}

/// The first server that fits.
pub(super) fn find(wanted: &Wanted<'_>) -> Result<Server, StartError> {
    let fits = |server: &Server| {
        wanted
            .cluster
            .is_none_or(|(_, major)| major == server.major)
    };
    let mut seen = Vec::new();

    let variable = std::env::var_os(BIN_VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    for bin in wanted.bin.map(Path::to_owned).into_iter().chain(variable) {
        let server = named_server(bin, wanted.user)?;
        if fits(&server) {
            return Ok(server);
        }
        seen.push(format!("{} in {}", server.major, server.bin.display()));
    }
    for bin in usual_places() {
        match probe(&bin, wanted.user) {
            Ok(server) if fits(&server) => return Ok(server),
            Ok(server) => seen.push(format!("{} in {}", server.major, bin.display())),
            Err(Unusable::Absent(_)) => {}
            Err(Unusable::Closed) => {
                seen.push(format!("{}, closed to {}", bin.display(), wanted.user));
            }
            Err(Unusable::Unfit(reason)) => seen.push(format!("{}: {reason}", bin.display())),
        }
    }
    Err(match wanted.cluster {
        Some((folder, cluster)) => StartError::OtherMajor {
            folder: folder.to_owned(),
            cluster,
            seen,
        },
        None => StartError::NoServer { seen },
    })
}

fn named_server(bin: PathBuf, user: ServerUser) -> Result<Server, StartError> {
    // The server runs in its data folder, where a relative path would lead elsewhere.
    let bin = std::path::absolute(&bin).unwrap_or(bin);
    probe(&bin, user).map_err(|unusable| match unusable {
        Unusable::Closed => user.closed(&bin.join("postgres")),
        Unusable::Absent(reason) | Unusable::Unfit(reason) => {
            StartError::NotAServer { bin, reason }
        }
    })
}

/// Folders where packages put their servers, then what PATH leads to.
fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    for major in MAJORS {
        places.extend([
            PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            PathBuf::from(format!("/usr/pgsql-{major}/bin")),
            PathBuf::from(format!("/usr/libexec/postgresql{major}")),
            PathBuf::from(format!("/opt/homebrew/opt/postgresql@{major}/bin")),
            PathBuf::from(format!("/usr/local/opt/postgresql@{major}/bin")),
            PathBuf::from(format!(
                "/home/linuxbrew/.linuxbrew/opt/postgresql@{major}/bin"
            )),
        ]);
    }
    if let Ok(said) = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
    {
        places.push(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
    }
    places.extend(on_path());
    places.retain(|place| place.is_absolute());
    places
}

/// The absolute folders in PATH.
pub(super) fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

enum Unusable {
    Absent(String),
    Closed,
    Unfit(String),
}

/// Asks the server in `bin` who it is, as the user it would run as.
fn probe(bin: &Path, user: ServerUser) -> Result<Server, Unusable> {
    for program in ["postgres", "initdb"] {
        if let Err(error) = std::fs::metadata(bin.join(program)) {
            return Err(Unusable::Absent(format!("`{program}`: {error}")));
        }
    }
    let mut version = String::new();
    for program in ["initdb", "postgres"] {
        version = ask_version(&bin.join(program), user)?;
    }
    match major(&version) {
        Some(major) if MAJORS.contains(&major) => Ok(Server {
            bin: bin.to_owned(),
            major,
        }),
        _ => Err(Unusable::Unfit(format!(
            "it is `{}`, not one of 15 to 18",
            version.trim()
        ))),
    }
}

fn ask_version(program: &Path, user: ServerUser) -> Result<String, Unusable> {
    let mut command = clean_command(program.as_os_str());
    command
        .arg("--version")
        .stdin(Stdio::null())
        .current_dir("/");
    user.apply(&mut command);
    let said = command.output().map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Unusable::Closed,
        _ => Unusable::Unfit(format!("{} does not run: {error}", program.display())),
    })?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let cause = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    Err(Unusable::Unfit(format!(
        "{} does not run ({}): {cause}",
        program.display(),
        said.status
    )))
}

/// A command with nothing of our environment in it that could change what a server does (`PGDATA`, `LC_ALL`) or
/// that it could give away (`DATABASE_URL`). The loader's paths stay, for servers that are not in a system folder.
pub(super) fn clean_command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C");
    for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// The major in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` or `... 18beta2`.
fn major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn majors_are_read_from_releases_and_betas() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(major("postgres (EnterpriseDB) 17"), None);
    }
}
