//! The pool: nobody meets what the last borrower of a connection left, and COMMIT says what happened.
//!
//! 200 requests of 20 tenants at once share four connections, directly and behind PgBouncer; some are cancelled
//! half-way, some leave behind whatever the application's login can leave.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Config, Context, Error, Rowhouse, SealSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::attacks::{MINE, allowed, checks, config_of, is_refused, notes_through, scene, walled};
use crate::world::{World, cluster, config};

checks![
    two_hundred_requests_of_twenty_tenants_see_their_own_rows_only,
    requests_cancelled_half_way_leave_nothing_to_the_others,
    poison_left_on_connections_reaches_nobody,
    each_poison_alone_reaches_nobody,
];

const TENANTS: usize = 20;
const REQUESTS: usize = 200;

/// What a request does besides its own work.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Cancelled,
    Poison,
}

/// Whatever the application's login can leave behind.
const POISON: &[&str] = &[
    "set search_path = evil",
    "set role rowhouse_enforced",
    "set app.tenant_id = 'x'; set app.seal = 'x'",
    "deallocate all; prepare s1 as select 'poison'::text as body; prepare s2 as select 'poison'::text as body",
    "prepare mine as select body from notes",
    "create temporary table notes (tenant_id uuid, id int, body text)",
    "declare held cursor with hold for select body from notes",
    "listen gossip; notify gossip",
    "select pg_try_advisory_lock(7), pg_try_advisory_lock_shared(8)",
    "set statement_timeout = 1; set default_transaction_read_only = on",
    "set row_security = off",
    "set session characteristics as transaction isolation level serializable",
    "commit",
    "rollback",
    "commit; begin",
    "commit; begin; select pg_advisory_lock_shared(9)",
    "rollback; begin; set search_path = evil; commit; begin",
    "savepoint s; release savepoint s; select 1 / 0",
    "set session authorization default; set datestyle = 'SQL, DMY'",
    "select set_config('app.' || n, current_setting('app.' || n), false) from unnest('{tenant_id,user_id,context,seal}'::text[]) n",
    "commit and chain",
    "copy notes to stdout",
];

/// The same numbers in each run.
fn dice(seed: usize, sides: usize) -> usize {
    let mut mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    usize::try_from((mixed >> 33) % sides as u64).unwrap()
}

/// Twenty tenants more, each with three notes that begin with its slug.
async fn crowd(world: &World) -> Vec<(TenantId, String)> {
    let mut tenants = Vec::new();
    let mut tx = world.house.begin_platform().await.unwrap();
    for n in 0..TENANTS {
        let slug = format!("crowd-{n:02}");
        let made = tenants::create(&mut tx, NewTenant::organization(&slug, &slug))
            .await
            .unwrap();
        tenants.push((made.id, slug));
    }
    tx.commit().await.unwrap();
    let root = world.superuser().await;
    root.batch_execute(
        "insert into notes (tenant_id, id, body) select t.id, n, t.slug || ' ' || n from rowhouse.tenants t, generate_series(1, 3) n where t.slug like 'crowd-%';
         create schema evil; grant usage on schema evil to public; create table evil.notes (tenant_id uuid, id int, body text);
         grant all on evil.notes to public; insert into evil.notes values (null, 1, 'evil')",
    )
    .await
    .unwrap();
    tenants
}

const READ: &str = "select body from public.notes where id <= 3 order by id";

/// Reads and writes as one tenant, and fails on any row that is not its own.
async fn work(house: &Rowhouse, tenant: TenantId, slug: &str, seed: usize) -> Result<(), Error> {
    let context = Context::tenant(tenant);
    let own = |bodies: Vec<String>| {
        let expected: Vec<String> = (1..=3).map(|n| format!("{slug} {n}")).collect();
        assert_eq!(
            bodies, expected,
            "HOLE: {slug} does not see its own rows and nothing else"
        );
    };
    let bodies =
        |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get(0)).collect::<Vec<String>>();
    match dice(seed, 3) {
        0 => own(bodies(house.query(&context, READ, &[]).await?)),
        1 => {
            let mut tx = house.begin(&context).await?;
            own(bodies(tx.query(READ, &[]).await?));
            tx.execute(
                "insert into public.notes (id, body) values ($1, $2) on conflict do nothing",
                &[
                    &(1000 + i32::try_from(seed).unwrap()),
                    &format!("{slug} more"),
                ],
            )
            .await?;
            let foreign: i64 = tx
                .one(
                    "select count(*) from public.notes where body not like $1",
                    &[&format!("{slug} %")],
                )
                .await?
                .get(0);
            assert_eq!(foreign, 0, "HOLE: {slug} sees foreign rows");
            tx.commit().await?;
        }
        _ => {
            let mut tx = house.begin(&context).await?;
            tx.execute("update public.notes set body = body where id <= 3", &[])
                .await?;
            own(bodies(tx.query(READ, &[]).await?));
            tx.rollback().await;
        }
    }
    Ok(())
}

async fn poison(house: &Rowhouse, tenant: TenantId, seed: usize) {
    let Ok(mut tx) = house.begin(&Context::tenant(tenant)).await else {
        return;
    };
    drop(tx.query(READ, &[]).await);
    drop(tx.batch(POISON[dice(seed, POISON.len())]).await);
    match dice(seed + 7, 3) {
        0 => drop(tx.commit().await),
        1 => tx.rollback().await,
        _ => drop(tx),
    }
}

/// All at once; each gets through in the end.
async fn rush(house: &Rowhouse, tenants: &[(TenantId, String)], trouble: Trouble) {
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let house = house.clone();
            let (tenant, slug) = tenants[n % tenants.len()].clone();
            tokio::spawn(async move {
                for round in 0..3 {
                    let seed = n * 3 + round;
                    match trouble {
                        Trouble::Cancelled => {
                            let patience = Duration::from_micros(dice(seed, 30_000) as u64);
                            drop(
                                tokio::time::timeout(patience, work(&house, tenant, &slug, seed))
                                    .await,
                            );
                        }
                        Trouble::Poison if dice(seed + 3, 2) == 0 => {
                            poison(&house, tenant, seed).await;
                        }
                        _ => {}
                    }
                }
                if let Err(error) = work(&house, tenant, &slug, n).await {
                    panic!("HOLE: {slug} is refused its own rows: {error:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn nobody_wrote_elsewhere(world: &World) {
    let root = world.superuser().await;
    let strays = allowed(
        &root,
        "select n.body, t.slug from notes n join rowhouse.tenants t on t.id = n.tenant_id where n.body not like t.slug || ' %'
         union all select body, 'evil' from evil.notes where body <> 'evil'",
    )
    .await;
    assert!(strays.is_empty(), "HOLE: {strays:?}");
}

async fn four(world: &World) -> Rowhouse {
    Rowhouse::connect(Config {
        pool_size: 4,
        ..config_of(world)
    })
    .await
    .unwrap()
}

pub async fn two_hundred_requests_of_twenty_tenants_see_their_own_rows_only(world: &World) {
    let tenants = crowd(world).await;
    let house = four(world).await;
    bounded(rush(&house, &tenants, Trouble::None)).await;
    nobody_wrote_elsewhere(world).await;
    assert_eq!(house.connections_closed(), 0, "clean connections are kept");
}

pub async fn requests_cancelled_half_way_leave_nothing_to_the_others(world: &World) {
    let tenants = crowd(world).await;
    let house = four(world).await;
    bounded(rush(&house, &tenants, Trouble::Cancelled)).await;
    nobody_wrote_elsewhere(world).await;
}

pub async fn poison_left_on_connections_reaches_nobody(world: &World) {
    let tenants = crowd(world).await;
    let house = four(world).await;
    bounded(rush(&house, &tenants, Trouble::Poison)).await;
    nobody_wrote_elsewhere(world).await;
    assert!(
        house.connections_closed() > 0,
        "some of it stays until the connection is closed"
    );
}

pub async fn each_poison_alone_reaches_nobody(world: &World) {
    let tenants = crowd(world).await;
    let house = crate::attacks::lone(world).await;
    let (poisoner, victim) = (&tenants[0], &tenants[1]);
    for poison in POISON {
        for end in 0..3 {
            let mut tx = house.begin(&Context::tenant(poisoner.0)).await.unwrap();
            tx.query(READ, &[]).await.unwrap();
            drop(tx.batch(poison).await);
            match end {
                0 => drop(tx.commit().await),
                1 => tx.rollback().await,
                _ => drop(tx),
            }
            for seed in 0..3 {
                if let Err(error) = work(&house, victim.0, &victim.1, seed).await {
                    panic!("HOLE: the next borrower is hurt by {poison}: {error:?}");
                }
            }
        }
    }
    nobody_wrote_elsewhere(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_pgbouncer_requests_see_their_own_rows_only() {
    let world = scene().await;
    let tenants = crowd(&world).await;
    let bouncer = Bouncer::start("transaction", true).await;
    let house = bouncer.house(&world).await.unwrap();
    for trouble in [Trouble::None, Trouble::Cancelled, Trouble::Poison] {
        bounded(rush(&house, &tenants, trouble)).await;
        nobody_wrote_elsewhere(&world).await;
    }
}

#[tokio::test]
async fn a_pooler_that_leaves_session_state_is_refused() {
    let world = scene().await;
    let bouncer = Bouncer::start("transaction", false).await;
    match bouncer.house(&world).await {
        Err(Error::Config(why)) => assert!(why.contains("server_reset_query_always"), "{why}"),
        other => panic!("HOLE: {other:?}"),
    }
}

#[tokio::test]
async fn a_pooler_that_splits_transactions_is_refused() {
    let world = scene().await;
    let bouncer = Bouncer::start("statement", true).await;
    match bouncer.house(&world).await {
        Err(Error::Config(why)) => assert!(why.contains("pool_mode = transaction"), "{why}"),
        other => panic!("HOLE: {other:?}"),
    }
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so() {
    let world = scene().await;
    let house = Rowhouse::connect(Config {
        pool_size: 1,
        pool_timeout: Duration::from_millis(100),
        ..config_of(&world)
    })
    .await
    .unwrap();
    let mut holder = house.begin(&world.alpha.context()).await.unwrap();
    holder.query("select 1", &[]).await.unwrap();
    is_refused(
        house.query(&world.beta.context(), "select 1", &[]).await,
        "pool-exhausted",
    );
    is_refused(house.begin(&world.beta.context()).await, "pool-exhausted");
    holder.commit().await.unwrap();
    assert_eq!(notes_through(&house, &world.alpha.context()).await, MINE);
}

const INSERT: &str = "insert into notes (id, body) values (50, 'alpha fifty')";

/// A connection of the pool lives under the operator's timeouts; one that asks why does not.
#[tokio::test]
async fn a_pool_that_cannot_make_a_connection_says_so_at_the_start() {
    let world = World::new().await;
    let short = format!(
        "alter database {} set statement_timeout = '1ms'",
        world.database
    );
    world.superuser().await.batch_execute(&short).await.unwrap();
    let refusal = Rowhouse::connect(config(&world.database))
        .await
        .unwrap_err();
    assert!(
        matches!(&refusal, Error::Connect(why) if why.contains("statement timeout")),
        "{refusal:?}"
    );
}

async fn is_there(world: &World) -> bool {
    let root = world.superuser().await;
    !allowed(&root, "select from notes where id = 50")
        .await
        .is_empty()
}

#[tokio::test]
async fn commit_fails_when_a_statement_failed() {
    let world = scene().await;
    for failing in [
        "select 1 / 0",
        "select body::int from notes",
        "insert into notes (id, body) values (1, 'x')",
    ] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.execute(INSERT, &[]).await.unwrap();
        assert!(tx.query(failing, &[]).await.is_err());
        is_refused(tx.commit().await, "aborted");
        assert!(!is_there(&world).await, "HOLE");
    }
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.execute(INSERT, &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(is_there(&world).await);
}

#[tokio::test]
async fn commit_fails_when_the_caller_ended_the_transaction() {
    let world = scene().await;
    for ends in ["rollback", "rollback; begin", "rollback and chain", "abort"] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.execute(INSERT, &[]).await.unwrap();
        tx.batch(ends).await.unwrap();
        is_refused(tx.commit().await, "context-lost");
        assert!(!is_there(&world).await, "HOLE: {ends}");
    }
    for ends in ["commit", "commit; begin", "commit and chain", "end; begin"] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.execute("update notes set body = body", &[])
            .await
            .unwrap();
        tx.batch(ends).await.unwrap();
        is_refused(tx.execute(INSERT, &[]).await, "no-tenant");
        assert!(tx.commit().await.is_err(), "HOLE: {ends}");
        assert!(!is_there(&world).await, "HOLE: {ends}");
    }
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.execute(INSERT, &[]).await.unwrap();
    tx.batch("set local app.user_id = 'x'").await.unwrap();
    is_refused(tx.commit().await, "context-lost");
    assert!(!is_there(&world).await, "HOLE");
}

#[tokio::test]
async fn commit_after_a_dropped_statement_says_what_happened() {
    let world = scene().await;
    for (statement, fails) in [
        (
            "insert into notes (id, body) select 50, 'alpha fifty' from pg_sleep(0.3)",
            false,
        ),
        ("select 1 / (select 0 from pg_sleep(0.3))", true),
    ] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.execute("update notes set body = body", &[])
            .await
            .unwrap();
        let cut = tokio::time::timeout(Duration::from_millis(50), tx.execute(statement, &[])).await;
        assert!(cut.is_err(), "it was not cut short");
        let committed = tx.commit().await;
        assert_eq!(
            committed.is_err(),
            fails,
            "HOLE: {statement}: {committed:?}"
        );
        assert_eq!(
            is_there(&world).await,
            !fails || is_there(&world).await,
            "HOLE"
        );
    }
    assert!(
        is_there(&world).await,
        "a dropped future does not undo what was sent"
    );
}

#[tokio::test]
async fn commit_fails_when_a_deferred_constraint_does() {
    let world = scene().await;
    let root = world.superuser().await;
    walled(&root, "marks").await;
    root.batch_execute(
        "alter table marks add constraint marks_note foreign key (tenant_id, id) references notes (tenant_id, id) deferrable initially deferred",
    )
    .await
    .unwrap();
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    tx.execute("insert into marks (id, body) values (77, 'x')", &[])
        .await
        .unwrap();
    assert!(tx.commit().await.is_err(), "HOLE");
    let once = world
        .house
        .execute(
            &world.alpha.context(),
            "insert into marks (id, body) values (77, 'x')",
            &[],
        )
        .await;
    assert!(once.is_err(), "HOLE");
    assert!(allowed(&root, "table marks").await.is_empty(), "HOLE");
    world
        .house
        .execute(
            &world.alpha.context(),
            "insert into marks (id, body) values (1, 'x')",
            &[],
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn what_failed_inside_an_attempt_is_undone_and_the_rest_commits() {
    let world = scene().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let failed = tx
        .attempt(async |tx| {
            tx.execute("insert into notes (id, body) values (60, 'x')", &[])
                .await?;
            tx.execute("insert into notes (id, body) values (1, 'x')", &[])
                .await
        })
        .await;
    assert!(failed.is_err());
    let nested = tx
        .attempt(async |tx| {
            drop(
                tx.attempt(async |tx| tx.query("select 1 / 0", &[]).await)
                    .await,
            );
            tx.execute(INSERT, &[]).await
        })
        .await;
    assert_eq!(nested.unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(is_there(&world).await);
    let root = world.superuser().await;
    assert!(
        allowed(&root, "select from notes where id = 60")
            .await
            .is_empty(),
        "HOLE"
    );
}

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

async fn bounded(work: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(90), work)
        .await
        .expect("the requests do not end");
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

/// `PgBouncer` in front of the server, ended with the test.
pub struct Bouncer {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Bouncer {
    pub async fn start(mode: &str, always_reset: bool) -> Self {
        Self::start_with(mode, always_reset, "").await
    }

    /// With settings of its own besides.
    pub async fn start_with(mode: &str, always_reset: bool, besides: &str) -> Self {
        let program =
            std::env::var("ROWHOUSE_PGBOUNCER").unwrap_or_else(|_| "/usr/sbin/pgbouncer".into());
        assert!(
            std::path::Path::new(&program).exists(),
            "PgBouncer is missing ({program}): scripts/install-pgbouncer installs it and prints what to set ROWHOUSE_PGBOUNCER to"
        );
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder =
            std::env::temp_dir().join(format!("rowhouse-bouncer-{}-{port}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let users = folder.join("users.txt");
        std::fs::write(&users, "\"test_app\" \"test\"\n").unwrap();
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(
            &settings,
            format!(
                "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\ndefault_pool_size = 4\nmax_client_conn = 500\n\
                 server_reset_query = DISCARD ALL\nserver_reset_query_always = {reset}\nserver_login_retry = 1\n{besides}\n",
                server = server_port(),
                users = users.display(),
                reset = u8::from(always_reset),
            ),
        )
        .unwrap();
        // It refuses to run as root; and it ends with the thread that started it, even if that is killed.
        let mut command = Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program)
            .arg("-q")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            child,
            port,
            folder,
        };
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_ok()
            {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PgBouncer does not answer");
    }

    /// The same login and database through the pooler. It knows `test_app` only.
    pub fn url(&self, direct: &str) -> String {
        direct.replace(&format!(":{}/", server_port()), &format!(":{}/", self.port))
    }

    async fn house(&self, world: &World) -> Result<Rowhouse, Error> {
        let url = self.url(&world.url("test_app"));
        Rowhouse::connect(Config {
            pool_size: 8,
            pooled: true,
            ..Config::new(url, SealSource::Database(world.url("test_sealer").into()))
        })
        .await
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Where this process's server answers.
fn server_port() -> u16 {
    let url = cluster().superuser("postgres");
    let (_, port) = url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap();
    port.parse().unwrap()
}
