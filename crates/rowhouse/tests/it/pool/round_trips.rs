//! What goes over the line: one round trip for a statement, and what is said where the line breaks behind it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rowhouse::{Config, Rowhouse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server_port;
use crate::attacks::{MINE, config_of, notes_through, scene};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_one_round_trip_from_its_second_use_on() {
    let world = scene().await;
    let line = Line::to_the_server().await;
    let house = Rowhouse::connect(Config {
        app: line.url(&world).into(),
        pool_size: 1,
        ..config_of(&world)
    })
    .await
    .unwrap();
    let mine = world.alpha.context();
    assert_eq!(notes_through(&house, &mine).await, MINE);
    line.quiet().await;
    for _ in 0..3 {
        let before = line.round_trips();
        assert_eq!(notes_through(&house, &mine).await, MINE);
        line.quiet().await;
        assert_eq!(
            line.round_trips() - before,
            1,
            "BEGIN, enter, the statement, COMMIT and the check of what is left"
        );
    }
    let before = line.round_trips();
    let mut tx = house.begin(&mine).await.unwrap();
    assert_eq!(
        line.round_trips(),
        before,
        "nothing is sent before the first statement"
    );
    for _ in 0..2 {
        tx.query("select body from public.notes order by 1", &[])
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    line.quiet().await;
    assert_eq!(line.round_trips() - before, 3, "two statements and COMMIT");
}

/// COMMIT goes out with the statement: where the line breaks, it may have arrived, and here it has.
#[tokio::test]
async fn a_statement_in_one_round_trip_says_that_it_may_have_been_done() {
    let line = Line::to_the_server().await;
    let world = World::with(|mut config| {
        config.app = config
            .app
            .reveal()
            .replace(&format!(":{}/", server_port()), &format!(":{}/", line.port))
            .into();
        config
    })
    .await;
    let insert =
        "insert into rowhouse.projects (id, name) values (gen_random_uuid(), 'made ' || random())";
    let owner = world.alpha.context();
    assert_eq!(world.house.execute(&owner, insert, &[]).await.unwrap(), 1);
    line.quiet().await;
    line.breaks.store(true, Ordering::SeqCst);
    let error = world.house.execute(&owner, insert, &[]).await.unwrap_err();
    assert_eq!(error.code(), "commit-unknown", "{error:?}");
    line.quiet().await;
    let made = "select count(*) from rowhouse.projects where name like 'made %'";
    let made: i64 = world
        .superuser()
        .await
        .query_one(made, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(made, 2);
}

/// A slow line to the server that counts how often it is the client's turn.
struct Line {
    port: u16,
    round_trips: Arc<AtomicU64>,
    /// Answers are not handed on any more: the line breaks instead.
    breaks: Arc<AtomicBool>,
}

impl Line {
    async fn to_the_server() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let round_trips = Arc::new(AtomicU64::new(0));
        let counted = round_trips.clone();
        let breaks = Arc::new(AtomicBool::new(false));
        let broken = breaks.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port()))
                    .await
                    .unwrap();
                let clients_turn = Arc::new(AtomicBool::new(true));
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let (counted, turn) = (counted.clone(), clients_turn.clone());
                let broken = broken.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65536];
                    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                        if turn.swap(false, Ordering::SeqCst) {
                            counted.fetch_add(1, Ordering::SeqCst);
                        }
                        if to_server.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                });
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65536];
                    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                        // So slow that all of one burst has been sent before its first answer arrives.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        clients_turn.store(true, Ordering::SeqCst);
                        if broken.load(Ordering::SeqCst) {
                            drop(to_client);
                            // Unread answers would reset the line to the server, too, and with it what it has not read.
                            while let Ok(1..) = from_server.read(&mut buffer).await {}
                            break;
                        }
                        if to_client.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            port,
            round_trips,
            breaks,
        }
    }

    fn url(&self, world: &World) -> String {
        world
            .url("test_app")
            .replace(&format!(":{}/", server_port()), &format!(":{}/", self.port))
    }

    fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Waits until nothing more comes.
    async fn quiet(&self) {
        let mut before = u64::MAX;
        while before != self.round_trips() {
            before = self.round_trips();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}
