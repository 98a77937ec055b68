//! A running `rowhouse up` on a folder and a port of its own, and the commands that a user types beside it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const LIMIT: Duration = Duration::from_mins(1);

/// A data folder, and what is running on it. Dropped, the process is ended and the folder goes.
pub struct House {
    pub folder: TempDir,
    pub port: u16,
    child: Child,
}

impl House {
    /// `rowhouse up` on a fresh folder, ready.
    pub fn up() -> Self {
        Self::up_on(tempfile::tempdir().unwrap())
    }

    /// `rowhouse up` on this folder, ready.
    pub fn up_on(folder: TempDir) -> Self {
        Self::up_with(folder, &[])
    }

    /// The same with settings of its own.
    pub fn up_with(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let child = rowhouse()
            .envs(settings.iter().copied())
            .args(["up", "--port", &port.to_string(), "--data"])
            .arg(data(&folder))
            .stdout(std::fs::File::create(folder.path().join("out")).unwrap())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut house = Self {
            folder,
            port,
            child,
        };
        house.wait_until_ready();
        house
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "rowhouse up ({}) ended ({status}): {}",
                    self.pid(),
                    self.log()
                );
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.data().join("connection.json").exists()
            {
                let answer = self.get("/readyz", &[]);
                if answer.status == 200 {
                    return;
                }
            }
            assert!(began.elapsed() < LIMIT, "not ready in time: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What it has printed for people.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `connection.json` says.
    pub fn connection(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.data().join("connection.json")).unwrap())
            .unwrap()
    }

    /// A command with `--data` of this house.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(
            rowhouse()
                .args(arguments)
                .arg("--data")
                .arg(self.data())
                .output()
                .unwrap(),
        )
    }

    /// A command that must succeed; its stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, "")
    }

    /// One HTTP/1.1 request over a connection of its own.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        exchange(self.port, text.as_bytes())
    }

    /// Sends a signal to the process that runs `up`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until it has ended; its exit code, or none after a kill.
    pub fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                began.elapsed() < LIMIT,
                "did not end in time: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it and gives the folder back, for the next one.
    pub fn into_folder(mut self) -> TempDir {
        self.stop();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("-TERM");
            self.ended();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.child.kill());
            drop(self.child.wait());
        } else {
            self.stop();
        }
    }
}

fn data(folder: &TempDir) -> PathBuf {
    // The server's user has to get through; a temporary folder is closed to everybody else.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder.path().join("data")
}

/// The house that tests share which change nothing that another could stumble over.
pub fn shared() -> &'static House {
    static SHARED: OnceLock<House> = OnceLock::new();
    SHARED.get_or_init(|| {
        let house = House::up();
        // A static is never dropped: a process of its own ends the server with this one.
        let (us, them) = (std::process::id(), house.pid());
        let folder = house.folder.path().to_owned();
        #[expect(
            clippy::zombie_processes,
            reason = "it outlives this process, on purpose, by a moment"
        )]
        Command::new("sh")
            .arg("-c")
            .arg(format!(
                "while kill -0 {us} 2>/dev/null; do sleep 0.2; done; kill -TERM {them}; \
                 while kill -0 {them} 2>/dev/null; do sleep 0.2; done; rm -rf '{}'",
                folder.display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        house
    })
}

/// The program, without the environment's settings.
pub fn rowhouse() -> Command {
    without_settings(env!("CARGO_BIN_EXE_rowhouse"))
}

/// Another program, to which the environment says nothing of ours but where the server is.
pub fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name == "DATABASE_URL"
            || (name.starts_with("ROWHOUSE_") && name != "ROWHOUSE_POSTGRES_BIN")
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = headers
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            headers: headers.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The code of a problem; empty for any other answer.
    pub fn code(&self) -> String {
        serde_json::from_str(&self.body)
            .ok()
            .and_then(|body: Value| body["code"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')
                .map(str::trim_start)
        })
    }

    /// All that another caller could tell this answer from a second one by.
    pub fn bytes(&self) -> String {
        let lines = self
            .headers
            .lines()
            .filter(|line| !line.starts_with("x-request-id:") && !line.starts_with("date:"));
        format!("{}\n\n{}", lines.collect::<Vec<_>>().join("\n"), self.body)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends these bytes over a connection of their own, and reads until the other side closes it.
pub fn exchange(port: u16, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::parse(&String::from_utf8_lossy(&answer))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The lines of a log, each of which must be a JSON object.
pub fn json_lines(log: &str) -> Vec<Value> {
    BufReader::new(log.as_bytes())
        .lines()
        .map(|line| {
            let line = line.unwrap();
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
        })
        .collect()
}

/// Statements as the owner.
pub fn sql(url: &str, statements: &str) {
    run(async {
        let mut owner = rowhouse::Owner::connect(url).await.unwrap();
        owner.client().batch_execute(statements).await.unwrap();
    });
}

/// A number, as whoever the URL names.
pub fn count(url: &str, query: &str) -> i64 {
    run(async {
        let mut client = rowhouse::Owner::connect(url).await.unwrap();
        client.client().query_one(query, &[]).await.unwrap().get(0)
    })
}

/// A text, as whoever the URL names.
pub fn one_text(url: &str, query: &str) -> String {
    run(async {
        let mut client = rowhouse::Owner::connect(url).await.unwrap();
        client.client().query_one(query, &[]).await.unwrap().get(0)
    })
}

/// A number inside the tenant of a ticket.
pub fn count_inside(url: &str, ticket: &str, query: &str) -> i64 {
    let ticket: rowhouse::Ticket = ticket.parse().unwrap();
    run(async {
        let mut client = rowhouse::Owner::connect(url).await.unwrap();
        let tx = client.begin().await.unwrap();
        tx.execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
            .await
            .unwrap();
        tx.query_one(query, &[]).await.unwrap().get(0)
    })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}
