//! The certificate: what a probe found, signed. One file, `.json` or a page (`.html`) that holds the same JSON.
//!
//! Invariants: the signature is over every byte of the file that stands before it, so what a person reads on the page is
//! what was signed; the signature and the key stand at the end, in a place of fixed length, so nothing that a database
//! names can stand in their place; the key that signs is in a file of the operator's, never in the database.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rowhouse::tables::probe::{Report, Verdict};
use rowhouse::{Error, Result};
use serde::Serialize;

use crate::connection::DEFAULT_DATA;
use crate::html::shown;

/// Signed in front of everything, so that no other thing that the key may sign is taken for a certificate.
const DOMAIN: &[u8] = b"rowhouse probe certificate, version 1\n";
/// What is read must not be endless.
const LARGEST: u64 = 256 * 1024 * 1024;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Page,
}

impl Form {
    /// By the file's name.
    pub fn of(file: &Path) -> Result<Self> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("html") => Ok(Self::Page),
            _ => Err(Error::Config(format!(
                "{}: a certificate is a file .json or .html",
                file.display()
            ))),
        }
    }

    /// What stands behind the body. Of one length, whatever the key and the signature.
    fn tail(self, public_key: &str, signature: &str) -> String {
        match self {
            Self::Json => {
                format!(
                    ",\n  \"public_key\": \"{public_key}\",\n  \"signature\": \"{signature}\"\n}}\n"
                )
            }
            Self::Page => format!(
                "<p>Signed (Ed25519) by <code>{public_key}</code>:<br><code>{signature}</code></p>\n</main></body></html>\n"
            ),
        }
    }
}

/// What the JSON says: the report, and of which kind it is.
#[derive(Serialize)]
struct Certificate<'a> {
    #[serde(rename = "certificate")]
    kind: &'static str,
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

/// A file with a key that signs.
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The one that is named, or the one of the data folder, or the user's.
    pub fn at(named: Option<&Path>, data: Option<&Path>) -> Self {
        const NAME: &str = "certificate.key";
        let folder = data.unwrap_or(Path::new(DEFAULT_DATA));
        Self(match named {
            Some(file) => file.to_owned(),
            None if data.is_some() || folder.join("connection.json").exists() => folder.join(NAME),
            None => std::env::var_os("HOME")
                .map_or_else(PathBuf::new, PathBuf::from)
                .join(".config/rowhouse")
                .join(NAME),
        })
    }

    fn read(&self) -> Result<Option<SigningKey>> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.cannot("read", &error)),
        };
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| {
            Error::Config(format!(
                "{} does not hold a key: 64 hex digits",
                self.0.display()
            ))
        })?;
        Ok(Some(SigningKey::from_bytes(&seed)))
    }

    /// The key; made when there is none, readable to its owner only, with its public half beside it.
    pub fn read_or_make(&self) -> Result<SigningKey> {
        if let Some(key) = self.read()? {
            return Ok(key);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::Config(format!("no randomness: {error}")))?;
        let key = SigningKey::from_bytes(&seed);
        let make = || -> std::io::Result<()> {
            if let Some(folder) = self.0.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&self.0)?;
            writeln!(file, "{}", hex::encode(seed))?;
            file.sync_all()?;
            let public = hex::encode(key.verifying_key().to_bytes());
            std::fs::write(self.0.with_extension("pub"), format!("{public}\n"))
        };
        make().map_err(|error| self.cannot("written", &error))?;
        Ok(key)
    }

    fn cannot(&self, what: &str, error: &std::io::Error) -> Error {
        Error::Config(format!("{} cannot be {what}: {error}", self.0.display()))
    }
}

/// Signs and writes it.
pub fn write(form: Form, file: &Path, key: &SigningKey, report: &Report) -> Result<()> {
    let signed = signed(form, key, report)?;
    std::fs::write(file, signed)
        .map_err(|error| Error::Config(format!("{} cannot be written: {error}", file.display())))
}

fn signed(form: Form, key: &SigningKey, report: &Report) -> Result<String> {
    let certificate = Certificate {
        kind: "rowhouse probe",
        version: 1,
        report,
    };
    let json = serde_json::to_string_pretty(&certificate)
        .map_err(|error| Error::Config(format!("cannot be written as JSON: {error}")))?;
    let body = match form {
        Form::Json => json.strip_suffix("\n}").unwrap_or(&json).to_owned(),
        Form::Page => page(report, &json),
    };
    let public_key = hex::encode(key.verifying_key().to_bytes());
    let signature = key.sign(&message(&public_key, &body));
    let tail = form.tail(&public_key, &hex::encode(signature.to_bytes()));
    Ok(body + &tail)
}

fn message(public_key: &str, body: &str) -> Vec<u8> {
    [DOMAIN, public_key.as_bytes(), b"\n", body.as_bytes()].concat()
}

/// What came of looking at one.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Every byte is what the believed key signed.
    pub valid: bool,
    /// Why not.
    pub why: Option<String>,
    /// The key that it says it is signed by.
    pub public_key: Option<String>,
    /// What it certifies; only of a valid one.
    pub report: Option<Report>,
}

/// Verifies a file against the key that is believed: the one that is named, or the one in `key`.
pub fn check(file: &Path, key: &KeyFile, believed: Option<&str>) -> Result<Checked> {
    let form = Form::of(file)?;
    let cannot = |error| Error::Config(format!("{} cannot be read: {error}", file.display()));
    if std::fs::metadata(file).map_err(cannot)?.len() > LARGEST {
        return Err(Error::Config(format!("{} is too large", file.display())));
    }
    let bytes = std::fs::read(file).map_err(cannot)?;
    let believed = match believed {
        Some(hex) => hex.trim().to_lowercase(),
        None => match key.read()? {
            Some(key) => hex::encode(key.verifying_key().to_bytes()),
            None => {
                return Err(Error::Config(format!(
                    "whose signature is believed? There is no key in {}: name one with --public-key",
                    key.0.display()
                )));
            }
        },
    };
    Ok(match verify(form, &bytes, &believed) {
        Ok((public_key, report)) => Checked {
            valid: true,
            why: None,
            public_key: Some(public_key),
            report: Some(report),
        },
        Err((why, public_key)) => Checked {
            valid: false,
            why: Some(why),
            public_key,
            report: None,
        },
    })
}

type Refused = (String, Option<String>);

fn verify(form: Form, bytes: &[u8], believed: &str) -> Result<(String, Report), Refused> {
    let refuse = |why: &str| (why.to_owned(), None);
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("it is not text"))?;
    let tail = form.tail(&"0".repeat(64), &"0".repeat(128)).len();
    let (body, tail) = text
        .len()
        .checked_sub(tail)
        .and_then(|end| text.split_at_checked(end))
        .ok_or_else(|| refuse("it does not have the form of a certificate"))?;
    let mut words = tail
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 64 || word.len() == 128);
    let (Some(public_key), Some(signature)) = (words.next(), words.next()) else {
        return Err(refuse("it has no signature"));
    };
    if form.tail(public_key, signature) != tail {
        return Err(refuse("it has no signature"));
    }
    let named = Some(public_key.to_owned());
    if public_key != believed {
        return Err((
            format!(
                "it is signed by another key, {public_key}; if you believe that one: --public-key {public_key}"
            ),
            named,
        ));
    }
    let holds = || -> Option<()> {
        let mut key = [0; 32];
        hex::decode_to_slice(public_key, &mut key).ok()?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).ok()?;
        VerifyingKey::from_bytes(&key)
            .ok()?
            .verify_strict(&message(public_key, body), &Signature::from_bytes(&bytes))
            .ok()
    };
    holds().ok_or_else(|| {
        (
            "it was changed after it was signed".to_owned(),
            named.clone(),
        )
    })?;
    let json = match form {
        Form::Json => format!("{body}\n}}"),
        Form::Page => body
            .split_once(OPEN)
            .and_then(|(_, rest)| rest.split_once("</script>"))
            .map(|(json, _)| json.to_owned())
            .ok_or_else(|| ("it holds no JSON".to_owned(), named.clone()))?,
    };
    let report = serde_json::from_str(&json)
        .map_err(|error| (format!("its JSON cannot be read: {error}"), named))?;
    Ok((public_key.to_owned(), report))
}

const OPEN: &str = "<script type=\"application/json\" id=\"certificate\">";
const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Rowhouse probe</title>\n<style>\n\
    :root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }\n\
    h1 .held { color: #0a7d33 } h1 .leak { color: #c62828 } table { border-collapse: collapse; width: 100%; font-size: 14px }\n\
    th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884 } td.n { text-align: right }\n\
    tr.leak td { color: #c62828; font-weight: 600 } code { overflow-wrap: anywhere } dt { float: left; clear: left; width: 9rem } dd { margin-left: 9.5rem }\n\
    </style></head><body><main>\n";

/// The page up to its signature. The JSON stands in it as it stands in the other form.
fn page(report: &Report, json: &str) -> String {
    let mut page = HEAD.to_owned();
    let held = report.verdict == Verdict::Held;
    let mut add = |text: std::fmt::Arguments<'_>| page.write_fmt(text).unwrap_or_default();
    add(format_args!(
        "<h1>Tenant isolation of {}: <span class=\"{}\">{}</span></h1>\n",
        shown(&report.database),
        if held { "held" } else { "leak" },
        if held { "held" } else { "LEAK" }
    ));
    add(format_args!(
        "<p>{} attempts to reach another tenant's rows, {} leaks. {} attempts were not made; why stands below.</p>\n<dl>\n",
        report.attempts, report.leaks, report.not_tried
    ));
    for (what, value) in [
        ("Date", report.at.to_string()),
        ("Server", format!("PostgreSQL {}", report.server_version)),
        ("Login", report.login.clone()),
        ("Catalogue", report.catalogue_hash.clone()),
    ] {
        add(format_args!("<dt>{what}</dt><dd>{}</dd>\n", shown(&value)));
    }
    add(format_args!(
        "</dl>\n<table><thead><tr><th>Verdict</th><th>Relation</th><th>Class</th><th>Attempts</th><th>Leaks</th><th>Not tried</th></tr></thead><tbody>\n"
    ));
    for relation in &report.relations {
        let verdict = relation.verdict.as_str();
        add(format_args!(
            "<tr class=\"{verdict}\"><td>{verdict}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            shown(&relation.relation),
            shown(&relation.class),
            relation.attempts,
            relation.leaks,
            relation.not_tried
        ));
    }
    add(format_args!("</tbody></table>\n"));
    if !report.leaked.is_empty() {
        add(format_args!("<h2>Leaks</h2>\n<ul>\n"));
        for leak in &report.leaked {
            add(format_args!(
                "<li>{}: {} by {} {}, context {}: {}</li>\n",
                shown(&leak.relation),
                leak.operation,
                leak.path,
                shown(&leak.object),
                leak.attack,
                shown(&leak.answer)
            ));
        }
        add(format_args!("</ul>\n"));
    }
    if !report.untried.is_empty() {
        add(format_args!("<h2>Not tried</h2>\n<ul>\n"));
        for untried in &report.untried {
            add(format_args!(
                "<li>{}, {} attempts: {}</li>\n",
                shown(&untried.relation),
                untried.attempts.len(),
                shown(&untried.reason)
            ));
        }
        add(format_args!("</ul>\n"));
    }
    // Inside a script, only `<` could end it.
    add(format_args!(
        "{OPEN}{}</script>\n",
        json.replace('<', "\\u003c")
    ));
    page
}

#[cfg(test)]
mod tests {
    use rowhouse::tables::probe::Relation;

    use super::*;

    const HOSTILE: &str = "x\"</script><script>alert(1)</script>\u{202e}\n,\"signature\": \"00\"}";

    fn report() -> Report {
        Report {
            verdict: Verdict::Held,
            incomplete: Vec::new(),
            attempts: 3,
            leaks: 0,
            not_tried: 1,
            leaked: Vec::new(),
            untried: Vec::new(),
            relations: vec![Relation {
                relation: HOSTILE.into(),
                class: "content".into(),
                mode: "enforce".into(),
                verdict: Verdict::Held,
                attempts: 3,
                leaks: 0,
                not_tried: 1,
            }],
            database: HOSTILE.into(),
            login: "app".into(),
            catalogue_hash: "ab".into(),
            server_version: "18.4".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            seconds: 1.5,
        }
    }

    fn key(seed: u8) -> (SigningKey, String) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = hex::encode(key.verifying_key().to_bytes());
        (key, public)
    }

    #[test]
    fn what_was_signed_is_read_back_in_both_forms() {
        let (key, public) = key(1);
        for form in [Form::Json, Form::Page] {
            let text = signed(form, &key, &report()).unwrap();
            let (by, read) = verify(form, text.as_bytes(), &public).unwrap();
            assert_eq!((by, read), (public.clone(), report()), "{form:?}");
        }
        let json = signed(Form::Json, &key, &report()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["verdict"], "held");
        assert_eq!(value["public_key"], public);
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused() {
        let (key, public) = key(1);
        for form in [Form::Json, Form::Page] {
            let text = signed(form, &key, &report()).unwrap().into_bytes();
            // The key and the signature whole, and every third byte before.
            let end = text.len() - 300;
            for place in (0..end).step_by(3).chain(end..text.len()) {
                let mut changed = text.clone();
                changed[place] ^= 1;
                assert!(verify(form, &changed, &public).is_err(), "{form:?} {place}");
            }
            for cut in [0, 1, text.len() / 2, text.len() - 1] {
                assert!(verify(form, &text[..cut], &public).is_err());
            }
            assert!(verify(form, &[text.as_slice(), b" "].concat(), &public).is_err());
            assert!(verify(form, &[b" ", text.as_slice()].concat(), &public).is_err());
        }
    }

    #[test]
    fn another_key_is_named_and_not_believed() {
        let ((key, theirs), (_, ours)) = (key(2), key(1));
        let text = signed(Form::Json, &key, &report()).unwrap();
        let (why, named) = verify(Form::Json, text.as_bytes(), &ours).unwrap_err();
        assert!(why.contains(&theirs) && named == Some(theirs), "{why}");
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        let (key, _) = key(1);
        let page = signed(Form::Page, &key, &report()).unwrap();
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("\\u{202e}"));
    }
}
