//! The one error of the library. It knows nothing of HTTP: the server's `error.rs` is the only place with status codes.
//!
//! Every variant has a stable code, and every code a page in docs/errors. What Postgres says beyond its message (the
//! DETAIL with a row's values) never gets into an error of ours: it may hold what the caller may not see.

use std::borrow::Cow;
use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use crate::embedded::{StartError, StopError};

/// What the library answers when it does not do what was asked.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. Nothing half-done remains: a transaction that met one of these was, or will be, rolled
/// back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A statement of a walled table outside of a tenant (SQLSTATE RH001).
    #[error("no tenant is bound to this transaction")]
    NoTenant,
    /// The context was changed after `enter`, or the ticket was not minted under a key of this database (RH002).
    #[error("{0}")]
    Seal(String),
    /// The ticket is older than its expiry, by the database's clock (RH003).
    #[error("the ticket has expired")]
    TicketExpired,
    /// The tenant is suspended, being deleted, or not yet provisioned (RH004).
    #[error("the tenant is not active")]
    TenantNotActive,
    /// The caller is not a member of the tenant or project, or the key was revoked (RH005).
    #[error("the caller is not, or no longer, known to the tenant")]
    NotAMember,
    /// A write under a context that may only read (RH006).
    #[error("this context may only read")]
    ReadOnly,
    /// The caller stands for more than 256 principals (RH007).
    #[error("the caller stands for more than 256 principals")]
    TooManyPrincipals,
    /// An invitation that was used or revoked, or has expired (RH009).
    #[error("{0}")]
    InvitationOver(String),
    /// The tenant lives on another server (RH008). Worth trying again: it may be moving.
    #[error("the tenant is not placed on this server")]
    NotPlacedHere,

    /// Input that breaks a rule.
    #[error("{field}: {rule}")]
    Invalid {
        /// The field, as the caller named it.
        field: Cow<'static, str>,
        /// The rule it breaks.
        rule: String,
    },
    /// There is no such thing in this tenant. Also said of what belongs to another one.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A name that must be unique is in use.
    #[error("{field}: is already taken")]
    Taken {
        /// The field that holds the name.
        field: &'static str,
    },
    /// It is in a state in which this is not done (RH010).
    #[error("{0}")]
    WrongState(String),
    /// The last owner of a tenant was to go, or to become something else.
    #[error("a tenant keeps its last owner: make somebody else an owner first")]
    LastOwner,
    /// An operator asked for what belongs to the tenant: its content, its keys, its owners.
    #[error("this is the tenant's own: an operator needs its consent")]
    SupportAccessRequired,
    /// It is not what the caller last saw: somebody has changed it since.
    #[error("it has changed since you read it: read it again")]
    Changed,
    /// An `Idempotency-Key` that came with another request before.
    #[error("this Idempotency-Key came with another request before")]
    KeyReused,
    /// Postgres refused: the login, or the caller's role, has no right to it.
    #[error("not permitted: {0}")]
    NotPermitted(String),

    /// A login that could get around the wall. The library does not work with it.
    #[error("the login {login} could bypass the wall: {why}. Mend it with: {mend}")]
    WeakLogin {
        /// The login's name.
        login: String,
        /// What it may do that it must not.
        why: String,
        /// The statement that takes it away.
        mend: String,
    },
    /// A setting that is missing, unknown, or contradicts another one.
    #[error("{0}")]
    Config(String),
    /// A database that this binary cannot work with: not migrated, newer, or without its keys.
    #[error("{0}")]
    Schema(String),
    /// The transaction did not commit, because a statement in it had failed.
    #[error("not committed: an earlier statement of the transaction failed: {0}")]
    Aborted(String),
    /// The transaction did not commit, because it was not open any more, or not the one that was begun.
    #[error("not committed: {0}")]
    ContextLost(String),
    /// COMMIT was sent, and the connection broke before its answer, or the answer of the statement that it was sent with could
    /// not be read: it may have committed or not.
    #[error("whether COMMIT took effect is unknown: {0}")]
    CommitUnknown(#[source] tokio_postgres::Error),
    /// Every connection was in use for longer than the pool's time limit.
    #[error("no connection became free in time")]
    PoolExhausted,
    /// The database cannot be reached, or has no room for what was asked.
    #[error("cannot connect to the database: {0}")]
    Connect(String),

    /// Any other answer of Postgres.
    #[error("{}", database_message(.0))]
    Database(#[source] tokio_postgres::Error),
    /// The embedded server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The embedded server did not stop.
    #[error(transparent)]
    Stop(#[from] StopError),
}

impl Error {
    /// The stable code, by which programs tell errors apart; also the name of its page in docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoTenant => "no-tenant",
            Self::Seal(_) => "seal",
            Self::TicketExpired => "ticket-expired",
            Self::TenantNotActive => "tenant-not-active",
            Self::NotAMember => "not-a-member",
            Self::ReadOnly => "read-only",
            Self::TooManyPrincipals => "too-many-principals",
            Self::NotPlacedHere => "not-placed-here",
            Self::Invalid { .. } => "invalid",
            Self::NotFound(_) => "not-found",
            Self::Taken { .. } => "taken",
            Self::InvitationOver(_) => "invitation-over",
            Self::WrongState(_) => "wrong-state",
            Self::LastOwner => "last-owner",
            Self::SupportAccessRequired => "support-access-required",
            Self::Changed => "changed",
            Self::KeyReused => "idempotency-key-reused",
            Self::NotPermitted(_) => "not-permitted",
            Self::WeakLogin { .. } => "weak-login",
            Self::Config(_) => "config",
            Self::Schema(_) => "schema",
            Self::Aborted(_) => "aborted",
            Self::ContextLost(_) => "context-lost",
            Self::CommitUnknown(_) => "commit-unknown",
            Self::PoolExhausted => "pool-exhausted",
            Self::Connect(_) => "connect",
            Self::Database(_) if self.is_contention() => "contention",
            Self::Database(_) => "database",
            Self::Start(_) | Self::Stop(_) => "embedded",
        }
    }

    pub(crate) fn invalid(field: &'static str, rule: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            rule: rule.into(),
        }
    }

    /// Whether others were at the same rows (a serialization failure, a deadlock, a lock that was not to be had): nothing was
    /// done, and the same again may succeed.
    pub fn is_contention(&self) -> bool {
        matches!(self.sqlstate(), Some("40001" | "40P01" | "55P03"))
    }

    /// The SQLSTATE, where the error came from the server as it is.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Database(error) => error.code().map(SqlState::code),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // The socket broke, or was closed: another connection may be fine. What is left is a mistake of ours, such as a
            // value of another type than the column's.
            let broke = error.is_closed()
                || error
                    .source()
                    .is_some_and(<dyn StdError>::is::<std::io::Error>);
            return if broke {
                Self::Connect(error.to_string())
            } else {
                Self::Database(error)
            };
        };
        match db.code().code() {
            "RH001" => Self::NoTenant,
            "RH002" => Self::Seal(db.message().to_owned()),
            "RH003" => Self::TicketExpired,
            "RH004" => Self::TenantNotActive,
            "RH005" => Self::NotAMember,
            "RH006" => Self::ReadOnly,
            "RH007" => Self::TooManyPrincipals,
            "RH008" => Self::NotPlacedHere,
            "RH009" => Self::InvitationOver(db.message().to_owned()),
            "RH010" => Self::WrongState(db.message().to_owned()),
            "42501"
                if db
                    .constraint()
                    .is_some_and(|name| name.ends_with("_inside")) =>
            {
                Self::SupportAccessRequired
            }
            // What a policy says names its table, which is nothing to a caller. Its message may come in any language.
            "42501" if db.routine() == Some("ExecWithCheckOptions") => {
                Self::NotPermitted("the caller may not do this".to_owned())
            }
            "42501" => Self::NotPermitted(db.message().to_owned()),
            // The server stops, or ended this connection: it says so before it has done the statement, and the next
            // connection may be fine.
            "57P01" | "57P02" | "57P03" => Self::Connect(db.message().to_owned()),
            // The connection failed, or the server has no memory, disk or connection left: it may have some in a moment.
            state if state.starts_with("08") || state.starts_with("53") => {
                Self::Connect(database_message(&error))
            }
            _ => Self::Database(error),
        }
    }
}

/// The server's message without its DETAIL, which may hold values of rows.
fn database_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// Constraint names are business rules: what breaking one of them means is said where the statement stands.
pub(crate) trait OnConstraint<T> {
    /// Turns a violation of the constraint into `meant`. Tolerates the suffix that a sharded engine appends.
    fn on_constraint(self, name: &str, meant: Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T> {
    fn on_constraint(self, name: &str, meant: Error) -> Self {
        match self {
            Err(Error::Database(error))
                if error
                    .as_db_error()
                    .and_then(tokio_postgres::error::DbError::constraint)
                    .is_some_and(|violated| violated.starts_with(name)) =>
            {
                Err(meant)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::{Config, NoTls};

    use super::*;

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a line that is broken leads to no database"
    )]
    async fn a_line_that_breaks_is_told_from_a_mistake_of_ours() {
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let broke = Config::new().user("nobody").connect_raw(ours, NoTls).await;
        assert_eq!(Error::from(broke.err().unwrap()).code(), "connect");
        let mistake = "port=many".parse::<Config>().unwrap_err();
        assert_eq!(Error::from(mistake).code(), "database");
    }
}
