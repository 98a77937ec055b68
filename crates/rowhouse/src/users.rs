//! Users: the people of the platform, each a member of any number of tenants. Table `rowhouse.users`.
//!
//! Invariant: an e-mail address is unique for ever, whatever its case (`rowhouse.locator` keeps its digest).

use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, OnConstraint, Result};
use crate::ids::{TenantId, UserId};
use crate::names;
use crate::tx::PlatformTx;

/// A person.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where mail reaches it.
    pub email: String,
    /// Its name.
    pub name: String,
    /// Its Personal Org.
    pub home_tenant_id: Option<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a user. [`Error::Taken`] when the address is in use.
pub async fn create(tx: &mut PlatformTx, email: &str, name: &str) -> Result<User> {
    names::email("email", email)?;
    names::name("name", name)?;
    let row = tx
        .one(
            "insert into rowhouse.users (id, email, name)
             values ($1, $2, $3)
             returning id, email, name, home_tenant_id, created_at",
            &[&UserId::new(), &email, &name],
        )
        .await
        .on_constraint("locator_pkey", Error::Taken { field: "email" })?;
    Ok(User {
        id: row.get("id"),
        email: row.get("email"),
        name: row.get("name"),
        home_tenant_id: row.get("home_tenant_id"),
        created_at: row.get("created_at"),
    })
}

/// Says which tenant is the user's own.
pub async fn set_home(tx: &mut PlatformTx, user: UserId, tenant: TenantId) -> Result<()> {
    let touched = tx
        .execute(
            "update rowhouse.users set home_tenant_id = $2 where id = $1",
            &[&user, &tenant],
        )
        .await?;
    if touched == 0 {
        Err(Error::NotFound("user"))
    } else {
        Ok(())
    }
}

/// The user with this address, whatever its case.
pub async fn by_email(tx: &mut PlatformTx, email: &str) -> Result<UserId> {
    // Lower case is what the database makes of it, which keeps the digest.
    let row = tx
        .optional(
            "select id from rowhouse.locate('email', sha256(convert_to(lower($1), 'UTF8')))",
            &[&email],
        )
        .await?;
    Ok(row.ok_or(Error::NotFound("user"))?.get(0))
}
