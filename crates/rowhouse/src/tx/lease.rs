//! A connection on loan: how it is asked what was left on it, and when it goes back into the pool.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio_postgres::{SimpleQueryMessage, Statement};

use super::house::Inner;
use crate::connect::Connection;
use crate::error::Error;

/// What came back of something that was sent.
pub(super) type Answer<T> = Result<T, tokio_postgres::Error>;

/// Simple-protocol text, so that nothing that the borrower prepared can stand in its place. What can be taken off a
/// connection is; what cannot is told by the last column. Behind it goes the number of statements that are ours.
pub(crate) const HAND_BACK: &str = "reset all; discard sequences;
    select pg_catalog.pg_advisory_unlock_all(), rowhouse.residue(";
/// How long a connection may take to come clean before it is closed.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// A connection on loan. Whoever drops it last decides: clean, it goes back into the pool; otherwise it is closed.
pub(super) struct Lease {
    connection: Option<Connection>,
    clean: AtomicBool,
    preparing: AtomicUsize,
    house: Arc<Inner>,
}

impl Lease {
    pub(super) fn new(connection: Connection, house: Arc<Inner>) -> Self {
        Self {
            connection: Some(connection),
            clean: AtomicBool::new(false),
            preparing: AtomicUsize::new(0),
            house,
        }
    }

    pub(super) fn house(&self) -> &Arc<Inner> {
        &self.house
    }

    /// Nothing was left on it.
    pub(super) fn mark_clean(&self) {
        self.clean.store(true, Ordering::Release);
    }

    pub(super) fn get(&self) -> &Connection {
        #[expect(clippy::expect_used, reason = "only Drop takes it")]
        self.connection
            .as_ref()
            .expect("a lease holds its connection until it is dropped")
    }

    /// A statement of ours; kept, where connections are.
    pub(super) async fn prepare(&self, sql: &str) -> Answer<Statement> {
        self.preparing.fetch_add(1, Ordering::AcqRel);
        let statement = if self.house.pooled {
            self.get().prepare(sql).await
        } else {
            self.get().prepare_cached(sql).await
        };
        self.preparing.fetch_sub(1, Ordering::AcqRel);
        statement
    }

    /// Whether there was a [`Lease::prepare`] whose end nobody waited for. The server may still be at it, and what it
    /// makes is in no count of ours.
    pub(super) fn is_preparing(&self) -> bool {
        self.preparing.load(Ordering::Acquire) > 0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.clean.load(Ordering::Acquire)
        {
            self.house.closed.fetch_add(1, Ordering::Relaxed);
            drop(Connection::take(connection));
        }
    }
}

/// Drives `work`, which ends in COMMIT, and sends the question after leftovers right behind it. The caller has his
/// answer as soon as `work` has; the rest goes on by itself.
pub(super) async fn give_back_behind<T>(
    lease: &Arc<Lease>,
    work: impl Future<Output = T> + Unpin,
) -> T {
    let tail = Box::pin(come_clean(lease.clone(), None));
    match select(work, tail).await {
        Either::Left((done, tail)) => {
            tokio::spawn(tail);
            done
        }
        Either::Right(((), work)) => work.await,
    }
}

/// Asks what was left on a connection, after `before` (a ROLLBACK), and marks it as clean when that is nothing.
pub(super) async fn come_clean(lease: Arc<Lease>, before: Option<&'static str>) {
    let asked = async {
        if let Some(before) = before {
            lease.get().batch_execute(before).await?;
        }
        if lease.is_preparing() {
            return Ok(false); // a statement is left that could stand in the count for one that somebody threw away
        }
        if lease.house.pooled {
            return Ok(true); // the pooler cleans its servers, and our side of it holds nothing
        }
        // Statements that we prepared and somebody threw away would fail under the next borrower.
        let ours = lease.get().statement_cache.size();
        let answer = lease
            .get()
            .simple_query(&format!("{HAND_BACK}{ours})"))
            .await?;
        Ok::<_, tokio_postgres::Error>(answer.iter().any(
            |message| matches!(message, SimpleQueryMessage::Row(row) if row.get(1) == Some("{}")),
        ))
    };
    match tokio::time::timeout(CLEAN_UP, asked).await {
        Ok(Ok(true)) => lease.mark_clean(),
        Ok(Ok(false)) => {
            tracing::warn!("a connection was closed: its last borrower left something on it");
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection was closed: it did not come clean"),
        Err(_) => {
            // Something of the borrower's is still running there.
            let cancelled = lease
                .get()
                .cancel_token()
                .cancel_query(tokio_postgres::NoTls)
                .await;
            tracing::warn!(
                ?cancelled,
                "a connection was closed: its last borrower's statement did not end"
            );
        }
    }
}

/// A failure of COMMIT, or of what went out with it, that the server told is a refusal (a deferred constraint); any other
/// leaves it open.
pub(super) fn commit_unknown(error: tokio_postgres::Error) -> Error {
    if error.as_db_error().is_some() {
        error.into()
    } else {
        Error::CommitUnknown(error)
    }
}
