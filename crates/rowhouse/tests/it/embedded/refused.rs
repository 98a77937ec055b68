//! What cannot be started says why, and leaves everything as it was.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use rowhouse::embedded::{Embedded, Options, StartError};

use super::{fake_server, home, options, owner, start, wait_until};
use crate::world::connect;

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
