//! Operators: those who run the platform, by token. Table `rowhouse.operator_tokens`.
//!
//! Invariants: a token is shown once and kept as a digest; it expires or is revoked, and then opens nothing.

use std::time::Duration;

use jiff::SignedDuration;

use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::ids::OperatorTokenId;
use crate::tx::PlatformTx;
use crate::{names, tokens};

const PREFIX: &str = "op_";

/// Issues a token, under a name by which people recognise it. Without `ttl` it lasts until it is revoked.
pub async fn issue(
    tx: &mut PlatformTx,
    name: &str,
    ttl: Option<Duration>,
) -> Result<(OperatorTokenId, Secret)> {
    names::name("name", name)?;
    let id = OperatorTokenId::new();
    let token = tokens::make(PREFIX);
    let seconds = ttl
        .map(|ttl| SignedDuration::try_from(ttl).map(|ttl| ttl.as_secs_f64()))
        .transpose()
        .map_err(|_| Error::invalid("ttl", "is too long"))?;
    tx.execute(
        "insert into rowhouse.operator_tokens (id, name, digest, expires_at)
         values ($1, $2, $3, now() + make_interval(secs => $4))",
        &[
            &id,
            &name,
            &tokens::digest(token.reveal()).as_slice(),
            &seconds,
        ],
    )
    .await?;
    Ok((id, token))
}

/// Whose token this is, if it is good now.
pub async fn verify(tx: &mut PlatformTx, token: &str) -> Result<Option<OperatorTokenId>> {
    if !tokens::has_form(PREFIX, token) {
        return Ok(None);
    }
    let row = tx
        .optional(
            "update rowhouse.operator_tokens
             set last_used_at = now()
             where digest = $1 and revoked_at is null and (expires_at is null or expires_at > now())
             returning id",
            &[&tokens::digest(token).as_slice()],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}
