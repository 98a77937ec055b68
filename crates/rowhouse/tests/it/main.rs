//! One test binary for the library; each slice has a file here.

#![cfg(test)] // so that clippy sees helpers, too, as tests

mod attacks;
mod catalogue;
mod chinook;
mod docs;
mod embedded;
mod isolation;
mod keys;
mod plans;
mod pool;
mod resources;
mod schema;
mod tables;
mod wall;
mod world;
