//! The pool: nobody meets what the last borrower of a connection left.
//!
//! 200 requests of 20 tenants at once share four connections, directly and behind PgBouncer; some are cancelled
//! half-way, some leave behind whatever the application's login can leave.

pub mod bouncer;
mod commit;
mod round_trips;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::tenants::{self, NewTenant};
use rowhouse::{Config, Context, Error, Rowhouse};
use tokio::sync::Notify;

use crate::attacks::{MINE, allowed, checks, config_of, is_refused, notes_through, scene};
use crate::world::{World, cluster, config};
use bouncer::Bouncer;

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

/// What the application's login can leave behind, or tries to.
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

/// Of these, what it may not do, or what fails by itself.
const REFUSED: &[&str] = &[
    "create temporary table",
    "savepoint s; release savepoint s; select 1 / 0",
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

/// Reads and writes as one tenant, and fails on any row that is not its own. `begun` tells when it is in the middle.
async fn work(
    house: &Rowhouse,
    tenant: TenantId,
    slug: &str,
    seed: usize,
    begun: &Notify,
) -> Result<(), Error> {
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
            begun.notify_one();
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
            begun.notify_one();
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

/// All at once; each gets through in the end. How many were cut in the middle.
async fn rush(house: &Rowhouse, tenants: &[(TenantId, String)], trouble: Trouble) -> usize {
    let cut = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let (house, cut) = (house.clone(), cut.clone());
            let (tenant, slug) = tenants[n % tenants.len()].clone();
            tokio::spawn(async move {
                for round in 0..3 {
                    let seed = n * 3 + round;
                    match trouble {
                        Trouble::Cancelled => {
                            let begun = Notify::new();
                            let patience = async {
                                if dice(seed + 5, 2) == 0 {
                                    let waits = Duration::from_micros(dice(seed, 30_000) as u64);
                                    tokio::time::sleep(waits).await;
                                    return 0;
                                }
                                begun.notified().await;
                                let works = Duration::from_micros(dice(seed, 1_000) as u64);
                                tokio::time::sleep(works).await;
                                1
                            };
                            tokio::select! {
                                done = work(&house, tenant, &slug, seed, &begun) => drop(done),
                                in_the_middle = patience => {
                                    cut.fetch_add(in_the_middle, Ordering::Relaxed);
                                }
                            }
                        }
                        Trouble::Poison if dice(seed + 3, 2) == 0 => {
                            poison(&house, tenant, seed).await;
                        }
                        _ => {}
                    }
                }
                if let Err(error) = work(&house, tenant, &slug, n, &Notify::new()).await {
                    panic!("HOLE: {slug} is refused its own rows: {error:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    cut.load(Ordering::Relaxed)
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
    let cut = bounded(rush(&house, &tenants, Trouble::Cancelled)).await;
    assert!(
        cut > REQUESTS / 10,
        "{cut} were cut while they worked, the others while they waited for a connection"
    );
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
            let left = tx.batch(poison).await;
            let is_refused = REFUSED.iter().any(|refused| poison.starts_with(refused));
            assert_eq!(left.is_err(), is_refused, "{poison}: {left:?}");
            match end {
                0 => drop(tx.commit().await),
                1 => tx.rollback().await,
                _ => drop(tx),
            }
            for seed in 0..3 {
                let begun = Notify::new();
                if let Err(error) = work(&house, victim.0, &victim.1, seed, &begun).await {
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

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(90), work)
        .await
        .expect("the requests do not end")
}

/// Where this process's server answers.
fn server_port() -> u16 {
    let url = cluster().superuser("postgres");
    let (_, port) = url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap();
    port.parse().unwrap()
}
