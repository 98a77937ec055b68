//! Invitations: over HTTP, on the page that their mail leads to, and from the command line.

pub mod api;
pub mod cli;
pub mod page;
