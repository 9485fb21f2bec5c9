//! What an application says of itself.

use serde_json::{Map, Value};
use tidegate_crypto::SigningAlgorithm;
use tidegate_domain::logout::{BackchannelUri, LogoutSettings};
use tidegate_domain::oauth::{
    AccessLevel, ClientAuthentication, GrantType, MAX_APPLICATION_NAME, MAX_REDIRECT_URIS, RedirectUriError,
};
use tidegate_domain::text::line;
use tidegate_domain::{RedirectUri, Scopes};

use super::error::RegistrationError;
use crate::Oauth;
use crate::applications::{Application, ClientMetadata, NewApplication};

/// Members that are kept as they are, if they are right (RFC 7591 section 2, OpenID Connect Registration section 2, RFC 9101 section
/// 10.5, RFC 9126 section 6).
const KEPT: [&str; 17] = [
    "jwks",
    "jwks_uri",
    "token_endpoint_auth_signing_alg",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "request_object_signing_alg",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "contacts",
    "userinfo_signed_response_alg",
    "dpop_bound_access_tokens",
    "require_auth_time",
    "default_max_age",
    "default_acr_values",
    "sector_identifier_uri",
];
/// Members that would be believed to have an effect, and have none.
const UNSUPPORTED: [&str; 7] = [
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "tls_client_certificate_bound_access_tokens",
];
/// The member with the algorithm of its ID tokens.
const ID_TOKEN_ALGORITHM: &str = "id_token_signed_response_alg";
/// The `subject_type` of names that other sectors do not know (OpenID Connect Core section 8.1).
const PAIRWISE: &str = "pairwise";
/// Room for the mark that keeps names apart, in characters.
const MARK: usize = 11;

/// What an application says of itself: JSON members, of which unknown ones are ignored (RFC 7591 section 2).
#[derive(Clone, Debug, Default)]
pub struct SelfDescription(pub Map<String, Value>);

impl SelfDescription {
    fn text(&self, name: &str) -> Result<Option<&str>, RegistrationError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RegistrationError::field(name, "must be a text")),
        }
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, RegistrationError> {
        let wrong = || RegistrationError::field(name, "must be a list of at most 50 texts");
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(all)) if all.len() <= MAX_REDIRECT_URIS => {
                all.iter().map(|one| one.as_str().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(wrong()),
        }
    }

    /// The `client_id` that it names, if it does.
    pub fn client_id(&self) -> Option<&str> {
        self.0.get("client_id").and_then(Value::as_str)
    }

    /// The `client_secret` that it names, if it does.
    pub fn client_secret(&self) -> Option<&str> {
        self.0.get("client_secret").and_then(Value::as_str)
    }

    fn redirect_uris(&self) -> Result<Vec<RedirectUri>, RegistrationError> {
        self.uris("redirect_uris", |why| RegistrationError::RedirectUri(format!("a redirect URI {why}")))
    }

    fn uris(
        &self,
        name: &str,
        wrong: impl Fn(RedirectUriError) -> RegistrationError,
    ) -> Result<Vec<RedirectUri>, RegistrationError> {
        let mut uris: Vec<RedirectUri> = Vec::new();
        for text in self.texts(name)?.unwrap_or_default() {
            let uri = RedirectUri::parse(text).map_err(&wrong)?;
            if !uris.contains(&uri) {
                uris.push(uri);
            }
        }
        Ok(uris)
    }

    /// RP-Initiated Logout 1.0 section 3.1, Back-Channel Logout 1.0 section 2.2.
    fn logout(&self) -> Result<LogoutSettings, RegistrationError> {
        const AFTER: &str = "post_logout_redirect_uris";
        const TOLD: &str = "backchannel_logout_uri";
        const SESSION: &str = "backchannel_logout_session_required";
        let told = self.text(TOLD)?.map(BackchannelUri::parse).transpose();
        let session_required = match self.0.get(SESSION) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(required)) => *required,
            Some(_) => return Err(RegistrationError::field(SESSION, "must be true or false")),
        };
        Ok(LogoutSettings {
            post_logout_redirect_uris: self
                .uris(AFTER, |why| RegistrationError::field(AFTER, why.to_string()))?,
            backchannel_uri: told.map_err(|why| RegistrationError::field(TOLD, why.to_string()))?,
            session_required,
        })
    }

    fn authentication(&self) -> Result<ClientAuthentication, RegistrationError> {
        const NAME: &str = "token_endpoint_auth_method";
        match self.text(NAME)? {
            None => Ok(ClientAuthentication::default()),
            Some(name) => ClientAuthentication::from_name(name).ok_or_else(|| {
                let all = ClientAuthentication::ALL.map(ClientAuthentication::as_str).join(", ");
                RegistrationError::field(NAME, format!("must be one of {all}"))
            }),
        }
    }

    /// Only codes, with the refresh tokens that come along: in its own name nobody would know whose it is.
    fn check_ways(&self) -> Result<(), RegistrationError> {
        let grants = self.texts("grant_types")?.unwrap_or_else(|| vec!["authorization_code"]);
        let is_known = |name: &&str| ["authorization_code", "refresh_token"].contains(name);
        if !grants.contains(&"authorization_code") || !grants.iter().all(is_known) {
            let text = "must be authorization_code, with or without refresh_token";
            return Err(RegistrationError::field("grant_types", text));
        }
        let responses = self.texts("response_types")?.unwrap_or_else(|| vec!["code"]);
        if responses != ["code"] {
            return Err(RegistrationError::field("response_types", "must be code"));
        }
        if self.text("subject_type")?.is_some_and(|kind| kind != "public" && kind != PAIRWISE) {
            return Err(RegistrationError::field("subject_type", "must be public or pairwise"));
        }
        match UNSUPPORTED.iter().find(|name| self.0.get(**name).is_some_and(|value| !is_off(value))) {
            Some(name) => Err(RegistrationError::field(name, "is not supported: leave it out")),
            None => Ok(()),
        }
    }

    fn metadata(&self) -> Result<ClientMetadata, RegistrationError> {
        let mut kept = Map::new();
        for name in KEPT {
            let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else { continue };
            let alone = Map::from_iter([(name.to_owned(), value.clone())]);
            serde_json::from_value::<ClientMetadata>(Value::Object(alone)).map_err(|_| {
                RegistrationError::field(name, "has a value that is not known, or of a wrong type")
            })?;
            kept.insert(name.to_owned(), value.clone());
        }
        // OpenID Connect Registration section 2: RS256 where it does not say.
        let algorithm = self.text(ID_TOKEN_ALGORITHM)?.unwrap_or(SigningAlgorithm::Rs256.as_str());
        kept.insert(ID_TOKEN_ALGORITHM.to_owned(), algorithm.into());
        serde_json::from_value(Value::Object(kept)).map_err(|_| {
            let all = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str).join(", ");
            RegistrationError::field(ID_TOKEN_ALGORITHM, format!("must be one of {all}"))
        })
    }
}

impl SelfDescription {
    /// Whether it wants names of people that other sectors do not know.
    pub(super) fn is_pairwise(&self) -> bool {
        self.0.get("subject_type").and_then(Value::as_str) == Some(PAIRWISE)
    }
}

/// What it says of itself now, with what an operator decided about it.
pub(super) fn kept(before: &Application, new: ClientMetadata) -> ClientMetadata {
    let decided = &before.metadata;
    ClientMetadata {
        serves: decided.serves.clone(),
        require_pkce: new.require_pkce || decided.require_pkce,
        require_pushed_authorization_requests: new.require_pushed_authorization_requests
            || decided.require_pushed_authorization_requests,
        require_signed_request_object: new.require_signed_request_object
            || decided.require_signed_request_object,
        ..new
    }
}

fn is_off(value: &Value) -> bool {
    value.is_null() || *value == Value::Bool(false)
}

impl Oauth {
    /// The application that describes itself so. `mark` keeps its name apart from others': names are unique, and whoever took one must not
    /// be told of.
    pub(crate) fn described(
        &self,
        description: &SelfDescription,
        mark: &str,
    ) -> Result<NewApplication, RegistrationError> {
        if description.0.contains_key("software_statement") {
            return Err(RegistrationError::SoftwareStatement);
        }
        description.check_ways()?;
        let redirect_uris = description.redirect_uris()?;
        let given = description.text("client_name")?.map(str::trim).filter(|name| !name.is_empty());
        let name = match given {
            Some(name) => {
                let line = line(name, MAX_APPLICATION_NAME - MARK);
                line.map_err(|why| RegistrationError::field("client_name", why))?
            }
            None => "Application".to_owned(),
        };
        let authentication = description.authentication()?;
        let metadata = description.metadata()?;
        Ok(NewApplication {
            name: format!("{name} [{mark}]"),
            description: String::new(),
            grant_types: vec![GrantType::AuthorizationCode],
            redirect_uris,
            scopes: self.scopes_of(description)?,
            access_level: AccessLevel::default(),
            authentication,
            logout: description.logout()?,
            metadata,
        })
    }

    fn scopes_of(&self, description: &SelfDescription) -> Result<Scopes, RegistrationError> {
        let allowed = Scopes::from_stored(&self.rules().registration.scopes.join(" "));
        let Some(asked) = description.text("scope")? else { return Ok(allowed) };
        let asked = Scopes::parse(asked).map_err(|why| RegistrationError::field("scope", why))?;
        if allowed.contains_all(&asked) {
            Ok(asked)
        } else {
            Err(RegistrationError::field("scope", format!("must be of {allowed}")))
        }
    }
}
