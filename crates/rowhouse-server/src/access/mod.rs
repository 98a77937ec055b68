//! Who may do what, and why, over HTTP and from the command line.

pub mod api;
pub mod cli;
