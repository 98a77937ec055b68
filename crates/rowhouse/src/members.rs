//! Members: which users belong to a tenant, in which role. Table `rowhouse.tenant_members`.
//!
//! Invariants: a member is added by the platform (inside the tenant, as `system`), never by the app's login; removing one
//! takes effect at his next transaction, on every node, and takes his teams and project roles with it.

use serde_json::json;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::UserId;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// What a member is in the tenant. Constraint `tenant_members_role`.
    Role {
        /// Everything, and every project.
        Owner = "owner",
        /// Everything but the owners, and every project.
        Admin = "admin",
        /// Reads and writes, in the projects it has a role in.
        Member = "member",
        /// Only reads.
        Viewer = "viewer",
    }
}

/// Adds a user to the tenant. [`Error::Taken`] when it is a member already.
pub async fn add(tx: &mut TenantTx, user: UserId, role: Role) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.tenant_members (tenant_id, user_id, role) values ($1, $2, $3)",
        &[&tenant, &user, &role],
    )
    .await
    .on_constraint("tenant_members_pkey", Error::Taken { field: "user" })
    .on_constraint("tenant_members_user", Error::NotFound("user"))?;
    audit::record(
        tx,
        Event::new("members.add", user.uuid()).with_detail(json!({ "role": role })),
    )
    .await
}

/// Removes a member, its teams and its project roles.
pub async fn remove(tx: &mut TenantTx, user: UserId) -> Result<()> {
    let tenant = tx.tenant_id();
    for sql in [
        "delete from rowhouse.team_members where tenant_id = $1 and user_id = $2",
        "delete from rowhouse.user_project_roles where tenant_id = $1 and user_id = $2",
    ] {
        tx.execute(sql, &[&tenant, &user]).await?;
    }
    let gone = tx
        .execute(
            "delete from rowhouse.tenant_members where tenant_id = $1 and user_id = $2",
            &[&tenant, &user],
        )
        .await?;
    if gone == 0 {
        return Err(Error::NotFound("member"));
    }
    audit::record(tx, Event::new("members.remove", user.uuid())).await
}
