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

/// A text of somebody else's, as a terminal may have it: characters that would steer it, or turn the reading direction,
/// are written as escapes. The name of a table is whatever whoever made it wanted.
pub fn tame(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            tamed.extend(c.escape_unicode());
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// Columns under a head, each as wide as its widest cell.
pub fn table<const N: usize>(head: &[&str; N], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(head.iter().map(ToString::to_string).collect())
        .chain(rows.map(|row| row.iter().map(|cell| tame(cell)).collect()))
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

#[cfg(test)]
mod tests {
    use super::{table, tame};

    #[test]
    fn a_name_does_not_steer_the_terminal() {
        assert_eq!(
            tame("a\x1b[2Jb\u{9b}c\u{7f}"),
            "a\\u{1b}[2Jb\\u{9b}c\\u{7f}"
        );
        assert_eq!(tame("x\u{202e}y\nz"), "x\\u{202e}y\\u{a}z");
        assert_eq!(tame("Größe 表 \"q\""), "Größe 表 \"q\"");
        let cells = [vec!["\x1b[31mred".to_owned()]];
        assert_eq!(table(&["name"], cells.into_iter()), "name\n\\u{1b}[31mred");
    }
}
