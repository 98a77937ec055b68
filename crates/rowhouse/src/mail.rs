//! Mail: written into an outbox in the transaction that causes it, sent by a worker afterwards. Table `rowhouse.outbox`.
//!
//! Invariants: there is no mail of what was rolled back; a mail is taken by one worker at a time; its id is in its
//! Message-ID, so that one that is sent twice, because its worker fell between sending and noting it, can be told; its text,
//! which may let its reader in, is readable to the platform's worker only, and gone when there is nothing left to do.
//!
//! Sending is the caller's: [`take`] in one transaction, then the mail server, then [`sent`] or [`failed`] in another.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::Result;
use crate::ids::MailId;
use crate::jobs::{self, Job, Kind};
use crate::names;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

const SUBJECT_CHARACTERS: usize = 500;
const TEXT_BYTES: usize = 100_000;

text_enum! {
    /// What became of a mail. Constraint `outbox_status`.
    Status shown as MailStatus {
        /// It is to be sent, for the first time or again.
        Queued = "queued",
        /// The mail server took it.
        Sent = "sent",
        /// It will not be sent: refused for good, or tried too often.
        Failed = "failed",
    }
}

/// A mail that is to be sent.
#[derive(Clone)]
pub struct Mail {
    /// A plain address: see [`names::email`].
    pub to: String,
    /// One line of 1 to 500 characters.
    pub subject: String,
    /// Plain text, at most 100,000 bytes.
    pub text: String,
}

/// Neither the address nor the text: a log is to hold neither.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail(***)")
    }
}

/// Queues a mail, as an owner or admin of the tenant, or as the platform.
///
/// [`crate::Error::Invalid`] for anything but one plain address and for a subject of more than one line;
/// [`crate::Error::NotPermitted`] for every other caller.
pub async fn queue(tx: &mut TenantTx, mail: Mail) -> Result<MailId> {
    names::email("to", &mail.to)?;
    names::line("subject", &mail.subject, SUBJECT_CHARACTERS)?;
    names::text("text", &mail.text, TEXT_BYTES)?;
    let tenant = tx.tenant_id();
    let id = MailId::new();
    tx.execute(
        "insert into rowhouse.outbox (tenant_id, id, recipient, subject, text) values ($1, $2, $3, $4, $5)",
        &[&tenant, &id, &mail.to, &mail.subject, &mail.text],
    )
    .await?;
    Ok(id)
}

/// A mail that a worker has taken, and which attempt at it this is.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub id: MailId,
    /// What to send.
    pub mail: Mail,
    /// 1 for the first.
    pub attempt: i32,
    /// When it was written.
    pub queued_at: Timestamp,
}

impl From<Row> for Taken {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            mail: Mail {
                to: row.get("recipient"),
                subject: row.get("subject"),
                text: row.get("text"),
            },
            attempt: row.get("attempts"),
            queued_at: row.get("created_at"),
        }
    }
}

/// The mail of a job that was [claimed](jobs::claim) in this transaction, which went on inside the tenant as the platform.
/// The attempt counts from here on, also when its worker falls. None when there is nothing left to send.
pub async fn take(tx: &mut TenantTx, job: Job) -> Result<Option<Taken>> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            "update rowhouse.outbox
             set attempts = attempts + 1
             where tenant_id = $1 and id = $2 and status = 'queued'
             returning id, recipient, subject, text, attempts, created_at",
            &[&tenant, &job.id],
        )
        .await?;
    if row.is_none() {
        jobs::done(tx, Kind::Mail, job.id).await?;
    }
    Ok(row.map(Taken::from))
}

/// Notes that the mail server took this attempt. False when another worker has taken the mail since: then nothing is noted.
pub async fn sent(tx: &mut TenantTx, taken: &Taken) -> Result<bool> {
    finish(tx, taken, Status::Sent, None).await
}

/// Notes why this attempt failed: to be tried again after `again_in`, or for good. Answers as [`sent`] does.
pub async fn failed(
    tx: &mut TenantTx,
    taken: &Taken,
    why: &str,
    again_in: Option<Duration>,
) -> Result<bool> {
    let Some(again_in) = again_in else {
        return finish(tx, taken, Status::Failed, Some(why)).await;
    };
    let tenant = tx.tenant_id();
    let mine = tx
        .execute(
            "update rowhouse.outbox
             set last_error = $4
             where tenant_id = $1 and id = $2 and attempts = $3 and status = 'queued'",
            &[&tenant, &taken.id, &taken.attempt, &why],
        )
        .await?;
    if mine == 1 {
        jobs::postpone(tx, Kind::Mail, taken.id.uuid(), again_in).await?;
    }
    Ok(mine == 1)
}

async fn finish(
    tx: &mut TenantTx,
    taken: &Taken,
    status: Status,
    why: Option<&str>,
) -> Result<bool> {
    let tenant = tx.tenant_id();
    let mine = tx
        .execute(
            "update rowhouse.outbox
             set status = $4, last_error = $5, text = null, sent_at = case when $4 = 'sent' then clock_timestamp() end
             where tenant_id = $1 and id = $2 and attempts = $3 and status = 'queued'",
            &[&tenant, &taken.id, &taken.attempt, &status, &why],
        )
        .await?;
    if mine == 0 {
        return Ok(false);
    }
    jobs::done(tx, Kind::Mail, taken.id.uuid()).await?;
    let action = match status {
        Status::Failed => "mails.fail",
        Status::Queued | Status::Sent => "mails.send",
    };
    let event =
        Event::new(action, taken.id.uuid()).with_detail(json!({ "attempts": taken.attempt }));
    audit::record(tx, event).await?;
    Ok(true)
}
