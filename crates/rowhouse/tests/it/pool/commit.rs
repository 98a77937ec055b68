//! COMMIT says what happened: whatever failed before it, and whoever ended the transaction instead.

use std::time::Duration;

use crate::attacks::{allowed, is_refused, scene, walled};
use crate::world::World;

const INSERT: &str = "insert into notes (id, body) values (50, 'alpha fifty')";

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
    let root = world.superuser().await;
    for (before, statement, fails) in [
        (
            70,
            "insert into notes (id, body) select 50, 'alpha fifty' from pg_sleep(0.3)",
            false,
        ),
        (71, "select 1 / (select 0 from pg_sleep(0.3))", true),
    ] {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.execute(
            "insert into notes (id, body) values ($1, 'before')",
            &[&before],
        )
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
        let kept = format!("select from notes where id = {before}");
        let kept = !allowed(&root, &kept).await.is_empty();
        assert_eq!(kept, !fails, "HOLE: {statement}");
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
