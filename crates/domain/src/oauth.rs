//! OAuth 2 and OpenID Connect: what an application (client) is, and the installation's rules for them.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use url::{Host, Url};

use crate::contract::{AccessToken, CodeLifetimes, ContractProfile, Limits, SecondFactor, Unverified};
use crate::custom_claim::{CustomClaim, WrittenClaim};
use crate::limit::Limit;
use crate::logout::BackchannelReach;
use crate::oauth_clients::RegistrationRules;
use crate::refresh::RefreshPolicy;
use crate::session::SessionPolicy;
use crate::time::seconds;
use crate::{ContractId, PasswordRule, PermissionSet};

/// Longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI: usize = 2_048;
/// Most redirect URIs of one application.
pub const MAX_REDIRECT_URIS: usize = 50;
/// Longest name of an application, in characters.
pub const MAX_APPLICATION_NAME: usize = 128;
/// Longest description of an application, in characters.
pub const MAX_APPLICATION_DESCRIPTION: usize = 1_000;

/// Hosts of this machine, as they stand in addresses.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Where a person is sent back to with the answer to an authorization request (RFC 6749 section 3.1.2): registered, and never
/// taken from a request without having been found among those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a text is no redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Too long, or with characters that two readers could understand differently.
    #[error(
        "must be an absolute URI of at most 2048 printable ASCII characters without spaces and backslashes"
    )]
    Malformed,
    /// RFC 6749 section 3.1.2.
    #[error("must not have a fragment (#...)")]
    Fragment,
    /// It is compared character by character (RFC 9700 section 2.1): no request would match what was meant.
    #[error("must not contain *, which is no wildcard: register each address")]
    Wildcard,
    /// It would show another host than it leads to.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// Its host has a character that would mean something else in a page's policy.
    #[error("must name a host of letters, digits, dots and hyphens, or an IP address")]
    Host,
    /// Not protected on its way, or no address of an application.
    #[error(
        "must begin with https://, with http:// and a loopback address (127.0.0.1, [::1], localhost), or for a public client with a \
         scheme of its own that contains a dot, such as com.example.app:/callback"
    )]
    Scheme,
}

impl RedirectUri {
    /// Reads one to be registered. It is kept as it is written: requests must repeat it exactly.
    ///
    /// # Errors
    /// [`RedirectUriError`].
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if text.is_empty() || text.len() > MAX_REDIRECT_URI || !printable {
            return Err(RedirectUriError::Malformed);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        if text.contains('*') {
            return Err(RedirectUriError::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriError::UserInfo);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Malformed)?;
        let is_web = rest.starts_with("//") && url.host().is_some_and(|host| !is_empty(&host));
        match scheme {
            "https" if is_web && !url.host().is_some_and(|host| is_plain(&host)) => {
                Err(RedirectUriError::Host)
            }
            "https" if is_web => Ok(Self(text.to_owned())),
            "http" if loopback(text).is_some() => Ok(Self(text.to_owned())),
            "http" | "https" => Err(RedirectUriError::Scheme),
            own if own.contains('.') => Ok(Self(text.to_owned())),
            _ => Err(RedirectUriError::Scheme),
        }
    }

    /// One that was registered.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its scheme is an application's own (RFC 8252 section 7.1).
    pub fn has_own_scheme(&self) -> bool {
        !self.0.starts_with("https:") && !self.0.starts_with("http:")
    }

    /// Whether a request that names `presented` means this one: character by character (RFC 9700 section 2.1), except for the port
    /// of a loopback address, which native applications are given when they start (RFC 8252 section 7.3).
    pub fn matches(&self, presented: &str) -> bool {
        if self.0 == presented {
            return true;
        }
        match (loopback(&self.0), loopback(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }
}

fn is_empty<S: AsRef<str>>(host: &Host<S>) -> bool {
    matches!(host, Host::Domain(name) if name.as_ref().is_empty())
}

/// Whether it is an IP address, or a name of letters, digits, dots and hyphens alone (RFC 952, RFC 1123 section 2.1).
fn is_plain<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            name.as_ref().bytes().all(is_plain)
        }
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

/// Host, and all that follows the port, of an `http` address of this machine.
fn loopback(text: &str) -> Option<(&'static str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let (host, rest) = LOOPBACK.into_iter().find_map(|host| Some((host, rest.strip_prefix(host)?)))?;
    let rest = match rest.strip_prefix(':') {
        Some(rest) => {
            let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let (port, rest) = rest.split_at_checked(end)?;
            port.parse::<u16>().ok().filter(|port| *port > 0)?;
            rest
        }
        None => rest,
    };
    let is_end = rest.is_empty() || rest.starts_with('/') || rest.starts_with('?');
    (is_end && !rest.contains('#')).then_some((host, rest))
}

/// A way to tokens that an application may use (RFC 6749 section 1.3). Codes come with refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// A person's approval, exchanged.
    AuthorizationCode,
    /// In the application's own name.
    ClientCredentials,
    /// A person's approval on another device (RFC 8628).
    DeviceCode,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::ClientCredentials, Self::DeviceCode];

    /// Its name in requests and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// How an application proves who it is (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuthentication {
    /// It cannot: it runs on its users' devices (a public client, RFC 6749 section 2.1).
    None,
    /// With its secret, by HTTP Basic. The body is accepted, too: the RiverGen contract leaves the choice to each request.
    #[default]
    SecretBasic,
    /// With its secret, in the body. HTTP Basic is accepted, too (RFC 6749 section 2.3.1).
    SecretPost,
    /// With a JWT that is signed with its secret (RFC 7523), so that the secret is never sent.
    SecretJwt,
    /// With a JWT that is signed with its private key (RFC 7523): nothing that is kept here proves who it is.
    PrivateKeyJwt,
}

impl ClientAuthentication {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::None, Self::SecretBasic, Self::SecretPost, Self::SecretJwt, Self::PrivateKeyJwt];

    /// Those that an organization can choose by itself: they need neither keys nor a secret that is kept.
    pub const PLAIN: [Self; 3] = [Self::None, Self::SecretBasic, Self::SecretPost];

    /// Its name in requests and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::SecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Whether it cannot prove who it is.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether it has a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost | Self::SecretJwt)
    }

    /// Whether it sends a JWT that it signed (RFC 7523).
    pub const fn signs(self) -> bool {
        matches!(self, Self::SecretJwt | Self::PrivateKeyJwt)
    }

    /// Whether it sends its secret.
    pub const fn sends_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost)
    }
}

/// Whether an application may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationStatus {
    /// It may.
    Active,
    /// It may not, until it is enabled again.
    Revoked,
}

impl ApplicationStatus {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Active, Self::Revoked];

    /// Its name in requests and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// What an application is for. The RiverGen contract knows one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccessLevel {
    /// Its organization.
    #[default]
    Organization,
}

impl AccessLevel {
    /// Its name in requests and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == "organization").then_some(Self::Organization)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Applications that sign people in with OAuth 2 and OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct OauthRules {
    /// Seconds an access token lives.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3_600))]
    pub access_token_lifetime: Duration,
    /// Seconds an ID token lives.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3_600))]
    pub id_token_lifetime: Duration,
    /// Seconds an authorization code can be exchanged. RiverGen's contract has ten minutes; OAuth 2.1 and FAPI 2.0 advise at most 60.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(600))]
    pub code_lifetime: Duration,
    /// Seconds a refresh token lives, and the session it belongs to unless it is refreshed.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub refresh_token_lifetime: Duration,
    /// Seconds after which a person has to approve an application again, however often it refreshes.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(365 * 24 * 3_600))]
    pub session_lifetime: Duration,
    /// Seconds for which a replaced refresh token still gets the newest token of its session.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30))]
    pub refresh_grace: Duration,
    /// Seconds for which the previous secret of an application is accepted after a new one was made.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub secret_overlap: Duration,
    /// Whether confidential clients may send the PKCE challenge as it is (`plain`). It protects nobody who can read the request.
    pub allow_plain_pkce: bool,
    /// APIs besides this installation that access tokens may be made for (RFC 8707): the values of `resource`.
    #[schemars(example = &["https://api.example.com"])]
    pub resources: Vec<String>,
    /// Where applications may be that are told of the end of a session (`backchannel_logout_uri`): "internet" (https, at public addresses),
    /// "private_network" (https, also on the operator's network) or "this_machine" (also over http on this machine).
    pub backchannel_reach: BackchannelReach,
    /// Claims that the userinfo endpoint tells besides those of OpenID Connect. Whoever may change an account's metadata may change what is
    /// told of it.
    #[schemars(with = "Vec<WrittenClaim>")]
    pub claims: Vec<CustomClaim>,
    /// Whether RSA keys have 3072 bits and not 2048. They sign ID tokens of applications that ask for RS256; the first is made when one does.
    pub long_rsa_keys: bool,
    /// Whether every application gets tokens only with a proof of possession (DPoP, RFC 9449). One alone: `tidegate client set`.
    pub require_dpop: bool,
    /// Whether every application has to push its authorization requests (RFC 9126). One alone: `tidegate client change`.
    pub require_pushed_authorization_requests: bool,
    /// Seconds in which a pushed authorization request has to be brought.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(90))]
    pub pushed_request_lifetime: Duration,
    /// Whether keys (`jwks_uri`) of applications that did not register themselves may be on the operator's own network.
    pub private_network_clients: bool,
    /// Applications that register themselves.
    pub registration: RegistrationRules,
    /// Requests of one application to the token endpoint and to those that take its authentication, from one client network.
    #[default(Some(Limit::new(600, 60)))]
    pub requests_by_client: Option<Limit>,
    /// Requests with a wrong client or secret, from one client network.
    #[default(Some(Limit::new(60, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub failed_clients_by_network: Option<Limit>,
    /// Requests with a wrong secret of one application, from one client network.
    #[default(Some(Limit::new(20, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub failed_secrets_by_client: Option<Limit>,
    /// Authorization codes that one account has made.
    #[default(Some(Limit::new(600, 3_600)))]
    pub codes_by_account: Option<Limit>,
    /// Seconds for which the code that a device shows can be typed, and its application polls.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(600))]
    pub device_code_lifetime: Duration,
    /// Seconds between two polls of a device.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(5))]
    pub device_poll_interval: Duration,
    /// Seconds for which a proof of possession (DPoP) can be shown after it was made.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(300))]
    pub dpop_proof_lifetime: Duration,
    /// Whether proofs of possession (DPoP) have to repeat a nonce of this installation: then nobody can make proofs for later.
    pub require_dpop_nonce: bool,
    /// Codes that devices have asked for, from one client network.
    #[default(Some(Limit::new(300, 3_600)))]
    pub device_requests_by_network: Option<Limit>,
    /// Codes of devices that one account has typed and that were wrong.
    #[default(Some(Limit::new(20, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub user_codes_by_account: Option<Limit>,
    /// Codes of devices that were typed and wrong, from one client network.
    #[default(Some(Limit::new(60, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub user_codes_by_network: Option<Limit>,
    /// Codes of devices that were typed and wrong, of all people together.
    #[default(Some(Limit::new(2_000, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub user_codes: Option<Limit>,
    /// All requests without a valid access token, by client network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &Limit::new(6_000, 60))]
    pub anonymous_requests: Option<Limit>,
}

impl OauthRules {
    /// What the kernel needs to know of tokens that are issued under these rules.
    pub fn profile(&self) -> ContractProfile {
        ContractProfile {
            contract: ContractId::OAUTH,
            // Nobody sets a password here.
            password: PasswordRule {
                min_length: 16,
                max_length: 128,
                upper: true,
                lower: true,
                digit: true,
                symbol: true,
            },
            program_password: None,
            access_token: AccessToken::Signed,
            access_token_lifetime: self.access_token_lifetime,
            session: SessionPolicy {
                lifetime: self.refresh_token_lifetime,
                remembered_lifetime: self.refresh_token_lifetime,
                sliding_up_to: Some(self.session_lifetime),
            },
            refresh: RefreshPolicy {
                lifetime: self.refresh_token_lifetime,
                grace: self.refresh_grace,
                renewed_within: None,
            },
            codes: CodeLifetimes {
                verify_email: Duration::ZERO,
                change_email: Duration::ZERO,
                reset_password: Duration::ZERO,
                restore_email: Duration::ZERO,
            },
            unverified: Unverified::Admitted,
            second_factor: SecondFactor::Refuse,
            recent_sign_in: None,
            // Their scopes limit them.
            permissions: PermissionSet::ALL.without(PermissionSet::FULL_SCOPE_ONLY),
            limits: Limits { anonymous_requests: self.anonymous_requests, ..Limits::default() },
        }
    }

    /// Whether access tokens may be made for that API.
    pub fn knows_resource(&self, resource: &str) -> bool {
        self.resources.iter().any(|known| known == resource)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_redirect_uri_is_https_or_of_this_machine_or_of_an_application() {
        for text in [
            "https://app.example.com/callback",
            "https://app.example.com",
            "https://app.example.com:8443/cb?tenant=1",
            "https://xn--bcher-kva.example/cb",
            "https://[2001:db8::1]/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:5173/cb",
            "http://[::1]:8080",
            "http://localhost:3000/cb?x=y",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            assert_eq!(RedirectUri::parse(text).map(|uri| uri.0), Ok(text.to_owned()));
        }
        for (text, error) in [
            ("", RedirectUriError::Malformed),
            ("/callback", RedirectUriError::Malformed),
            ("//evil.example/cb", RedirectUriError::Malformed),
            ("https://app.example.com/a b", RedirectUriError::Malformed),
            ("https://app.example.com\\@evil.example", RedirectUriError::Malformed),
            ("https://app.example.com/\u{e9}", RedirectUriError::Malformed),
            ("https://app.example.com/cb#x", RedirectUriError::Fragment),
            ("https://app.example.com/cb#", RedirectUriError::Fragment),
            ("https://app.example.com@evil.example/cb", RedirectUriError::UserInfo),
            ("https://*.example.com/cb", RedirectUriError::Wildcard),
            ("https://app.example.com/*", RedirectUriError::Wildcard),
            ("https://app.example.com/cb?tenant=*", RedirectUriError::Wildcard),
            ("http://localhost:*/cb", RedirectUriError::Wildcard),
            ("com.example.app:/*", RedirectUriError::Wildcard),
            ("https://a;script-src/cb", RedirectUriError::Host),
            ("https://a,b.example.com/cb", RedirectUriError::Host),
            ("https://a'b.example.com/cb", RedirectUriError::Host),
            ("https://my_app.example.com/cb", RedirectUriError::Host),
            ("http://app.example.com/cb", RedirectUriError::Scheme),
            ("http://127.0.0.1.evil.example/cb", RedirectUriError::Scheme),
            ("http://localhost.evil.example/cb", RedirectUriError::Scheme),
            ("http://127.0.0.10/cb", RedirectUriError::Scheme),
            ("javascript:alert(1)", RedirectUriError::Scheme),
            ("data:text/html,x", RedirectUriError::Scheme),
            ("file:///etc/passwd", RedirectUriError::Scheme),
            ("myapp:/cb", RedirectUriError::Scheme),
            ("https:/app.example.com", RedirectUriError::Scheme),
            ("https:app.example.com", RedirectUriError::Scheme),
        ] {
            assert_eq!(RedirectUri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_request_names_it_exactly_but_for_the_port_of_this_machine() {
        let of = |text: &str| RedirectUri::parse(text).unwrap();
        let web = of("https://app.example.com/cb");
        assert!(web.matches("https://app.example.com/cb"));
        for other in [
            "https://app.example.com/cb/",
            "https://app.example.com/cb?x=1",
            "https://app.example.com:443/cb",
            "https://APP.example.com/cb",
            "https://app.example.com/cb/../evil",
            "https://app.example.com/cb%2f",
            "https://app.example.com.evil.example/cb",
            "http://app.example.com/cb",
        ] {
            assert!(!web.matches(other), "{other}");
        }
        let native = of("http://127.0.0.1/cb");
        assert!(native.matches("http://127.0.0.1:51004/cb") && native.matches("http://127.0.0.1/cb"));
        for other in [
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://localhost:51004/cb",
            "https://127.0.0.1:51004/cb",
            "http://127.0.0.1:51004/cb#x",
        ] {
            assert!(!native.matches(other), "{other}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for one in GrantType::ALL {
            assert_eq!(GrantType::from_name(one.as_str()), Some(one));
        }
        for one in ClientAuthentication::ALL {
            assert_eq!(ClientAuthentication::from_name(one.as_str()), Some(one));
        }
        for one in ApplicationStatus::ALL {
            assert_eq!(ApplicationStatus::from_name(one.as_str()), Some(one));
        }
        assert_eq!(AccessLevel::from_name("organization"), Some(AccessLevel::Organization));
        assert_eq!((GrantType::from_name("password"), AccessLevel::from_name("user")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_compared_without_a_panic(text in "\\PC{0,60}", other in "(http://127.0.0.1|http://\\[::1\\])\\PC{0,20}") {
            drop(RedirectUri::parse(&text));
            if let Ok(uri) = RedirectUri::parse(&other) {
                prop_assert!(uri.matches(&other));
                uri.matches(&text);
            }
        }
    }
}
