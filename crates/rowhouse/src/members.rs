//! Members: which users belong to a tenant, in which role. Table `rowhouse.tenant_members`.
//!
//! Invariants: nobody is added by SQL inside the tenant, but by an invitation that he accepted, or by a process that vouches
//! for an owner or admin; removing a member takes effect at his next transaction, on every node, and takes his teams, project
//! roles, sessions and pending invitations with it; a tenant that has an owner keeps one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::context::Context;
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{AuditId, UserId};
use crate::select::Select;
use crate::text_enum::text_enum;
use crate::tx::{PlatformTx, TenantTx};

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

/// A member.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Where mail reaches it.
    pub email: String,
    /// What it is in the tenant.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// When its role last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Member {
    fn from(row: &Row) -> Self {
        Self {
            user_id: row.get("id"),
            name: row.get("name"),
            email: row.get("email"),
            role: row.get("role"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// Adds a user to the tenant of `by`: an owner or admin, or, while the tenant has no owner, the platform
/// ([`PlatformTx::system_of`]). For a service that signs its people in itself, and so vouches for both. Everybody else comes by [`crate::invitations`].
///
/// [`Error::Taken`] when it is a member already.
pub async fn add(tx: &mut PlatformTx, by: &Context, user: UserId, role: Role) -> Result<()> {
    let ticket = tx.vouch(by).await?;
    tx.execute(
        "select rowhouse.add_member($1, $2, $3, $4, $5)",
        &[
            &ticket.as_bytes(),
            &user,
            &role,
            &AuditId::new(),
            &by.request_id,
        ],
    )
    .await
    .on_constraint("tenant_members_pkey", Error::Taken { field: "user" })
    .on_constraint("tenant_members_user", Error::NotFound("user"))?;
    Ok(())
}

const SELECT: &str = "select * from (
    select m.tenant_id, m.user_id as id, p.name, p.email, m.role, m.created_at, m.updated_at
    from rowhouse.tenant_members m join rowhouse.people() p on p.user_id = m.user_id
  ) members where true";

/// A page of the members, the newest first, behind `after` (`created_at` and id of the last of the page before), at most
/// `limit` (1 to 200).
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, UserId)>,
    limit: u16,
) -> Result<Vec<Member>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(SELECT);
    page.and("tenant_id = ?", &tenant);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Member::from).collect())
}

/// The member of this id.
pub async fn get(tx: &mut TenantTx, user: UserId) -> Result<Member> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("{SELECT} and tenant_id = $1 and id = $2"),
            &[&tenant, &user],
        )
        .await?;
    row.as_ref()
        .map(Member::from)
        .ok_or(Error::NotFound("member"))
}

/// What is to become different.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MemberChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another role.
    pub role: Role,
}

/// Makes a member something else. [`Error::LastOwner`] for the only owner; [`Error::Changed`] when `read_at` is not its
/// `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    user: UserId,
    changes: &Changes,
    read_at: Option<Timestamp>,
) -> Result<Member> {
    let tenant = tx.tenant_id();
    let touched = tx
        .execute(
            "update rowhouse.tenant_members
             set role = $3
             where tenant_id = $1 and user_id = $2 and ($4::timestamptz is null or updated_at = $4)",
            &[&tenant, &user, &changes.role, &read_at],
        )
        .await
        .on_constraint("tenant_members_last_owner", Error::LastOwner)?;
    let member = get(tx, user).await?;
    if touched == 0 {
        return Err(not_done(read_at, member.updated_at));
    }
    let event =
        Event::new("members.update", user.uuid()).with_detail(json!({ "role": changes.role }));
    audit::record(tx, event).await?;
    Ok(member)
}

/// Removes a member, its teams and its project roles; its sessions end, and what it invited. Whoever names himself leaves,
/// whatever he is. [`Error::LastOwner`] for the only owner.
pub async fn remove(tx: &mut TenantTx, user: UserId) -> Result<()> {
    if tx.principal_id() == user.into() {
        tx.execute("select rowhouse.leave()", &[])
            .await
            .on_constraint("tenant_members_last_owner", Error::LastOwner)?;
        return audit::record(tx, Event::new("members.leave", user.uuid())).await;
    }
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
        .await
        .on_constraint("tenant_members_last_owner", Error::LastOwner)?;
    if gone == 0 {
        let member = get(tx, user).await?;
        return Err(not_done(None, member.updated_at));
    }
    audit::record(tx, Event::new("members.remove", user.uuid())).await
}

/// Why nothing was done to something that the caller sees: somebody was faster, or it is not his to change.
pub(crate) fn not_done(read_at: Option<Timestamp>, updated_at: Timestamp) -> Error {
    if read_at.is_some_and(|read_at| read_at != updated_at) {
        Error::Changed
    } else {
        Error::NotPermitted("this is for those who manage it".into())
    }
}
