//! Who people register passkeys with, and from which pages.

use std::fmt;

use url::{Host, Url};
use uuid::Uuid;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::attestation::aaguid;
use super::ceremony::{self, silenced};
use super::{
    AssertionRejected, AssertionResponse, PasskeyChallenge, RegisteredPasskey, RegistrationRejected,
    RegistrationResponse, StoredPasskey, VerifiedAssertion,
};

/// The scheme of an app's origin on Android: a hash of the app's signing key follows.
const ANDROID: &str = "android";
/// The host that browsers take as secure without TLS.
const LOCALHOST: &str = "localhost";

/// A relying party: the domain passkeys are bound to, what it is called, and where ceremonies may take place.
pub struct RelyingParty {
    webauthn: Webauthn,
    id: String,
    name: String,
    allowed: Vec<Uuid>,
}

/// Why there is no such relying party.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelyingPartyError {
    /// The id is no domain.
    #[error(
        "{0:?} is no domain name in lower case, such as id.example.com; passkeys cannot be bound to an IP address"
    )]
    NotADomain(String),
    /// There is no origin.
    #[error("there must be an origin, such as https://id.example.com")]
    NoOrigin,
    /// The origin is neither that of a page nor that of an app.
    #[error("{0:?} is no origin: scheme, host and port only, such as https://id.example.com")]
    NotAnOrigin(String),
    /// Browsers refuse passkeys there.
    #[error("{0:?} must begin with https://, as browsers allow passkeys over TLS only")]
    Insecure(String),
    /// Browsers refuse the id there.
    #[error("{origin:?} is not at {id} or a subdomain of it")]
    Elsewhere {
        /// The origin.
        origin: String,
        /// The id.
        id: String,
    },
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl RelyingParty {
    /// The relying party `id`, called `name`, whose ceremonies take place at `origins`; with `any_port`, at any port of theirs. Where
    /// `allowed` names models of authenticators, others are refused.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub fn new(
        id: &str,
        name: &str,
        origins: &[String],
        any_port: bool,
        allowed: Vec<Uuid>,
    ) -> Result<Self, RelyingPartyError> {
        if !is_domain(id) {
            return Err(RelyingPartyError::NotADomain(id.to_owned()));
        }
        let origins = origins.iter().map(|origin| read_origin(origin, id)).collect::<Result<Vec<_>, _>>()?;
        // The builder wants a page's origin first.
        let mut pages = origins.iter().filter(|origin| origin.scheme() != ANDROID);
        let first = pages.next().ok_or(RelyingPartyError::NoOrigin)?;
        let builder = silenced(|| WebauthnBuilder::new(id, first));
        let builder =
            builder.map_err(|_| RelyingPartyError::NoOrigin)?.rp_name(name).allow_any_port(any_port);
        let builder = origins.iter().fold(builder, |builder, origin| builder.append_allowed_origin(origin));
        let webauthn = silenced(|| builder.build()).map_err(|_| RelyingPartyError::NoOrigin)?;
        Ok(Self { webauthn, id: id.to_owned(), name: name.to_owned(), allowed })
    }

    /// The relying party of the host of `url`, with `url` as its one origin.
    ///
    /// # Errors
    /// [`RelyingPartyError`], for a host that is no domain above all.
    pub fn at(url: &str, name: &str) -> Result<Self, RelyingPartyError> {
        let parsed = Url::parse(url).map_err(|_| RelyingPartyError::NotAnOrigin(url.to_owned()))?;
        let id = parsed.host_str().unwrap_or_default();
        Self::new(id, name, &[parsed.origin().ascii_serialization()], false, Vec::new())
    }

    /// The relying party of a development server on this machine: `localhost`, at any port.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub fn on_localhost(name: &str, allowed: Vec<Uuid>) -> Result<Self, RelyingPartyError> {
        let origins = ["http://localhost".to_owned(), "https://localhost".to_owned()];
        Self::new(LOCALHOST, name, &origins, true, allowed)
    }

    /// The domain passkeys are bound to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether only some models of authenticators are allowed: then clients must be asked to name the model.
    pub fn asks_for_model(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Verifies the answer to the options of a registration.
    ///
    /// # Errors
    /// [`RegistrationRejected`].
    pub fn verify_registration(
        &self,
        challenge: &PasskeyChallenge,
        response: &RegistrationResponse,
    ) -> Result<RegisteredPasskey, RegistrationRejected> {
        let aaguid = aaguid(&response.attestation_object).ok_or(RegistrationRejected::Attestation)?;
        let registered = ceremony::register(&self.webauthn, challenge, response, aaguid)?;
        if self.asks_for_model() && !self.allowed.contains(&aaguid) {
            return Err(RegistrationRejected::Authenticator);
        }
        Ok(registered)
    }

    /// Verifies the answer to the options of a sign-in. Whose the credential is, and whether the challenge is still good, the caller
    /// has found out before.
    ///
    /// # Errors
    /// [`AssertionRejected`].
    pub fn verify_assertion(
        &self,
        challenge: &PasskeyChallenge,
        response: &AssertionResponse,
        stored: &StoredPasskey<'_>,
    ) -> Result<VerifiedAssertion, AssertionRejected> {
        ceremony::assert(&self.webauthn, challenge, response, stored)
    }
}

/// Whether it is the name of a domain, in the one spelling that browsers compare.
fn is_domain(id: &str) -> bool {
    matches!(Host::parse(id), Ok(Host::Domain(domain)) if domain == id && !id.ends_with('.'))
}

fn read_origin(origin: &str, id: &str) -> Result<Url, RelyingPartyError> {
    let wrong = || RelyingPartyError::NotAnOrigin(origin.to_owned());
    let url = Url::parse(origin).map_err(|_| wrong())?;
    if url.scheme() == ANDROID {
        let is_app = origin.strip_prefix("android:apk-key-hash:").is_some_and(|hash| !hash.is_empty());
        return if is_app { Ok(url) } else { Err(wrong()) };
    }
    if url.origin().ascii_serialization() != origin.trim_end_matches('/') {
        return Err(wrong());
    }
    let host = url.domain().unwrap_or_default();
    if host != id && !host.ends_with(&format!(".{id}")) {
        return Err(RelyingPartyError::Elsewhere { origin: origin.to_owned(), id: id.to_owned() });
    }
    let is_local = host == LOCALHOST || host.ends_with(".localhost");
    if url.scheme() != "https" && !is_local {
        return Err(RelyingPartyError::Insecure(origin.to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(id: &str, origins: &[&str]) -> RelyingPartyError {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        RelyingParty::new(id, "Example", &origins, false, Vec::new()).unwrap_err()
    }

    #[test]
    fn a_relying_party_is_a_domain_and_its_origins_are_pages_there() {
        for id in [
            "",
            "127.0.0.1",
            "[::1]",
            "::1",
            "Example.com",
            "example.com:8080",
            "https://example.com",
            "example.com.",
        ] {
            assert_eq!(
                error(id, &["https://example.com"]),
                RelyingPartyError::NotADomain(id.to_owned()),
                "{id}"
            );
        }
        let id = "example.com";
        assert_eq!(error(id, &[]), RelyingPartyError::NoOrigin);
        assert_eq!(error(id, &["android:apk-key-hash:abc"]), RelyingPartyError::NoOrigin);
        for origin in [
            "example.com",
            "https://example.com/app",
            "https://example.com?x",
            "android:apk-key-hash:",
            "android:x",
        ] {
            assert_eq!(error(id, &[origin]), RelyingPartyError::NotAnOrigin(origin.to_owned()), "{origin}");
        }
        for origin in ["https://example.org", "https://badexample.com", "https://com", "https://192.0.2.1"] {
            let elsewhere = RelyingPartyError::Elsewhere { origin: origin.to_owned(), id: id.to_owned() };
            assert_eq!(error(id, &[origin]), elsewhere, "{origin}");
        }
        let insecure = "http://example.com".to_owned();
        assert_eq!(error(id, &[&insecure]), RelyingPartyError::Insecure(insecure.clone()));
        let origins = ["https://example.com", "https://app.example.com:8443", "android:apk-key-hash:abc"];
        let origins = origins.map(str::to_owned);
        assert_eq!(RelyingParty::new(id, "Example", &origins, false, Vec::new()).unwrap().id(), id);
    }

    #[test]
    fn the_public_address_names_the_relying_party_unless_it_is_an_ip_address() {
        assert_eq!(RelyingParty::at("https://id.example.com:8443", "X").unwrap().id(), "id.example.com");
        assert_eq!(RelyingParty::at("http://localhost:8080", "X").unwrap().id(), "localhost");
        for url in ["http://127.0.0.1:8080", "https://192.0.2.1", "https://[2001:db8::1]"] {
            assert!(matches!(RelyingParty::at(url, "X"), Err(RelyingPartyError::NotADomain(_))), "{url}");
        }
    }
}
