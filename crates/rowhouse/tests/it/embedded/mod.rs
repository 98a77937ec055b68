//! The embedded server, with real servers, real kills and no mocks. Works as root and as an ordinary user.
//!
//! Every test has a folder of its own, every wait has an end, and what is killed is killed by its id.
//! `owner_process` is no test: other tests run this binary again with it, to have an owner that can be killed.

mod killed;
mod refused;

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use rowhouse::embedded::{Embedded, Options};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::world::{connect, try_connect};

/// No single wait in here takes longer.
const LIMIT: Duration = Duration::from_secs(90);

/// Tells `owner_process` its data folder.
const OWNER: &str = "ROWHOUSE_TEST_OWNER_OF";

#[tokio::test]
async fn the_second_start_finds_the_rows_of_the_first() {
    let home = home();
    let first = start(&home).await;
    let client = connect(&first.superuser_url()).await;
    client
        .batch_execute("create table kept (n int); insert into kept values (7)")
        .await
        .expect("insert");
    assert!((15..=18).contains(&first.major()), "{}", first.major());
    assert_eq!(text(&client, "show data_checksums").await, "on");
    assert_eq!(text(&client, "show server_encoding").await, "UTF8");
    assert_eq!(text(&client, "show max_connections").await, "100");
    first
        .stop()
        .await
        .expect("a clean stop although a client is connected");

    let mut options = options(&home);
    options
        .settings
        .push(("max_connections".to_owned(), "42".to_owned()));
    let second = Embedded::start(options).await.expect("second start");
    let client = connect(&second.superuser_url()).await;
    assert_eq!(text(&client, "select n::text from kept").await, "7");
    assert_eq!(text(&client, "show max_connections").await, "42");
    second.stop().await.expect("stop");
}

#[tokio::test]
async fn nobody_comes_in_without_the_password() {
    let home = home();
    let server = start(&home).await;
    let password = fs::read_to_string(home.data.join("postgres.password")).expect("password file");
    assert_eq!(password.len(), 64, "32 random bytes in hex");
    assert_eq!(
        server.superuser_url(),
        server.url("postgres", &password, "postgres")
    );
    assert!(!format!("{server:?}").contains(&password));

    for wrong in ["", "postgres", &password[1..]] {
        let refused = try_connect(&server.url("postgres", wrong, "postgres")).await;
        assert!(refused.is_err(), "`{wrong}` was let in");
    }
    let client = connect(&server.superuser_url()).await;
    let trusted = "select count(*)::text from pg_hba_file_rules where auth_method <> 'scram-sha-256' or error is not null";
    assert_eq!(text(&client, trusted).await, "0");

    // A login's own password may hold anything that a URL could trip over.
    client
        .batch_execute("create role \"a@b\" login password 'p/%:?#[]@ é'")
        .await
        .expect("role");
    client
        .batch_execute("create database theirs")
        .await
        .expect("database");
    connect(&server.url("a@b", "p/%:?#[]@ é", "theirs")).await;
    // The server's own databases are nobody else's.
    for ours in ["postgres", "template1"] {
        let refused = try_connect(&server.url("a@b", "p/%:?#[]@ é", ours)).await;
        assert!(refused.is_err(), "let into {ours}");
    }
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn our_files_are_ours_and_the_password_is_secret() {
    let home = home();
    let server = start(&home).await;
    let password = fs::metadata(home.data.join("postgres.password")).expect("password file");
    assert_eq!(
        (password.mode() & 0o777, password.uid()),
        (0o600, geteuid().as_raw())
    );
    assert_eq!(
        fs::metadata(&home.data).expect("data folder").uid(),
        geteuid().as_raw()
    );
    let cluster = fs::metadata(home.data.join("postgres")).expect("cluster");
    assert_eq!(cluster.mode() & 0o777, 0o700);
    assert_ne!(cluster.uid(), 0, "the server never runs as root");
    assert_eq!(cluster.uid() == geteuid().as_raw(), !geteuid().is_root());
    assert!(!home.data.join("postgres.pwfile").exists());
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn only_loopback_is_listened_to() {
    let home = home();
    let server = start(&home).await;
    let client = connect(&server.superuser_url()).await;
    // Not even the superuser's `alter system` opens it: the command line wins.
    client
        .batch_execute("alter system set listen_addresses = '*'")
        .await
        .expect("alter system");
    server.stop().await.expect("stop");
    let server = start(&home).await;
    let client = connect(&server.superuser_url()).await;
    assert_eq!(text(&client, "show listen_addresses").await, "127.0.0.1");
    assert_eq!(text(&client, "show unix_socket_directories").await, "");
    // The kernel's list is not a snapshot: while others come and go, a row may be missing or be there twice.
    wait_until("the kernel lists it", || {
        !listeners(server.port()).is_empty()
    });
    let elsewhere = listeners(server.port())
        .into_iter()
        .find(|address| address != "0100007F");
    assert_eq!(
        elsewhere, None,
        "0100007F is 127.0.0.1 in the kernel's byte order"
    );
    assert!(TcpStream::connect(("127.0.0.2", server.port())).is_err());
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn the_log_shows_no_parameter_no_row_and_no_statement() {
    let home = home();
    let server = start(&home).await;
    let client = connect(&server.superuser_url()).await;
    client
        .batch_execute(
            "create table t (n text primary key); insert into t values ('row-in-detail')",
        )
        .await
        .expect("t");
    for (sql, value) in [
        ("insert into t values ($1)", "row-in-detail"),
        ("select 1 / length($1)", ""),
    ] {
        client.query(sql, &[&value]).await.expect_err(sql);
    }
    client
        .batch_execute("select 'ticket-in-text'::int")
        .await
        .expect_err("no number");
    client
        .batch_execute("set log_min_duration_statement = 0")
        .await
        .expect("set");
    client
        .query("select length($1)", &[&"ticket-in-parameter"])
        .await
        .expect("query");
    let log = fs::read_to_string(server.log_file()).expect("log");
    assert!(
        log.contains("duplicate key")
            && log.contains("division by zero")
            && log.contains("length($1)"),
        "{log}"
    );
    for secret in [
        "(n)=(row-in-detail)",
        "select 'ticket",
        "ticket-in-parameter",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    server.stop().await.expect("stop");
}

/// Not a test of its own: the owner that other tests kill.
#[tokio::test]
#[ignore = "run by other tests, as a process of its own"]
async fn owner_process() {
    let Some(data) = std::env::var_os(OWNER) else {
        return;
    };
    let data = PathBuf::from(data);
    let server = Embedded::start(Options::new(&data)).await.expect("start");
    let client = connect(&server.superuser_url()).await;
    client
        .batch_execute("create table of_the_owner (n int); insert into of_the_owner values (1)")
        .await
        .expect("rows");
    fs::write(data.with_extension("ready"), "").expect("write");
    tokio::time::sleep(LIMIT).await;
}

/// A folder in which every user may pass, and the data folder that a test makes in it.
struct Home {
    data: PathBuf,
    path: PathBuf,
    _dir: TempDir,
}

fn home() -> Home {
    let dir = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .expect("temporary folder");
    let path = dir.path().canonicalize().expect("path");
    Home {
        // A name that would trip over any missing quotes.
        data: path.join("it's data"),
        path,
        _dir: dir,
    }
}

fn options(home: &Home) -> Options {
    Options::new(&home.data)
}

async fn start(home: &Home) -> Embedded {
    let started = tokio::time::timeout(LIMIT, Embedded::start(options(home))).await;
    started
        .expect("in time")
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.expect(sql).get(0)
}

/// Another process of this binary that starts a server and stays, until it is killed.
fn owner(home: &Home, path: Option<&str>) -> Child {
    let child = spawn_owner(home, path);
    wait_until("the owner's server answers", || {
        home.data.with_extension("ready").exists()
    });
    child
}

fn spawn_owner(home: &Home, path: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args(["--exact", "embedded::owner_process", "--ignored"])
        .env(OWNER, &home.data);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn")
}

/// The id of the server that runs in the folder.
fn postmaster(home: &Home) -> u32 {
    let text =
        fs::read_to_string(home.data.join("postgres/postmaster.pid")).expect("postmaster.pid");
    text.lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a process id")
}

fn kill9(pid: u32) {
    kill(
        Pid::from_raw(i32::try_from(pid).expect("pid")),
        Signal::SIGKILL,
    )
    .expect("kill -9");
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < limit, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The local addresses, as the kernel writes them, on which somebody listens at this port.
fn listeners(port: u16) -> Vec<String> {
    let suffix = format!("{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|file| {
            fs::read_to_string(file)
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (address, at) = fields.next()?.split_once(':')?;
            (at == suffix && fields.nth(1)? == "0A").then(|| address.to_owned())
        })
        .collect()
}

/// A folder with a `postgres` that only tells its version and an `initdb` that does as told.
fn fake_server(home: &Home, major: u32, initdb: &str) -> PathBuf {
    let bin = home.path.join("bin");
    fs::create_dir(&bin).expect("folder");
    let version =
        format!("[ \"$1\" = --version ] && {{ echo 'x (PostgreSQL) {major}.0'; exit 0; }}");
    for program in ["postgres", "initdb"] {
        let file = bin.join(program);
        fs::write(&file, format!("#!/bin/sh\n{version}\n{initdb}\n")).expect("script");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("chmod");
    }
    bin
}
