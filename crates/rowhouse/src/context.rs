//! Who is asking, for which tenant: `Context`, and the `Ticket` that carries it into the database.
//!
//! A context is plain data: it proves nothing. The process that vouches for it mints a ticket (the context, an expiry
//! and a tag under the ticket key, 107 bytes) and hands that to `rowhouse.enter` as a bind parameter. The database
//! verifies the tag and then looks for itself whether this caller may still enter.
//!
//! Layout, as `migrations/V1__wall.sql` reads it: 0 version | 1 key id | 2 tenant | 18 principal | 34 credential |
//! 50 project | 66 access | 67 expiry | 75 tag = sha256(key ‖ bytes 0 to 74 ‖ key).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::{KeyId, PrincipalId, ProjectId, SessionId, TenantId, UserId};

const TICKET_BYTES: usize = 107;
const BODY_BYTES: usize = 75;
const KEY_BYTES: usize = 64;
/// 2000-01-01 00:00:00 UTC, from which Postgres counts microseconds.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// What a context may do to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Access {
    /// Only read; the trails of audit and usage are written all the same.
    Read,
    /// Read and write, as far as the caller's role goes: a viewer's writing context reads.
    #[default]
    Write,
}

/// Who asks, for which tenant, with what access. Cheap to build, one for each request.
///
/// ```
/// use rowhouse::{Context, ids::{TenantId, UserId}};
/// let context = Context::user(TenantId::new(), UserId::new()).read_only();
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) tenant: TenantId,
    pub(crate) principal: PrincipalId,
    pub(crate) credential: Uuid,
    pub(crate) project: Option<ProjectId>,
    pub(crate) access: Access,
    pub(crate) request_id: Option<String>,
    /// Only who was named by a bare id may be a job of the tenant: lists ask for what a job sees, or do not.
    pub(crate) may_be_job: bool,
}

/// Equal are those that enter alike, however they were named.
impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        let of = |c: &Self| (c.tenant, c.principal, c.credential, c.project, c.access);
        of(self) == of(other) && self.request_id == other.request_id
    }
}

impl Eq for Context {}

impl Context {
    /// A user for whom the embedding service vouches: it has signed him in itself.
    pub fn user(tenant: TenantId, user: UserId) -> Self {
        Self {
            may_be_job: false,
            ..Self::principal(tenant, user.into())
        }
    }

    /// The tenant's own principal: what all its members may do, and no project. For a service that knows tenants only.
    pub fn tenant(tenant: TenantId) -> Self {
        Self {
            may_be_job: false,
            ..Self::principal(tenant, tenant.into())
        }
    }

    /// The holder of an API key, which stays subject to the key's revocation and expiry.
    pub fn key(tenant: TenantId, key: KeyId) -> Self {
        Self {
            credential: key.uuid(),
            may_be_job: false,
            ..Self::principal(tenant, key.into())
        }
    }

    /// A user by a session of his, which stays subject to its revocation and expiry.
    pub fn session(tenant: TenantId, user: UserId, session: SessionId) -> Self {
        Self {
            credential: session.uuid(),
            ..Self::user(tenant, user)
        }
    }

    /// Any principal of the tenant, by its id.
    ///
    /// ```
    /// use rowhouse::{Context, ids::{TenantId, UserId}};
    /// let (tenant, user) = (TenantId::new(), UserId::new());
    /// assert_eq!(Context::principal(tenant, user.into()), Context::user(tenant, user));
    /// assert_ne!(Context::principal(tenant, user.into()), Context::tenant(tenant));
    /// ```
    pub fn principal(tenant: TenantId, principal: PrincipalId) -> Self {
        Self {
            tenant,
            principal,
            credential: Uuid::nil(),
            project: None,
            access: Access::Write,
            request_id: None,
            may_be_job: true,
        }
    }

    /// The same caller, who only reads.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self {
            access: Access::Read,
            ..self
        }
    }

    /// The same caller, inside one of its projects instead of all of them. It narrows content: an owner or admin goes on managing
    /// the tenant, other projects among it.
    #[must_use]
    pub fn in_project(self, project: ProjectId) -> Self {
        Self {
            project: Some(project),
            ..self
        }
    }

    /// Notes the request that this is part of; it goes into audit rows.
    #[must_use]
    pub fn with_request_id(self, id: impl Into<String>) -> Self {
        Self {
            request_id: Some(id.into()),
            ..self
        }
    }

    /// The tenant that is asked for.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    /// Who asks.
    pub fn principal_id(&self) -> PrincipalId {
        self.principal
    }
}

/// The key under which tickets are minted. Shared with the database only; never printed.
#[derive(Clone)]
pub struct TicketKey {
    head: [u8; 2],
    secret: [u8; KEY_BYTES],
}

impl TicketKey {
    pub(crate) fn from_columns(head: &[u8], secret: &[u8]) -> Result<Self> {
        match (head.try_into(), secret.try_into()) {
            (Ok(head), Ok(secret)) => Ok(Self { head, secret }),
            _ => Err(Error::Schema(
                "the ticket key in rowhouse_private.keyring does not have the form of one".into(),
            )),
        }
    }
}

/// The form of `ROWHOUSE_SEAL_KEY`: version, key id and key as 132 hex digits.
impl FromStr for TicketKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "seal_key",
                "must be 132 hex digits: version, key id and the 64 bytes of the key",
            )
        };
        let bytes = hex::decode(text.trim()).map_err(|_| wrong())?;
        let (head, secret) = bytes.split_at_checked(2).ok_or_else(wrong)?;
        Self::from_columns(head, secret).map_err(|_| wrong())
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey(id {})", self.head[1])
    }
}

/// A sealed context, good for `rowhouse.enter` until it expires. Whoever holds it may enter as its caller: it travels as
/// a bind parameter and in an `Authorization` header, and is printed only by [`Ticket::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket([u8; TICKET_BYTES]);

impl Ticket {
    /// Mints a ticket that expires at `expires_at`, by the database's clock, to the microsecond.
    pub fn mint(key: &TicketKey, context: &Context, expires_at: Timestamp) -> Self {
        let mut bytes = [0; TICKET_BYTES];
        let microseconds = expires_at.as_microsecond() - POSTGRES_EPOCH * 1_000_000;
        bytes[0..2].copy_from_slice(&key.head);
        bytes[2..18].copy_from_slice(context.tenant.uuid().as_bytes());
        bytes[18..34].copy_from_slice(context.principal.uuid().as_bytes());
        bytes[34..50].copy_from_slice(context.credential.as_bytes());
        bytes[50..66].copy_from_slice(
            context
                .project
                .map_or(Uuid::nil(), ProjectId::uuid)
                .as_bytes(),
        );
        bytes[66] = match context.access {
            Access::Read => b'r',
            Access::Write => b'w',
        };
        bytes[67..75].copy_from_slice(&microseconds.max(0).to_be_bytes());
        let tag = tag(key, &bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&tag);
        Self(bytes)
    }

    /// Whether it was minted under this key. Says nothing about whether it still opens anything.
    pub(crate) fn is_under(&self, key: &TicketKey) -> bool {
        let (body, given) = self.0.split_at(BODY_BYTES);
        // Every byte is looked at, so that the time tells nothing of how many are right.
        let differing = tag(key, body)
            .iter()
            .zip(given)
            .fold(0, |differing, (a, b)| differing | (a ^ b));
        body[..2] == key.head && differing == 0
    }

    /// The bytes, for a bind parameter of type `bytea`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `\x` and hex digits, as `psql` takes it. To be shown to its caller only.
    pub fn reveal(&self) -> String {
        format!("\\x{}", hex::encode(self.0))
    }

    /// The principal it claims to be. Only `enter` knows whether the claim is true.
    pub fn claimed_principal(&self) -> PrincipalId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[18..34]);
        Uuid::from_bytes(id).into()
    }

    /// The tenant it claims. Only `enter` knows whether the claim is true.
    pub fn claimed_tenant(&self) -> TenantId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[2..18]);
        Uuid::from_bytes(id).into()
    }
}

fn tag(key: &TicketKey, body: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(key.secret)
        .chain_update(body)
        .chain_update(key.secret)
        .finalize()
        .into()
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.claimed_tenant())
    }
}

/// Takes the form that [`Ticket::reveal`] gives.
impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.strip_prefix("\\x")
            .and_then(|digits| hex::decode(digits).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| Error::invalid("ticket", r"must be `\x` and 214 hex digits"))
    }
}

/// How long a ticket lives that a transaction mints for itself: it is used at once.
pub(crate) const OWN_TICKET_TTL: Duration = Duration::from_mins(1);
