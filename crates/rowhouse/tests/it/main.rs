//! One test binary for the library; each slice has a file here.

mod embedded;
mod isolation;
mod keys;
mod resources;
mod schema;
mod world;
