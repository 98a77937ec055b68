//! Mail: written into an outbox in the transaction that causes it, sent by a worker afterwards. Table `rowhouse.outbox`.
//!
//! Invariants: there is no mail of what was rolled back; a mail is taken by one worker at a time; its id is in its
//! Message-ID, so that one that is sent twice, because its worker fell between sending and noting it, can be told; its text,
//! which may let its reader in, is readable to the mailer's login only, and gone when there is nothing left to do.
//!
//! Sending is the caller's: [`take`], then the mail server, then [`sent`] or [`failed`], each a transaction of its own.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::ids::{AuditId, MailId, TenantId};
use crate::names;
use crate::text_enum::text_enum;
use crate::tx::{Rowhouse, TenantTx};

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

/// Queues a mail, as the platform inside the tenant: it comes in the platform's name, so nobody inside says what it says.
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
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: MailId,
    /// What to send.
    pub mail: Mail,
    /// 1 for the first.
    pub attempt: i32,
    /// When it was written.
    pub queued_at: Timestamp,
}

impl Taken {
    fn of(row: &Row, link: &str) -> Self {
        let mut text: String = row.get("text");
        if let Some(token) = row.get::<_, Option<String>>("token")
            // The last: what stands before it is the tenant's name.
            && let Some((before, after)) = text.rsplit_once("{link}")
        {
            text = format!("{before}{}{after}", link.replace("{token}", &token));
        }
        Self {
            tenant: row.get("tenant_id"),
            id: row.get("id"),
            mail: Mail {
                to: row.get("recipient"),
                subject: row.get("subject"),
                text,
            },
            attempt: row.get("attempt"),
            queued_at: row.get("queued_at"),
        }
    }
}

/// The mail that has been due for longest: nobody else is given it for the time of `lease`. The attempt counts from here on,
/// also when whoever took it falls. None when none is due. As the mailer's login. An invitation's mail holds `link`, in which
/// `{token}` becomes what opens.
pub async fn take(house: &Rowhouse, lease: Duration, link: &str) -> Result<Option<Taken>> {
    let row = house
        .as_mailer(
            "select tenant_id, id, recipient, subject, text, token, attempt, queued_at from rowhouse.take_mail($1)",
            &[(&lease.as_secs_f64(), Type::FLOAT8)],
        )
        .await?;
    Ok(row.map(|row| Taken::of(&row, link)))
}

/// Notes that the mail server took this attempt. False when another worker has taken the mail since: then nothing is noted.
pub async fn sent(house: &Rowhouse, taken: &Taken) -> Result<bool> {
    note(house, taken, Status::Sent, None, Duration::ZERO).await
}

/// Notes why this attempt failed: to be tried again after `again_in`, or for good. Answers as [`sent`] does.
pub async fn failed(
    house: &Rowhouse,
    taken: &Taken,
    why: &str,
    again_in: Option<Duration>,
) -> Result<bool> {
    let status = again_in.map_or(Status::Failed, |_| Status::Queued);
    note(
        house,
        taken,
        status,
        Some(why),
        again_in.unwrap_or_default(),
    )
    .await
}

async fn note(
    house: &Rowhouse,
    taken: &Taken,
    status: Status,
    why: Option<&str>,
    again_in: Duration,
) -> Result<bool> {
    let row = house
        .as_mailer(
            "select rowhouse.note_mail($1, $2, $3, $4, $5, $6, $7)",
            &[
                (&taken.tenant, Type::UUID),
                (&taken.id, Type::UUID),
                (&taken.attempt, Type::INT4),
                (&status, Type::TEXT),
                (&why, Type::TEXT),
                (&again_in.as_secs_f64(), Type::FLOAT8),
                (&AuditId::new(), Type::UUID),
            ],
        )
        .await?;
    Ok(row.ok_or(Error::NotFound("mail"))?.get(0))
}
