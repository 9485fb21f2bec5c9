//! Access tokens: what they say.

use serde::de::value::Error;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};

use crate::flexible_id::FlexibleId;
use crate::id::{DatabaseId, OrganizationId, SessionId};
use crate::session::AmrSet;
use crate::{ContractId, PartyName, Role, Scopes};
use uuid::Uuid;

/// An audience as a claim.
mod audience {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        One(String),
        Several(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(joined: &str, serializer: S) -> Result<S::Ok, S::Error> {
        match joined.contains(' ') {
            false => serializer.serialize_str(joined),
            true => joined.split(' ').collect::<Vec<_>>().serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Ok(match Named::deserialize(deserializer)? {
            Named::One(one) => one,
            Named::Several(several) => several.join(" "),
        })
    }
}

impl AccessClaims {
    /// Whether it is for that API, among others or alone.
    pub fn is_for(&self, api: &str) -> bool {
        self.aud.split(' ').any(|one| one == api)
    }
}

/// Claims of an access token (RFC 9068 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: the installation's public URL.
    pub iss: String,
    /// Subject: the account; for what an application does in its own name, the application.
    pub sub: PartyName,
    /// Audience: the installation's public URL, or the APIs that an application asked for it for (RFC 8707), separated by spaces. As a claim
    /// it is a text where it is one, and an array where it is several (RFC 7519 section 4.1.3).
    #[serde(with = "audience")]
    pub aud: String,
    /// Expiry, in seconds since the epoch.
    pub exp: i64,
    /// Issue, in seconds since the epoch.
    pub iat: i64,
    /// The token's own name.
    pub jti: String,
    /// The session it belongs to and dies with.
    pub sid: SessionId,
    /// The organization signed in to.
    pub org: OrganizationId,
    /// The role there.
    pub role: Role,
    /// What it may do at most (RFC 8693 section 4.2). A session signed in to by its owner has `full`.
    pub scope: Scopes,
    /// How its owner proved who they are (RFC 8176). Refreshing keeps it. Empty in tokens of versions before it.
    #[serde(default, skip_serializing_if = "AmrSet::is_empty")]
    pub amr: AmrSet,
    /// When they did, in seconds since the epoch. Refreshing keeps it. 0 in tokens of versions before it: long ago.
    #[serde(default)]
    pub auth_time: i64,
    /// The contract through which it was issued. The claim keeps the name that tokens in circulation have.
    #[serde(rename = "dialect")]
    pub contract: ContractId,
    /// The application it was issued to, by what that calls itself (RFC 9068 section 2.2); none for a session that its owner signed in to.
    /// Tokens of versions before name one that a document describes by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<PartyName>,
    /// The key that its bearer has to prove to hold (RFC 9449 section 6); none for a token that whoever bears it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject, where an application exchanged a token for this one (RFC 8693 section 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActingParty>,
    /// The epochs of the applications that exchanged tokens on the way to this one: it ends with each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xep: Vec<Uuid>,
    /// The database the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<DatabaseId>,
    /// The end user it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuid: Option<FlexibleId>,
    /// The end user's anonymous session it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsid: Option<FlexibleId>,
}

/// How the holder of a token is confirmed (RFC 7800 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Thumbprint of the holder's key (RFC 9449 section 6.1).
    pub jkt: String,
}

/// Who acts for a token's subject, and for whom that one acts (RFC 8693 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActingParty {
    /// The application, or the account of an actor token.
    pub sub: String,
    /// Who acted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Self>>,
}

impl ActingParty {
    /// How many parties act, one after another.
    pub fn depth(&self) -> usize {
        1 + self.act.as_deref().map_or(0, Self::depth)
    }
}

impl AccessClaims {
    /// The names of all claims that a token may have, as they stand in it.
    pub fn names() -> &'static [&'static str] {
        let mut names: &'static [&'static str] = &[];
        // It hands over no values: what comes back is an error, always.
        let _ = Self::deserialize(FieldNames(&mut names));
        names
    }
}

/// Keeps the names of the fields that a type asks for.
struct FieldNames<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("there are no values"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_claims_are_those_that_stand_in_tokens() {
        let names = AccessClaims::names();
        for name in ["iss", "sub", "aud", "exp", "scope", "dialect", "db", "fuid", "fsid"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(!names.contains(&"contract"), "the claim has another name than the field");
    }
}
