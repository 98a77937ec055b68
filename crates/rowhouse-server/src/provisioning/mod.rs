//! Provisioning: how an operator sets tenants up. What is done is the library's; the steps are the worker's.

pub mod api;
pub mod cli;
