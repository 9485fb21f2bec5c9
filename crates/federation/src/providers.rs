//! All providers of an installation, made of its configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_crypto::AssertionKey;
use tidegate_domain::{Clock, Secret};
use url::Url;

use crate::breaker::Breaker;
use crate::config::{
    AppleConfig, GithubConfig, GoogleConfig, MicrosoftConfig, OidcConfig, SecondFactorAtProvider,
    SocialConfig, SocialConfigError, check_page,
};
use crate::discovery::{DOCUMENT, Discovery};
use crate::github::{Endpoints, GITHUB};
use crate::kind::{Credentials, Kind};
use crate::outgoing::Outgoing;
use crate::provider::{ClockOf, Protocol, Provider};
use crate::reach::Reach;
use crate::secret::{self, SocialSecret};

const GOOGLE: &str = "https://accounts.google.com";
const MICROSOFT: &str = "https://login.microsoftonline.com";
const APPLE: &str = "https://appleid.apple.com";
/// The providers that the contract names.
const NAMED: [&str; 4] = ["github", "google", "microsoft", "apple"];
/// Longest name of a further issuer.
const MAX_NAME: usize = 40;

/// The providers that are set up.
pub struct Federation {
    providers: BTreeMap<String, Provider>,
    second_factor: SecondFactorAtProvider,
    requires_state: bool,
    pages: Vec<String>,
}

/// There is no provider of that name to sign in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownProvider {
    /// No provider is called so.
    Unknown,
    /// The operator has not set it up.
    NotSetUp,
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers.keys()).finish()
    }
}

/// What is the same for all kinds, as it is configured.
struct Client<'a> {
    name: &'a str,
    title: &'a str,
    kind: Kind,
    client_id: &'a str,
    credentials: Credentials,
    redirect_uri: Option<&'a String>,
    /// Where the provider is, of which its reach follows.
    base: &'a str,
    is_private: bool,
}

impl Federation {
    /// Makes the providers; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &SocialConfig, clock: Arc<dyn Clock>) -> Result<Self, SocialConfigError> {
        config.check_pages()?;
        let maker = Maker { config, clock };
        let mut made = Vec::new();
        if let Some(github) = &config.github {
            made.push(maker.github(github).map_err(|why| SocialConfigError::new("github", why))?);
        }
        if let Some(google) = &config.google {
            made.push(maker.google(google).map_err(|why| SocialConfigError::new("google", why))?);
        }
        if let Some(microsoft) = &config.microsoft {
            made.push(maker.microsoft(microsoft).map_err(|why| SocialConfigError::new("microsoft", why))?);
        }
        if let Some(apple) = &config.apple {
            made.push(maker.apple(apple).map_err(|why| SocialConfigError::new("apple", why))?);
        }
        for (name, oidc) in &config.oidc {
            let wrong = |why: String| SocialConfigError::new(format!("oidc.{name}"), why);
            made.push(maker.oidc(name, oidc).map_err(wrong)?);
        }
        Ok(Self {
            providers: made.into_iter().map(|provider| (provider.name.clone(), provider)).collect(),
            second_factor: config.second_factor,
            requires_state: config.require_state,
            pages: config.redirect_uris.clone(),
        })
    }

    /// The provider of that name.
    ///
    /// # Errors
    /// [`UnknownProvider`].
    pub fn provider(&self, name: &str) -> Result<&Provider, UnknownProvider> {
        let absent = if NAMED.contains(&name) { UnknownProvider::NotSetUp } else { UnknownProvider::Unknown };
        self.providers.get(name).ok_or(absent)
    }

    /// All of them, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// What becomes of second factors.
    pub const fn second_factor(&self) -> SecondFactorAtProvider {
        self.second_factor
    }

    /// Whether applications must send the state back.
    pub const fn requires_state(&self) -> bool {
        self.requires_state
    }

    /// Whether people may be sent back to that page of an application.
    pub fn admits_page(&self, page: &str) -> bool {
        self.pages.iter().any(|known| known == page)
    }
}

struct Maker<'a> {
    config: &'a SocialConfig,
    clock: Arc<dyn Clock>,
}

impl Maker<'_> {
    fn github(&self, config: &GithubConfig) -> Result<Provider, String> {
        let base = config.base_url.as_deref().unwrap_or(GITHUB);
        let secret = required(config.client_secret.as_ref(), config.client_secret_file.as_ref())?;
        let client = Client {
            name: "github",
            title: "GitHub",
            kind: Kind::Github,
            client_id: &config.client_id,
            credentials: Credentials::Secret(secret),
            redirect_uri: config.redirect_uri.as_ref(),
            base,
            // An Enterprise Server is the operator's own.
            is_private: config.base_url.is_some(),
        };
        let protocol = Protocol::Github(Box::new(Endpoints::at(base)?));
        Ok(Provider { scopes: "read:user user:email".to_owned(), ..self.provider(client, protocol)? })
    }

    fn google(&self, config: &GoogleConfig) -> Result<Provider, String> {
        let secret = required(config.client_secret.as_ref(), config.client_secret_file.as_ref())?;
        self.open_id(Client {
            name: "google",
            title: "Google",
            kind: Kind::Google,
            client_id: &config.client_id,
            credentials: Credentials::Secret(secret),
            redirect_uri: config.redirect_uri.as_ref(),
            base: config.issuer.as_deref().unwrap_or(GOOGLE),
            is_private: false,
        })
    }

    fn microsoft(&self, config: &MicrosoftConfig) -> Result<Provider, String> {
        let tenant = config.tenant.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if tenant.is_empty() || !tenant.chars().all(is_name) || tenant.starts_with('.') {
            return Err("tenant must be common, organizations, consumers, or the ID of a tenant".to_owned());
        }
        // The last is the directory of everybody's personal accounts.
        let is_one = !matches!(tenant, "common" | "organizations" | "consumers")
            && !tenant.eq_ignore_ascii_case(crate::kind::CONSUMERS);
        if config.trust_email && !is_one {
            return Err("trust_email needs the ID of one tenant as tenant".to_owned());
        }
        let secret = required(config.client_secret.as_ref(), config.client_secret_file.as_ref())?;
        let base = config.base_url.as_deref().unwrap_or(MICROSOFT).trim_end_matches('/');
        let provider = self.open_id(Client {
            name: "microsoft",
            title: "Microsoft",
            kind: Kind::Microsoft,
            client_id: &config.client_id,
            credentials: Credentials::Secret(secret),
            redirect_uri: config.redirect_uri.as_ref(),
            base: &format!("{base}/{tenant}/v2.0"),
            is_private: false,
        })?;
        Ok(Provider { tenant: tenant.to_owned(), trusts_email: config.trust_email, ..provider })
    }

    fn apple(&self, config: &AppleConfig) -> Result<Provider, String> {
        for (key, id) in [("team_id", &config.team_id), ("key_id", &config.key_id)] {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(format!("{key} must be the ten characters that Apple shows"));
            }
        }
        let pem = secret::read("private_key", config.private_key.as_ref(), config.private_key_file.as_ref())?;
        let pem = pem.ok_or("set private_key_file: the file AuthKey_....p8")?;
        let key =
            AssertionKey::from_pem(&config.key_id, &pem).map_err(|error| format!("private_key: {error}"))?;
        let provider = self.open_id(Client {
            name: "apple",
            title: "Apple",
            kind: Kind::Apple,
            client_id: &config.client_id,
            credentials: Credentials::Assertion { key, team: config.team_id.clone() },
            redirect_uri: config.redirect_uri.as_ref(),
            base: config.issuer.as_deref().unwrap_or(APPLE),
            is_private: false,
        })?;
        Ok(Provider { scopes: "openid email name".to_owned(), ..provider })
    }

    fn oidc(&self, name: &str, config: &OidcConfig) -> Result<Provider, String> {
        let is_name = !name.is_empty()
            && name.len() <= MAX_NAME
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name || NAMED.contains(&name) {
            return Err(format!(
                "the name must have 1 to {MAX_NAME} of a-z, 0-9 and `-`, and be no other provider's"
            ));
        }
        if let Some(issuer) = config.issuer.trim_end_matches('/').strip_suffix(DOCUMENT) {
            return Err(format!("issuer is what stands before {DOCUMENT}: {issuer:?}"));
        }
        if !config.scopes.iter().any(|scope| scope == "openid") {
            return Err("scopes must have \"openid\"".to_owned());
        }
        let secret =
            secret::read("client_secret", config.client_secret.as_ref(), config.client_secret_file.as_ref())?;
        let title = config.title.as_deref().unwrap_or(name);
        let title = tidegate_domain::text::line(title, 100).map_err(|error| format!("title {error}"))?;
        let provider = self.open_id(Client {
            name,
            title: &title,
            kind: Kind::Oidc,
            client_id: &config.client_id,
            credentials: secret.map_or(Credentials::None, Credentials::Secret),
            redirect_uri: config.redirect_uri.as_ref(),
            base: &config.issuer,
            is_private: config.private_network,
        })?;
        Ok(Provider { scopes: config.scopes.join(" "), trusts_email: config.trust_email, ..provider })
    }

    fn open_id(&self, client: Client<'_>) -> Result<Provider, String> {
        let protocol = Protocol::OpenId(Box::new(Discovery::new(client.base, client.kind)));
        self.provider(client, protocol)
    }

    fn provider(&self, client: Client<'_>, protocol: Protocol) -> Result<Provider, String> {
        if client.client_id.is_empty() || !client.client_id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("client_id must be set, in visible ASCII characters".to_owned());
        }
        if let Some(page) = client.redirect_uri {
            check_page(page).map_err(|why| format!("redirect_uri: {why}"))?;
        }
        let base = client.base;
        let url =
            Url::parse(base).map_err(|_| format!("{base:?} is not a URL such as https://sso.example.com"))?;
        let reach = Reach::of(&url, client.is_private);
        if !reach.admits(&url) {
            return Err(format!(
                "{base:?} must be an https address, and a public one unless private_network is set"
            ));
        }
        Ok(Provider {
            name: client.name.to_owned(),
            title: client.title.to_owned(),
            kind: client.kind,
            client_id: client.client_id.to_owned(),
            credentials: client.credentials,
            scopes: "openid email profile".to_owned(),
            redirect_uri: client.redirect_uri.cloned(),
            tenant: String::new(),
            trusts_email: false,
            protocol,
            outgoing: Outgoing::new(reach, self.config.timeout)?.bounded_by(Breaker::new()),
            clock: ClockOf(Arc::clone(&self.clock)),
        })
    }
}

fn required(text: Option<&SocialSecret>, file: Option<&PathBuf>) -> Result<Secret, String> {
    let secret = secret::read("client_secret", text, file)?;
    match secret {
        Some(secret) if !secret.expose().is_empty() => Ok(secret),
        _ => Err("set client_secret or client_secret_file".to_owned()),
    }
}
