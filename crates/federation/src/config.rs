//! What an operator says about providers, and the mistakes in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use url::Url;

use crate::secret::SocialSecret;

/// Sign-in by other providers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct SocialConfig {
    /// What becomes of an account with a second factor whose owner signs in by a provider: "skip", as the contract says, or
    /// "ask". An organization that was set to `refuse` with `tidegate org second-factor` is always asked for it.
    pub second_factor: SecondFactorAtProvider,
    /// Whether applications must send the `state` back with the code. Then PKCE protects the codes that go to their pages, too. Off
    /// by default: the contract's requests have no `state`.
    pub require_state: bool,
    /// Pages of applications to which a provider may send people back, besides each provider's own redirect_uri, each as
    /// registered at the provider. A request names one of them as `redirect_uri`.
    pub redirect_uris: Vec<String>,
    /// Seconds a request to a provider may take.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(5))]
    pub timeout: Duration,
    /// An OAuth app or GitHub app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<GithubConfig>,
    /// An OAuth client of Google Cloud, of the type "Web application".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleConfig>,
    /// An app registration of Microsoft Entra ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft: Option<MicrosoftConfig>,
    /// A Services ID of Sign in with Apple.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apple: Option<AppleConfig>,
    /// Further issuers of OpenID Connect, each in a table of its own: [social.oidc.NAME]. The name is part of addresses: a-z, 0-9
    /// and `-`.
    pub oidc: BTreeMap<String, OidcConfig>,
}

/// What becomes of an account's second factor when its owner signs in by a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactorAtProvider {
    /// It is not asked for: the provider has its own.
    #[default]
    Skip,
    /// It is asked for.
    Ask,
}

/// An app at GitHub.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubConfig {
    /// The app's client ID.
    #[schemars(example = &"Iv1.0123456789abcdef")]
    pub client_id: String,
    /// Its client secret.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SOCIAL__GITHUB__CLIENT_SECRET")]
    pub client_secret: Option<SocialSecret>,
    /// A file with the client secret.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/github-secret")]
    pub client_secret_file: Option<PathBuf>,
    /// Where GitHub sends people back, as registered there. Default: /api/v1/auth/oauth/github/callback below public_url.
    #[serde(default)]
    #[schemars(example = &"https://app.example.com/signed-in/github")]
    pub redirect_uri: Option<String>,
    /// A GitHub Enterprise Server. Default: https://github.com.
    #[serde(default)]
    #[schemars(example = &"https://github.example.com")]
    pub base_url: Option<String>,
}

/// A client at Google.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleConfig {
    /// The client ID.
    #[schemars(example = &"000000000000-example.apps.googleusercontent.com")]
    pub client_id: String,
    /// Its client secret.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SOCIAL__GOOGLE__CLIENT_SECRET")]
    pub client_secret: Option<SocialSecret>,
    /// A file with the client secret.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/google-secret")]
    pub client_secret_file: Option<PathBuf>,
    /// Where Google sends people back, as registered there. Default: /api/v1/auth/oauth/google/callback below public_url.
    #[serde(default)]
    #[schemars(example = &"https://app.example.com/signed-in/google")]
    pub redirect_uri: Option<String>,
    /// Another issuer that answers like Google. Not for configuration files: for tests.
    #[serde(skip)]
    pub issuer: Option<String>,
}

/// An app registration at Microsoft.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct MicrosoftConfig {
    /// The application (client) ID.
    #[schemars(example = &"00000000-0000-0000-0000-000000000000")]
    pub client_id: String,
    /// A client secret's value, not its ID.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SOCIAL__MICROSOFT__CLIENT_SECRET")]
    pub client_secret: Option<SocialSecret>,
    /// A file with the client secret.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/microsoft-secret")]
    pub client_secret_file: Option<PathBuf>,
    /// Who may sign in: "common" (everybody), "organizations", "consumers", or the ID of one tenant.
    #[serde(default = "common")]
    #[schemars(example = &"common")]
    #[default("common".to_owned())]
    pub tenant: String,
    /// Takes the addresses that Microsoft tells as verified. With the ID of one tenant only: there an administrator decides who
    /// has which address. Elsewhere anybody with a tenant of their own can write any address into it.
    #[serde(default)]
    #[schemars(example = false)]
    pub trust_email: bool,
    /// Where Microsoft sends people back, as registered there. Default: /api/v1/auth/oauth/microsoft/callback below
    /// public_url.
    #[serde(default)]
    #[schemars(example = &"https://app.example.com/signed-in/microsoft")]
    pub redirect_uri: Option<String>,
    /// Another server that answers like Microsoft. Not for configuration files: for tests.
    #[serde(skip)]
    pub base_url: Option<String>,
}

/// A Services ID at Apple.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppleConfig {
    /// The identifier of the Services ID.
    #[schemars(example = &"com.example.signin")]
    pub client_id: String,
    /// The ten characters of the team.
    #[schemars(example = &"ABCDE12345")]
    pub team_id: String,
    /// The ten characters of the key.
    #[schemars(example = &"FGHIJ67890")]
    pub key_id: String,
    /// The key: the text of the file AuthKey_....p8.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SOCIAL__APPLE__PRIVATE_KEY")]
    pub private_key: Option<SocialSecret>,
    /// That file.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/AuthKey_FGHIJ67890.p8")]
    pub private_key_file: Option<PathBuf>,
    /// Where Apple sends people back, as registered there: with a form, so it must be an address that takes POST. Default:
    /// /api/v1/auth/oauth/apple/callback below public_url.
    #[serde(default)]
    #[schemars(example = &"https://app.example.com/signed-in/apple")]
    pub redirect_uri: Option<String>,
    /// Another issuer that answers like Apple. Not for configuration files: for tests.
    #[serde(skip)]
    pub issuer: Option<String>,
}

/// An issuer of OpenID Connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The issuer, exactly as its discovery document says.
    #[schemars(example = &"https://sso.example.com/realms/main")]
    pub issuer: String,
    /// The client that is registered there.
    #[schemars(example = &"tidegate")]
    pub client_id: String,
    /// Its client secret. Without one it is a public client, which PKCE protects.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SOCIAL__OIDC__NAME__CLIENT_SECRET")]
    pub client_secret: Option<SocialSecret>,
    /// A file with the client secret.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/sso-secret")]
    pub client_secret_file: Option<PathBuf>,
    /// What people call it. Default: its name.
    #[serde(default)]
    #[schemars(example = &"Example SSO")]
    pub title: Option<String>,
    /// What is asked for.
    #[serde(default = "usual_scopes")]
    #[schemars(example = ["openid", "email", "profile"])]
    #[default(usual_scopes())]
    pub scopes: Vec<String>,
    /// Takes the addresses that the issuer tells as verified, also without `email_verified`: where the operator of the issuer
    /// decides who has which address.
    #[serde(default)]
    #[schemars(example = false)]
    pub trust_email: bool,
    /// Whether it is on a private network. Otherwise only public addresses are called.
    #[serde(default)]
    #[schemars(example = false)]
    pub private_network: bool,
    /// Where the issuer sends people back, as registered there. Default: /api/v1/auth/oauth/NAME/callback below public_url.
    #[serde(default)]
    #[schemars(example = &"https://app.example.com/signed-in/sso")]
    pub redirect_uri: Option<String>,
}

/// A mistake in a [`SocialConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SocialConfigError {
    /// The setting, below `[social]`.
    pub setting: String,
    /// What is wrong with it. It shows no secret.
    pub reason: String,
}

fn common() -> String {
    "common".to_owned()
}

fn usual_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

impl SocialConfigError {
    pub(crate) fn new(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }
}

impl SocialConfig {
    /// Whether people can be sent back to that page of an application.
    pub(crate) fn check_pages(&self) -> Result<(), SocialConfigError> {
        if self.timeout.is_zero() {
            return Err(SocialConfigError::new("timeout", "must be at least 1 second"));
        }
        for page in &self.redirect_uris {
            check_page(page).map_err(|reason| SocialConfigError::new("redirect_uris", reason))?;
        }
        Ok(())
    }
}

/// A redirect URI (RFC 6749 section 3.1.2): absolute, without a fragment; https, or this machine.
pub(crate) fn check_page(page: &str) -> Result<(), String> {
    let wrong = || format!("{page:?} is not an address such as https://app.example.com/signed-in");
    let url = Url::parse(page).map_err(|_| wrong())?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_fit = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    let is_bare = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if is_fit && is_bare { Ok(()) } else { Err(wrong()) }
}
