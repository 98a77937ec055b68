//! Sessions: somebody who is signed in, in one tenant. `ses_` and 32 of `[0-9a-z]`. Table `rowhouse.sessions`.
//!
//! Invariants: a session is shown once, and kept as a digest; it is a credential of its user, so that `enter` refuses one that
//! was revoked or has expired, and a user who was removed, at the next transaction; it ends for good; none can be made by SQL
//! inside a tenant, since it would open its user's other tenants too.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::connect::Secret;
use crate::context::Context;
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{AuditId, ProjectId, SessionId, TenantId, UserId};
use crate::members::Role;
use crate::select::Select;
use crate::tenants::Kind;
use crate::tokens;
use crate::tx::{PlatformTx, Rowhouse, TenantTx};

const PREFIX: &str = "ses_";
/// How long a session lasts when nothing else is said, and at most.
pub const LASTS: Duration = Duration::from_hours(24 * 14);
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// A session, without what it opens with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was ended: by its user, by those who manage the tenant, or with its user's membership.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Session {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            user_id: row.get("user_id"),
            expires_at: row.get("expires_at"),
            revoked_at: row.get("revoked_at"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// A session that was just made, and what it opens with: nobody can show that again.
#[derive(Clone, Debug)]
pub struct MadeSession {
    /// Its id.
    pub id: SessionId,
    /// Where it is good.
    pub tenant: TenantId,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// What opens: `ses_` and 32 characters.
    pub secret: Secret,
}

impl MadeSession {
    /// One that is yet to be written, and ends after this long or, if that is earlier, at `until`.
    pub(crate) async fn draft(
        tx: &mut PlatformTx,
        tenant: TenantId,
        lasts: Duration,
        until: Option<Timestamp>,
    ) -> Result<Self> {
        if lasts > LONGEST {
            return Err(Error::invalid(
                "ttl",
                format!("must be at most {} seconds", LONGEST.as_secs()),
            ));
        }
        let row = tx
            .one(
                "select least(now() + make_interval(secs => $1), $2)",
                &[&lasts.as_secs_f64(), &until],
            )
            .await?;
        Ok(Self {
            id: SessionId::new(),
            tenant,
            expires_at: row.get(0),
            secret: tokens::make(PREFIX),
        })
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        tokens::digest(self.secret.reveal())
    }
}

/// Makes a session for the user of a context, for whom the caller vouches: it has signed him in. It ends after `lasts` (at
/// most 30 days), or at `until` if that is earlier. [`Error::NotAMember`] when he is none of the tenant.
pub async fn open(
    tx: &mut PlatformTx,
    who: &Context,
    lasts: Duration,
    until: Option<Timestamp>,
) -> Result<MadeSession> {
    let made = MadeSession::draft(tx, who.tenant_id(), lasts, until).await?;
    let ticket = tx.vouch(who).await?;
    tx.execute(
        "select rowhouse.open_session($1, $2, $3, $4, $5, $6)",
        &[
            &ticket.as_bytes(),
            &made.id,
            &made.digest().as_slice(),
            &made.expires_at,
            &AuditId::new(),
            &who.request_id,
        ],
    )
    .await
    .on_constraint("sessions_end", Error::invalid("ttl", "is too long"))?;
    Ok(made)
}

/// Makes a session in another tenant of the user whose session this is, which ends when that one does. [`Error::NotPermitted`] for
/// the session that somebody who was known before got by an invitation: it is good in its tenant only.
/// [`Error::NotFound`] when he is no member there; [`Error::NotAMember`] when the session is not good any more.
pub async fn switch(house: &Rowhouse, from: &Context, to: TenantId) -> Result<MadeSession> {
    let mut tx = house.begin(&from.clone().read_only()).await?;
    let row = tx
        .optional(
            "select user_id, expires_at, only_here
             from rowhouse.sessions
             where tenant_id = $1 and id = $2 and user_id = rowhouse.current_user_id()",
            &[&from.tenant_id(), &from.credential],
        )
        .await?;
    tx.commit().await?;
    let row =
        row.ok_or_else(|| Error::NotPermitted("only a session opens another session".into()))?;
    if row.get("only_here") {
        return Err(Error::NotPermitted(
            "a session that an invitation gave to somebody who was known before is good in its tenant only".into(),
        ));
    }
    let user: UserId = row.get("user_id");
    let mut there = Context::user(to, user);
    there.request_id.clone_from(&from.request_id);
    let mut tx = house.begin_platform().await?;
    let made = match open(&mut tx, &there, LASTS, Some(row.get("expires_at"))).await {
        Err(Error::NotAMember) => return Err(Error::NotFound("tenant")),
        other => other?,
    };
    // What was found above may have ended since.
    let ticket = tx.vouch(from).await?;
    tx.execute("select rowhouse.hold_session($1)", &[&ticket.as_bytes()])
        .await?;
    tx.commit().await?;
    Ok(made)
}

const COLUMNS: &str = "id, user_id, expires_at, revoked_at, created_at, updated_at";

/// A page of the sessions that the caller may see (its own; owners and admins: all), also those that have ended, the newest
/// first, behind `after` (`created_at` and id of the last of the page before), at most `limit` (1 to 200). With `user`, only
/// that user's.
pub async fn list(
    tx: &mut TenantTx,
    user: Option<UserId>,
    after: Option<(Timestamp, SessionId)>,
    limit: u16,
) -> Result<Vec<Session>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.sessions where true"
    ));
    page.and("tenant_id = ?", &tenant);
    page.and_if("user_id = ?", user.as_ref());
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Session::from).collect())
}

/// Ends a session: one's own, or, as an owner or admin, a member's. It opens nothing from the next transaction on, on every
/// node.
pub async fn revoke(tx: &mut TenantTx, id: SessionId) -> Result<()> {
    let ended: bool = tx
        .one("select rowhouse.end_session($1)", &[&id])
        .await?
        .get(0);
    if !ended {
        return Err(Error::NotFound("session"));
    }
    audit::record(tx, Event::new("sessions.revoke", id.uuid())).await
}

/// Whether a text has the form of a session's token.
pub fn is_token(text: &str) -> bool {
    tokens::has_form(PREFIX, text)
}

/// The context of whoever presents this token; [`Error::NotAMember`] for anything that is not one. Whether it is good now,
/// the database says at the first statement.
pub async fn authenticate(house: &Rowhouse, token: &str) -> Result<Context> {
    if !is_token(token) {
        return Err(Error::NotAMember);
    }
    let (tenant, user, session) = house
        .locate_session(&tokens::digest(token))
        .await?
        .ok_or(Error::NotAMember)?;
    Ok(Context::session(tenant, user, session))
}

/// A tenant that a user may enter now, as what, in which projects.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Membership {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Personal or organization.
    pub kind: Kind,
    /// What the user is there.
    pub role: Role,
    /// The projects it is in there.
    pub projects: Vec<ProjectId>,
}

/// Who asks, and all that it may ask for: resolved anew for each request. A transaction is inside one of these tenants.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestContext {
    /// The user.
    pub user: UserId,
    /// The tenant that the request is inside of.
    pub tenant: TenantId,
    /// Where the user may enter.
    pub memberships: Vec<Membership>,
}

impl RequestContext {
    /// What the holder of a session may ask for. [`Error::NotAMember`] when the session is not good any more.
    pub async fn of_session(house: &Rowhouse, session: &Context) -> Result<Self> {
        let rows = house
            .query(
                &session.clone().read_only(),
                "select rowhouse.current_user_id(), coalesce(
                   (select only_here from rowhouse.sessions where tenant_id = $1 and id = $2), false)",
                &[&session.tenant_id(), &session.credential],
            )
            .await?;
        let row = rows.first().ok_or(Error::NotAMember)?;
        let (user, only_here): (Option<UserId>, bool) = (row.get(0), row.get(1));
        let mut tx = house.begin_platform().await?;
        let user = user.ok_or(Error::NotAMember)?;
        let mut context = Self::resolve(&mut tx, session.tenant_id(), user).await?;
        tx.commit().await?;
        if only_here {
            let here = session.tenant_id();
            context.memberships.retain(|there| there.tenant_id == here);
        }
        Ok(context)
    }

    /// What a user may ask for who asks inside of this tenant. [`Error::NotAMember`] when he may not enter that.
    pub async fn resolve(tx: &mut PlatformTx, tenant: TenantId, user: UserId) -> Result<Self> {
        let memberships = memberships(tx, user).await?;
        if memberships.iter().all(|there| there.tenant_id != tenant) {
            return Err(Error::NotAMember);
        }
        Ok(Self {
            user,
            tenant,
            memberships,
        })
    }

    /// Every pair of tenant and project that the user may work in.
    pub fn pairs(&self) -> impl Iterator<Item = (TenantId, ProjectId)> + '_ {
        self.memberships.iter().flat_map(|there| {
            there
                .projects
                .iter()
                .map(|project| (there.tenant_id, *project))
        })
    }

    /// Whether the user may work in this project of this tenant.
    pub fn allows(&self, tenant: TenantId, project: ProjectId) -> bool {
        self.pairs().any(|pair| pair == (tenant, project))
    }
}

/// Where a user may enter now, the oldest tenant first.
pub async fn memberships(tx: &mut PlatformTx, user: UserId) -> Result<Vec<Membership>> {
    let rows = tx
        .query(
            "select tenant_id, slug, name, kind, role, projects from rowhouse.memberships($1)",
            &[&user],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Membership {
            tenant_id: row.get("tenant_id"),
            slug: row.get("slug"),
            name: row.get("name"),
            kind: row.get("kind"),
            role: row.get("role"),
            projects: row.get("projects"),
        })
        .collect())
}
