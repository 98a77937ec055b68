//! What a name and a slug may look like: the one place that says so.

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{UnicodeNormalization as _, is_nfkc};
use unicode_properties::UnicodeEmoji as _;
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::MixedScript as _;

use crate::error::{Error, Result};

const NAME_CHARACTERS: usize = 200;
/// That of the keyboards of the West, and that of those of the East.
const BLANKS: [char; 2] = [' ', '\u{3000}'];
/// Thai and Lao vowels and letters and an Armenian one that everybody writes so, and nobody in Unicode's compatible form.
const COMMON_LETTERS: [char; 5] = ['\u{0E33}', '\u{0EB3}', '\u{0EDC}', '\u{0EDD}', '\u{0587}'];
const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';
const TEXT_STYLE: char = '\u{FE0E}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
/// The combining class of signs that take away a vowel.
const VIRAMA: u8 = 9;
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

/// A name for people, as [`title`], that does not pass for somebody else's: in its words letters of different scripts are not
/// mixed, such as a Cyrillic А in `Аcme`; no letter or digit has a plainer form, as the full-width ones of `ａｄｍｉｎ` have;
/// its blanks are those that a keyboard has.
pub fn name(field: &'static str, text: &str) -> Result<()> {
    title(field, text)?;
    let is_letter = |c: char| c.is_alphanumeric() || c.script() == Script::Han;
    if text.chars().any(|c| is_letter(c) && !is_plain(c)) {
        let plain: String = text.nfkc().collect();
        return Err(Error::invalid(
            field,
            format!("must have its letters and digits in their plain form: {plain}"),
        ));
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() && !BLANKS.contains(&c))
    {
        return Err(Error::invalid(field, "must have plain blanks only"));
    }
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
    if text.chars().any(char::is_control) || hides(text) {
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

/// Whether a letter or digit is no other way to write one that has a code of its own, as Unicode's compatible form (NFKC) has
/// it. What only falls into its parts, such as a letter and its dot, is the same letter.
fn is_plain(c: char) -> bool {
    let one = std::iter::once(c);
    COMMON_LETTERS.contains(&c)
        || one.clone().nfkc().eq(one.clone())
        || (one.clone().nfc().count() > 1 && one.clone().nfkc().eq(one.nfc()))
}

/// Whether a text holds a character that nobody sees. Those that shape their neighbours are seen where they do.
fn hides(text: &str) -> bool {
    let all: Vec<char> = text.chars().collect();
    let before = |at: usize| at.checked_sub(1).map(|at| all[at]);
    all.iter().enumerate().any(|(at, c)| {
        is_invisible(*c)
            && !before(at).is_some_and(|before| shapes(before, *c, all.get(at + 1).copied()))
    })
}

/// Whether an invisible character is one that is needed between these two: within an emoji, behind the sign that takes away an
/// Indic letter's vowel, between Arabic letters, for the variant of an ideograph or of a Mongolian letter.
fn shapes(before: char, c: char, after: Option<char>) -> bool {
    let is_emoji = |c: char| c.is_emoji_char() && !c.is_ascii();
    let is_arabic = |c: char| c.script() == Script::Arabic;
    let is_virama = |c: char| canonical_combining_class(c) == VIRAMA;
    match c {
        ZERO_WIDTH_JOINER => {
            is_virama(before)
                || ((is_emoji(before) || before == EMOJI_STYLE) && after.is_some_and(is_emoji))
        }
        ZERO_WIDTH_NON_JOINER => {
            is_virama(before) || (is_arabic(before) && after.is_some_and(is_arabic))
        }
        TEXT_STYLE | EMOJI_STYLE => is_emoji(before) || after == Some(KEYCAP),
        '\u{FE00}'..='\u{FE02}' | '\u{E0100}'..='\u{E01EF}' => before.script() == Script::Han,
        '\u{180B}'..='\u{180D}' | '\u{180F}' => before.script() == Script::Mongolian,
        _ => false,
    }
}

/// What Unicode says is not to be shown (`Default_Ignorable_Code_Point`): bidirectional controls, zero-width characters, the byte
/// order mark, tags; and the ends of lines, annotations, a blank of Braille.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether nothing in a text becomes an ASCII letter in lower case, or another character in Unicode's compatible form, such as
/// the Kelvin sign: mail for it would go elsewhere than to whom it is taken for.
fn has_one_form(text: &str) -> bool {
    is_nfkc(text) && !text.contains('\u{130}')
}

/// An e-mail address as far as this needs to know: something, one `@`, something with no blanks, at most 254 bytes; the parts
/// between dots are not empty and no longer than mail allows; letters of different scripts are not mixed in a part of it, and
/// none has another form that is the same address.
pub fn email(field: &'static str, text: &str) -> Result<()> {
    let plausible = text.split_once('@').is_some_and(|(local, domain)| {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        (1..=64).contains(&local.len())
            && local.split('.').all(|part| !part.is_empty())
            && !domain.contains('@')
            && domain.split('.').all(is_label)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_alphabets_are_names() {
        for text in [
            "Ærøskøbing Smørrebrød",
            "Cafe\u{301}",
            "Łódź",
            "İstanbul Işık",
            "Nguyễn Văn Ánh",
            "Москва Инк",
            "Αθήνα",
            "Սևան",
            "תל אביב",
            "שָׁלוֹם",
            "شركة النور",
            "نامه\u{200C}های",
            "हिन्दी",
            "फ़िल्म \u{95E}",
            "क्\u{200D}ष",
            "রায় \u{9DF}",
            "ශ්\u{200D}රී ලංකා",
            "தமிழ்",
            "น้ำใจ",
            "ຄຳ",
            "ខ្មែរ",
            "မြန်မာ",
            "ᠮᠣᠩᠭᠣᠯ\u{180B}",
            "አዲስ አበባ",
            "ᏣᎳᎩ",
            "中文公司",
            "株式会社さくらプラント",
            "山田\u{3000}太郎",
            "東京（日本）",
            "葛\u{E0100}城",
            "한국어 漢字",
            "Acme™ & Söhne… №1",
            "Rocket 🚀",
            "👨\u{200D}👩\u{200D}👧",
            "🏳\u{FE0F}\u{200D}🌈",
            "1\u{FE0F}\u{20E3}",
        ] {
            assert_eq!(
                name("name", text).map_err(|e| e.to_string()),
                Ok(()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_passes_for_another_name_is_refused() {
        for text in [
            "ａｄｍｉｎ",
            "Ａcme",
            "acme１",
            "ﬁrm",
            "①",
            "acme²",
            "1ª",
            "𝐚𝐝𝐦𝐢𝐧",
            "ⓐdmin",
            "\u{212A}elvin",
            "ｻｸﾗ",
            "\u{2F00}",
            "\u{FB50}",
            "acme\u{A0}inc",
            "acme\u{2003}inc",
            "\u{410}cme",
            "pa\u{443}pal",
            "acmе", // a Cyrillic е
            "αcme",
        ] {
            assert!(name("name", text).is_err(), "{text}");
        }
        let told = name("name", "ａｄｍｉｎ").map_err(|error| error.to_string());
        assert!(told.unwrap_err().ends_with("plain form: admin"));
    }

    /// docs/api.md says so, under Names: whoever closes one of these changes it there.
    #[test]
    fn what_looks_the_same_and_is_a_name_of_its_own() {
        for (one, other) in [
            ("Caf\u{E9}", "Cafe\u{301}"),
            ("Acme Inc", "Acme  Inc"),
            ("山田 太郎", "山田\u{3000}太郎"),
            ("葛城", "葛\u{E0100}城"),
            ("नाम्हाय", "नाम्\u{200C}हाय"),
            ("☎", "☎\u{FE0E}"),
            ("Ape", "\u{410}\u{440}\u{435}"),
            ("Ill", "lll"),
            ("Modem", "Modern"),
            ("Acme", "acme"),
        ] {
            assert_ne!(one, other);
            for text in [one, other] {
                assert!(name("name", text).is_ok(), "{}", text.escape_unicode());
            }
        }
        for text in ["rn-l1", "m-i1"] {
            assert!(slug("slug", text).is_ok(), "{text}");
        }
        // What a title may hold beside.
        for text in ["Acme\u{A0}Inc", "\u{410}cme", "ﬁrm", "Acme\u{2009}Inc"] {
            assert!(title("title", text).is_ok() && name("name", text).is_err());
        }
    }

    #[test]
    fn blanks_at_the_ends_are_refused_of_any_kind() {
        for blank in [
            ' ', '\t', '\n', '\u{A0}', '\u{2009}', '\u{3000}', '\u{2028}', '\u{FEFF}',
        ] {
            for text in [format!("acme{blank}"), format!("{blank}acme")] {
                assert!(title("title", &text).is_err(), "{}", text.escape_unicode());
            }
        }
        assert!(title("title", "acme").is_ok());
    }

    #[test]
    fn what_nobody_sees_is_refused_where_nobody_sees_it() {
        for text in [
            "ad\u{200D}min",
            "ad\u{200C}min",
            "\u{200D}acme",
            "acme\u{200D}",
            "नम\u{200D}",
            "😀\u{200D}",
            "😀\u{200D}a",
            "acme1\u{FE0F}",
            "a\u{FE00}cme",
            "acme\u{E0100}",
            "acme\u{180B}",
            "ac\u{34F}me",
            "acme\u{17B4}",
            "acme\u{2800}",
            "acme\u{1D173}",
            "acme\u{E0080}",
            "🏴\u{E0067}\u{E007F}",
            "ا\u{200C}a",
            "acme\u{202E}",
        ] {
            assert!(title("title", text).is_err(), "{}", text.escape_unicode());
        }
    }
}
