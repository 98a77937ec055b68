//! Texts of others on a page of ours.

use std::fmt::Write as _;

/// Escaped, apart from its surroundings, and nothing in it invisible.
pub fn shown(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// The same inside an attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || is_invisible(c) => {
                write!(safe, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that turn or join what stands around them without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
