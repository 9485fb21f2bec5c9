//! Queries and bodies, and how they are read.

use axum::http::HeaderMap;
use serde::Deserialize;
use tidegate_domain::Secret;
use tidegate_domain::factor::DeviceData;
use tidegate_domain::text::line;
use tidegate_identity::social::finish::{SocialCode, SocialTerms};
use utoipa::{IntoParams, ToSchema};

use super::super::requests::text;
use super::callback;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::social_cookie;
use crate::wire::state::App;

/// Longest state that a client may choose, in characters.
const MAX_STATE: usize = 512;
/// Longest page that a client may name, in characters.
const MAX_PAGE: usize = 2_048;
/// Longest code, in bytes.
const MAX_CODE: usize = 2 * 1024;
/// Length of a challenge of S256: 32 bytes in base64url.
const CHALLENGE: usize = 43;
/// Longest secret of a page, in characters (RFC 7636 section 4.1).
const MAX_SECRET: usize = 128;
/// Longest name of a provider, in characters.
const MAX_PROVIDER: usize = 100;

/// What to begin with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct BeginQuery {
    /// Comes back with the code; a random one when left out.
    #[param(value_type = Option<String>, format = "single-line", max_length = 512)]
    state: Option<String>,
    /// Where the provider sends the person back: one of `[social] redirect_uris`. Extension of the contract.
    #[param(value_type = Option<String>, format = "single-line", max_length = 2048)]
    redirect_uri: Option<String>,
    /// S256 (RFC 7636 section 4.2) of a secret that the page keeps in the browser: whoever sends the code has to send the secret as
    /// `browser_secret`. Extension of the contract.
    #[param(value_type = Option<String>, format = "single-line", min_length = 43, max_length = 43)]
    browser_challenge: Option<String>,
}

/// What a sign-in begins with.
pub(super) struct Begin {
    pub(super) state: Option<String>,
    pub(super) page: Option<String>,
    pub(super) challenge: Option<String>,
}

impl BeginQuery {
    pub(super) fn read(self) -> Result<Begin, Violations> {
        let mut check = Check::new();
        let mut given = |name, value: Option<String>, most| {
            let value = value.filter(|value| !value.is_empty());
            // As it was sent: the client compares it.
            if let Some(Err(error)) = value.as_deref().map(|value| line(value, most)) {
                check.violated::<()>(name, error.to_string());
            }
            value
        };
        let state = given("state", self.state, MAX_STATE);
        let page = given("redirect_uri", self.redirect_uri, MAX_PAGE);
        let challenge = given("browser_challenge", self.browser_challenge, CHALLENGE);
        let is_encoded = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if challenge.as_ref().is_some_and(|sent| sent.len() != CHALLENGE || !sent.chars().all(is_encoded)) {
            check.violated::<()>(
                "browser_challenge",
                "must be 43 characters of base64url: S256 of the secret",
            );
        }
        check.finish(Some(Begin { state, page, challenge }))
    }
}

/// POST /api/v1/auth/oauth/login.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct SocialLoginBody {
    /// `github`, `google`, `apple`, `microsoft`, or another one that the operator has set up.
    #[schema(required = true, value_type = String, example = "github")]
    #[serde(default)]
    provider: Field<String>,
    /// What the provider sent to the application's page.
    #[schema(required = true, value_type = String, format = "opaque-token", max_length = 2048)]
    #[serde(default)]
    code: Field<String>,
    /// What came with the code. Needed where the operator says so. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 512)]
    #[serde(default)]
    state: Field<String>,
    /// The page that it came to, where the address was asked for with one. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 2048)]
    #[serde(default)]
    redirect_uri: Field<String>,
    /// What came with the code (RFC 9207). Compared where it is sent. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 2048)]
    #[serde(default)]
    iss: Field<String>,
    /// The secret whose challenge the address was asked for with. Needed then. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 128)]
    #[serde(default)]
    browser_secret: Field<String>,
}

impl SocialLoginBody {
    pub(super) fn read(
        self,
        app: &App,
        headers: &HeaderMap,
        device: DeviceData,
    ) -> Result<SocialCode, Violations> {
        let mut check = Check::new();
        let sent = SentCode {
            provider: self.provider,
            code: self.code,
            state: self.state,
            redirect_uri: self.redirect_uri,
            iss: self.iss,
            browser_secret: self.browser_secret,
        };
        let read = sent.read(&mut check, app, headers, device);
        check.finish(read)
    }
}

/// POST /api/v1/auth/oauth/signup.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct SocialSignupBody {
    /// `github`, `google`, `apple`, `microsoft`, or another one that the operator has set up.
    #[schema(required = true, value_type = String, example = "github")]
    #[serde(default)]
    provider: Field<String>,
    /// What the provider sent to the application's page.
    #[schema(required = true, value_type = String, format = "opaque-token", max_length = 2048)]
    #[serde(default)]
    code: Field<String>,
    /// What came with the code. Needed where the operator says so. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 512)]
    #[serde(default)]
    state: Field<String>,
    /// The page that it came to, where the address was asked for with one. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 2048)]
    #[serde(default)]
    redirect_uri: Field<String>,
    /// What came with the code (RFC 9207). Compared where it is sent. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 2048)]
    #[serde(default)]
    iss: Field<String>,
    /// The secret whose challenge the address was asked for with. Needed then. Extension of the contract.
    #[schema(value_type = Option<String>, max_length = 128)]
    #[serde(default)]
    browser_secret: Field<String>,
    /// Stored; `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    agree_to_terms: Field<bool>,
    /// Stored; `1.0` when left out.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 50)]
    #[serde(default)]
    terms_version: Field<String>,
}

impl SocialSignupBody {
    pub(super) fn read(
        self,
        app: &App,
        headers: &HeaderMap,
        device: DeviceData,
    ) -> Result<(SocialCode, SocialTerms), Violations> {
        let mut check = Check::new();
        let agreed = check.optional("agree_to_terms", self.agree_to_terms);
        let version = text(&mut check, "terms_version", self.terms_version, 50);
        let sent = SentCode {
            provider: self.provider,
            code: self.code,
            state: self.state,
            redirect_uri: self.redirect_uri,
            iss: self.iss,
            browser_secret: self.browser_secret,
        };
        let code = sent.read(&mut check, app, headers, device);
        let terms = SocialTerms {
            agreed: agreed.unwrap_or(true),
            version: Some(version.unwrap_or_else(|| "1.0".to_owned())),
        };
        check.finish(code.map(|code| (code, terms)))
    }
}

/// What a provider has the browser post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the description of a form that is read pair by pair")]
pub(in super::super) struct ProviderForm {
    code: Option<String>,
    state: Option<String>,
    /// What is wrong, in the provider's word.
    error: Option<String>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
    /// What Apple says of the person the first time, JSON. Only the name is taken: nobody signed it.
    user: Option<String>,
}

/// What both bodies have.
struct SentCode {
    provider: Field<String>,
    code: Field<String>,
    state: Field<String>,
    redirect_uri: Field<String>,
    iss: Field<String>,
    browser_secret: Field<String>,
}

impl SentCode {
    fn read(
        self,
        check: &mut Check,
        app: &App,
        headers: &HeaderMap,
        device: DeviceData,
    ) -> Option<SocialCode> {
        let provider = check.required("provider", self.provider);
        let code = check.required("code", self.code);
        let code = match code {
            Some(code) if code.is_empty() || code.chars().count() > MAX_CODE => {
                check.violated("code", "must be what the provider sent")
            }
            code => code,
        };
        let mut bounded = |name, field, most| {
            let value: Option<String> = check.optional(name, field);
            let value = value.filter(|value| !value.is_empty());
            if value.as_ref().is_some_and(|value| value.chars().count() > most) {
                check.violated::<()>(name, format!("must be at most {most} characters"));
            }
            value
        };
        let state = bounded("state", self.state, MAX_STATE);
        let redirect_uri = bounded("redirect_uri", self.redirect_uri, MAX_PAGE);
        let issuer = bounded("iss", self.iss, MAX_PAGE);
        let secret = bounded("browser_secret", self.browser_secret, MAX_SECRET);
        let (provider, code) = provider.zip(code)?;
        // No provider is called so; nothing is made of it.
        let provider: String = provider.chars().take(MAX_PROVIDER).collect();
        Some(SocialCode {
            callback: callback(app, &provider),
            provider,
            code: Secret::new(code),
            state,
            issuer,
            redirect_uri,
            browser: social_cookie::read(app, headers, false)
                .or_else(|| social_cookie::read(app, headers, true)),
            page_secret: secret.map(Secret::new),
            device,
        })
    }
}
