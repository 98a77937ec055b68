//! Values that a column may take, out of its type and of what its CHECK constraints say.

use super::facts::{Check, Column, Table};
use super::stage::literal;

/// Values to try, the likeliest first: those that a CHECK lists, then those of the type. `None`: one of the row's own. In
/// a key, that comes first.
pub(super) fn candidates(table: &Table, column: &Column) -> Vec<Option<String>> {
    if let Some(labels) = &column.labels {
        return labels.iter().map(|label| Some(literal(label))).collect();
    }
    let mut found = Vec::new();
    for check in table
        .checks
        .iter()
        .chain(&table.domain_checks)
        .filter(|check| check.columns.contains(&column.number))
    {
        found.extend(out_of(check, column).into_iter().map(Some));
    }
    let of_type: &[&str] = match column.category.as_str() {
        "S" => &[
            "'a'",
            "'A'",
            "'canary@canary.invalid'",
            "'https://canary.invalid/'",
            "'0'",
            "'EUR'",
            "'+10000000000'",
            "''",
        ],
        "N" => &["1", "0", "10", "100", "-1"],
        "B" => &["false", "true"],
        "D" => &[
            "now()",
            "now() + interval '1 hour'",
            "now() - interval '1 hour'",
            "'2000-01-01'",
            "'2100-01-01'",
        ],
        _ if matches!(column.base.as_str(), "json" | "jsonb") => {
            &["'{}'", "'[]'", "'\"a\"'", "'1'"]
        }
        _ => &[],
    };
    let in_key = table
        .keys
        .iter()
        .any(|key| key.columns.contains(&column.number));
    let is_open = found.is_empty() && !matches!(column.category.as_str(), "N" | "B" | "D");
    if in_key || is_open {
        found.insert(0, None);
    } else {
        found.push(None);
    }
    found.extend(of_type.iter().map(|value| Some((*value).to_owned())));
    found
}

/// Values that a CHECK names, or of a length that it names.
fn out_of(check: &Check, column: &Column) -> Vec<String> {
    let (texts, numbers) = constants(&check.text);
    let is_text = column.category == "S";
    let mut found = Vec::new();
    if column.base == "bytea" || is_text && check.text.contains("length") {
        for length in numbers
            .iter()
            .filter_map(|number| number.parse::<usize>().ok())
        {
            let length = length.min(4096);
            found.push(if column.base == "bytea" {
                format!("'\\x{}'", "ca".repeat(length))
            } else {
                format!("'{}'", "c".repeat(length))
            });
        }
    }
    match column.category.as_str() {
        "S" => found.extend(texts.iter().map(|text| literal(text))),
        // Not the lengths of time that stand beside them.
        "D" => found.extend(
            texts
                .iter()
                .filter(|text| text.chars().filter(|c| *c == '-').count() >= 2)
                .map(|text| literal(text)),
        ),
        "N" => {
            found.extend(numbers.iter().cloned());
            let beyond = numbers
                .iter()
                .filter_map(|number| number.parse::<i64>().ok())
                .map(|number| (number + 1).to_string());
            found.extend(beyond);
        }
        _ => {}
    }
    found
}

/// Constants of a CHECK's text: those in quotes, and numbers.
fn constants(check: &str) -> (Vec<String>, Vec<String>) {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    let mut rest = check;
    while let Some(place) = rest.find(|c: char| c == '\'' || c.is_ascii_digit()) {
        let before = rest[..place].chars().next_back();
        rest = &rest[place..];
        if let Some(quoted) = rest.strip_prefix('\'') {
            let mut text = String::new();
            let mut left = quoted;
            while let Some(end) = left.find('\'') {
                text.push_str(&left[..end]);
                left = &left[end + 1..];
                match left.strip_prefix('\'') {
                    Some(more) => {
                        text.push('\'');
                        left = more;
                    }
                    None => break,
                }
            }
            texts.push(text);
            rest = left;
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            // Not the digits of a name.
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"') {
                numbers.push(rest[..end].to_owned());
            }
            rest = &rest[end..];
        }
    }
    (texts, numbers)
}

/// A value that no other row here has, as far as the type goes.
pub(super) fn own_value(table: &Table, column: &Column, nonce: u32, place: u32) -> String {
    let (relation, number) = (table.oid & 0xffff, column.number);
    match column.base.as_str() {
        "uuid" => format!("'{nonce:08x}-{relation:04x}-4000-8000-{number:04x}{place:08x}'"),
        "int2" => (30_000 + place).to_string(),
        "int4" => (1_900_000_000 + nonce % 10_000_000 * 10 + place).to_string(),
        "int8" => {
            (8_000_000_000_000_000_000 + u64::from(nonce) * 16 + u64::from(place)).to_string()
        }
        "numeric" | "float4" | "float8" => (1 + place).to_string(),
        "text" | "varchar" | "bpchar" | "citext" | "name" => {
            let text = format!("canary{relation:04x}{number:x}{nonce:08x}{place}");
            let length = column.length.unwrap_or(text.len());
            let start = text.len().saturating_sub(length);
            format!("'{}'", &text[start..])
        }
        // As long as a SHA-256.
        "bytea" => format!(
            "'\\x{}'",
            format!("{nonce:08x}{relation:04x}{place:04x}").repeat(4)
        ),
        "date" => format!("current_date + {place}"),
        "timestamp" | "timestamptz" => format!("now() + interval '{place} seconds'"),
        "bool" => "false".into(),
        "json" | "jsonb" => "'{}'".into(),
        "inet" | "cidr" => format!("'127.0.0.{}'", 1 + place),
        "interval" => format!("'{place} seconds'"),
        "time" | "timetz" => format!("'00:00:0{}'", place % 10),
        "xml" => "'<a/>'".into(),
        "macaddr" => "'00:00:00:00:00:01'".into(),
        "bit" | "varbit" => "'0'".into(),
        "money" => "'1'".into(),
        "point" => "'(0,0)'".into(),
        "tsvector" => "'a'".into(),
        _ if column.category == "A" => "'{}'".into(),
        _ if column.category == "R" => "'empty'".into(),
        _ => match &column.labels {
            Some(labels) if !labels.is_empty() => literal(&labels[0]),
            _ if column.kind == "c" => "null".into(),
            _ => "''".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_a_check_are_found() {
        let check =
            "CHECK ((kind = ANY (ARRAY['it''s'::text, 'b'::text])) AND (length(col1) >= 12))";
        let (texts, numbers) = constants(check);
        assert_eq!(texts, ["it's", "b"]);
        assert_eq!(numbers, ["12"]);
    }
}
