//! The server's log: one file, appended to over restarts, set aside when it has grown.
//!
//! The server writes into it through its standard error, so it holds also what is said before Postgres has read
//! its configuration, or after it has crashed. What failed is quoted from the place where this start began.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::error::{StartError, io};

/// From this size on, in bytes, the log is set aside as `postgres.log.1` at the next start.
const ROOM: u64 = 16 * 1024 * 1024;

/// The part of the log that a start has written so far.
#[derive(Debug)]
pub(super) struct Log {
    pub path: PathBuf,
    from: u64,
}

impl Log {
    /// Opens the log at `path`; the file is for the server to write to.
    pub(super) fn open(path: &Path) -> Result<(Self, File), StartError> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.len() > ROOM) {
            std::fs::rename(path, path.with_extension("log.1")).map_err(io("rename", path))?;
        }
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(path).map_err(io("open", path))?;
        let from = file.metadata().map_err(io("look into", path))?.len();
        Ok((
            Self {
                path: path.to_owned(),
                from,
            },
            file,
        ))
    }

    /// The last lines of this start.
    pub(super) fn tail(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            let from = self.from.max(file.metadata()?.len().saturating_sub(4096));
            file.seek(SeekFrom::Start(from))?;
            file.take(4096).read_to_end(&mut text)
        });
        match read {
            Ok(_) => end_of(&String::from_utf8_lossy(&text)),
            Err(error) => format!("(not readable: {error})"),
        }
    }
}

/// The last dozen lines, on one line.
pub(super) fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines
        .get(lines.len().saturating_sub(12)..)
        .unwrap_or_default();
    if last.is_empty() {
        "(nothing)".to_owned()
    } else {
        last.join(" | ")
    }
}
