//! A transaction inside one tenant, for one caller.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::join;
use tokio_postgres::types::{Type, WrongType};
use tokio_postgres::{Row, Statement};

use super::lease::{Answer, Lease, come_clean, commit_unknown, give_back_behind};
use super::{Params, Rowhouse, Transaction};
use crate::context::{Context, Ticket};
use crate::error::{Error, Result};
use crate::ids::{PrincipalId, TenantId};
use crate::operators::Operator;

pub(crate) const ENTER: &str = "select rowhouse.enter($1)";
/// Fails when an earlier statement failed, when the transaction is over, and when its context was changed.
const STILL_WHOLE: &str = "select rowhouse.bound_tenant()";

/// A transaction inside one tenant, for one caller. Dropped without [`TenantTx::commit`], it is rolled back.
pub struct TenantTx {
    lease: Option<Arc<Lease>>,
    ticket: Ticket,
    request_id: Option<String>,
    may_be_job: bool,
    operator: Option<Operator>,
    opened: bool,
    failed: Option<String>,
}

impl std::fmt::Debug for TenantTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantTx")
            .field("tenant", &self.tenant_id())
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

impl TenantTx {
    pub(super) fn new(lease: Arc<Lease>, ticket: Ticket) -> Self {
        Self {
            lease: Some(lease),
            ticket,
            request_id: None,
            may_be_job: true,
            operator: None,
            opened: false,
            failed: None,
        }
    }

    /// Of a transaction that is under way.
    pub(super) async fn inside(
        lease: Arc<Lease>,
        ticket: Ticket,
        operator: Operator,
    ) -> Result<Self> {
        let mut tx = Self::new(lease, ticket.clone());
        tx.request_id.clone_from(&operator.request_id);
        tx.operator = Some(operator);
        tx.opened = true;
        tx.execute(ENTER, &[&ticket.as_bytes()]).await?;
        Ok(tx)
    }

    /// The tenant that this transaction is inside of.
    pub fn tenant_id(&self) -> TenantId {
        self.ticket.claimed_tenant()
    }

    /// Who asks, as the ticket claims.
    pub fn principal_id(&self) -> PrincipalId {
        self.ticket.claimed_principal()
    }

    /// What the context of the ticket tells beside it.
    pub(super) fn known_from(&mut self, context: &Context) {
        self.request_id.clone_from(&context.request_id);
        self.may_be_job = context.may_be_job;
    }

    /// The house that the transaction is in.
    pub(crate) fn house(&self) -> Result<Rowhouse> {
        let inner = self.lease()?.house().clone();
        Ok(Rowhouse { inner })
    }

    /// Whether the caller may be one of the tenant's jobs, which see all there is. Only the database knows whether it is.
    pub(crate) fn may_be_job(&self) -> bool {
        self.may_be_job
    }

    /// Notes the request that this is part of; it goes into audit rows.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// The request that this is part of, where the context named one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The rows of a statement.
    pub async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        self.run(sql, async |lease, statement| {
            lease.get().query(&statement, params).await
        })
        .await
    }

    /// The only row of a statement; [`Error::NotFound`] when there is none.
    pub async fn one(&mut self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.optional(sql, params)
            .await?
            .ok_or(Error::NotFound("row"))
    }

    /// The only row of a statement, or none.
    pub async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        self.run(sql, async |lease, statement| {
            lease.get().query_opt(&statement, params).await
        })
        .await
    }

    /// Runs a statement; answers how many rows it touched.
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.run(sql, async |lease, statement| {
            lease.get().execute(&statement, params).await
        })
        .await
    }

    /// Runs several statements without parameters, as one text.
    pub async fn batch(&mut self, sql: &str) -> Result<()> {
        let lease = self.lease()?;
        self.ride(&lease, lease.get().batch_execute(sql)).await
    }

    /// Runs `work` inside a savepoint: when it fails, what it did is undone and the transaction goes on.
    pub async fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.batch("savepoint attempt").await?;
        let failed_before = self.failed.clone();
        match work(self).await {
            Ok(done) => {
                self.batch("release savepoint attempt").await?;
                Ok(done)
            }
            Err(error) => {
                self.batch("rollback to savepoint attempt; release savepoint attempt")
                    .await?;
                self.failed = failed_before;
                Err(error)
            }
        }
    }

    /// Makes it last. An `Ok` means that the server committed all of it.
    pub async fn commit(mut self) -> Result<()> {
        let lease = self.lease()?;
        if !self.opened {
            return Ok(()); // nothing was begun
        }
        self.lease = None;
        // Apart, not as one text: a router in between would send a text of several statements to every server.
        let (whole, committed) = {
            let work = pin!(join(
                async { lease.get().batch_execute(STILL_WHOLE).await },
                async { lease.get().batch_execute("commit").await }
            ));
            give_back_behind(&lease, work).await
        };
        match whole.map_err(commit_unknown) {
            Ok(()) => committed.map_err(commit_unknown),
            Err(error) if error.sqlstate() == Some("25P02") => Err(Error::Aborted(
                self.failed
                    .take()
                    .unwrap_or_else(|| "its answer was not waited for".into()),
            )),
            Err(Error::NoTenant) => Err(Error::ContextLost(
                "the transaction had ended before".into(),
            )),
            Err(Error::Seal(_)) => Err(Error::ContextLost(
                "its context was changed by a statement".into(),
            )),
            Err(error) => Err(error),
        }
    }

    /// Undoes all of it. Dropping does the same, without waiting.
    pub async fn rollback(mut self) {
        if self.opened
            && let Some(lease) = self.lease.take()
        {
            come_clean(lease, Some("rollback")).await;
        }
    }

    /// BEGIN, enter, the statement and COMMIT, all sent before the first answer is waited for. `given`: how many parameters.
    pub(super) async fn in_one_go<T>(
        mut self,
        sql: &str,
        given: usize,
        run: impl AsyncFnOnce(&Lease, Statement) -> Answer<T>,
    ) -> Result<T> {
        let lease = self.lease()?;
        if lease.house().pooled {
            // A statement prepared outside of the transaction would be prepared on some other server connection.
            let answer = self.run(sql, run).await?;
            self.commit().await?;
            return Ok(answer);
        }
        let statement = lease.prepare(sql).await?;
        // The driver would say so behind COMMIT, and not in a way that tells it from an answer that was lost.
        let takes = statement.params().len();
        if takes != given {
            let rule = format!("must be as many as the statement takes, {takes}, and are {given}");
            return Err(Error::invalid("params", rule));
        }
        self.lease = None; // whoever drops this future from here on has not undone it
        let head = open(&lease, &self.ticket);
        let body = run(&lease, statement);
        let ((head, answer), committed) = {
            let work = pin!(join(join(head, body), async {
                lease.get().batch_execute("commit").await
            }));
            give_back_behind(&lease, work).await
        };
        match (head.and(answer), committed) {
            // No answer of the server's, or one that the driver does not know: and COMMIT was on its way.
            (Err(unanswered), committed)
                if unanswered.as_db_error().is_none() && !is_unsent(&unanswered) =>
            {
                Err(commit_unknown(committed.err().unwrap_or(unanswered)))
            }
            (answer, committed) => {
                let answer = answer?;
                committed.map_err(commit_unknown)?;
                Ok(answer)
            }
        }
    }

    fn lease(&self) -> Result<Arc<Lease>> {
        self.lease
            .clone()
            .ok_or_else(|| Error::ContextLost("the transaction is over".into()))
    }

    async fn run<T>(
        &mut self,
        sql: &str,
        run: impl AsyncFnOnce(&Lease, Statement) -> Answer<T>,
    ) -> Result<T> {
        let lease = self.lease()?;
        if lease.house().pooled && !self.opened {
            self.ride(&lease, async { Ok(()) }).await?;
        }
        match lease.prepare(sql).await {
            Ok(statement) => self.ride(&lease, run(&lease, statement)).await,
            Err(error) => Err(self.note(error.into())),
        }
    }

    /// Sends `body`, and before the first one BEGIN and `enter`, without waiting in between.
    async fn ride<T>(&mut self, lease: &Lease, body: impl Future<Output = Answer<T>>) -> Result<T> {
        let answer = if self.opened {
            body.await
        } else {
            self.opened = true; // from here on something has been sent, whatever becomes of this future
            let (head, answer) = join(open(lease, &self.ticket), body).await;
            head.and(answer)
        };
        answer.map_err(|error| self.note(error.into()))
    }

    fn note(&mut self, error: Error) -> Error {
        if self.opened {
            self.failed.get_or_insert_with(|| error.to_string());
        }
        error
    }
}

impl Transaction for TenantTx {
    async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        self.query(sql, params).await
    }

    async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        self.optional(sql, params).await
    }

    async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.execute(sql, params).await
    }

    fn operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }
}

impl Drop for TenantTx {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        if !self.opened && !lease.is_preparing() {
            lease.mark_clean(); // nothing was begun, and each answer is here
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(come_clean(lease, Some("rollback")));
        }
    }
}

/// Whether a parameter did not fit the statement, which then never left this process.
fn is_unsent(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn StdError>::is::<WrongType>)
}

/// BEGIN and `enter`. Where nothing outlives a transaction, `enter` is an unnamed statement.
async fn open(lease: &Lease, ticket: &Ticket) -> Answer<()> {
    let connection = lease.get();
    let begin = connection.batch_execute("begin");
    let ticket = ticket.as_bytes();
    let enter = async {
        if lease.house().pooled {
            connection
                .query_typed(ENTER, &[(&ticket, Type::BYTEA)])
                .await
                .map(|_| ())
        } else {
            // Prepared when the connection was made: this does not wait.
            let enter = connection.prepare_cached(ENTER).await?;
            connection.execute(&enter, &[&ticket]).await.map(|_| ())
        }
    };
    let (opened, entered) = join(begin, enter).await;
    opened?;
    entered?;
    Ok(())
}
