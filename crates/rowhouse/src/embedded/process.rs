//! The server's process, and how it is kept from outliving us.
//!
//! A thread of its own starts the server and stays until it has ended. Two reasons: it notices the end at once,
//! and Linux ties "signal me when my parent dies" to the parent *thread*, which a runtime may retire any time.
//! Signals go out under the same lock that reaps, so they cannot hit a stranger who got the process id next.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::find::{clean_command, on_path};
use super::user::ServerUser;

/// How often the guard looks whether the server has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// A running server. Dropping it ends the server at once; the next start recovers from the log.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    child: Arc<Mutex<Child>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` from a thread that stays until the process has ended.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        let (report, started) = mpsc::channel();
        let (ended, exit) = watch::channel(None);
        std::thread::Builder::new()
            .name("rowhouse-postgres".to_owned())
            .spawn(move || {
                let child = match command.spawn() {
                    Ok(child) => Arc::new(Mutex::new(child)),
                    Err(error) => return drop(report.send(Err(error))),
                };
                // Nobody listens any more: the starter is gone, and without a `Process` nobody would end the server.
                if report.send(Ok(Arc::clone(&child))).is_err() {
                    drop(locked(&child).kill());
                }
                let status = loop {
                    match locked(&child).try_wait() {
                        Ok(None) => {}
                        Ok(Some(status)) => break status,
                        // Somebody else reaped it: ended, nobody knows how.
                        Err(_) => break ExitStatus::default(),
                    }
                    std::thread::sleep(GLANCE);
                };
                ended.send_replace(Some(status));
            })?;
        let child = started.recv().map_err(io::Error::other)??;
        let pid = locked(&child).id();
        Ok(Self { pid, child, exit })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the process ended, if it did.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for the end of the process.
    pub(super) async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
            .unwrap_or_default()
    }

    /// Sends each signal in turn until the process has ended, giving it the time that stands beside the signal.
    pub(super) async fn end(&self, steps: &[(Signal, Duration)]) -> ExitStatus {
        for (signal, patience) in steps {
            self.signal(*signal);
            if let Ok(status) = tokio::time::timeout(*patience, self.wait()).await {
                return status;
            }
        }
        self.wait().await
    }

    fn signal(&self, signal: Signal) {
        let mut child = locked(&self.child);
        if let (Ok(None), Ok(pid)) = (child.try_wait(), i32::try_from(child.id())) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Immediate shutdown takes the backends along, which a plain kill would leave for some moments.
        for (signal, patience) in [(Signal::SIGQUIT, 3000), (Signal::SIGKILL, 1000)] {
            if self.exited().is_some() {
                return;
            }
            self.signal(signal);
            let limit = Instant::now() + Duration::from_millis(patience);
            while self.exited().is_none() && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A command that runs `program` as `user` in `folder`, in a process group of its own (a Ctrl-C in the terminal is
/// ours to answer) and, where the system has a `setpriv` that can, gets `on_our_death` when we die.
pub(super) fn command(
    program: &Path,
    folder: &Path,
    user: ServerUser,
    on_our_death: &str,
) -> Command {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = clean_command(setpriv.as_os_str());
            command.args(["--pdeathsig", on_our_death]).arg(program);
            command
        }
        None => clean_command(program.as_os_str()),
    };
    user.apply(&mut command);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// The util-linux `setpriv`, if it is here; the one in Busybox has no `--pdeathsig`.
fn setpriv() -> Option<std::path::PathBuf> {
    let path = on_path()
        .into_iter()
        .map(|folder| folder.join("setpriv"))
        .find(|file| file.is_file())?;
    let mut probe = Command::new(&path);
    probe.args(["--pdeathsig", "TERM", "/bin/sh", "-c", "exit 0"]);
    let works = probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    works.is_ok_and(|status| status.success()).then_some(path)
}

fn locked(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
