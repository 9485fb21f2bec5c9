//! Where passkeys are registered and used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_crypto::RelyingParty;
use tidegate_crypto::webauthn::RelyingPartyError;
use url::{Host, Url};
use uuid::Uuid;

/// Passkeys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passkeys {
    /// The domain. Passkeys stop working when it changes. Default: the host of public_url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"example.com")]
    pub(crate) relying_party_id: Option<String>,
    /// What authenticators call the installation. Default: `product`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Example")]
    pub(crate) relying_party_name: Option<String>,
    /// Where people register and use passkeys: pages at that domain or below it, such as "https://app.example.com", and
    /// Android apps, such as "android:apk-key-hash:...". When empty: public_url.
    pub(crate) origins: Vec<String>,
    /// Models of authenticators (AAGUID) that may be registered; all when empty. Authenticators name their model
    /// themselves, and no certificate proves it: the list keeps people on approved devices, it does not keep out an
    /// attacker.
    pub(crate) allowed_authenticators: Vec<String>,
    /// Answers the beginning of a sign-in for an address without a passkey as for one with a passkey. The RiverGen
    /// contract discloses which addresses have an account: USER_NOT_FOUND, NO_CREDENTIALS.
    pub(crate) conceal_accounts: bool,
}

impl Passkeys {
    /// Whether an operator has said where passkeys are used.
    pub(crate) fn is_set_up(&self) -> bool {
        self.relying_party_id.is_some() || !self.origins.is_empty()
    }

    /// The models that may be registered.
    ///
    /// # Errors
    /// What is wrong with the first one that is no AAGUID.
    pub(crate) fn models(&self) -> Result<Vec<Uuid>, String> {
        self.allowed_authenticators
            .iter()
            .map(|text| {
                Uuid::try_parse(text).map_err(|_| {
                    format!("{text:?} is no AAGUID such as 08987058-cadc-4b81-b6e1-30de50dcbe96")
                })
            })
            .collect()
    }

    /// The relying party of an installation that is called `product` and reached at `public_url`. In development on this machine that
    /// is `localhost` at any port, as browsers bind passkeys to no IP address.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub(crate) fn relying_party(
        &self,
        public_url: &str,
        product: &str,
        dev: bool,
    ) -> Result<RelyingParty, RelyingPartyError> {
        let name = self.relying_party_name.as_deref().unwrap_or(product);
        let models = self.models().unwrap_or_default();
        let url = Url::parse(public_url).ok();
        if dev && !self.is_set_up() && url.as_ref().is_some_and(is_this_machine) {
            return RelyingParty::on_localhost(name, models);
        }
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let id = self.relying_party_id.as_deref().unwrap_or(host);
        let of_url = || url.iter().map(|url| url.origin().ascii_serialization()).collect();
        let origins = if self.origins.is_empty() { of_url() } else { self.origins.clone() };
        RelyingParty::new(id, name, &origins, false, models)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(id: Option<&str>, origins: &[&str]) -> Passkeys {
        Passkeys {
            relying_party_id: id.map(str::to_owned),
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..Passkeys::default()
        }
    }

    fn id(passkeys: &Passkeys, url: &str, dev: bool) -> Result<String, RelyingPartyError> {
        passkeys.relying_party(url, "Example", dev).map(|party| party.id().to_owned())
    }

    #[test]
    fn the_public_address_names_the_domain_and_in_development_this_machine_is_localhost() {
        let defaults = Passkeys::default();
        assert_eq!(id(&defaults, "https://id.example.com", false).unwrap(), "id.example.com");
        for url in
            ["http://127.0.0.1:8080", "http://[::1]:8080", "http://0.0.0.0:8080", "http://localhost:8080"]
        {
            assert_eq!(id(&defaults, url, true).unwrap(), "localhost", "{url}");
        }
        assert!(matches!(
            id(&defaults, "http://127.0.0.1:8080", false),
            Err(RelyingPartyError::NotADomain(_))
        ));
        assert!(matches!(id(&defaults, "http://192.0.2.1", true), Err(RelyingPartyError::NotADomain(_))));
        let insecure = id(&defaults, "http://id.example.com", false);
        assert!(matches!(insecure, Err(RelyingPartyError::Insecure(_))), "{insecure:?}");
    }

    #[test]
    fn an_operator_may_name_a_wider_domain_and_several_origins() {
        let wider = set_up(Some("example.com"), &["https://id.example.com", "https://app.example.com"]);
        assert_eq!(id(&wider, "https://id.example.com", false).unwrap(), "example.com");
        assert_eq!(
            id(&set_up(Some("example.com"), &[]), "https://id.example.com", true).unwrap(),
            "example.com"
        );
        let elsewhere = set_up(None, &["https://example.org"]);
        let refused = id(&elsewhere, "https://id.example.com", false);
        assert!(matches!(refused, Err(RelyingPartyError::Elsewhere { .. })), "{refused:?}");
    }

    #[test]
    fn what_is_no_model_is_named() {
        let model = "08987058-cadc-4b81-b6e1-30de50dcbe96";
        let with =
            |text: &str| Passkeys { allowed_authenticators: vec![text.to_owned()], ..Passkeys::default() };
        assert_eq!(with(model).models().unwrap()[0].to_string(), model);
        assert!(with("Windows Hello").models().unwrap_err().contains("Windows Hello"));
    }
}
