//! Claims of an installation's own, which applications are told of people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccessClaims, Scope};

/// Longest name of a claim, in characters.
const LONGEST_NAME: usize = 128;
/// Longest key of metadata, in characters.
const LONGEST_KEY: usize = 128;

/// Claims that mean something to everybody who reads tokens (RFC 7519 section 4.1, OpenID Connect Core sections 2 and 5.1, RFC 8693, RFC
/// 9449), besides those of this installation's access tokens.
const RESERVED: [&str; 33] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "act",
    "may_act",
    "cnf",
    "client_id",
    "scope",
    "events",
    "name",
    "given_name",
    "family_name",
    "picture",
    "updated_at",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "_claim_names",
    "_claim_sources",
];

/// Where the value of a claim comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClaimSource {
    /// The number of the account.
    AccountNumber,
    /// When the account was made, in seconds since the epoch.
    CreatedAt,
    /// The role in the organization signed in to.
    Role,
    /// The key of that organization.
    OrganizationId,
    /// What that organization is called.
    OrganizationName,
    /// What the account's metadata has under this key.
    Metadata(String),
}

/// A claim of the installation's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenClaim", into = "WrittenClaim")]
pub struct CustomClaim {
    /// Its name.
    pub name: String,
    /// The scope with which it is told.
    pub scope: String,
    /// Where its value comes from.
    pub from: ClaimSource,
}

/// The same as it is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenClaim {
    /// Its name: none of those that mean something to everybody who reads tokens.
    name: String,
    /// The scope with which it is told at the userinfo endpoint.
    scope: String,
    /// Where its value comes from: `account_number`, `created_at`, `role`, `organization_id`, `organization_name`, or `metadata:KEY` for what
    /// the account's metadata has under that key.
    from: String,
}

/// Why a claim cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomClaimError {
    /// Two readers could understand it differently.
    #[error("a claim's name is 1 to 128 characters of A-Z, a-z, 0-9, _, -, ., : and /")]
    Name,
    /// It means something already.
    #[error("the claim {0} is reserved: whoever reads tokens relies on what it means")]
    Reserved(String),
    /// Nobody could ask for it.
    #[error("there is no scope {0}")]
    Scope(String),
    /// Nothing is known by that name.
    #[error(
        "{0} is none of account_number, created_at, role, organization_id, organization_name and metadata:KEY"
    )]
    Source(String),
}

impl TryFrom<String> for ClaimSource {
    type Error = CustomClaimError;

    fn try_from(text: String) -> Result<Self, CustomClaimError> {
        Ok(match text.as_str() {
            "account_number" => Self::AccountNumber,
            "created_at" => Self::CreatedAt,
            "role" => Self::Role,
            "organization_id" => Self::OrganizationId,
            "organization_name" => Self::OrganizationName,
            other => match other.strip_prefix("metadata:") {
                Some(key) if (1..=LONGEST_KEY).contains(&key.chars().count()) => {
                    Self::Metadata(key.to_owned())
                }
                Some(_) | None => return Err(CustomClaimError::Source(text)),
            },
        })
    }
}

impl From<ClaimSource> for String {
    fn from(source: ClaimSource) -> Self {
        match source {
            ClaimSource::AccountNumber => "account_number".to_owned(),
            ClaimSource::CreatedAt => "created_at".to_owned(),
            ClaimSource::Role => "role".to_owned(),
            ClaimSource::OrganizationId => "organization_id".to_owned(),
            ClaimSource::OrganizationName => "organization_name".to_owned(),
            ClaimSource::Metadata(key) => format!("metadata:{key}"),
        }
    }
}

impl TryFrom<WrittenClaim> for CustomClaim {
    type Error = CustomClaimError;

    fn try_from(written: WrittenClaim) -> Result<Self, CustomClaimError> {
        let WrittenClaim { name, scope, from } = written;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(CustomClaimError::Name);
        }
        if RESERVED.contains(&name.as_str()) || AccessClaims::names().contains(&name.as_str()) {
            return Err(CustomClaimError::Reserved(name));
        }
        if !Scope::known().any(|known| known == scope) {
            return Err(CustomClaimError::Scope(scope));
        }
        Ok(Self { name, scope, from: ClaimSource::try_from(from)? })
    }
}

impl From<CustomClaim> for WrittenClaim {
    fn from(claim: CustomClaim) -> Self {
        Self { name: claim.name, scope: claim.scope, from: claim.from.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, scope: &str, from: &str) -> Result<CustomClaim, CustomClaimError> {
        WrittenClaim { name: name.to_owned(), scope: scope.to_owned(), from: from.to_owned() }.try_into()
    }

    #[test]
    fn a_claim_of_ones_own_is_read_and_written() {
        for from in
            ["account_number", "created_at", "role", "organization_id", "organization_name", "metadata:team"]
        {
            let claim = read("https://example.com/claims/team", "profile", from).unwrap();
            assert_eq!(String::from(claim.from), from);
        }
    }

    #[test]
    fn what_means_something_already_is_refused() {
        for name in ["sub", "email", "cnf", "act", "role", "dialect", "org", "xep", "amr"] {
            assert_eq!(read(name, "profile", "role"), Err(CustomClaimError::Reserved(name.to_owned())));
        }
        for name in ["", "a b", "a\"b", "\u{e9}", &"x".repeat(129)] {
            assert_eq!(read(name, "profile", "role"), Err(CustomClaimError::Name), "{name}");
        }
        assert_eq!(read("team", "teams", "role"), Err(CustomClaimError::Scope("teams".into())));
        for from in ["", "password", "metadata:", "Role"] {
            assert_eq!(read("team", "profile", from), Err(CustomClaimError::Source(from.into())), "{from}");
        }
    }
}
