//! Clears what a dead owner left: a server that runs on, orphaned backends, a half-made cluster, a stale pid file.
//!
//! Runs under the owner lock, so no live Rowhouse uses the folder. A process is taken for one of ours only when
//! its working folder is the cluster's (Postgres goes there and stays) and its name is `postgres` or `initdb`; a
//! postmaster must also have been started with our configuration file, else it is somebody else's and we refuse.
//! Where there is no /proc, only the postmaster itself is looked for, and Postgres's own interlock does the rest.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::{StartError, io};
use super::folder::Folder;
use super::user::ServerUser;

/// One round: whom to signal with what, and how long to wait for all of them to be gone.
struct Round {
    signal: Option<Signal>,
    postmaster_only: bool,
    patience: Duration,
}

const fn round(signal: Option<Signal>, postmaster_only: bool, seconds: u64) -> Round {
    Round {
        signal,
        postmaster_only,
        patience: Duration::from_secs(seconds),
    }
}

/// A living postmaster gets the chance of a clean shutdown.
const POSTMASTER: [Round; 3] = [
    round(Some(Signal::SIGINT), true, 30),
    round(Some(Signal::SIGQUIT), false, 5),
    round(Some(Signal::SIGKILL), false, 5),
];
/// Backends without a postmaster leave by themselves, unless they are busy.
const ORPHANS: [Round; 3] = [
    round(None, false, 3),
    round(Some(Signal::SIGQUIT), false, 3),
    round(Some(Signal::SIGKILL), false, 5),
];
/// An initdb without an owner makes something that will be thrown away.
const INITDB: [Round; 1] = [round(Some(Signal::SIGKILL), false, 5)];

/// Makes the folder fit for a start.
pub(super) fn take_over(folder: &Folder) -> Result<(), StartError> {
    let staging = folder.staging();
    if staging.exists() {
        end_all(&staging, None, folder.user, &INITDB)?;
    }
    folder.clear_half_done()?;

    let pgdata = folder.pgdata();
    if !pgdata.exists() {
        return Ok(());
    }
    let pid_file = pgdata.join("postmaster.pid");
    let recorded = recorded_pid(&pid_file)?;
    let running = servers_in(&pgdata, folder.user);
    match recorded.filter(|pid| running.contains(pid) || is_our_server(*pid, folder)) {
        Some(pid) if !is_our_server(pid, folder) && !is_ending(pid) => {
            return Err(StartError::InUse {
                folder: pgdata,
                pid: Some(pid),
            });
        }
        Some(pid) => {
            tracing::warn!(pid, "stopping the server that an earlier run left behind");
            end_all(&pgdata, Some((pid, folder)), folder.user, &POSTMASTER)?;
        }
        None => end_all(&pgdata, None, folder.user, &ORPHANS)?,
    }

    // A stranger may have got the process id that the stale file names, and Postgres would believe the file.
    // The /proc check above proved that no server is left; without /proc this stays for a human to judge.
    if let Some(pid) = recorded
        && Path::new("/proc/self").exists()
        && alive(pid)
    {
        match std::fs::remove_file(&pid_file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("remove", &pid_file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The process id in the first line of `postmaster.pid`.
fn recorded_pid(file: &Path) -> Result<Option<u32>, StartError> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", file)(error)),
    }
}

/// Ends every server process in `folder`, or says which one stays.
fn end_all(
    folder: &Path,
    postmaster: Option<(u32, &Folder)>,
    user: ServerUser,
    rounds: &[Round],
) -> Result<(), StartError> {
    let mut left = Vec::new();
    for round in rounds {
        let limit = Instant::now() + round.patience;
        let mut signalled = false;
        loop {
            left = servers_in(folder, user);
            if let Some((pid, ours)) = postmaster
                && !left.contains(&pid)
                && is_our_server(pid, ours)
            {
                left.push(pid);
            }
            if left.is_empty() {
                return Ok(());
            }
            if let Some(signal) = round.signal
                && !signalled
            {
                signalled = true;
                left.iter()
                    .filter(|pid| {
                        !round.postmaster_only
                            || postmaster.is_some_and(|(master, _)| master == **pid)
                    })
                    .for_each(|pid| send(*pid, signal));
            }
            if Instant::now() >= limit {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    match left.first() {
        Some(pid) => Err(StartError::LeftOver {
            pid: *pid,
            folder: folder.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The `postgres` and `initdb` processes whose working folder is `folder`; none where there is no /proc.
///
/// Asked by a shell that runs as the server's user: a process may always look at its own user's processes, while
/// root in a container usually may not look at those of others.
fn servers_in(folder: &Path, user: ServerUser) -> Vec<u32> {
    const SCAN: &str =
        r#"for p in /proc/[0-9]*; do [ "$p/cwd" -ef "$1" ] && echo "${p#/proc/}"; done; exit 0"#;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCAN, "scan"])
        .arg(folder)
        .current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    user.apply(&mut command);
    let Ok(said) = command.output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            matches!(name.trim_end(), "postgres" | "initdb") && !is_zombie(*pid)
        })
        .collect()
}

/// A dead process that nobody has reaped holds nothing any more.
fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Whether `pid` is a postmaster that was started with the configuration file of this data folder.
fn is_our_server(pid: u32, folder: &Folder) -> bool {
    if !alive(pid) || is_zombie(pid) {
        return false;
    }
    let mut mark = b"config_file=".to_vec();
    mark.extend(folder.conf().as_os_str().as_bytes());
    if let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return line
            .split(|byte| *byte == 0)
            .any(|argument| argument == mark);
    }
    let said = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output();
    said.is_ok_and(|said| contains(&said.stdout, OsStr::from_bytes(&mark)))
}

/// Whether the process is gone or about to be: its command line goes before its working folder does, so that a server
/// which dies just now looks like somebody else's.
fn is_ending(pid: u32) -> bool {
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line.is_empty(),
        Err(_) => !alive(pid),
    }
}

fn contains(text: &[u8], part: &OsStr) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

fn alive(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| {
        !matches!(
            kill(Pid::from_raw(pid), None),
            Err(nix::errno::Errno::ESRCH)
        )
    })
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_unreaped_is_ending_and_we_are_not() {
        let mut ended = Command::new("true").spawn().unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        while !is_zombie(ended.id()) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(is_ending(ended.id()));
        ended.wait().unwrap();
        assert!(is_ending(ended.id()));
        assert!(!is_ending(std::process::id()));
    }
}
