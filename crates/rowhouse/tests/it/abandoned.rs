//! What is not heard to its end. Futures that are dropped, at each place where they wait: the connection that they held goes
//! to the next borrower with nothing on it, or not at all. Answers that nobody can read: whether it was done is not denied.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rowhouse::ids::TenantId;
use rowhouse::{Context, Error, Rowhouse};
use tokio_postgres::Client;

use crate::attacks::{MINE, THEIRS, allowed, is_refused, lone, notes_through, scene};
use crate::world::World;

/// More than any of the works below waits for.
const POLLS: usize = 200;

/// Polls `work` so often, each time when it was woken, and drops it as it then is. Whether it had ended.
async fn polled<T>(times: usize, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops a work after no poll, after one, and so on; `cut` says whether it had ended.
async fn at_each_place(mut cut: impl AsyncFnMut(usize) -> bool) {
    for polls in 0..POLLS {
        if cut(polls).await {
            assert!(polls > 5, "it was cut at too few places");
            return;
        }
    }
    panic!("it never ended");
}

/// Alpha's work in a transaction: two statements, the first of them `sql`.
async fn in_a_transaction(
    house: &Rowhouse,
    context: &Context,
    sql: &str,
    id: i32,
) -> Result<(), Error> {
    let mut tx = house.begin(context).await?;
    tx.query(sql, &[&id]).await?;
    tx.query(sql, &[&(id + 1)]).await?;
    tx.commit().await
}

/// What a transaction of the platform inside alpha waits for, too.
async fn inside(house: &Rowhouse, tenant: TenantId, name: &str) -> Result<(), Error> {
    let mut tx = house.begin_system(tenant).await?;
    let sql = format!("select id, name from rowhouse.teams where name = '{name}'");
    tx.query(&sql, &[]).await?;
    tx.commit().await
}

async fn clock(root: &Client) -> f64 {
    let sql = "select extract(epoch from clock_timestamp())::float8";
    root.query_one(sql, &[]).await.unwrap().get(0)
}

const BEGUN: &str = "select extract(epoch from now())::float8";

/// Beta gets the connection: in a transaction of its own, for its own rows; and `sql` is prepared on it once, for whomever.
async fn is_as_new(world: &World, root: &Client, house: &Rowhouse, sql: &str, polls: usize) {
    let dropped = clock(root).await;
    let mut tx = house.begin(&world.beta.context()).await.unwrap();
    let begun: f64 = tx.one(BEGUN, &[]).await.unwrap().get(0);
    assert!(
        begun > dropped,
        "HOLE: after {polls} polls somebody else's transaction was open"
    );
    tx.query(sql, &[&50_i32]).await.unwrap();
    let prepared: i64 = tx
        .one(
            "select count(*) from pg_prepared_statements where statement = $1",
            &[&sql],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(prepared, 1, "after {polls} polls a statement was left");
    tx.rollback().await;
    assert_eq!(
        notes_through(house, &world.beta.context()).await,
        THEIRS,
        "HOLE: after {polls} polls"
    );
}

/// What alpha writes: an enum comes back, about which the driver asks when it prepares.
fn insert(note: usize) -> String {
    format!("insert into notes (id, body) values ($1, 'cut') returning 'calm'::mood as m{note}")
}

async fn scene_of_moods() -> (World, Client) {
    let world = scene().await;
    let root = world.superuser().await;
    root.batch_execute("create type mood as enum ('calm', 'wild')")
        .await
        .unwrap();
    (world, root)
}

#[tokio::test]
async fn a_transaction_dropped_wherever_it_waits_leaves_nothing_to_the_next() {
    let (world, root) = scene_of_moods().await;
    let mine = world.alpha.context();
    at_each_place(async |polls| {
        let house = lone(&world).await;
        let (sql, id) = (insert(polls), i32::try_from(1000 + 2 * polls).unwrap());
        let done = polled(polls, in_a_transaction(&house, &mine, &sql, id)).await;
        is_as_new(&world, &root, &house, &sql, polls).await;
        done
    })
    .await;
    let halves = root
        .query(
            "select id / 2 from notes where id >= 1000 group by 1 having count(*) <> 2",
            &[],
        )
        .await
        .unwrap();
    assert!(halves.is_empty(), "HOLE: half of a transaction: {halves:?}");
    let whole = root
        .query("select from notes where id >= 1000", &[])
        .await
        .unwrap();
    assert!(!whole.is_empty(), "the one that was waited for");
}

#[tokio::test]
async fn a_statement_in_one_round_trip_dropped_wherever_it_waits_leaves_nothing_to_the_next() {
    let (world, root) = scene_of_moods().await;
    let mine = world.alpha.context();
    at_each_place(async |polls| {
        let house = lone(&world).await;
        let (sql, id) = (insert(polls), i32::try_from(1000 + polls).unwrap());
        let done = polled(polls, house.query(&mine, &sql, &[&id])).await;
        is_as_new(&world, &root, &house, &sql, polls).await;
        done
    })
    .await;
}

#[tokio::test]
async fn the_platforms_transaction_dropped_wherever_it_waits_leaves_nothing_to_the_next() {
    let (world, root) = scene_of_moods().await;
    at_each_place(async |polls| {
        let house = lone(&world).await;
        let done = polled(
            polls,
            inside(&house, world.alpha.id, &format!("cut {polls}")),
        )
        .await;
        let dropped = clock(&root).await;
        let mut registry = house.begin_platform().await.unwrap();
        let row = registry.one(
            "select extract(epoch from now())::float8, current_setting('app.tenant_id', true)",
            &[],
        );
        let row = row.await.unwrap();
        assert!(
            row.get::<_, f64>(0) > dropped,
            "HOLE: after {polls} polls somebody else's transaction was open"
        );
        let bound: Option<&str> = row.get(1);
        assert!(
            bound.is_none_or(str::is_empty),
            "HOLE: after {polls} polls {bound:?} was bound"
        );
        registry.commit().await.unwrap();
        done
    })
    .await;
}

/// Preparing waits, too: for a table that somebody holds. Whoever gives up leaves no connection to the next that still waits
/// for it, and none to the server that nobody counts.
#[tokio::test]
async fn a_statement_dropped_while_it_is_prepared_holds_nobody_up() {
    let world = scene().await;
    let root = world.superuser().await;
    for sql in [
        "create table held (); grant select on held to rowhouse_app",
        "begin; lock table held in access exclusive mode",
    ] {
        root.batch_execute(sql).await.unwrap();
    }
    let (mine, theirs) = (world.alpha.context(), world.beta.context());
    let soon = Duration::from_millis(100);
    let in_steps = async {
        let house = lone(&world).await;
        let mut tx = house.begin(&mine).await.unwrap();
        let cut = tokio::time::timeout(soon, tx.query("select from held", &[])).await;
        assert!(cut.is_err(), "it did not wait");
        drop(tx);
        assert_eq!(notes_through(&house, &theirs).await, THEIRS);
    };
    let in_one_go = async {
        let house = lone(&world).await;
        let cut = tokio::time::timeout(soon, house.query(&mine, "select from held", &[])).await;
        assert!(cut.is_err(), "it did not wait");
        assert_eq!(notes_through(&house, &theirs).await, THEIRS);
    };
    let both = Box::pin(async { tokio::join!(in_steps, in_one_go) });
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("the next tenant waits for what somebody else gave up");
    let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    assert!(
        root.query(waiting, &[]).await.unwrap().is_empty(),
        "a connection that nobody counts"
    );
}

/// COMMIT goes out with the statement. What the driver cannot read of the answer undoes nothing.
#[tokio::test]
async fn a_statement_that_was_done_and_whose_answer_cannot_be_read_is_not_said_to_have_failed() {
    let world = scene().await;
    let root = world.superuser().await;
    let mine = world.alpha.context();
    let there = async || allowed(&root, "select body from notes where id >= 50 order by id").await;
    let copied = |id: i32| {
        format!(
            "copy (insert into notes (id, body) values ({id}, 'alpha {id}') returning id) to stdout"
        )
    };
    is_refused(
        world.house.execute(&mine, &copied(50), &[]).await,
        "commit-unknown",
    );
    is_refused(
        world.house.query(&mine, &copied(51), &[]).await,
        "commit-unknown",
    );
    assert_eq!(there().await, ["alpha 50", "alpha 51"]);
    // What COMMIT itself refuses was not done.
    root.batch_execute(
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create constraint trigger no after insert on notes deferrable initially deferred for each row execute function no()",
    )
    .await
    .unwrap();
    is_refused(
        world.house.execute(&mine, &copied(52), &[]).await,
        "database",
    );
    root.batch_execute("drop trigger no on notes")
        .await
        .unwrap();
    // A parameter that does not fit was never sent.
    let insert = "insert into notes (id, body) values ($1, 'alpha')";
    is_refused(
        world.house.execute(&mine, insert, &[&"53"]).await,
        "database",
    );
    // Nor was a statement with too few of them, or too many.
    is_refused(world.house.execute(&mine, insert, &[]).await, "invalid");
    is_refused(world.house.query(&mine, "select 1", &[&1]).await, "invalid");
    // In a transaction in steps nothing is committed but by its own word.
    let mut tx = world.house.begin(&mine).await.unwrap();
    is_refused(tx.execute(&copied(54), &[]).await, "database");
    drop(tx);
    assert_eq!(there().await, ["alpha 50", "alpha 51"]);
    root.batch_execute("delete from notes where id >= 50")
        .await
        .unwrap();
    assert_eq!(notes_through(&world.house, &mine).await, MINE);
}
