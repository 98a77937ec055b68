//! The ACL of a resource: who else may do what with it. Nobody gives more than it holds.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{event, get, not_the_callers};
use crate::audit;
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{PrincipalId, ResourceId};
use crate::select::Select;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// What an ACL entry allows. Constraint `resource_acl_access`.
    AclAccess {
        /// To read it.
        Read = "read",
        /// To change it.
        Write = "write",
        /// To decide who else may.
        Admin = "admin",
    }
}

/// Gives a principal access to a resource, or another access than it had. [`Error::NotPermitted`] for whoever does not
/// administer the resource: nobody gives more than it holds.
pub async fn grant(
    tx: &mut TenantTx,
    id: ResourceId,
    principal: PrincipalId,
    access: AclAccess,
) -> Result<()> {
    let resource = get(tx, id).await?;
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
         values ($1, $2, $3, $4)
         on conflict (tenant_id, resource_id, principal_id) do update set access = excluded.access",
        &[&tenant, &id, &principal, &access],
    )
    .await
    .on_constraint("resource_acl_principal", Error::NotFound("principal"))?;
    let detail = json!({ "principal": principal, "access": access });
    audit::record(tx, event("resources.grant", &resource).with_detail(detail)).await
}

/// Takes a principal's entry away.
pub async fn revoke(tx: &mut TenantTx, id: ResourceId, principal: PrincipalId) -> Result<()> {
    let resource = get(tx, id).await?;
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.resource_acl where tenant_id = $1 and resource_id = $2 and principal_id = $3",
            &[&tenant, &id, &principal],
        )
        .await?;
    if gone == 0 {
        let may_share = tx
            .one("select rowhouse.may_share($1, $2)", &[&tenant, &id])
            .await?
            .get(0);
        return Err(if may_share {
            Error::NotFound("entry")
        } else {
            not_the_callers()
        });
    }
    audit::record(
        tx,
        event("resources.revoke", &resource).with_detail(json!({ "principal": principal })),
    )
    .await
}

/// What a principal may do with a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AclEntry {
    /// Who.
    pub principal_id: PrincipalId,
    /// What it allows.
    pub access: AclAccess,
    /// When it was first given.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Who has an entry on a resource: a page, the newest first, behind `after` (`created_at` and principal of the last of the
/// page before), at most `limit` (1 to 200).
pub async fn acl(
    tx: &mut TenantTx,
    id: ResourceId,
    after: Option<(Timestamp, PrincipalId)>,
    limit: u16,
) -> Result<Vec<AclEntry>> {
    get(tx, id).await?;
    let tenant = tx.tenant_id();
    let mut page = Select::new(
        "select id, access, created_at, updated_at
         from (select tenant_id, resource_id, principal_id as id, access, created_at, updated_at from rowhouse.resource_acl) entries
         where true",
    );
    page.and("tenant_id = ?", &tenant);
    page.and("resource_id = ?", &id);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows
        .iter()
        .map(|row| AclEntry {
            principal_id: row.get("id"),
            access: row.get("access"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
        .collect())
}
