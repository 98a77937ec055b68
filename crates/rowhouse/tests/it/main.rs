//! One test binary for the library; each slice has a file here.

mod attacks;
mod catalogue;
mod embedded;
mod isolation;
mod pool;
mod wall;
mod world;
