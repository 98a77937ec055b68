//! The only ways to a connection: `Rowhouse` hands out transactions, and nothing else.
//!
//! - [`TenantTx`]: inside one tenant, for one caller, as the app's login. [`Rowhouse::query`] is the short form for a
//!   single statement. [`Rowhouse::begin_system`] is the platform's: administration inside one tenant, no content.
//! - [`PlatformTx`]: the registry, as the platform's login.
//! - What waits to be sent is taken by functions of [`crate::mail`], as the mailer's login.
//! - [`Owner`]: the owner's connection, for migrations and for putting tables behind the wall.
//!
//! Invariants. BEGIN and `enter` ride with the first statement: isolation costs no round trip. COMMIT is preceded by a
//! check that the transaction is open and its context whole, so it cannot say yes to what the server rolled back.
//! A connection goes back into the pool only after the server said that the borrower left nothing on it; in every other
//! case (an error, a dropped future, a broken line) it is closed.

mod house;
mod lease;
mod owner;
mod platform;
mod tenant;

use std::future::Future;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::Result;
use crate::operators::Operator;

pub use house::Rowhouse;
pub(crate) use lease::HAND_BACK;
pub use owner::Owner;
pub use platform::PlatformTx;
pub(crate) use tenant::ENTER;
pub use tenant::TenantTx;

/// A statement's parameters, as tokio-postgres takes them.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Either kind of transaction, for what is done alike inside a tenant and in the registry.
pub trait Transaction: sealed::Sealed + Send {
    /// The rows of a statement.
    fn query(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// The only row of a statement, or none.
    fn optional(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Option<Row>>> + Send;

    /// Runs a statement; answers how many rows it touched.
    fn execute(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Who acts for the platform; none for a caller inside a tenant.
    fn operator(&self) -> Option<&Operator>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::TenantTx {}
    impl Sealed for super::PlatformTx {}
}
