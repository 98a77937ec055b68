//! Rowhouse turns a `PostgreSQL` database into a multi-tenant one whose walls can be proved.
//!
//! Every row belongs to one tenant. Every transaction runs inside one tenant, for one caller. Postgres enforces it.
//!
//! - [`Rowhouse`] hands out transactions: [`TenantTx`] inside one tenant, [`PlatformTx`] for the registry.
//! - [`Context`] says who asks, for which tenant.
//! - [`migrate`] builds the wall in a database; [`embedded`] runs a database of one's own.

pub mod access;
pub mod audit;
pub mod connect;
pub mod context;
pub mod deployments;
pub mod embedded;
pub mod error;
pub mod idempotency;
pub mod ids;
pub mod invitations;
pub mod jobs;
pub mod keys;
pub mod logins;
pub mod mail;
pub mod members;
pub mod migrate;
pub mod names;
pub mod operators;
pub mod personas;
pub mod projects;
pub mod provisioning;
pub mod quotas;
pub mod resources;
pub mod select;
pub mod sessions;
pub mod tables;
pub mod teams;
pub mod tenants;
mod text_enum;
mod tokens;
pub mod tx;
pub mod users;
pub mod workspaces;

pub use connect::{Config, SealSource, Secret};
pub use context::{Access, Context, Ticket, TicketKey};
pub use error::{Error, Result};
pub use operators::Operator;
pub use tx::{Owner, PlatformTx, Rowhouse, TenantTx};
