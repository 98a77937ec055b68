//! Rowhouse.
