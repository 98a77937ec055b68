//! Jobs: what a worker has to do, over all tenants. Table `rowhouse.jobs`, in the registry.
//!
//! Invariants: a job says in which tenant to look and when, nothing of what is there; triggers make it, in the
//! transaction that causes it. A claim is a lease: whoever falls while he holds one is followed by another when it ends.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Result;
use crate::ids::TenantId;
use crate::text_enum::text_enum;
use crate::tx::{PlatformTx, TenantTx};

text_enum! {
    /// What there is to do. Constraint `jobs_kind`.
    Kind shown as JobKind {
        /// A mail of the outbox.
        Mail = "mail",
        /// A tenant that is being set up.
        Provision = "provision",
    }
}

/// A job that was claimed.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// In which tenant.
    pub tenant: TenantId,
    /// The row that it is about.
    pub id: Uuid,
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        Self {
            tenant: row.get("tenant_id"),
            id: row.get("id"),
        }
    }
}

/// How many jobs of a kind wait, and of these how many are due: whoever watches sees that no worker comes.
pub async fn waiting(tx: &mut PlatformTx, kind: Kind) -> Result<(i64, i64)> {
    let row = tx
        .one(
            "select count(*), count(*) filter (where due_at <= clock_timestamp())
             from rowhouse.jobs
             where kind = $1",
            &[&kind],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
}

/// The job that has been due for longest, for whoever commits: nobody else is given it for the time of `lease`. Jobs of tenants
/// that are closed or elsewhere wait. None when none is due.
pub async fn claim(tx: &mut PlatformTx, kind: Kind, lease: Duration) -> Result<Option<Job>> {
    let row = tx
        .optional(
            "with due as materialized ( -- once: as a subquery it may be asked again for each row that it is joined to
               select d.tenant_id, d.id
               from rowhouse.jobs d
               join rowhouse.tenants t on t.id = d.tenant_id
               where d.kind = $1 and d.due_at <= clock_timestamp()
                 and t.deleted_at is null and t.status in ('provisioning', 'active') and t.placement = 'here'
               order by d.due_at
               limit 1
               for update of d skip locked)
             update rowhouse.jobs j
             set due_at = clock_timestamp() + make_interval(secs => $2)
             from due
             where j.tenant_id = due.tenant_id and j.kind = $1 and j.id = due.id
             returning j.tenant_id, j.id",
            &[&kind, &lease.as_secs_f64()],
        )
        .await?;
    Ok(row.map(Job::from))
}

/// It is due again after this time.
pub(crate) async fn postpone(tx: &mut TenantTx, kind: Kind, id: Uuid, by: Duration) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "update rowhouse.jobs
         set due_at = clock_timestamp() + make_interval(secs => $4)
         where tenant_id = $1 and kind = $2 and id = $3",
        &[&tenant, &kind, &id, &by.as_secs_f64()],
    )
    .await?;
    Ok(())
}

/// There is nothing left to do.
pub(crate) async fn done(tx: &mut TenantTx, kind: Kind, id: Uuid) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "delete from rowhouse.jobs where tenant_id = $1 and kind = $2 and id = $3",
        &[&tenant, &kind, &id],
    )
    .await?;
    Ok(())
}
