//! One test binary for the server: the real program, started as its users start it.

#![cfg(test)] // so that clippy sees helpers, too, as tests

mod callers;
mod commands;
mod coverage;
mod document;
mod http;
mod readme;
mod up;
mod world;
