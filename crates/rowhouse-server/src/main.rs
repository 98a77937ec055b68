//! The rowhouse binary.
fn main() {}
