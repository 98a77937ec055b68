//! The embedded server, with real servers, real kills and no mocks. Works as root and as an ordinary user.
//!
//! Every test has a folder of its own, every wait has an end, and what is killed is killed by its id.
//! `owner_process` is no test: other tests run this binary again with it, to have an owner that can be killed.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use rowhouse::embedded::{Embedded, Options, StartError};
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

#[tokio::test]
#[ignore = "long: make test.long"]
async fn committed_rows_survive_a_kill_of_the_postmaster() {
    let home = home();
    let server = start(&home).await;
    let client = connect(&server.superuser_url()).await;
    client
        .batch_execute(
            "create table kept (n int); insert into kept select generate_series(1, 1000)",
        )
        .await
        .expect("rows");
    // A backend that computes does not notice by itself that the postmaster is gone.
    let busy = connect(&server.superuser_url()).await;
    let working = tokio::spawn(async move {
        drop(
            busy.query(
                "select count(*) from generate_series(1, 1000000000000) n where n % 7 = 0",
                &[],
            )
            .await,
        );
    });
    tokio::time::sleep(Duration::from_millis(300)).await;

    assert_eq!(server.exited(), None);
    kill9(server.pid());
    let status = tokio::time::timeout(LIMIT, server.wait())
        .await
        .expect("the end is noticed");
    assert!(!status.success());
    assert_eq!(server.exited(), Some(status));
    server.stop().await.expect_err("that was no clean end");

    let again = start(&home).await;
    let client = connect(&again.superuser_url()).await;
    assert_eq!(
        text(&client, "select count(*)::text from kept").await,
        "1000"
    );
    drop(
        tokio::time::timeout(LIMIT, working)
            .await
            .expect("the orphaned backend was ended"),
    );
    again.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn the_server_ends_when_its_owner_is_killed() {
    if !Path::new("/usr/bin/setpriv").exists() {
        return; // without it, the next start does the work: see below
    }
    let home = home();
    let mut owner = owner(&home, None);
    let pid = postmaster(&home);
    owner.kill().expect("kill -9 of the owner");
    owner.wait().expect("reap");
    wait_until("the server is gone", || {
        !Path::new(&format!("/proc/{pid}/cwd")).exists()
    });

    let again = start(&home).await;
    again.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_server_that_its_dead_owner_left_running_is_replaced() {
    let home = home();
    // Without PATH there is no setpriv, as on systems that have none.
    let mut owner = owner(&home, Some(""));
    let left = postmaster(&home);
    owner.kill().expect("kill -9 of the owner");
    owner.wait().expect("reap");
    std::thread::sleep(Duration::from_millis(300));
    assert!(Path::new(&format!("/proc/{left}")).exists(), "it runs on");

    let again = start(&home).await;
    assert_ne!(again.pid(), left);
    let client = connect(&again.superuser_url()).await;
    assert_eq!(text(&client, "select n::text from of_the_owner").await, "1");
    again.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_stale_pid_file_that_names_a_stranger_is_no_obstacle() {
    let home = home();
    start(&home).await.stop().await.expect("stop");
    let mut stranger = Command::new("sleep");
    stranger.arg("600");
    let cluster = fs::metadata(home.data.join("postgres")).expect("cluster");
    if geteuid().is_root() {
        stranger.uid(cluster.uid());
    }
    let mut stranger = stranger.spawn().expect("sleep");
    let file = home.data.join("postgres/postmaster.pid");
    fs::write(
        &file,
        format!("{}\n{}\n0\n5432\n\n\n", stranger.id(), home.data.display()),
    )
    .expect("write");
    std::os::unix::fs::chown(&file, Some(cluster.uid()), Some(cluster.gid())).expect("chown");

    let again = Embedded::start(options(&home)).await;
    let untouched = stranger.try_wait().expect("look").is_none();
    stranger.kill().expect("kill");
    stranger.wait().expect("reap");
    assert!(untouched, "a stranger was ended");
    again.expect("start").stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_second_owner_is_refused_with_the_id_of_the_first() {
    let home = home();
    let mut owner = owner(&home, None);
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("two owners");
    assert!(
        matches!(refused, StartError::InUse { pid: Some(pid), .. } if pid == owner.id()),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains(&format!("in use by process {}", owner.id()))
    );
    owner.kill().expect("kill");
    owner.wait().expect("reap");

    let server = start(&home).await;
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("twice in one process");
    assert!(matches!(refused, StartError::InUse { .. }), "{refused}");
    connect(&server.superuser_url()).await;
    drop(server);
    start(&home).await.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_cluster_of_another_major_is_refused_untouched() {
    let home = home();
    start(&home).await.stop().await.expect("stop");
    let version = home.data.join("postgres/PG_VERSION");
    let real = fs::read_to_string(&version).expect("PG_VERSION");
    fs::write(&version, "14\n").expect("write");
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("no server 14");
    assert!(
        matches!(refused, StartError::OtherMajor { cluster: 14, .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("Install PostgreSQL 14"),
        "{refused}"
    );

    fs::write(&version, &real).expect("write");
    // The named server is another major's: the one that fits is found further down the list.
    let mut named = options(&home);
    let other = if real.trim() == "17" { 16 } else { 17 };
    named.bin_dir = Some(fake_server(&home, other, "exit 1"));
    let server = Embedded::start(named)
        .await
        .expect("the server of the cluster's major");
    assert_eq!(server.major().to_string(), real.trim());
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_server_that_is_not_ours_is_left_alone() {
    let home = home();
    let server = start(&home).await;
    let (bin, port) = (server.bin_dir().to_owned(), server.port());
    server.stop().await.expect("stop");

    let cluster = home.data.join("postgres");
    let owner = fs::metadata(&cluster).expect("cluster");
    let mut command = Command::new(bin.join("postgres"));
    command.arg("-D").arg(&cluster).args([
        "-p",
        &port.to_string(),
        "-c",
        "unix_socket_directories=",
    ]);
    if geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut by_hand = command
        .current_dir("/")
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres");
    wait_until("it runs", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });

    let refused = Embedded::start(options(&home)).await.expect_err("in use");
    let untouched = by_hand.try_wait().expect("look").is_none();
    kill(
        Pid::from_raw(i32::try_from(by_hand.id()).expect("pid")),
        Signal::SIGINT,
    )
    .expect("stop");
    by_hand.wait().expect("reap");
    assert!(untouched, "somebody else's server was ended");
    assert!(
        matches!(refused, StartError::InUse { pid: Some(pid), .. } if pid == by_hand.id()),
        "{refused}"
    );
    start(&home).await.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_lost_or_wrong_password_file_is_named() {
    let home = home();
    start(&home).await.stop().await.expect("stop");
    let file = home.data.join("postgres.password");
    let right = fs::read_to_string(&file).expect("password");
    fs::remove_file(&file).expect("remove");
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("no password");
    assert!(
        matches!(&refused, StartError::Password { file: named } if *named == file),
        "{refused}"
    );
    fs::write(&file, "wrong").expect("write");
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("wrong password");
    assert!(
        matches!(&refused, StartError::Password { file: named } if *named == file),
        "{refused}"
    );
    fs::write(&file, right).expect("write");
    start(&home).await.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn an_empty_closed_folder_is_opened_for_passing_and_a_full_one_is_not() {
    let home = home();
    fs::create_dir(&home.data).expect("folder");
    fs::set_permissions(&home.data, Permissions::from_mode(0o700)).expect("chmod");
    start(&home).await.stop().await.expect("stop");
    let mode = || fs::metadata(&home.data).expect("data folder").mode() & 0o777;
    assert_eq!(mode(), if geteuid().is_root() { 0o711 } else { 0o700 });

    fs::set_permissions(&home.data, Permissions::from_mode(0o700)).expect("chmod");
    fs::write(home.data.join("letters.txt"), "not ours").expect("write");
    let started = Embedded::start(options(&home)).await;
    assert_eq!(mode(), 0o700);
    assert_eq!(
        matches!(&started, Err(StartError::Closed { .. })),
        geteuid().is_root(),
        "{started:?}"
    );
    drop(started);
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_port_in_use_is_refused() {
    let home = home();
    let other = TcpListener::bind("127.0.0.1:0").expect("listen");
    let mut asked = options(&home);
    asked.port = Some(other.local_addr().expect("address").port());
    let refused = Embedded::start(asked.clone())
        .await
        .expect_err("port in use");
    assert!(
        matches!(refused, StartError::PortInUse { port } if Some(port) == asked.port),
        "{refused}"
    );

    drop(other);
    let server = Embedded::start(asked.clone())
        .await
        .expect("the port is free now");
    assert_eq!(Some(server.port()), asked.port);
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn an_interrupted_first_start_leaves_nothing_in_the_way() {
    let home = home();
    let mut owner = spawn_owner(&home, Some("")); // no setpriv: initdb is orphaned and runs on
    wait_until("initdb is at work", || {
        home.data.join("postgres.new/global").exists()
    });
    owner.kill().expect("kill -9 in the middle of initdb");
    owner.wait().expect("reap");
    assert!(
        !home.data.join("postgres").exists(),
        "killed too late to tell anything"
    );

    let server = start(&home).await;
    connect(&server.superuser_url()).await;
    assert!(!home.data.join("postgres.new").exists());
    server.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_failed_initdb_says_why_and_leaves_nothing() {
    let home = home();
    let bin = fake_server(
        &home,
        15,
        "echo 'initdb: error: No space left on device' >&2; exit 1",
    );
    let mut broken = options(&home);
    broken.bin_dir = Some(bin);
    let refused = Embedded::start(broken).await.expect_err("initdb fails");
    assert!(
        matches!(&refused, StartError::Initdb { said, .. } if said.contains("No space left")),
        "{refused}"
    );
    let left: Vec<_> = fs::read_dir(&home.data)
        .expect("list")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["rowhouse.lock"]);
    start(&home).await.stop().await.expect("stop");
}

#[tokio::test]
#[ignore = "long: make test.long"]
async fn a_server_that_dies_at_the_start_is_quoted() {
    let home = home();
    let mut broken = options(&home);
    broken.settings.push((
        "shared_preload_libraries".to_owned(),
        "no_such_library".to_owned(),
    ));
    let refused = Embedded::start(broken).await.expect_err("no such library");
    assert!(
        matches!(&refused, StartError::Died { tail, .. } if tail.contains("no_such_library")),
        "{refused}"
    );
    start(&home).await.stop().await.expect("stop");
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_made() {
    let home = home();
    let mut asked = options(&home);
    asked.bin_dir = Some(home.path.join("no-server"));
    let refused = Embedded::start(asked).await.expect_err("no server there");
    assert!(
        matches!(refused, StartError::NotAServer { .. }),
        "{refused}"
    );

    let mut asked = options(&home);
    asked
        .settings
        .push(("listen_addresses".to_owned(), "*".to_owned()));
    let refused = Embedded::start(asked).await.expect_err("not loopback");
    assert!(matches!(refused, StartError::Setting { .. }), "{refused}");
    assert!(!home.data.exists());

    // A closed folder on the way: root's server user cannot pass it, and an ordinary user cannot write into it.
    let closed = home.path.join("closed");
    fs::create_dir(&closed).expect("folder");
    fs::set_permissions(
        &closed,
        Permissions::from_mode(if geteuid().is_root() { 0o700 } else { 0o500 }),
    )
    .expect("chmod");
    let refused = Embedded::start(Options::new(closed.join("data")))
        .await
        .expect_err("closed");
    assert!(
        refused.to_string().contains(&*closed.to_string_lossy()),
        "{refused}"
    );
    assert_eq!(
        matches!(refused, StartError::Closed { .. }),
        geteuid().is_root(),
        "{refused}"
    );
    assert!(!closed.join("data").exists());

    fs::create_dir_all(home.data.join("postgres")).expect("folder");
    if geteuid().is_root() {
        std::os::unix::fs::chown(home.data.join("postgres"), Some(65534), Some(65534))
            .expect("chown");
    }
    let refused = Embedded::start(options(&home))
        .await
        .expect_err("no cluster");
    assert!(
        matches!(refused, StartError::NotACluster { .. }),
        "{refused}"
    );
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
