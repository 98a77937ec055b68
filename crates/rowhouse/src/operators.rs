//! Operators: those who run the platform. Tables `rowhouse.operator_tokens`, `rowhouse.platform_audit`.
//!
//! Invariants: a token is shown once and kept as a digest; it expires, unless somebody asked otherwise, or is revoked, and
//! then opens nothing; whatever an operator changes stands in `platform_audit`, and where it concerns a tenant, in that
//! tenant's own trail too. What he reads over HTTP is noted there by the server.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit;
use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::ids::OperatorTokenId;
use crate::tx::PlatformTx;
use crate::{names, tokens};

const PREFIX: &str = "op_";

/// Who acts for the platform, as its trail names him.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(crate) id: Option<OperatorTokenId>,
    pub(crate) name: String,
    pub(crate) request_id: Option<String>,
}

impl Operator {
    /// Whoever works on the server itself, without a token: `command line`, or the name of an embedding service.
    pub fn local(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            request_id: None,
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

    /// Of the token; none for who acts without one.
    pub fn id(&self) -> Option<OperatorTokenId> {
        self.id
    }
}

/// A token, without what it opens with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperatorToken {
    /// Its id.
    pub id: OperatorTokenId,
    /// By which people recognise it.
    pub name: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was issued.
    pub created_at: Timestamp,
}

impl From<&Row> for OperatorToken {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            expires_at: row.get("expires_at"),
            last_used_at: row.get("last_used_at"),
            revoked_at: row.get("revoked_at"),
            created_at: row.get("created_at"),
        }
    }
}

/// How many days a token lasts for which nothing else was said.
pub const DAYS: i32 = 90;

/// When a token is to end by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Expires {
    /// [`DAYS`] after it is issued.
    #[default]
    Usually,
    /// Then.
    At(Timestamp),
    /// It lasts until it is revoked.
    Never,
}

impl FromStr for Expires {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "never" => Ok(Self::Never),
            at => at.parse().map(Self::At).map_err(|_| {
                Error::invalid(
                    "expires",
                    "must be a moment, such as 2030-01-01T00:00:00Z, or never",
                )
            }),
        }
    }
}

fn past() -> Error {
    Error::invalid("expires", "must lie in the future")
}

/// Issues a token, under a name by which people recognise it.
pub async fn issue(
    tx: &mut PlatformTx,
    name: &str,
    expires: Expires,
) -> Result<(OperatorTokenId, Secret)> {
    names::name("name", name)?;
    // Postgres has no room for what lies before the year -4712.
    if matches!(expires, Expires::At(at) if at < Timestamp::UNIX_EPOCH) {
        return Err(past());
    }
    let id = OperatorTokenId::new();
    let token = tokens::make(PREFIX);
    let (days, at) = match expires {
        Expires::Usually => (Some(DAYS), None),
        Expires::At(at) => (None, Some(at)),
        Expires::Never => (None, None),
    };
    let issued = tx
        .execute(
            "insert into rowhouse.operator_tokens (id, name, digest, expires_at)
             select $1, $2, $3, coalesce($4::timestamptz, now() + make_interval(days => $5))
             where coalesce($4 > clock_timestamp(), true)",
            &[
                &id,
                &name,
                &tokens::digest(token.reveal()).as_slice(),
                &at,
                &days,
            ],
        )
        .await?;
    if issued == 0 {
        return Err(past());
    }
    act(tx, "operators.issue", id.uuid()).await?;
    Ok((id, token))
}

/// All tokens, the newest first.
pub async fn list(tx: &mut PlatformTx) -> Result<Vec<OperatorToken>> {
    let rows = tx
        .query(
            "select id, name, expires_at, last_used_at, revoked_at, created_at
             from rowhouse.operator_tokens
             order by created_at desc, id desc",
            &[],
        )
        .await?;
    Ok(rows.iter().map(OperatorToken::from).collect())
}

/// Revokes a token: it opens nothing from the next request on.
pub async fn revoke(tx: &mut PlatformTx, id: OperatorTokenId) -> Result<()> {
    let touched = tx
        .execute(
            "update rowhouse.operator_tokens
             set revoked_at = now()
             where id = $1 and revoked_at is null",
            &[&id],
        )
        .await?;
    if touched == 0 {
        return Err(Error::NotFound("operator token"));
    }
    act(tx, "operators.revoke", id.uuid()).await
}

/// Whether a text has the form of an operator's token.
pub fn is_token(text: &str) -> bool {
    tokens::has_form(PREFIX, text)
}

/// Whose token this is, if it is good now. Notes its use, at most once a minute.
pub async fn verify(tx: &mut PlatformTx, token: &str) -> Result<Option<Operator>> {
    if !is_token(token) {
        return Ok(None);
    }
    let row = tx
        .optional(
            "select id, name, coalesce(last_used_at < now() - interval '1 minute', true) as quiet
             from rowhouse.operator_tokens
             where digest = $1 and revoked_at is null and (expires_at is null or expires_at > now())",
            &[&tokens::digest(token).as_slice()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let id: OperatorTokenId = row.get("id");
    if row.get("quiet") {
        tx.execute(
            "update rowhouse.operator_tokens
             set last_used_at = now()
             where id = $1",
            &[&id],
        )
        .await?;
    }
    Ok(Some(Operator {
        id: Some(id),
        name: row.get("name"),
        request_id: None,
    }))
}

async fn act(tx: &mut PlatformTx, action: &'static str, token: Uuid) -> Result<()> {
    audit::act(
        tx,
        action,
        None,
        &json!({ "operator_token": OperatorTokenId::from(token) }),
    )
    .await
}
