//! Settings: `config.default.toml` (defaults and documentation in one), then a file, then the environment.
//!
//! Invariant: a name that nobody knows is an error wherever it stands; a secret never prints.

use std::path::Path;

use rowhouse::logins::Logins;
use rowhouse::{Error, Result, Secret};
use serde::Deserialize;
use toml::{Table, Value};

use crate::invitations::api::PublicUrl;

const DEFAULTS: &str = include_str!("../config.default.toml");
const FILE: &str = "rowhouse.toml";
const PREFIX: &str = "ROWHOUSE_";
/// Variables with our prefix that are not settings of the server.
const OTHERS: &[&str] = &[
    "ROWHOUSE_POSTGRES_BIN",
    "ROWHOUSE_PGBOUNCER",
    "ROWHOUSE_KEY",
    "ROWHOUSE_SESSION",
];

/// As in `config.default.toml`, which says what each means.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub host: std::net::IpAddr,
    pub port: u16,
    public_url: String,
    database_url: String,
    app_url: String,
    platform_url: String,
    sealer_url: String,
    mailer_url: String,
    seal_key: String,
    pub pool_size: usize,
    pub pooled: bool,
    pub log: String,
    pub body_limit: usize,
    pub timeout: u32,
    pub concurrency: usize,
    pub mail_host: String,
    pub mail_port: u16,
    pub mail_tls: MailTls,
    pub mail_ca: String,
    pub mail_user: String,
    mail_password: String,
    pub mail_from: String,
    pub mail_timeout: u32,
    pub mail_retry: u32,
    pub mail_attempts: i32,
    pub audit_seal_every: u64,
    pub probe_every: u64,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// In the clear, and TLS before anything else is said.
    Starttls,
    /// TLS from the first byte on.
    Tls,
    /// In the clear.
    None,
}

impl Settings {
    /// Where people reach this service.
    pub fn public_url(&self) -> PublicUrl {
        PublicUrl(match self.public_url.trim_end_matches('/') {
            "" => format!("http://localhost:{}", self.port),
            given => given.to_owned(),
        })
    }

    /// Reads them all. `file` must exist when it is named.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut table = parse(DEFAULTS, "the defaults")?;
        let file = file.or_else(|| Some(Path::new(FILE)).filter(|file| file.exists()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::Config(format!("{} cannot be read: {error}", path.display()))
            })?;
            for (name, value) in parse(&text, &path.display().to_string())? {
                if !table.contains_key(&name) {
                    return Err(unknown(&name, &path.display().to_string(), &table));
                }
                table.insert(name, value);
            }
        }
        overlay_environment(&mut table, std::env::vars())?;
        typed(table)?.check()
    }

    fn check(self) -> Result<Self> {
        let logins = [&self.app_url, &self.platform_url, &self.sealer_url];
        let given = logins.iter().filter(|url| !url.is_empty()).count();
        let complete =
            given == 3 || (given == 2 && self.sealer_url.is_empty() && !self.seal_key.is_empty());
        if (given > 0 || !self.mailer_url.is_empty()) && !complete {
            return Err(Error::Config(
                "app_url, platform_url and sealer_url go together: set all three (seal_key may stand for sealer_url), or none; mailer_url goes with them".into(),
            ));
        }
        for (name, value) in [
            ("pool_size", self.pool_size),
            ("body_limit", self.body_limit),
            ("concurrency", self.concurrency),
            ("timeout", usize::from(self.timeout > 0)),
        ] {
            if value == 0 {
                return Err(Error::Config(format!("{name}: must be at least 1")));
            }
        }
        for (name, value) in [
            ("mail_timeout", self.mail_timeout),
            ("mail_retry", self.mail_retry),
            (
                "mail_attempts",
                u32::try_from(self.mail_attempts).unwrap_or(0),
            ),
        ] {
            if value == 0 {
                return Err(Error::Config(format!("{name}: must be at least 1")));
            }
        }
        let given = self.public_url.parse::<axum::http::Uri>();
        let is_web = given.is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some()
                && url.query().is_none()
        });
        if !self.public_url.is_empty() && !is_web {
            return Err(Error::Config(
                "public_url: must begin with http:// or https:// and name a host, without a query"
                    .into(),
            ));
        }
        if self.mail_user.is_empty() != self.mail_password.is_empty() {
            return Err(Error::Config(
                "mail_user and mail_password go together: set both, or neither".into(),
            ));
        }
        if self.mail_tls == MailTls::None && !self.mail_user.is_empty() {
            return Err(Error::Config(
                "mail_tls: a password is sent by TLS only: set \"starttls\" or \"tls\"".into(),
            ));
        }
        Ok(self)
    }

    /// What an invitation's mail holds; `{token}` stands for what opens.
    pub fn invitation_link(&self) -> String {
        format!("{}/invitations/accept?token={{token}}", self.public_url().0)
    }

    /// The mail server's, where it wants one.
    pub fn mail_password(&self) -> Option<Secret> {
        text(&self.mail_password)
    }

    pub fn database_url(&self) -> Option<Secret> {
        text(&self.database_url)
    }

    /// What the command line names stands before the setting.
    pub fn take_database(&mut self, url: Option<String>) {
        if let Some(url) = url {
            self.database_url = url;
        }
    }

    /// The logins, where they are set.
    pub fn logins(&self) -> Option<Logins> {
        Some(Logins {
            app: text(&self.app_url)?,
            platform: text(&self.platform_url)?,
            sealer: text(&self.sealer_url).unwrap_or_else(|| Secret::from("")),
            mailer: text(&self.mailer_url),
        })
    }

    pub fn seal_key(&self) -> Result<Option<rowhouse::TicketKey>> {
        text(&self.seal_key)
            .map(|key| key.reveal().parse())
            .transpose()
    }
}

fn text(setting: &str) -> Option<Secret> {
    Some(setting)
        .filter(|text| !text.is_empty())
        .map(Secret::from)
}

fn parse(text: &str, place: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| &text[..span.start]);
        let line = before.matches('\n').count() + 1;
        Error::Config(format!("{place}, line {line}: {}", error.message()))
    })
}

fn typed(table: Table) -> Result<Settings> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let rule = error.inner().message().trim_end();
        Error::Config(format!("{}: {rule}", error.path()))
    })
}

fn unknown(name: &str, place: &str, known: &Table) -> Error {
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    Error::Config(format!(
        "{place}: there is no setting {name}. Settings are: {}",
        known.join(", ")
    ))
}

fn overlay_environment(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<()> {
    for (variable, text) in variables {
        let name = match variable.strip_prefix(PREFIX) {
            _ if variable == "DATABASE_URL" => "database_url".to_owned(),
            Some(_) if OTHERS.contains(&variable.as_str()) => continue,
            Some(name) => name.to_lowercase(),
            None => continue,
        };
        let value = match table.get(&name) {
            None => return Err(unknown(&name, &variable, table)),
            Some(Value::String(_)) => Value::String(text),
            Some(known) => parse(&format!("{name} = {text}"), &variable)
                .ok()
                .and_then(|mut table| table.remove(&name))
                .ok_or_else(|| {
                    let rule = match known {
                        Value::Boolean(_) => "true or false",
                        _ => "a number",
                    };
                    Error::Config(format!("{variable}: must be {rule}"))
                })?,
        };
        table.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings> {
        let mut table = parse(DEFAULTS, "defaults").unwrap();
        overlay_environment(
            &mut table,
            variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )?;
        let settings = typed(table)?;
        settings.check()
    }

    #[test]
    fn the_defaults_are_complete_and_the_environment_wins() {
        let settings = with(&[
            ("ROWHOUSE_PORT", "8080"),
            ("DATABASE_URL", "postgresql://x"),
            ("HOME", "/"),
        ])
        .unwrap();
        assert_eq!(settings.port, 8080);
        assert_eq!(settings.database_url().unwrap().reveal(), "postgresql://x");
    }

    #[test]
    fn what_is_unknown_wrong_or_contradictory_is_named() {
        for (variables, says) in [
            (&[("ROWHOUSE_PROT", "1")][..], "there is no setting prot"),
            (&[("ROWHOUSE_PORT", "many")], "ROWHOUSE_PORT"),
            (&[("ROWHOUSE_PORT", "99999")], "port: "),
            (&[("ROWHOUSE_HOST", "bogus")], "host: "),
            (&[("ROWHOUSE_PUBLIC_URL", "not a url")], "public_url: "),
            (
                &[("ROWHOUSE_PUBLIC_URL", "ftp://a.example")],
                "public_url: ",
            ),
            (
                &[("ROWHOUSE_PUBLIC_URL", "https://a.example/?x")],
                "public_url: ",
            ),
            (&[("ROWHOUSE_POOL_SIZE", "0")], "pool_size"),
            (&[("ROWHOUSE_TIMEOUT", "0")], "timeout"),
            (&[("ROWHOUSE_APP_URL", "postgresql://a")], "go together"),
            (&[("ROWHOUSE_MAILER_URL", "postgresql://m")], "go together"),
            (&[("ROWHOUSE_MAIL_USER", "rowhouse")], "go together"),
            (
                &[("ROWHOUSE_MAIL_TLS", "maybe")],
                "mail_tls: unknown variant `maybe`, expected one of `starttls`",
            ),
            (&[("ROWHOUSE_MAIL_ATTEMPTS", "0")], "mail_attempts"),
            (
                &[
                    ("ROWHOUSE_MAIL_USER", "rowhouse"),
                    ("ROWHOUSE_MAIL_PASSWORD", "secret"),
                    ("ROWHOUSE_MAIL_TLS", "none"),
                ],
                "by TLS only",
            ),
        ] {
            let error = with(variables).err().unwrap().to_string();
            assert!(error.contains(says) || error.contains("u16"), "{error}");
        }
    }
}
