//! Provisioning: what a tenant is given before its first member comes. Table `rowhouse.provisioning_runs`, one row a tenant.
//!
//! Invariants: a step is done in the transaction that notes it; who does the next one holds the row; each looks first
//! whether it is done. So whoever calls it, twice, at once, or again after a fall, goes on where it was. A step that fails
//! leaves a note and nothing else; it is tried again later each time, and given up at last, until somebody calls [`start`].

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::audit::{self, Event};
use crate::error::{Error, Result};
use crate::ids::{TenantId, UserId, WorkspaceId};
use crate::invitations::{self, NewInvitation};
use crate::jobs::{self, Kind as JobKind};
use crate::members::Role;
use crate::tenants::{self, Kind, NewTenant, PlanTier, Tenant};
use crate::text_enum::text_enum;
use crate::tx::{PlatformTx, TenantTx};
use crate::{names, projects, quotas, users};

/// How long a worker that falls between two steps keeps others from going on.
pub const LEASE: Duration = Duration::from_secs(5);
/// How often a step is tried. The first wait is a [`LEASE`], each other twice the one before: ten minutes in all.
const ATTEMPTS: i32 = 8;

text_enum! {
    /// What is done, in this order. Constraint `provisioning_runs_steps`.
    Step shown as ProvisioningStep {
        /// A place for resources.
        Workspace = "workspace",
        /// A project to begin with.
        Project = "project",
        /// The principals that hold rights: all members, the platform, its jobs; the owner of a personal tenant.
        Roles = "roles",
        /// The limits of its plan.
        Quotas = "quotas",
        /// Where its files go.
        Storage = "storage",
        /// A mail to its first admin.
        Invitation = "invitation",
    }
}

text_enum! {
    /// How far it is. Constraint `provisioning_runs_status`.
    Status shown as ProvisioningStatus {
        /// There are steps left.
        Running = "running",
        /// There are none.
        Done = "done",
        /// A step failed too often. Nobody goes on before it is begun again.
        Failed = "failed",
    }
}

text_enum! {
    /// How far a step is.
    StepStatus {
        /// Still to be done.
        Pending = "pending",
        /// Done.
        Done = "done",
        /// Given up: it failed too often.
        Failed = "failed",
    }
}

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepState {
    /// Which.
    pub name: Step,
    /// How far it is.
    pub status: StepStatus,
}

/// How far a tenant is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// As a whole.
    pub status: Status,
    /// Step by step, in their order.
    pub steps: Vec<StepState>,
    /// How often the first step that is not done has failed.
    pub attempts: i32,
    /// The code of the error that it last failed with, as in docs/errors.
    pub last_error: Option<String>,
}

/// A row, and what is left of it.
struct Row {
    admin_email: Option<String>,
    done: Vec<Step>,
    status: Status,
    attempts: i32,
    last_error: Option<String>,
}

impl Row {
    fn next(&self) -> Option<Step> {
        self.steps().find(|step| !self.done.contains(step))
    }

    /// Nobody is invited who is not named.
    fn steps(&self) -> impl Iterator<Item = Step> {
        Step::ALL
            .iter()
            .copied()
            .filter(|step| *step != Step::Invitation || self.admin_email.is_some())
    }

    fn shown(&self) -> Run {
        let status = |step| {
            if self.done.contains(&step) {
                StepStatus::Done
            } else if self.status == Status::Failed && self.next() == Some(step) {
                StepStatus::Failed
            } else {
                StepStatus::Pending
            }
        };
        Run {
            status: self.status,
            steps: self
                .steps()
                .map(|name| StepState {
                    name,
                    status: status(name),
                })
                .collect(),
            attempts: self.attempts,
            last_error: self.last_error.clone(),
        }
    }

    fn note_done(&mut self, step: Step) {
        self.done.push(step);
        self.attempts = 0;
        self.last_error = None;
    }

    fn note_failure(&mut self, error: &Error) {
        self.attempts += 1;
        self.last_error = Some(error.code().to_owned());
        if self.attempts >= ATTEMPTS {
            self.status = Status::Failed;
        }
    }

    /// When the job is due again.
    fn wait(&self) -> Duration {
        LEASE * (1 << (self.attempts - 1).max(0))
    }
}

/// Begins, from inside the tenant, as the platform; the steps are then a worker's, or whoever calls [`step`]. Begun before, it
/// stays as it is, but that one that failed goes on; [`Error::Taken`] when it was begun for another address.
pub async fn start(tx: &mut TenantTx, admin_email: Option<&str>) -> Result<Run> {
    if let Some(email) = admin_email {
        names::email("admin_email", email)?;
    }
    let tenant = tx.tenant_id();
    let begun = tx
        .execute(
            "insert into rowhouse.provisioning_runs (tenant_id, admin_email)
             values ($1, $2)
             on conflict on constraint provisioning_runs_pkey do nothing",
            &[&tenant, &admin_email],
        )
        .await?;
    let mut row = read(tx, "").await?;
    if begun == 0 {
        let same = match (&row.admin_email, admin_email) {
            (Some(before), Some(now)) => before.to_lowercase() == now.to_lowercase(),
            (before, now) => before.is_none() == now.is_none(),
        };
        if !same {
            return Err(Error::Taken {
                field: "admin_email",
            });
        }
        if row.status == Status::Failed {
            tx.execute(
                "update rowhouse.provisioning_runs
                 set status = 'running', attempts = 0, last_error = null
                 where tenant_id = $1 and status = 'failed'",
                &[&tenant],
            )
            .await?;
            row = read(tx, "").await?;
        }
    }
    audit::record(tx, Event::new("tenants.provision", tenant.uuid())).await?;
    Ok(row.shown())
}

/// How far it is; [`Error::NotFound`] when it was never begun.
pub async fn get(tx: &mut TenantTx) -> Result<Run> {
    Ok(read(tx, "").await?.shown())
}

/// Tries the next step, from inside the tenant, as the platform. Nothing is left to do when the answer says [`Status::Done`],
/// and nothing to do now when it has a `last_error`: the step is tried again later, or was given up.
pub async fn step(tx: &mut TenantTx) -> Result<Run> {
    let mut row = read(tx, "for update").await?;
    let tenant = tx.tenant_id();
    if row.status == Status::Failed {
        return Ok(row.shown());
    }
    if let Some(step) = row.next() {
        let email = row.admin_email.as_deref();
        match tx.attempt(async |tx| perform(tx, step, email).await).await {
            Ok(()) => row.note_done(step),
            Err(error) => {
                row.note_failure(&error);
                tracing::warn!(%tenant, %step, attempt = row.attempts, %error, "a step of provisioning failed");
                if row.status == Status::Failed {
                    let detail =
                        json!({ "step": step, "attempts": row.attempts, "error": error.code() });
                    let event = Event::new("tenants.provision_fail", tenant.uuid());
                    audit::record(tx, event.with_detail(detail)).await?;
                }
            }
        }
    }
    if row.next().is_none() {
        row.status = Status::Done;
    }
    if row.status == Status::Running {
        jobs::postpone(tx, JobKind::Provision, tenant.uuid(), row.wait()).await?;
    } else {
        jobs::done(tx, JobKind::Provision, tenant.uuid()).await?;
    }
    tx.execute(
        "update rowhouse.provisioning_runs
         set done = $2, status = $3, attempts = $4, last_error = $5
         where tenant_id = $1 and (done, status, attempts) is distinct from ($2, $3, $4)",
        &[
            &tenant,
            &row.done,
            &row.status,
            &row.attempts,
            &row.last_error,
        ],
    )
    .await?;
    Ok(row.shown())
}

async fn read(tx: &mut TenantTx, lock: &str) -> Result<Row> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "select admin_email, done, status, attempts, last_error
                 from rowhouse.provisioning_runs
                 where tenant_id = $1 {lock}"
            ),
            &[&tenant],
        )
        .await?
        .ok_or(Error::NotFound("provisioning run"))?;
    Ok(Row {
        admin_email: row.get("admin_email"),
        done: row.get("done"),
        status: row.get("status"),
        attempts: row.get("attempts"),
        last_error: row.get("last_error"),
    })
}

/// Each finds what an earlier version of it, or somebody by hand, has done already.
async fn perform(tx: &mut TenantTx, step: Step, admin_email: Option<&str>) -> Result<()> {
    match step {
        Step::Workspace => workspace(tx).await,
        Step::Project => {
            if projects::list(tx, None, 1).await?.is_empty() {
                projects::create(tx, "Default").await?;
            }
            Ok(())
        }
        Step::Roles => roles(tx).await,
        Step::Quotas => {
            let plan = tenants::own(tx).await?.plan;
            quotas::grant_missing(tx, &quotas::of_plan(plan)).await
        }
        Step::Storage => storage(tx).await,
        Step::Invitation => match admin_email {
            Some(email) => invite(tx, email).await,
            None => Ok(()),
        },
    }
}

/// A tenant is founded with one; this is for those whose founding was somebody else's.
async fn workspace(tx: &mut TenantTx) -> Result<()> {
    let tenant = tenants::own(tx).await?;
    tx.execute(
        "insert into rowhouse.workspaces (tenant_id, id, kind, name)
         select $1, $2, 'tenant', $3
         where not exists (select from rowhouse.workspaces w where w.tenant_id = $1 and w.deleted_at is null)",
        &[&tenant.id, &WorkspaceId::new(), &tenant.name],
    )
    .await?;
    Ok(())
}

/// Roles are closed sets, the same in every tenant. What a tenant has of its own is who can hold them.
async fn roles(tx: &mut TenantTx) -> Result<()> {
    let tenant = tx.tenant_id();
    let found: i64 = tx
        .one(
            "select count(*)
             from rowhouse.principals
             where tenant_id = $1 and kind in ('tenant', 'system', 'job') and deleted_at is null",
            &[&tenant],
        )
        .await?
        .get(0);
    if found < 3 {
        return Err(Error::Schema(format!(
            "{tenant} lacks principals that it was founded with"
        )));
    }
    Ok(())
}

/// Below it lie the tenant's files and nobody else's: it is made of the id, which is never given again.
async fn storage(tx: &mut TenantTx) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.tenant_configs (tenant_id, key, value)
         values ($1, 'storage.prefix', $2)
         on conflict on constraint tenant_configs_pkey do nothing",
        &[&tenant, &json!(format!("tenants/{tenant}/"))],
    )
    .await?;
    Ok(())
}

/// As the platform may while there is no owner; a tenant that has one invites by itself.
async fn invite(tx: &mut TenantTx, email: &str) -> Result<()> {
    let tenant = tx.tenant_id();
    let owned: bool = tx
        .one(
            "select exists (select from rowhouse.tenant_members where tenant_id = $1 and role = 'owner')",
            &[&tenant],
        )
        .await?
        .get(0);
    if owned {
        return Ok(());
    }
    match invitations::create(tx, NewInvitation::new(email, Role::Owner)).await {
        Ok(_) | Err(Error::Taken { field: "email" }) => Ok(()), // invited by hand
        Err(error) => Err(error),
    }
}

/// A user's own tenant, the Personal Org with its Personal Workspace, begun to be provisioned: the one that the user has, or a
/// new one. The transaction goes on inside it.
pub async fn personal(mut tx: PlatformTx, user: UserId) -> Result<(Tenant, TenantTx)> {
    let row = tx
        .optional(
            "select home_tenant_id from rowhouse.users where id = $1 and deleted_at is null for update",
            &[&user],
        )
        .await?
        .ok_or(Error::NotFound("user"))?;
    let home: Option<TenantId> = row.get(0);
    let tenant = if let Some(home) = home {
        tenants::get(&mut tx, home).await?
    } else {
        let new = NewTenant {
            slug: user.to_string().replace('_', "-"), // of nothing personal, and nobody else's
            name: "Personal Org".into(),
            kind: Kind::Personal,
            plan: PlanTier::Free,
            owner: Some(user),
        };
        let tenant = tenants::create(&mut tx, new).await?;
        users::set_home(&mut tx, user, tenant.id).await?;
        tenant
    };
    let mut tx = tx.inside(tenant.id).await?;
    start(&mut tx, None).await?;
    Ok((tenant, tx))
}
