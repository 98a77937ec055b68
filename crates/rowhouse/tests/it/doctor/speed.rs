//! Seconds on ten thousand tables.
