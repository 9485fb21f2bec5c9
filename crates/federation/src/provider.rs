//! One provider: where people are sent, and who comes back.

use std::sync::Arc;

use reqwest::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_crypto::{IssuerTokenError, pkce_challenge};
use tidegate_domain::{Clock, Secret, Timestamp};
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::discovery::{Discovery, Metadata};
use crate::error::FederationError;
use crate::github::Endpoints;
use crate::id_token::{Checked, Expected, check, whole_seconds};
use crate::kind::{Credentials, Kind};
use crate::outgoing::{Answer, Outgoing, unreadable};
use crate::profile::{ProviderEmail, ProviderProfile, name, picture};

/// Longest error code of a provider that is logged.
const MAX_CODE: usize = 64;
/// What the exchange is called in logs.
const EXCHANGE: &str = "code exchange";

/// A provider that is set up.
#[derive(Debug)]
pub struct Provider {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) kind: Kind,
    pub(crate) client_id: String,
    pub(crate) credentials: Credentials,
    pub(crate) scopes: String,
    pub(crate) redirect_uri: Option<String>,
    /// Of Microsoft: who may sign in. Empty elsewhere.
    pub(crate) tenant: String,
    pub(crate) trusts_email: bool,
    pub(crate) protocol: Protocol,
    pub(crate) outgoing: Outgoing,
    pub(crate) clock: ClockOf,
}

/// The clock, without anything to show.
pub(crate) struct ClockOf(pub(crate) Arc<dyn Clock>);

impl std::fmt::Debug for ClockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// What is spoken with it.
#[derive(Debug)]
pub(crate) enum Protocol {
    Github(Box<Endpoints>),
    OpenId(Box<Discovery>),
}

/// A sign-in that begins.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest<'a> {
    /// Where the provider sends the person back.
    pub redirect_uri: &'a str,
    /// Comes back with the code.
    pub state: &'a str,
    /// Comes back in the ID token.
    pub nonce: &'a str,
    /// Of PKCE: shown when the code is exchanged. None where it would not be known then.
    pub code_verifier: Option<&'a Secret>,
    /// Seconds since the person last proved who they are there, at most: 0 has them do so anew. Only of a provider that
    /// [tells when](Provider::tells_when).
    pub max_age: Option<u64>,
}

/// A sign-in that comes back with a code.
#[derive(Clone, Debug)]
pub struct CodeExchange<'a> {
    /// The code.
    pub code: &'a Secret,
    /// The same as when it began.
    pub redirect_uri: &'a str,
    /// The same as when it began.
    pub code_verifier: Option<&'a Secret>,
    /// The same as when it began; none where the caller compares it with what the profile says.
    pub nonce: Option<&'a str>,
    /// What Apple's form says of the person, JSON, the first time only. Nobody signed it: it gives a name and no more.
    pub user: Option<&'a str>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<i64>,
    scope: Option<String>,
}

/// What is kept of a provider's tokens. The ID token was for this sign-in only.
#[derive(Serialize)]
struct KeptTokens<'a> {
    access_token: Option<&'a str>,
    refresh_token: Option<&'a str>,
    expires_in: Option<i64>,
    scope: Option<&'a str>,
}

impl Provider {
    /// What it is called in addresses and in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where it sends people back, if the operator says so.
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// Whether it answers with a form in place of a query: browsers send no `SameSite=Lax` cookie with it.
    pub const fn posts_answer(&self) -> bool {
        self.kind.posts_answer()
    }

    /// Whether it has ID tokens, which repeat the nonce.
    pub const fn has_nonce(&self) -> bool {
        matches!(self.protocol, Protocol::OpenId(_))
    }

    /// Whether it can be asked to have the person sign in anew, and says when they did (OpenID Connect Core sections 2 and 3.1.2.1). Large
    /// providers of other kinds ignore the one or leave out the other.
    pub const fn tells_when(&self) -> bool {
        matches!(self.kind, Kind::Oidc)
    }

    /// Whether its addresses and keys can be read. What is secret is not tried.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn check(&self) -> Result<(), FederationError> {
        match &self.protocol {
            Protocol::Github(endpoints) => endpoints.check(&self.outgoing).await,
            Protocol::OpenId(discovery) => {
                discovery.metadata(&self.outgoing, self.clock.0.now()).await.map(drop)
            }
        }
    }

    /// Where the person signs in.
    ///
    /// # Errors
    /// [`FederationError`] when its endpoints are not known.
    pub async fn authorization_url(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Url, FederationError> {
        let (mut url, takes_pkce) = match &self.protocol {
            Protocol::Github(endpoints) => (endpoints.authorization.clone(), true),
            Protocol::OpenId(discovery) => {
                let metadata = discovery.metadata(&self.outgoing, self.clock.0.now()).await?;
                let takes = self.takes_pkce(&metadata);
                (metadata.document.authorization_endpoint, takes)
            }
        };
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.client_id)
                .append_pair("redirect_uri", request.redirect_uri)
                .append_pair("scope", &self.scopes)
                .append_pair("state", request.state);
            if self.has_nonce() {
                query.append_pair("nonce", request.nonce);
            }
            if self.posts_answer() {
                query.append_pair("response_mode", "form_post");
            }
            if let Some(max_age) = request.max_age.filter(|_| self.tells_when()) {
                query.append_pair("max_age", &max_age.to_string());
                if max_age == 0 {
                    query.append_pair("prompt", "login");
                }
            }
            if let Some(verifier) = request.code_verifier.filter(|_| takes_pkce) {
                query
                    .append_pair("code_challenge", &pkce_challenge(verifier))
                    .append_pair("code_challenge_method", "S256");
            }
        }
        Ok(url)
    }

    /// Whether the `iss` beside a code says that the answer is this provider's (RFC 9207): against mix-up of providers.
    ///
    /// # Errors
    /// [`FederationError`] when its metadata cannot be read.
    pub async fn is_answer(&self, iss: Option<&str>) -> Result<bool, FederationError> {
        match &self.protocol {
            Protocol::Github(endpoints) => Ok(iss.is_none_or(|iss| iss == endpoints.issuer)),
            Protocol::OpenId(discovery) => {
                let document = discovery.metadata(&self.outgoing, self.clock.0.now()).await?.document;
                Ok(match iss {
                    Some(iss) => self.kind.is_answer_of(&document.issuer, iss),
                    None => !document.authorization_response_iss_parameter_supported,
                })
            }
        }
    }

    /// Exchanges a code and says who has signed in.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn identify(&self, exchange: &CodeExchange<'_>) -> Result<ProviderProfile, FederationError> {
        match &self.protocol {
            Protocol::Github(endpoints) => {
                let (answer, _) = self.exchange(&endpoints.token, exchange, true, false).await?;
                let Some(access_token) = answer.access_token.as_deref() else {
                    return Err(unreadable(EXCHANGE, "no access token"));
                };
                endpoints.profile(&self.outgoing, access_token, answer.kept()?).await
            }
            Protocol::OpenId(discovery) => self.identify_by_token(discovery, exchange).await,
        }
    }

    async fn identify_by_token(
        &self,
        discovery: &Discovery,
        exchange: &CodeExchange<'_>,
    ) -> Result<ProviderProfile, FederationError> {
        let now = self.clock.0.now();
        let mut metadata = discovery.metadata(&self.outgoing, now).await?;
        let document = &metadata.document;
        let uses_basic = self.kind == Kind::Oidc
            && document
                .token_endpoint_auth_methods_supported
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        let takes_pkce = self.takes_pkce(&metadata);
        let (answer, now) = self.exchange(&document.token_endpoint, exchange, takes_pkce, uses_basic).await?;
        let Some(token) = answer.id_token.as_deref() else {
            return Err(unreadable(EXCHANGE, "no ID token"));
        };
        let mut verified = metadata.keys.verify(token);
        if verified == Err(IssuerTokenError::UnknownKey) {
            metadata = discovery.with_new_keys(&self.outgoing, &metadata, now).await?;
            verified = metadata.keys.verify(token);
        }
        let claims = verified.map_err(|error| {
            FederationError::TokenRefused(match error {
                IssuerTokenError::UnknownKey => "it is signed with a key that the issuer does not publish",
                IssuerTokenError::Invalid => "it is not signed by its issuer",
            })
        })?;
        let expected = Expected {
            kind: self.kind,
            issuer: &metadata.document.issuer,
            tenant: &self.tenant,
            client_id: &self.client_id,
            nonce: exchange.nonce,
            now,
        };
        let checked = check(&claims, &expected)?;
        let told = match &metadata.document.userinfo_endpoint {
            Some(userinfo) if self.kind == Kind::Oidc && !claims.contains_key("email") => {
                self.userinfo(userinfo, &answer, &checked.subject).await?
            }
            _ => Map::new(),
        };
        let tokens = answer.kept()?;
        Ok(self.profile(checked, &claims, &told, exchange.user, tokens))
    }

    fn profile(
        &self,
        checked: Checked,
        claims: &Map<String, Value>,
        told: &Map<String, Value>,
        user: Option<&str>,
        tokens: Secret,
    ) -> ProviderProfile {
        let own = |key: &str| claims.get(key).or_else(|| told.get(key)).and_then(Value::as_str);
        // Address and what is said of it come from one document.
        let of_email = if claims.contains_key("email") { claims } else { told };
        let email = of_email.get("email").and_then(Value::as_str).and_then(|address| {
            let is_verified = self.trusts_email || self.kind.is_email_verified(of_email, address);
            let is_authoritative = self.trusts_email || self.kind.is_authoritative(claims, address);
            ProviderEmail::read(address, is_verified, is_authoritative)
        });
        let display_name = match own("name").map(name) {
            Some(name) if !name.is_empty() => name,
            _ => user.map(name_in_form).unwrap_or_default(),
        };
        ProviderProfile {
            issuer: checked.issuer,
            subject: checked.subject,
            email,
            display_name,
            picture: own("picture").and_then(picture),
            nonce: checked.nonce,
            auth_time: claims.get("auth_time").and_then(whole_seconds).map(Timestamp::from_seconds),
            tokens,
        }
    }

    /// Claims about the person that the ID token does not have.
    async fn userinfo(
        &self,
        url: &Url,
        tokens: &Tokens,
        subject: &str,
    ) -> Result<Map<String, Value>, FederationError> {
        const WHAT: &str = "userinfo";
        let Some(access_token) = &tokens.access_token else { return Ok(Map::new()) };
        let request = self.outgoing.get(url).header(AUTHORIZATION, format!("Bearer {access_token}"));
        let body = self.outgoing.ask(WHAT, request).await?.bytes(WHAT)?;
        let told: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|_| unreadable(WHAT, "no JSON object"))?;
        // Core section 5.3.2: another subject's claims must not be used.
        if told.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(FederationError::TokenRefused("the userinfo is of another subject"));
        }
        Ok(told)
    }

    /// Gives the code for tokens; answers when that was, too.
    async fn exchange(
        &self,
        url: &Url,
        exchange: &CodeExchange<'_>,
        takes_pkce: bool,
        uses_basic: bool,
    ) -> Result<(Tokens, Timestamp), FederationError> {
        let audience = match &self.protocol {
            Protocol::OpenId(discovery) => discovery.issuer(),
            Protocol::Github(endpoints) => endpoints.issuer.as_str(),
        };
        let secret = self.credentials.secret(&self.client_id, audience, self.clock.0.now())?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", exchange.code.expose()),
            ("redirect_uri", exchange.redirect_uri),
        ];
        if let Some(verifier) = exchange.code_verifier.filter(|_| takes_pkce) {
            form.push(("code_verifier", verifier.expose()));
        }
        let mut request = self.outgoing.post(url);
        match &secret {
            Some(secret) if uses_basic => {
                // RFC 6749 section 2.3.1: encoded as in a form first.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(&self.client_id), Some(encoded(secret.expose())));
            }
            Some(secret) => {
                form.extend([("client_id", self.client_id.as_str()), ("client_secret", secret.expose())]);
            }
            None => form.push(("client_id", &self.client_id)),
        }
        let answer = self.outgoing.ask(EXCHANGE, request.form(&form)).await?;
        let now = self.clock.0.now();
        Ok((read_tokens(&answer)?, now))
    }

    fn takes_pkce(&self, metadata: &Metadata) -> bool {
        let says = &metadata.document.code_challenge_methods_supported;
        self.kind.takes_pkce() || says.iter().any(|method| method == "S256")
    }
}

impl Tokens {
    /// What is kept of them.
    fn kept(&self) -> Result<Secret, FederationError> {
        let kept = KeptTokens {
            access_token: self.access_token.as_deref(),
            refresh_token: self.refresh_token.as_deref(),
            expires_in: self.expires_in,
            scope: self.scope.as_deref(),
        };
        let text = serde_json::to_string(&kept).map_err(|_| unreadable(EXCHANGE, "tokens that are none"))?;
        Ok(Secret::new(text))
    }
}

/// The tokens, or what the error says (RFC 6749 section 5.2). GitHub sends errors with the status 200.
fn read_tokens(answer: &Answer) -> Result<Tokens, FederationError> {
    let Some(object) = answer.object() else {
        return Err(unreadable(EXCHANGE, answer.status));
    };
    if let Some(error) = object.get("error") {
        let code = error_code(error.as_str().unwrap_or_default());
        return Err(match code.as_str() {
            "invalid_grant" | "bad_verification_code" | "invalid_request" => {
                FederationError::CodeRefused(code)
            }
            "temporarily_unavailable" | "server_error" => {
                FederationError::Unavailable(format!("{EXCHANGE}: the provider answers {code}"))
            }
            _ => FederationError::Misconfigured(format!(
                "{EXCHANGE}: the provider answers {code}: check client_id, client_secret and redirect_uri"
            )),
        });
    }
    let tokens: Option<Tokens> = answer.value().and_then(|value| serde_json::from_value(value).ok());
    match tokens {
        Some(tokens) if answer.status.is_success() => {
            let is_bearer = tokens.token_type.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
            if is_bearer { Ok(tokens) } else { Err(unreadable(EXCHANGE, "tokens of another type")) }
        }
        _ => Err(unreadable(EXCHANGE, answer.status)),
    }
}

/// An error code as it may be logged: of the letters that codes have.
fn error_code(text: &str) -> String {
    let code: String =
        text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(MAX_CODE).collect();
    if code.is_empty() { "an error".to_owned() } else { code }
}

/// The name in Apple's form: `{"name": {"firstName": "Ada", "lastName": "Lovelace"}}`.
fn name_in_form(user: &str) -> String {
    let user: Value = serde_json::from_str(user).unwrap_or_default();
    let part = |key: &str| user.pointer(&format!("/name/{key}")).and_then(Value::as_str).unwrap_or_default();
    name(format!("{} {}", part("firstName"), part("lastName")).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apples_form_gives_a_name_and_never_an_address() {
        let user = r#"{"name": {"firstName": "Ada", "lastName": "Lovelace"}, "email": "eve@example.com"}"#;
        assert_eq!(name_in_form(user), "Ada Lovelace");
        for nothing in ["", "null", "{}", "[", r#"{"name": "Ada"}"#, r#"{"name": {"firstName": "a\u0000b"}}"#]
        {
            assert_eq!(name_in_form(nothing), "", "{nothing}");
        }
    }

    #[test]
    fn what_a_provider_calls_an_error_is_cut_to_what_codes_are() {
        assert_eq!(error_code("invalid_grant"), "invalid_grant");
        assert_eq!(error_code("a b\r\nc"), "abc");
        assert_eq!(error_code(""), "an error");
        assert_eq!(error_code(&"x".repeat(1_000)).len(), MAX_CODE);
    }
}
