//! Requests that carry an `Idempotency-Key`: done once, however often they are sent. Tables `rowhouse.idempotency_keys`
//! (callers inside a tenant) and `rowhouse.operator_requests`.
//!
//! Invariants: the answer is kept in the transaction of the change, so a request that failed leaves nothing and may be sent
//! again; a key belongs to its caller and to one request (method, path and body); of two at once, the second waits for the
//! first and gets its answer. A key is forgotten after a day.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::tx::Transaction;

const LONGEST: usize = 255;

/// A key, and the request that came with it.
#[derive(Clone, Debug)]
pub struct Request {
    key: String,
    digest: [u8; 32],
}

impl Request {
    /// `key` as the caller sent it: 1 to 255 printable ASCII characters.
    pub fn new(key: &str, method: &str, path: &str, body: &[u8]) -> Result<Self> {
        if !(1..=LONGEST).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(
                "Idempotency-Key",
                format!("must be 1 to {LONGEST} printable ASCII characters without blanks"),
            ));
        }
        let mut digest = Sha256::new();
        for part in [method.as_bytes(), path.as_bytes(), body] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(Self {
            key: key.to_owned(),
            digest: digest.finalize().into(),
        })
    }
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// The answer that this request was given before; none when it is new, and then it is to be done now, in this transaction.
/// [`Error::KeyReused`] when the key came with another request.
pub async fn answered(tx: &mut impl Transaction, request: &Request) -> Result<Option<Answer>> {
    let digest = request.digest.as_slice();
    let operator = tx.operator().and_then(|operator| operator.id);
    let taken = if let Some(operator) = operator {
        tx.execute(
            "delete from rowhouse.operator_requests
             where operator_id = $1 and created_at < now() - interval '1 day'",
            &[&operator],
        )
        .await?;
        tx.execute(
            "insert into rowhouse.operator_requests (operator_id, key, request)
             values ($1, $2, $3)
             on conflict (operator_id, key) do nothing",
            &[&operator, &request.key, &digest],
        )
        .await?
    } else {
        tx.execute(
            "delete from rowhouse.idempotency_keys
             where tenant_id = rowhouse.current_tenant() and created_at < now() - interval '1 day'",
            &[],
        )
        .await?;
        tx.execute(
            "insert into rowhouse.idempotency_keys (key, request)
             values ($1, $2)
             on conflict (tenant_id, principal_id, key) do nothing",
            &[&request.key, &digest],
        )
        .await?
    };
    if taken == 1 {
        return Ok(None);
    }
    let row = match operator {
        Some(operator) => {
            tx.optional(
                "select request, status, answer
                 from rowhouse.operator_requests
                 where operator_id = $1 and key = $2",
                &[&operator, &request.key],
            )
            .await?
        }
        None => {
            tx.optional(
                "select request, status, answer
                 from rowhouse.idempotency_keys
                 where tenant_id = rowhouse.current_tenant() and principal_id = rowhouse.current_principal() and key = $1",
                &[&request.key],
            )
            .await?
        }
    };
    let row = row.ok_or(Error::NotFound("idempotency key"))?;
    if row.get::<_, &[u8]>("request") != digest {
        return Err(Error::KeyReused);
    }
    let status: Option<i16> = row.get("status");
    Ok(status
        .and_then(|status| u16::try_from(status).ok())
        .map(|status| Answer {
            status,
            body: row.get("answer"),
        }))
}

/// Keeps the answer of a request that was new. What a caller may be shown only once must not stand in it.
pub async fn keep(tx: &mut impl Transaction, request: &Request, answer: &Answer) -> Result<()> {
    let status = i16::try_from(answer.status)
        .map_err(|_| Error::invalid("status", "must be an HTTP status"))?;
    match tx.operator().and_then(|operator| operator.id) {
        Some(operator) => {
            tx.execute(
                "update rowhouse.operator_requests
                 set status = $3, answer = $4
                 where operator_id = $1 and key = $2",
                &[&operator, &request.key, &status, &answer.body],
            )
            .await?
        }
        None => {
            tx.execute(
                "update rowhouse.idempotency_keys
                 set status = $2, answer = $3
                 where tenant_id = rowhouse.current_tenant() and principal_id = rowhouse.current_principal() and key = $1",
                &[&request.key, &status, &answer.body],
            )
            .await?
        }
    };
    Ok(())
}
