//! One test binary for the library; each slice has a file here.

mod attacks;
mod embedded;
mod isolation;
mod world;
