//! Either process is killed: nothing that was committed is lost, and the next start has a server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use rowhouse::embedded::Embedded;

use super::{LIMIT, home, kill9, options, owner, postmaster, spawn_owner, start, text, wait_until};
use crate::world::connect;

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
