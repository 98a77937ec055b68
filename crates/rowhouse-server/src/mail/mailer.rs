//! The way out for a mail: an SMTP server, or files in a folder where none is configured.
//!
//! Invariants: an attempt ends within `mail_timeout`; the same mail is the same message each time, Message-ID and Date
//! included; what is told of a failure holds no address, since servers like to repeat them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use rowhouse::mail::Taken;
use rowhouse::{Error, Result};
use tokio::io::AsyncWriteExt as _;

use crate::config::{MailTls, Settings};

/// The answers of a mail server that are about us and not about the mail, though they begin with 5: 530 says that it wants
/// TLS or a password, 534, 535 and 538 that it wants another one.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// Sends.
#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    timeout: Duration,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(PathBuf),
}

/// Why a mail was not sent.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    /// Without addresses.
    pub why: String,
    /// Whether another attempt is of no use.
    pub for_good: bool,
}

impl Refusal {
    fn for_now(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            for_good: false,
        }
    }

    fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            for_good: true,
        }
    }
}

impl Mailer {
    /// By the settings; into `folder` where no server is configured. None where there is neither: then mail waits.
    pub fn new(settings: &Settings, folder: Option<PathBuf>) -> Result<Option<Self>> {
        let from: Mailbox = settings.mail_from.parse().map_err(|_| {
            Error::Config("mail_from: must be an address, or a name and <address>".into())
        })?;
        let way = match (settings.mail_host.as_str(), folder) {
            ("", None) => return Ok(None),
            ("", Some(folder)) => Way::Folder(folder),
            (host, _) => Way::Smtp(Box::new(smtp(host, &from, settings)?)),
        };
        Ok(Some(Self {
            from,
            timeout: Duration::from_secs(settings.mail_timeout.into()),
            way,
        }))
    }

    /// How long an attempt takes at most.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a mail, or says why not.
    pub async fn send(&self, taken: &Taken) -> Result<(), Refusal> {
        let message = self.message(taken)?;
        let attempt = async {
            match &self.way {
                Way::Smtp(server) => server
                    .send(message)
                    .await
                    .map(drop)
                    .map_err(|error| refusal(&error)),
                Way::Folder(folder) => put(folder, taken, &message.formatted())
                    .await
                    .map_err(|error| Refusal::for_now(format!("cannot be written: {error}"))),
            }
        };
        tokio::time::timeout(self.timeout, attempt)
            .await
            .unwrap_or_else(|_| Err(Refusal::for_now("the mail server did not answer in time")))
    }

    fn message(&self, taken: &Taken) -> Result<Message, Refusal> {
        let to: Address = taken
            .mail
            .to
            .parse()
            .map_err(|_| Refusal::for_good("the address is none that mail can be sent to"))?;
        let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&taken.mail.subject)
            .message_id(Some(format!("<{}@{}>", taken.id, self.from.email.domain())))
            .date(taken.queued_at.into())
            .raw_header(HeaderValue::new(auto, "auto-generated".into()))
            .header(ContentType::TEXT_PLAIN)
            .body(taken.mail.text.clone())
            .map_err(|_| Refusal::for_good("it makes no message"))
    }
}

fn smtp(
    host: &str,
    from: &Mailbox,
    settings: &Settings,
) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let mut tls = TlsParameters::builder(host.to_owned());
    if !settings.mail_ca.is_empty() {
        let wrong = |why: String| Error::Config(format!("mail_ca {}: {why}", settings.mail_ca));
        let pem = std::fs::read(&settings.mail_ca).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        tls = tls.add_root_certificate(certificate);
    }
    let tls = tls
        .build()
        .map_err(|error| Error::Config(format!("mail_tls: {error}")))?;
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(settings.mail_port)
        .hello_name(ClientId::Domain(from.email.domain().to_owned()))
        .timeout(Some(Duration::from_secs(settings.mail_timeout.into())))
        .tls(match settings.mail_tls {
            MailTls::Starttls => Tls::Required(tls),
            MailTls::Tls => Tls::Wrapper(tls),
            MailTls::None => Tls::None,
        });
    if let Some(password) = settings.mail_password() {
        let credentials =
            Credentials::new(settings.mail_user.clone(), password.reveal().to_owned());
        server = server.credentials(credentials);
    }
    Ok(server.build())
}

fn refusal(error: &lettre::transport::smtp::Error) -> Refusal {
    if let Some(code) = error.status().map(u16::from) {
        let why = format!("the mail server answered {code}");
        return if error.is_permanent() && !ABOUT_US.contains(&code) {
            Refusal::for_good(why)
        } else {
            Refusal::for_now(why)
        };
    }
    Refusal::for_now(if error.is_timeout() {
        "the mail server did not answer in time"
    } else if error.is_tls() || is_handshake(error) {
        "no TLS with the mail server: is its certificate good?"
    } else if error.is_response() {
        "the mail server answered what is no answer"
    } else if error.is_client() {
        "the mail server cannot take this mail, or the way we would sign in"
    } else {
        "the mail server cannot be reached, or went away"
    })
}

/// rustls tells of its refusals, a certificate that nobody vouches for among them, as invalid data of the connection.
fn is_handshake(error: &lettre::transport::smtp::Error) -> bool {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source()).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData)
    })
}

/// Whole or not at all, and on the disk before it counts as sent. A second time it is the same file.
async fn put(folder: &Path, taken: &Taken, bytes: &[u8]) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .await?;
    // Workers that come after each other may both be at it: each has a name of its own until it is done.
    let new = folder.join(format!("{}.{}.new", taken.id, taken.attempt));
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&new, folder.join(format!("{}.eml", taken.id))).await?;
    tokio::fs::File::open(folder).await?.sync_all().await
}
