//! Invitations: how people come into a tenant. Table `rowhouse.invitations`.
//!
//! Invariants: an invitation's token is made by the database, goes to its address by mail, and is told to nobody else: whoever
//! knows one becomes the user of that address; it is good once, for a while, until it is revoked, and as long as whoever made
//! it might still invite; accepting it makes the user where there is none, with a tenant of its own, the member, and a
//! session, at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{AuditId, InvitationId, MailId, PrincipalId, UserId};
use crate::members::{Role, not_done};
use crate::operators::Operator;
use crate::select::Select;
use crate::sessions::{self, MadeSession};
use crate::tenants::{self, Tenant};
use crate::tx::{PlatformTx, Rowhouse, TenantTx};
use crate::{mail, names, provisioning};

/// How long an invitation is good when nothing else is said, and at most.
const LASTS: Duration = Duration::from_hours(24 * 7);
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Who is invited.
    pub email: String,
    /// As what.
    pub role: Role,
    /// By whom.
    pub invited_by: PrincipalId,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was revoked, by somebody or because its inviter went.
    pub revoked_at: Option<Timestamp>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// The user that accepted it.
    pub accepted_by: Option<UserId>,
    /// What became of its mail.
    pub mail: mail::Status,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Invitation {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            email: row.get("email"),
            role: row.get("role"),
            invited_by: row.get("invited_by"),
            expires_at: row.get("expires_at"),
            revoked_at: row.get("revoked_at"),
            accepted_at: row.get("accepted_at"),
            accepted_by: row.get("accepted_by"),
            mail: row.get("mail"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// Who is to be invited.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// A plain address: see [`names::email`].
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 254))]
    pub email: String,
    /// What the member will be.
    pub role: Role,
    /// Seconds for which it can be accepted: at most 30 days, a week when not given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2_592_000))]
    pub lasts_seconds: Option<u32>,
}

impl NewInvitation {
    /// For a week.
    pub fn new(email: impl Into<String>, role: Role) -> Self {
        Self {
            email: email.into(),
            role,
            lasts_seconds: None,
        }
    }
}

/// Invites somebody: as an owner or admin, or as the platform while the tenant has no owner. The mail names the tenant; its link
/// is whose who sends it ([`crate::mail::take`]).
///
/// [`Error::Taken`] when the address is a member's, or has an invitation that is still good.
pub async fn create(tx: &mut TenantTx, new: NewInvitation) -> Result<Invitation> {
    names::email("email", &new.email)?;
    let lasts = new
        .lasts_seconds
        .map_or(LASTS, |seconds| Duration::from_secs(u64::from(seconds)));
    if lasts.is_zero() || lasts > LONGEST {
        return Err(Error::invalid(
            "lasts_seconds",
            format!("must be 1 to {}", LONGEST.as_secs()),
        ));
    }
    refuse_known(tx, &new.email).await?;
    let id = InvitationId::new();
    tx.execute(
        "select rowhouse.invite($1, $2, $3, now() + make_interval(secs => $4), $5)",
        &[
            &id,
            &new.email,
            &new.role,
            &lasts.as_secs_f64(),
            &MailId::new(),
        ],
    )
    .await
    .on_constraint("invitations_pending", Error::Taken { field: "email" })?;
    let event =
        Event::new("invitations.create", id.uuid()).with_detail(json!({ "role": new.role }));
    audit::record(tx, event).await?;
    get(tx, id).await
}

/// Of two at once the database refuses the second, and with it the transaction; here whoever asks may go on.
async fn refuse_known(tx: &mut TenantTx, email: &str) -> Result<()> {
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            "select exists (select from rowhouse.people() p where lower(p.email) = lower($2))
               or exists (
                 select from rowhouse.invitations i
                 where i.tenant_id = $1 and lower(i.email) = lower($2) and i.accepted_at is null and i.revoked_at is null
                   and i.expires_at > clock_timestamp())",
            &[&tenant, &email],
        )
        .await?;
    if row.get(0) {
        return Err(Error::Taken { field: "email" });
    }
    Ok(())
}

const COLUMNS: &str =
    "id, email, role, invited_by, expires_at, revoked_at, accepted_at, accepted_by,
    mail, created_at, updated_at";

/// A page of the invitations, also those that are over, the newest first, behind `after` (`created_at` and id of the last of
/// the page before), at most `limit` (1 to 200). Empty for whoever does not manage the tenant.
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, InvitationId)>,
    limit: u16,
) -> Result<Vec<Invitation>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.invitations where true"
    ));
    page.and("tenant_id = ?", &tenant);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Invitation::from).collect())
}

/// The invitation of this id.
pub async fn get(tx: &mut TenantTx, id: InvitationId) -> Result<Invitation> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.invitations where tenant_id = $1 and id = $2"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(Invitation::from)
        .ok_or(Error::NotFound("invitation"))
}

/// Revokes an invitation that nobody has accepted. [`Error::InvitationOver`] for one that was used or revoked.
pub async fn revoke(tx: &mut TenantTx, id: InvitationId) -> Result<()> {
    let tenant = tx.tenant_id();
    let touched = tx
        .execute(
            "update rowhouse.invitations
             set revoked_at = clock_timestamp()
             where tenant_id = $1 and id = $2 and revoked_at is null and accepted_at is null",
            &[&tenant, &id],
        )
        .await?;
    if touched == 0 {
        let invitation = get(tx, id).await?;
        return Err(match (invitation.accepted_at, invitation.revoked_at) {
            (Some(_), _) => Error::InvitationOver("the invitation was used".into()),
            (_, Some(_)) => Error::InvitationOver("the invitation was revoked".into()),
            _ => not_done(None, invitation.updated_at),
        });
    }
    audit::record(tx, Event::new("invitations.revoke", id.uuid())).await
}

/// Who came in by an invitation, where, and the session to go on with.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The user of the invitation's address.
    pub user_id: UserId,
    /// The tenant that it is a member of now.
    pub tenant: Tenant,
    /// A session there.
    pub session: MadeSession,
}

/// Accepts an invitation, with what came by mail. `name` is for a user who is new; one who is known keeps his. Who is new gets
/// a [tenant of its own](provisioning::personal), too: founded in the same transaction, so that no fall comes in between;
/// what else it is given, a worker does.
///
/// [`Error::NotFound`] for what is no invitation's token, [`Error::InvitationOver`] for one that was used or revoked or has
/// expired, or whose inviter may not invite any more; [`Error::Taken`] for a member.
pub async fn accept(
    house: &Rowhouse,
    token: &str,
    name: &str,
    request_id: Option<&str>,
) -> Result<Accepted> {
    names::name("name", name)?;
    if !is_token(token) {
        return Err(Error::NotFound("invitation"));
    }
    let once = async || {
        let mut by = Operator::local("invitation");
        by.request_id = request_id.map(str::to_owned);
        accept_in(house.begin_platform_as(by).await?, token, name).await
    };
    match once().await {
        // Somebody made a user of this address at the same moment: now there is one.
        Err(Error::Taken { field: "email" }) => once().await,
        other => other,
    }
}

/// Whether a text has the form of an invitation's token, as `rowhouse.invite` makes it.
pub fn is_token(text: &str) -> bool {
    text.strip_prefix("invite_")
        .is_some_and(|rest| rest.len() == 48 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

async fn accept_in(mut tx: PlatformTx, token: &str, name: &str) -> Result<Accepted> {
    let mut session =
        MadeSession::draft(&mut tx, Uuid::nil().into(), sessions::LASTS, None).await?;
    let (new_user, request_id) = (UserId::new(), tx.operator().request_id.clone());
    let row = tx
        .optional(
            "select tenant_id, user_id from rowhouse.accept_invitation($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &token,
                &new_user,
                &name,
                &session.id,
                &session.digest().as_slice(),
                &session.expires_at,
                &AuditId::new(),
                &request_id,
            ],
        )
        .await
        .on_constraint("tenant_members_pkey", Error::Taken { field: "user" })
        .on_constraint("locator_pkey", Error::Taken { field: "email" })?
        .ok_or(Error::NotFound("invitation"))?;
    session.tenant = row.get("tenant_id");
    let accepted = Accepted {
        user_id: row.get("user_id"),
        tenant: tenants::get(&mut tx, session.tenant).await?,
        session,
    };
    if accepted.user_id == new_user {
        let (_, tx) = provisioning::personal(tx, new_user).await?;
        tx.commit().await?;
    } else {
        tx.commit().await?;
    }
    Ok(accepted)
}
