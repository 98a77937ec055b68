//! Mail: what the worker sends it with, and where a developer reads it. What is queued is the library's.

pub mod api;
pub mod mailer;
