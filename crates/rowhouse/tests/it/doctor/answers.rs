//! What an answer is like: for whom, in which transaction, beside which options.

/// Rules about the server itself, which is what it is: tried with another number in their text.
pub const BY_SUBSTITUTION: &[&str] = &["server-minor", "prepared-transactions"];
