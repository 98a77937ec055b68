//! Personas, over HTTP and from the command line.

pub mod api;
pub mod cli;
