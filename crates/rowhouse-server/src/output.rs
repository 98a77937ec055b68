//! What commands print: text for people, or one JSON value with `--json`. The only place that writes to stdout.

use std::io::Write as _;

use rowhouse::{Error, Result};
use serde::Serialize;

/// How the caller wants to read it.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// One JSON value instead of text.
    pub json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `text` makes of it.
    pub fn show<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let printed = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|error| Error::Config(format!("cannot be shown as JSON: {error}")))?
        } else {
            text(value)
        };
        line(&printed)
    }
}

/// A line of text on stdout. A reader that went away (`| head`) is no error.
pub fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Config(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}
