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

/// Columns under a head, each as wide as its widest cell.
pub fn table<const N: usize>(head: &[&str; N], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(head.iter().map(ToString::to_string).collect())
        .chain(rows)
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
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
