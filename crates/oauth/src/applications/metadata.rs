//! What is known of a client beyond what every application has: its keys, how it signs, and what it wants (RFC 7591 section 2, OpenID
//! Connect Registration section 2).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_crypto::{ClientKeys, ClientKeysError, JwtAlgorithm, SigningAlgorithm};
use tidegate_database::StoreError;
use tidegate_domain::oauth::ClientAuthentication;
use url::Url;

/// Longest address in it, in bytes.
pub const MAX_URI: usize = 2_048;
/// Most ways to reach its makers.
const MAX_CONTACTS: usize = 10;
/// Longest of them, in characters.
const MAX_CONTACT: usize = 254;

/// What is known of a client. Kept as JSON: what is not set is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// Its public keys, as [`ClientKeys::registered`] keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where it publishes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The one algorithm of its assertions; any that fits its method where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<JwtAlgorithm>,
    /// The algorithm of its ID tokens; that of access tokens where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// The algorithm by which the userinfo endpoint signs what it tells it. Not signed where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// Whether it gets tokens only with a proof of possession (RFC 9449 section 5.2). An operator may decide so, too.
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Whether its ID tokens have to say when the person signed in. All do.
    #[serde(skip_serializing_if = "is_false")]
    pub require_auth_time: bool,
    /// Seconds since the person last proved who they are, at most, where an authorization request does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u32>,
    /// How people should prove who they are, by preference, where an authorization request does not say (`acr_values`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Where its addresses and those of the others of its sector are listed (OpenID Connect Registration section 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// The sector whose names for people it asked to be told. An operator may decide for another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairwise_sector: Option<String>,
    /// Whether it has to push its authorization requests (RFC 9126).
    #[serde(skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether it has to sign its authorization requests (RFC 9101 section 10.5).
    #[serde(skip_serializing_if = "is_false")]
    pub require_signed_request_object: bool,
    /// The one algorithm of its authorization requests; any with a private key where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<JwtAlgorithm>,
    /// Whether it has to use PKCE, though it can prove who it is.
    #[serde(skip_serializing_if = "is_false")]
    pub require_pkce: bool,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// How it treats what it learns of people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// The APIs that it is: it is told of tokens that are for them. The operator's to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serves: Vec<String>,
}

/// Why metadata is not registered. Each text says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataRule {
    /// What it signs could not be verified.
    #[error(
        "is needed: private_key_jwt and signed authorization requests are verified with the keys of jwks or jwks_uri"
    )]
    NoKeys,
    /// RFC 7591 section 2.
    #[error("stands beside jwks_uri; send one of them")]
    KeysTwice,
    /// Not to be registered.
    #[error("{0}")]
    Keys(ClientKeysError),
    /// It is not asked there.
    #[error(
        "must be an https address of at most 2048 characters, on the internet, without user name and fragment"
    )]
    JwksUri,
    /// RFC 7591 section 2; `none` is not among them.
    #[error(
        "must fit the method: HS256 for client_secret_jwt; RS256, PS256, ES256, ES384 or EdDSA for private_key_jwt"
    )]
    AssertionAlgorithm,
    /// RFC 9101 section 6.1.
    #[error("must be RS256, PS256, ES256, ES384 or EdDSA")]
    RequestAlgorithm,
    /// Nobody could be sent there.
    #[error("must be an https address of at most 2048 characters")]
    Page(&'static str),
    /// Too many, too long or empty.
    #[error("must be at most 10 texts of 1 to 254 characters without control characters")]
    Contacts,
    /// Too many, too long or empty, or none that a request could send.
    #[error("must be at most 10 texts of 1 to 254 visible ASCII characters")]
    DefaultContexts,
}

impl MetadataRule {
    /// The field at fault.
    pub const fn field(self) -> &'static str {
        match self {
            Self::NoKeys | Self::KeysTwice | Self::Keys(_) => "jwks",
            Self::JwksUri => "jwks_uri",
            Self::AssertionAlgorithm => "token_endpoint_auth_signing_alg",
            Self::RequestAlgorithm => "request_object_signing_alg",
            Self::Page(field) => field,
            Self::Contacts => "contacts",
            Self::DefaultContexts => "default_acr_values",
        }
    }
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl ClientMetadata {
    /// As it was stored.
    pub(super) fn from_stored(text: Option<&str>) -> Result<Self, StoreError> {
        let read = text.map(serde_json::from_str).transpose();
        let read = read.map_err(|_| StoreError::Unreadable("oauth_applications.metadata"))?;
        Ok(read.unwrap_or_default())
    }

    /// As it is stored: nothing for a client of which nothing else is known.
    pub(super) fn stored(&self) -> Option<String> {
        // A map of texts and flags is always JSON.
        serde_json::to_string(self).ok().filter(|text| text != "{}")
    }

    /// Refuses what contradicts itself or the way in which the client proves who it is; leaves of keys what is public. `admits` says which
    /// addresses keys may be asked for at.
    ///
    /// # Errors
    /// [`MetadataRule`].
    pub fn checked(
        mut self,
        authentication: ClientAuthentication,
        admits: impl Fn(&Url) -> bool,
    ) -> Result<Self, MetadataRule> {
        if let Some(jwks) = self.jwks.take() {
            if self.jwks_uri.is_some() {
                return Err(MetadataRule::KeysTwice);
            }
            let (_, kept) = ClientKeys::registered(&jwks).map_err(MetadataRule::Keys)?;
            self.jwks = Some(kept);
        }
        let is_asked = |uri: &String| uri.len() <= MAX_URI && Url::parse(uri).is_ok_and(|url| admits(&url));
        if !self.jwks_uri.iter().all(is_asked) {
            return Err(MetadataRule::JwksUri);
        }
        self.check_algorithms(authentication)?;
        self.check_pages()?;
        Ok(self)
    }

    fn check_algorithms(&self, authentication: ClientAuthentication) -> Result<(), MetadataRule> {
        let signs_requests = self.require_signed_request_object || self.request_object_signing_alg.is_some();
        let signs = authentication == ClientAuthentication::PrivateKeyJwt || signs_requests;
        if signs && self.jwks.is_none() && self.jwks_uri.is_none() {
            return Err(MetadataRule::NoKeys);
        }
        let fits = match (authentication, self.token_endpoint_auth_signing_alg) {
            (_, None) => true,
            (ClientAuthentication::SecretJwt, Some(algorithm)) => algorithm.is_symmetric(),
            (ClientAuthentication::PrivateKeyJwt, Some(algorithm)) => !algorithm.is_symmetric(),
            (_, Some(_)) => false,
        };
        if !fits {
            return Err(MetadataRule::AssertionAlgorithm);
        }
        if self.request_object_signing_alg.is_some_and(JwtAlgorithm::is_symmetric) {
            return Err(MetadataRule::RequestAlgorithm);
        }
        Ok(())
    }

    fn check_pages(&self) -> Result<(), MetadataRule> {
        for (field, uri) in [
            ("client_uri", &self.client_uri),
            ("logo_uri", &self.logo_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
        ] {
            if !uri.iter().all(|uri| is_page(uri)) {
                return Err(MetadataRule::Page(field));
            }
        }
        let is_text = |text: &String| {
            (1..=MAX_CONTACT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        if self.contacts.len() > MAX_CONTACTS || !self.contacts.iter().all(is_text) {
            return Err(MetadataRule::Contacts);
        }
        let is_word = |text: &String| {
            (1..=MAX_CONTACT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.default_acr_values.len() > MAX_CONTACTS || !self.default_acr_values.iter().all(is_word) {
            return Err(MetadataRule::DefaultContexts);
        }
        Ok(())
    }

    /// Whether what it signs can be verified.
    pub(crate) const fn has_keys(&self) -> bool {
        self.jwks.is_some() || self.jwks_uri.is_some()
    }

    /// With which algorithms it may sign assertions.
    pub(crate) fn assertion_algorithms(&self) -> Vec<JwtAlgorithm> {
        allowed(self.token_endpoint_auth_signing_alg)
    }

    /// With which algorithms it may sign authorization requests.
    pub(crate) fn request_algorithms(&self) -> Vec<JwtAlgorithm> {
        allowed(self.request_object_signing_alg)
    }
}

fn allowed(only: Option<JwtAlgorithm>) -> Vec<JwtAlgorithm> {
    only.map_or_else(|| JwtAlgorithm::ASYMMETRIC.to_vec(), |one| vec![one])
}

/// Whether a person can be shown it as a link.
fn is_page(uri: &str) -> bool {
    let is_plain = uri.len() <= MAX_URI && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    is_plain && Url::parse(uri).is_ok_and(|url| url.scheme() == "https" && url.has_host() && is_bare(&url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> Value {
        // RFC 8037 appendix A.2.
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
    }

    fn checked(fields: Value, authentication: ClientAuthentication) -> Result<ClientMetadata, MetadataRule> {
        let metadata: ClientMetadata = serde_json::from_value(fields).unwrap();
        metadata.checked(authentication, |url| url.scheme() == "https")
    }

    #[test]
    fn what_a_client_is_registered_with_fits_how_it_proves_who_it_is() {
        use ClientAuthentication::{PrivateKeyJwt, SecretBasic, SecretJwt};
        for (fields, authentication) in [
            (json!({}), SecretBasic),
            (json!({ "jwks": key() }), PrivateKeyJwt),
            (json!({ "jwks_uri": "https://a.example/jwks" }), PrivateKeyJwt),
            (json!({ "jwks": key(), "token_endpoint_auth_signing_alg": "EdDSA" }), PrivateKeyJwt),
            (json!({ "token_endpoint_auth_signing_alg": "HS256" }), SecretJwt),
            (json!({ "jwks": key(), "require_signed_request_object": true }), SecretBasic),
            (json!({ "id_token_signed_response_alg": "RS256" }), SecretBasic),
            (json!({ "id_token_signed_response_alg": "ES256" }), SecretBasic),
            (json!({ "id_token_signed_response_alg": "EdDSA" }), SecretBasic),
        ] {
            checked(fields.clone(), authentication).unwrap_or_else(|rule| panic!("{fields}: {rule}"));
        }
        for (fields, authentication, rule) in [
            (json!({}), PrivateKeyJwt, MetadataRule::NoKeys),
            (json!({ "require_signed_request_object": true }), SecretBasic, MetadataRule::NoKeys),
            (json!({ "request_object_signing_alg": "ES256" }), SecretBasic, MetadataRule::NoKeys),
            (
                json!({ "jwks": key(), "jwks_uri": "https://a.example" }),
                PrivateKeyJwt,
                MetadataRule::KeysTwice,
            ),
            (json!({ "jwks_uri": "http://a.example" }), PrivateKeyJwt, MetadataRule::JwksUri),
            (json!({ "jwks": {} }), SecretBasic, MetadataRule::Keys(ClientKeysError::Malformed)),
            (
                json!({ "jwks": key(), "token_endpoint_auth_signing_alg": "HS256" }),
                PrivateKeyJwt,
                MetadataRule::AssertionAlgorithm,
            ),
            (
                json!({ "token_endpoint_auth_signing_alg": "RS256" }),
                SecretJwt,
                MetadataRule::AssertionAlgorithm,
            ),
            (
                json!({ "token_endpoint_auth_signing_alg": "RS256" }),
                SecretBasic,
                MetadataRule::AssertionAlgorithm,
            ),
            (
                json!({ "jwks": key(), "request_object_signing_alg": "HS256" }),
                SecretBasic,
                MetadataRule::RequestAlgorithm,
            ),
            (json!({ "logo_uri": "javascript:alert(1)" }), SecretBasic, MetadataRule::Page("logo_uri")),
            (json!({ "tos_uri": "https://a@b.example" }), SecretBasic, MetadataRule::Page("tos_uri")),
            (json!({ "contacts": vec!["a"; 11] }), SecretBasic, MetadataRule::Contacts),
            (json!({ "contacts": ["a\nb"] }), SecretBasic, MetadataRule::Contacts),
            (json!({ "default_acr_values": ["a b"] }), SecretBasic, MetadataRule::DefaultContexts),
            (json!({ "default_acr_values": vec!["mfa"; 11] }), SecretBasic, MetadataRule::DefaultContexts),
        ] {
            assert_eq!(checked(fields.clone(), authentication), Err(rule), "{fields}");
        }
    }

    #[test]
    fn none_is_no_algorithm() {
        for field in
            ["token_endpoint_auth_signing_alg", "request_object_signing_alg", "id_token_signed_response_alg"]
        {
            assert!(serde_json::from_value::<ClientMetadata>(json!({ field: "none" })).is_err());
        }
    }

    #[test]
    fn what_is_not_set_is_not_kept() {
        assert_eq!(serde_json::to_value(ClientMetadata::default()).unwrap(), json!({}));
        assert_eq!(serde_json::from_str::<ClientMetadata>("{}").unwrap(), ClientMetadata::default());
    }
}
