//! A transaction of the registry, which may go on inside a tenant as the platform.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::join;
use tokio_postgres::Row;

use super::lease::{Lease, come_clean, commit_unknown, give_back_behind};
use super::{Params, Rowhouse, TenantTx, Transaction};
use crate::context::{Context, OWN_TICKET_TTL, Ticket};
use crate::error::{Error, Result};
use crate::ids::TenantId;
use crate::operators::Operator;

/// A transaction of the registry: tenants, users, plans. It has no right to what is inside of tenants.
pub struct PlatformTx {
    lease: Option<Arc<Lease>>,
    operator: Operator,
}

impl std::fmt::Debug for PlatformTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformTx")
    }
}

impl PlatformTx {
    pub(super) fn new(lease: Arc<Lease>, operator: Operator) -> Self {
        Self {
            lease: Some(lease),
            operator,
        }
    }

    /// Goes on inside a tenant, in the same transaction, as its principal `system`: its administration, and its row in the
    /// registry. [`Error::NotFound`] when there is no such tenant.
    pub async fn inside(mut self, tenant: TenantId) -> Result<TenantTx> {
        let context = self.system_of(tenant).await?;
        let ticket = self.vouch(&context).await?;
        let lease = self.lease()?;
        self.lease = None;
        TenantTx::inside(lease, ticket, self.operator.clone()).await
    }

    /// The platform's own context inside a tenant. [`Error::NotFound`] when there is no such tenant.
    pub async fn system_of(&mut self, tenant: TenantId) -> Result<Context> {
        let system: Option<uuid::Uuid> = self
            .one(
                "select rowhouse.service_principal($1, 'system')",
                &[&tenant],
            )
            .await?
            .get(0);
        let principal = system.ok_or(Error::NotFound("tenant"))?.into();
        Ok(Context::principal(tenant, principal))
    }

    /// A ticket for a caller for whom this process vouches, to be used at once.
    pub(crate) async fn vouch(&self, context: &Context) -> Result<Ticket> {
        let house = Rowhouse {
            inner: self.lease()?.house().clone(),
        };
        house.ticket(context, OWN_TICKET_TTL).await
    }

    /// Who acts, as the trail names him.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The rows of a statement.
    pub async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().query(&statement, params).await?)
    }

    /// The only row of a statement; [`Error::NotFound`] when there is none.
    pub async fn one(&mut self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.optional(sql, params)
            .await?
            .ok_or(Error::NotFound("row"))
    }

    /// The only row of a statement, or none.
    pub async fn optional(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().query_opt(&statement, params).await?)
    }

    /// Runs a statement; answers how many rows it touched.
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        let lease = self.lease()?;
        let statement = lease.prepare(sql).await?;
        Ok(lease.get().execute(&statement, params).await?)
    }

    /// Makes it last. An `Ok` means that the server committed all of it.
    pub async fn commit(mut self) -> Result<()> {
        let lease = self.lease()?;
        self.lease = None;
        let (whole, committed) = {
            let work = pin!(join(
                async { lease.get().batch_execute("savepoint whole").await }, // fails outside of a transaction, and in a failed one
                async { lease.get().batch_execute("commit").await }
            ));
            give_back_behind(&lease, work).await
        };
        match whole.map_err(commit_unknown) {
            Ok(()) => committed.map_err(commit_unknown),
            Err(error) if error.sqlstate() == Some("25P02") => {
                Err(Error::Aborted("see its error".into()))
            }
            Err(error) if error.sqlstate() == Some("25P01") => Err(Error::ContextLost(
                "the transaction had ended before".into(),
            )),
            Err(error) => Err(error),
        }
    }

    fn lease(&self) -> Result<Arc<Lease>> {
        self.lease
            .clone()
            .ok_or_else(|| Error::ContextLost("the transaction is over".into()))
    }
}

impl Transaction for PlatformTx {
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
        Some(&self.operator)
    }
}

impl Drop for PlatformTx {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(come_clean(lease, Some("rollback")));
        }
    }
}
