//! The logins of a database: `DATABASE_app_login`, and the same of `platform`, `sealer` and `mailer`, each in its group of the
//! wall.
//!
//! Roles belong to a whole server, so a login is named after its database and is good for that one. Its password follows
//! from a secret that only the database's owner can read: no file has to be carried around, and every process that
//! holds the owner's URL comes to the same one. What travels and is logged is the SCRAM verifier, not the password.

use std::str::FromStr;

use sha2::{Digest, Sha256};
use tokio_postgres::config::Host;
use tokio_postgres::types::Type;

use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::tx::Owner;

/// Connection URLs of the logins of one database.
#[derive(Clone, Debug)]
pub struct Logins {
    /// Member of `rowhouse_app` and `rowhouse_shadow`.
    pub app: Secret,
    /// Member of `rowhouse_platform`.
    pub platform: Secret,
    /// Member of `rowhouse_sealer`.
    pub sealer: Secret,
    /// Member of `rowhouse_mailer`; none where others are configured and this one is not.
    pub mailer: Option<Secret>,
}

const LOGINS: [(&str, &str); 4] = [
    ("app_login", "rowhouse_app, rowhouse_shadow"),
    ("platform_login", "rowhouse_platform"),
    ("sealer_login", "rowhouse_sealer"),
    ("mailer_login", "rowhouse_mailer"),
];
/// Postgres cuts names at 63 bytes; room is left for `_platform_login`.
const DATABASE_BYTES: usize = 48;

/// Makes the logins, or gives them the password and the groups that they should have.
pub async fn ensure(owner: &mut Owner, owner_url: &Secret) -> Result<Logins> {
    let secret = secret(owner).await?;
    let database = current_database(owner).await?;
    for (suffix, groups) in LOGINS {
        let login = name(&database, suffix);
        let verifier =
            postgres_protocol::password::scram_sha_256(password(&secret, &login).as_bytes());
        let statements = owner
            .client()
            .query_typed_one(
                "select format(
                   case when exists (select from pg_roles where rolname = $1) then 'alter role %1$I login password %2$L'
                     else 'create role %1$I login password %2$L' end
                   || '; grant %3$s to %1$I; grant connect on database %4$I to %1$I; revoke temporary on database %4$I from public',
                   $1, $2, $3, current_database())",
                &[(&login, Type::TEXT), (&verifier, Type::TEXT), (&groups, Type::TEXT)],
            )
            .await?
            .get::<_, String>(0);
        owner.client().batch_execute(&statements).await.map_err(|error| match Error::from(error) {
            Error::NotPermitted(why) => Error::NotPermitted(format!(
                "{why}. Let somebody who may make roles run: create role {login} login password '...'; grant {groups} to \
                 {login}; and set app_url, platform_url, sealer_url and mailer_url"
            )),
            other => other,
        })?;
    }
    urls(owner_url, &database, &secret)
}

/// The URLs of the logins that [`ensure`] made.
pub async fn find(owner: &mut Owner, owner_url: &Secret) -> Result<Logins> {
    let secret = secret(owner).await?;
    let database = current_database(owner).await?;
    urls(owner_url, &database, &secret)
}

/// Removes the logins of a database that has been dropped; `owner` is connected to another one.
pub async fn remove(owner: &mut Owner, database: &str) -> Result<()> {
    for (suffix, _) in LOGINS {
        let statement = owner
            .client()
            .query_typed_one(
                "select format('drop role if exists %I', $1)",
                &[(&name(database, suffix), Type::TEXT)],
            )
            .await?
            .get::<_, String>(0);
        owner.client().batch_execute(&statement).await?;
    }
    Ok(())
}

async fn secret(owner: &mut Owner) -> Result<Vec<u8>> {
    let row = owner
        .client()
        .query_typed_opt("select secret from rowhouse_private.login_secret", &[])
        .await
        .map_err(|error| match Error::from(error) {
            Error::NotPermitted(why) => Error::NotPermitted(format!(
                "{why}: this is not the URL of the database's owner"
            )),
            other => Error::Schema(format!(
                "the logins of this database cannot be found ({other}): run rowhouse migrate"
            )),
        })?;
    row.map(|row| row.get(0))
        .ok_or_else(|| Error::Schema("rowhouse_private.login_secret is empty".into()))
}

async fn current_database(owner: &mut Owner) -> Result<String> {
    Ok(owner
        .client()
        .query_typed_one("select current_database()::text", &[])
        .await?
        .get(0))
}

/// A long name is cut and told apart by its digest.
fn name(database: &str, suffix: &str) -> String {
    if database.len() <= DATABASE_BYTES {
        return format!("{database}_{suffix}");
    }
    let digest = hex::encode(Sha256::digest(database.as_bytes()));
    let mut end = DATABASE_BYTES - 9;
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{}_{suffix}", &database[..end], &digest[..8])
}

fn password(secret: &[u8], login: &str) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(secret)
            .chain_update(login.as_bytes())
            .chain_update(secret)
            .finalize(),
    )
}

fn urls(owner_url: &Secret, database: &str, secret: &[u8]) -> Result<Logins> {
    let server = tokio_postgres::Config::from_str(owner_url.reveal()).map_err(|error| {
        Error::Config(format!(
            "the connection URL of the owner cannot be read: {error}"
        ))
    })?;
    let url = |suffix: &str| {
        let login = name(database, suffix);
        let host = match server.get_hosts().first() {
            Some(Host::Tcp(host)) if host.contains(':') => format!("[{host}]"),
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(folder)) => encode(&folder.to_string_lossy()),
            None => "localhost".into(),
        };
        let port = server.get_ports().first().copied().unwrap_or(5432);
        let tls = match server.get_ssl_mode() {
            tokio_postgres::config::SslMode::Require => "?sslmode=require",
            _ => "",
        };
        let password = password(secret, &login);
        Secret::from(format!(
            "postgresql://{}:{password}@{host}:{port}/{}{tls}",
            encode(&login),
            encode(database)
        ))
    };
    Ok(Logins {
        app: url("app_login"),
        platform: url("platform_login"),
        sealer: url("sealer_login"),
        mailer: Some(url("mailer_login")),
    })
}

/// Percent-encoding of everything that is not plain in a URL.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_apart() {
        assert_eq!(name("shop", "app_login"), "shop_app_login");
        let (one, two) = (
            name(&"x".repeat(62), "platform_login"),
            name(&"x".repeat(63), "platform_login"),
        );
        assert!(one.len() <= 63 && two.len() <= 63 && one != two);
        assert!(name(&"ü".repeat(31), "platform_login").len() <= 63);
    }
}
