//! The data folder: `postgres/` (the cluster), `postgres.password`, `postgres.conf`, `postgres.hba`,
//! `postgres.log`, `rowhouse.lock`.
//!
//! Invariants: whoever holds the lock is the only owner; `postgres/` appears by a rename, so it is whole or not
//! there at all; only `postgres/` belongs to the server's user, and the password is readable by nobody but us.
//! Files are opened without following links, because we may be root in a folder that others can write to.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::error::{StartError, io};
use super::find::Server;
use super::log;
use super::process;
use super::user::ServerUser;

/// An open data folder. Its lock is held until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    pub user: ServerUser,
    _lock: File,
}

/// The major of the cluster in `pgdata`, if there is one.
pub(super) fn cluster_major(pgdata: &Path) -> Result<Option<u32>, StartError> {
    match std::fs::read_to_string(pgdata.join("PG_VERSION")) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(StartError::NotACluster {
                folder: pgdata.to_owned(),
            }),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && !pgdata.exists() => Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(StartError::NotACluster {
                folder: pgdata.to_owned(),
            })
        }
        Err(error) => Err(io("read", &pgdata.join("PG_VERSION"))(error)),
    }
}

impl Folder {
    /// Makes the folder if needed, sees to it that the server's user can pass, and takes the lock.
    pub(super) fn open(root: &Path, user: ServerUser) -> Result<Self, StartError> {
        make(root, user)?;
        let root = root
            .canonicalize()
            .map_err(io("open the data folder", root))?;
        let lock = take_lock(&root)?;
        open_for_passing(&root, user)?;
        user.reach(&root)?;
        Ok(Self {
            root,
            user,
            _lock: lock,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn pgdata(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// Where a new cluster is made before it is whole.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("postgres.new")
    }

    pub(super) fn conf(&self) -> PathBuf {
        self.root.join("postgres.conf")
    }

    pub(super) fn hba(&self) -> PathBuf {
        self.root.join("postgres.hba")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.root.join("postgres.password")
    }

    /// The password's copy that initdb reads; it lives as long as initdb runs.
    fn pwfile(&self) -> PathBuf {
        self.root.join("postgres.pwfile")
    }

    /// Removes what an interrupted [`Folder::init`] left.
    pub(super) fn clear_half_done(&self) -> Result<(), StartError> {
        remove_file(&self.pwfile())?;
        let staging = self.staging();
        for try_again in [true, true, false] {
            match std::fs::remove_dir_all(&staging) {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                // A process that was just killed may still have written a file while we were removing.
                Err(_) if try_again => std::thread::sleep(Duration::from_millis(100)),
                Err(error) => return Err(io("remove", &staging)(error)),
            }
        }
        Ok(())
    }

    /// Makes a new cluster; on failure nothing of it is left.
    pub(super) fn init(&self, server: &Server) -> Result<(), StartError> {
        let made = self.try_init(server);
        let cleared = self.clear_half_done();
        if made.is_err() {
            drop(remove_file(&self.password_file()));
        }
        made.and(cleared)
    }

    fn try_init(&self, server: &Server) -> Result<(), StartError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| StartError::Interrupted(error.to_string()))?;
        let password = hex::encode(secret);
        Self::write(&self.password_file(), &password)?;
        Self::write(&self.pwfile(), &password)?;
        self.user.own(&self.pwfile())?;

        let staging = self.staging();
        for (number, locale) in locales(server.major).iter().enumerate() {
            DirBuilder::new()
                .mode(0o700)
                .create(&staging)
                .map_err(io("make the folder", &staging))?;
            self.user.own(&staging)?;
            match self.run_initdb(server, locale) {
                Ok(()) => break,
                Err(StartError::Initdb { said, .. }) if number == 0 && said.contains("locale") => {
                    std::fs::remove_dir_all(&staging).map_err(io("remove", &staging))?;
                }
                Err(error) => return Err(error),
            }
        }
        std::fs::rename(&staging, self.pgdata()).map_err(io("rename", &staging))?;
        File::open(&self.root)
            .and_then(|root| root.sync_all())
            .map_err(io("sync", &self.root))
    }

    fn run_initdb(&self, server: &Server, locale: &[&str]) -> Result<(), StartError> {
        let program = server.bin.join("initdb");
        let mut command = process::command(&program, &self.staging(), self.user, "TERM");
        command.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
        ]);
        command.args(locale).arg("--no-instructions");
        command
            .arg("--pwfile")
            .arg(self.pwfile())
            .arg("--pgdata")
            .arg(self.staging());
        let done = command
            .stdout(Stdio::null())
            .output()
            .map_err(io("run", &program))?;
        if done.status.success() {
            return Ok(());
        }
        Err(StartError::Initdb {
            folder: self.root.clone(),
            said: log::end_of(&String::from_utf8_lossy(&done.stderr)),
        })
    }

    /// The superuser's password.
    pub(super) fn password(&self) -> Result<String, StartError> {
        let file = self.password_file();
        let text = std::fs::read_to_string(&file).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StartError::Password { file: file.clone() },
            _ => io("read", &file)(error),
        })?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes a file of ours afresh, mode 0600, and waits until it is on disk.
    fn write(path: &Path, text: &str) -> Result<(), StartError> {
        remove_file(path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io("create", path))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io("write", path))
    }

    /// Writes a file that the server's user reads too.
    pub(super) fn write_for_server(&self, path: &Path, text: &str) -> Result<(), StartError> {
        Self::write(path, text)?;
        self.user.may_read(path)
    }
}

/// How the cluster sorts and classifies characters, best first: by code point everywhere, so that an index means the
/// same on every machine. Systems without C.UTF-8 (macOS before 14) get plain C.
fn locales(major: u32) -> [&'static [&'static str]; 2] {
    if major >= 17 {
        [
            &[
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C.UTF-8",
            ],
            &[
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
        ]
    } else {
        [&["--locale=C.UTF-8"], &["--locale=C"]]
    }
}

/// Makes the folder and its parents. As root they can be passed through but not listed by others.
fn make(root: &Path, user: ServerUser) -> Result<(), StartError> {
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    if let Some(there) = root.ancestors().nth(missing.len()) {
        // Before anything is made: a refusal leaves nothing behind.
        if !missing.is_empty() {
            user.reach(there)?;
        }
    }
    let mode = if user.switch { 0o711 } else { 0o700 };
    for folder in missing.into_iter().rev() {
        DirBuilder::new()
            .mode(mode)
            .create(folder)
            .map_err(io("make the folder", folder))?;
        std::fs::set_permissions(folder, Permissions::from_mode(mode))
            .map_err(io("change the mode of", folder))?;
    }
    Ok(())
}

/// As root, lets the server's user through the data folder itself, if it is ours and holds nothing but our data:
/// somebody's home folder, given by mistake, stays as closed as it was.
fn open_for_passing(root: &Path, user: ServerUser) -> Result<(), StartError> {
    let found = std::fs::metadata(root).map_err(io("look into", root))?;
    let mode = found.mode() & 0o7777;
    if !user.switch || found.uid() != 0 || mode & 0o001 != 0 {
        return Ok(());
    }
    let entries = std::fs::read_dir(root).map_err(io("list", root))?;
    let only_ours = entries.flatten().all(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name == "rowhouse.lock" || name == "postgres" || name.starts_with("postgres.")
    });
    if only_ours {
        std::fs::set_permissions(root, Permissions::from_mode(mode | 0o011))
            .map_err(io("change the mode of", root))?;
    }
    Ok(())
}

/// Takes the owner lock, with our process id in it for whoever comes second.
fn take_lock(root: &Path) -> Result<File, StartError> {
    let path = root.join("rowhouse.lock");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&path).map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            drop(file.read_to_string(&mut text));
            return Err(StartError::InUse {
                folder: root.to_owned(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(io("write", &path))?;
    Ok(file)
}

fn remove_file(path: &Path) -> Result<(), StartError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}
