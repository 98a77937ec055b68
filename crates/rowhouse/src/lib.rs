//! Rowhouse.

pub mod embedded;
