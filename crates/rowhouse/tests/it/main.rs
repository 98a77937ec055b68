//! One test binary for the library; each slice has a file here.

mod chinook;
mod embedded;
mod isolation;
mod tables;
mod world;
