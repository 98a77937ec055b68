//! Who runs the server: ourselves, or, when we are root, an unprivileged user.
//!
//! Postgres refuses to run as root, so root steps down to the owner of an existing cluster, else to `postgres`,
//! else to `nobody`. Only the cluster's own folder belongs to that user; the data folder around it, with the
//! password and the configuration, stays ours. A folder that the user cannot pass through is named, because
//! Postgres itself would only say "permission denied".

use std::fmt;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, getegid, geteuid};

use super::error::{StartError, io};

/// The operating-system user the server runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this differs from the user we are, so that processes and files have to be handed over.
    pub(super) switch: bool,
}

impl ServerUser {
    /// The user for the cluster in `pgdata`, which need not exist yet.
    pub(super) fn choose(pgdata: &Path) -> Result<Self, StartError> {
        let owner = match std::fs::metadata(pgdata) {
            Ok(found) => Some((found.uid(), found.gid())),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(io("look into", pgdata)(error)),
        };
        let switch = geteuid().is_root();
        let (uid, gid) = match owner {
            Some(owner) if switch && owner.0 != 0 => owner,
            None if switch => unprivileged()?,
            Some((owner, _)) if switch || owner != geteuid().as_raw() => {
                let expected = if switch {
                    unprivileged()?.0
                } else {
                    geteuid().as_raw()
                };
                return Err(StartError::NotOurs {
                    folder: pgdata.to_owned(),
                    owner,
                    expected,
                });
            }
            _ => (geteuid().as_raw(), getegid().as_raw()),
        };
        Ok(Self { uid, gid, switch })
    }

    /// Makes `command` run as this user. The standard library drops root's supplementary groups with it.
    pub(super) fn apply(self, command: &mut Command) {
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Hands a file or folder of ours over to this user.
    pub(super) fn own(self, path: &Path) -> Result<(), StartError> {
        if self.switch {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
                .map_err(io("change the owner of", path))?;
        }
        Ok(())
    }

    /// Lets this user read a file that stays ours, by its group.
    pub(super) fn may_read(self, path: &Path) -> Result<(), StartError> {
        if self.switch {
            std::os::unix::fs::lchown(path, None, Some(self.gid))
                .map_err(io("change the group of", path))?;
            std::fs::set_permissions(path, Permissions::from_mode(0o640))
                .map_err(io("change the mode of", path))?;
        }
        Ok(())
    }

    /// Refuses when this user cannot enter `folder`. Found out by trying, so that access lists count too.
    pub(super) fn reach(self, folder: &Path) -> Result<(), StartError> {
        if !self.switch {
            return Ok(());
        }
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "exit 0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.current_dir(folder);
        self.apply(&mut command);
        match command.status() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(self.closed(folder)),
            Err(error) => Err(io("enter, as the server's user,", folder)(error)),
            Ok(_) => Ok(()),
        }
    }

    /// The error that names the first closed folder on the way to `target`.
    pub(super) fn closed(self, target: &Path) -> StartError {
        let folder = self
            .first_closed(target)
            .unwrap_or_else(|| target.to_owned());
        StartError::Closed {
            folder,
            target: target.to_owned(),
            user: self,
        }
    }

    fn first_closed(self, target: &Path) -> Option<PathBuf> {
        let target = target.canonicalize().ok()?;
        let mut way: Vec<&Path> = target.ancestors().collect();
        way.reverse();
        way.into_iter()
            .find(|folder| {
                std::fs::metadata(folder).is_ok_and(|found| {
                    let bit = match (found.uid() == self.uid, found.gid() == self.gid) {
                        (true, _) => 0o100,
                        (false, true) => 0o010,
                        (false, false) => 0o001,
                    };
                    found.mode() & bit == 0
                })
            })
            .map(Path::to_owned)
    }
}

impl fmt::Display for ServerUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => write!(f, "user `{}`", user.name),
            _ => write!(f, "user id {}", self.uid),
        }
    }
}

fn unprivileged() -> Result<(u32, u32), StartError> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| (user.uid.as_raw(), user.gid.as_raw()))
        .ok_or(StartError::NoUser)
}
