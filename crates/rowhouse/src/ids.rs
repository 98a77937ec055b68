//! Ids: UUIDv7 in the database, `TypeID` everywhere else: `ten_01h455vb4pex5vsknk084sn02q`.
//!
//! One newtype for each kind of thing, so that a team's id cannot be handed over where a user's is asked for, and a
//! wrong prefix is told with the one that was expected. The suffix is Crockford's base32 of the 128 bits, 26 digits,
//! as <https://github.com/jetify-com/typeid/tree/main/spec> has it.
//!
//! A UUIDv7 tells the moment it was made: ids are not secrets. Tokens are random.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};
use uuid::Uuid;

use crate::error::Error;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_DIGITS: usize = 26;

fn encode_suffix(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..SUFFIX_DIGITS)
        .rev()
        .map(|place| char::from(DIGITS[(bits >> (5 * place) & 31) as usize]))
        .collect()
}

fn decode_suffix(suffix: &str) -> Option<Uuid> {
    // 26 digits hold 130 bits: a first digit above 7 would not fit into 128.
    if suffix.len() != SUFFIX_DIGITS || suffix.as_bytes()[0] > b'7' {
        return None;
    }
    suffix
        .bytes()
        .try_fold(0_u128, |bits, digit| {
            let value = DIGITS.iter().position(|known| *known == digit)?;
            Some(bits << 5 | value as u128)
        })
        .map(Uuid::from_u128)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Uuid);

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::schema::{ObjectBuilder, Type};
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$")))
                    .examples([concat!($prefix, "_01h455vb4pex5vsknk084sn02q")])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: UUIDv7, so that later ids sort behind earlier ones.
            #[expect(clippy::disallowed_methods, reason = "this is the file that makes ids")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as it stands in the database.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", Self::PREFIX, encode_suffix(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode_suffix)
                    .map(Self)
                    .ok_or(Error::Invalid {
                        field: "id".into(),
                        rule: format!("must be an id that begins with `{}_` and 26 base32 digits", Self::PREFIX),
                    })
            }
        }

        impl TryFrom<String> for $name {
            /// The rule alone: whoever reads an id out of something knows the field.
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse().map_err(|error| match error {
                    Error::Invalid { rule, .. } => rule,
                    other => other.to_string(),
                })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl ToSql for $name {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
                self.0.to_sql(ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <Uuid as ToSql>::accepts(ty)
            }

            tokio_postgres::types::to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
                Uuid::from_sql(ty, raw).map(Self)
            }

            fn accepts(ty: &Type) -> bool {
                <Uuid as FromSql<'_>>::accepts(ty)
            }
        }
    )+};
}

ids! {
    /// A tenant: the customer.
    TenantId = "ten";
    /// A user of the platform, member of any number of tenants.
    UserId = "usr";
    /// A team inside a tenant.
    TeamId = "team";
    /// Whoever can hold a right inside a tenant. Its UUID is that of what it stands for: a user, a team, a key, or,
    /// for all members together, the tenant itself.
    PrincipalId = "prn";
    /// A container of resources.
    WorkspaceId = "wsp";
    /// The second wall inside a tenant.
    ProjectId = "prj";
    /// A resource.
    ResourceId = "res";
    /// A deployment of a resource.
    DeploymentId = "dep";
    /// A mapping of an API key to a persona.
    PersonaMappingId = "per";
    /// An API key.
    KeyId = "key";
    /// A mail of the outbox.
    MailId = "mail";
    /// A row of an audit trail.
    AuditId = "aud";
    /// An invitation.
    InvitationId = "inv";
    /// A session.
    SessionId = "ses";
    /// An operator's token.
    OperatorTokenId = "opt";
}

/// The id of what an action of a trail was done to, as it is shown elsewhere: `resources.create` was done to a `res_..`.
pub(crate) fn of_noun(noun: &str, id: Uuid) -> String {
    match noun {
        "tenants" => TenantId(id).to_string(),
        "members" => UserId(id).to_string(),
        "teams" => TeamId(id).to_string(),
        "workspaces" => WorkspaceId(id).to_string(),
        "projects" => ProjectId(id).to_string(),
        "resources" => ResourceId(id).to_string(),
        "keys" => KeyId(id).to_string(),
        "invitations" => InvitationId(id).to_string(),
        "sessions" => SessionId(id).to_string(),
        "deployments" => DeploymentId(id).to_string(),
        "personas" => PersonaMappingId(id).to_string(),
        "mails" => MailId(id).to_string(),
        _ => id.to_string(),
    }
}

macro_rules! stands_for {
    ($($name:ident),+) => {$(
        impl From<$name> for PrincipalId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }
    )+};
}

stands_for!(UserId, TeamId, TenantId, KeyId);

impl PrincipalId {
    /// The principal that this id names: its own (`prn_`), or that of the user, team, key or tenant that it stands for.
    pub fn named(text: &str) -> Result<Self, Error> {
        text.parse()
            .or_else(|_| text.parse::<UserId>().map(Into::into))
            .or_else(|_| text.parse::<TeamId>().map(Into::into))
            .or_else(|_| text.parse::<KeyId>().map(Into::into))
            .or_else(|_| text.parse::<TenantId>().map(Into::into))
            .map_err(|_| Error::Invalid {
                field: "principal".into(),
                rule: "must be an id that begins with `prn_`, `usr_`, `team_`, `key_` or `ten_` and 26 base32 digits".into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_action_was_done_to_is_shown_as_elsewhere() {
        for (noun, prefix) in [
            ("tenants", "ten_"),
            ("members", "usr_"),
            ("teams", "team_"),
            ("workspaces", "wsp_"),
            ("projects", "prj_"),
            ("resources", "res_"),
            ("deployments", "dep_"),
            ("personas", "per_"),
            ("keys", "key_"),
            ("invitations", "inv_"),
            ("sessions", "ses_"),
            ("mails", "mail_"),
        ] {
            let shown = of_noun(noun, Uuid::nil());
            assert!(shown.starts_with(prefix), "{noun}: {shown}");
        }
    }

    /// From the valid.yml of the TypeID specification.
    #[test]
    fn suffixes_are_those_of_the_specification() {
        for (suffix, uuid) in [
            (
                "00000000000000000000000000",
                "00000000-0000-0000-0000-000000000000",
            ),
            (
                "00000000000000000000000001",
                "00000000-0000-0000-0000-000000000001",
            ),
            (
                "7zzzzzzzzzzzzzzzzzzzzzzzzz",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ),
            (
                "0123456789abcdefghjkmnpqrs",
                "0110c853-1d09-52d8-d73e-1194e95b5f19",
            ),
            (
                "01h455vb4pex5vsknk084sn02q",
                "01890a5d-ac96-774b-bcce-b302099a8057",
            ),
        ] {
            let uuid: Uuid = uuid.parse().unwrap();
            assert_eq!(encode_suffix(uuid), suffix);
            assert_eq!(decode_suffix(suffix), Some(uuid));
        }
    }

    #[test]
    fn what_is_no_id_is_refused_with_the_prefix_that_was_expected() {
        for text in [
            "",
            "ten_",
            "usr_01h455vb4pex5vsknk084sn02q",
            "ten_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "ten_01H455VB4PEX5VSKNK084SN02Q",
            "ten_01h455vb4pex5vsknk084sn02",
            "ten_01h455vb4pex5vsknk084sn02é",
            "01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            let error = text.parse::<TenantId>().unwrap_err().to_string();
            assert!(error.contains("`ten_`"), "{text}: {error}");
        }
    }
}
