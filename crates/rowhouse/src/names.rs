//! What a name and a slug may look like: the one place that says so.

use unicode_normalization::is_nfkc;
use unicode_security::MixedScript as _;

use crate::error::{Error, Result};

const NAME_CHARACTERS: usize = 200;
/// Words that stand in URLs and host names of the platform itself.
const RESERVED: &[&str] = &[
    "admin",
    "api",
    "app",
    "assets",
    "auth",
    "default",
    "dev",
    "docs",
    "healthz",
    "int",
    "invitations",
    "localhost",
    "login",
    "logout",
    "mail",
    "metrics",
    "operator",
    "platform",
    "readyz",
    "rowhouse",
    "s",
    "signup",
    "static",
    "status",
    "support",
    "system",
    "tenants",
    "www",
];

/// A slug: 1 to 63 of `a-z`, `0-9` and `-`, neither beginning nor ending with a hyphen, not a reserved word, and not of
/// the form of an id.
pub fn slug(field: &'static str, text: &str) -> Result<()> {
    let letters = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if text.is_empty()
        || text.len() > 63
        || !letters
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err(Error::invalid(
            field,
            "must be 1 to 63 of a-z, 0-9 and hyphen, and neither begin nor end with a hyphen",
        ));
    }
    if RESERVED.contains(&text) || text.starts_with("xn--") {
        return Err(Error::invalid(field, "is a reserved word"));
    }
    Ok(())
}

/// A name for people, as [`title`], in whose words letters of different scripts are not mixed: `Аcme` with a Cyrillic А
/// passes for somebody else.
pub fn name(field: &'static str, text: &str) -> Result<()> {
    title(field, text)?;
    if text.split_whitespace().any(|word| !word.is_single_script()) {
        return Err(Error::invalid(
            field,
            "must not mix letters of different scripts in a word",
        ));
    }
    Ok(())
}

/// What is written over something: 1 to 200 characters, no control characters, none that change the direction of text or cannot be
/// seen, no blanks at its ends.
pub fn title(field: &'static str, text: &str) -> Result<()> {
    line(field, text, NAME_CHARACTERS)
}

/// One line of 1 to `most` characters, otherwise as [`title`].
pub(crate) fn line(field: &'static str, text: &str, most: usize) -> Result<()> {
    if text.is_empty() || text.chars().count() > most {
        return Err(Error::invalid(
            field,
            format!("must have 1 to {most} characters"),
        ));
    }
    if text.trim() != text {
        return Err(Error::invalid(field, "must not begin or end with a blank"));
    }
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(Error::invalid(
            field,
            "must not hold control, invisible or text-direction characters",
        ));
    }
    Ok(())
}

/// Text of any number of lines, at most `most` bytes, without control characters but the end of a line and the tabulator.
pub(crate) fn text(field: &'static str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(Error::invalid(
            field,
            format!("must have at most {most} bytes"),
        ));
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(Error::invalid(field, "must not hold control characters"));
    }
    Ok(())
}

/// Bidirectional controls, zero-width characters, the byte order mark, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether nothing in a text becomes an ASCII letter in lower case, or another character in Unicode's compatible form, such as
/// the Kelvin sign: mail for it would go elsewhere than to whom it is taken for.
fn has_one_form(text: &str) -> bool {
    is_nfkc(text) && !text.contains('\u{130}')
}

/// An e-mail address as far as this needs to know: something, one `@`, something with no blanks, at most 254 bytes; letters of
/// different scripts are not mixed in a part of it, and none has another form that is the same address.
pub fn email(field: &'static str, text: &str) -> Result<()> {
    let plausible = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if !plausible
        || text.len() > 254
        || text.chars().any(|c| {
            c.is_whitespace() || c.is_control() || is_invisible(c) || "<>,;:\"\\()[]".contains(c)
        })
        || !has_one_form(text)
        || text
            .split(['@', '.', '-', '_', '+'])
            .any(|part| !part.is_single_script())
    {
        return Err(Error::invalid(
            field,
            "must be a plain e-mail address of at most 254 bytes",
        ));
    }
    Ok(())
}
