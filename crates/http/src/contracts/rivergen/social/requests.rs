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
const MAX_CODE: usize = 8 * 1024;
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
}

impl BeginQuery {
    /// The state and the page.
    pub(super) fn read(self) -> Result<(Option<String>, Option<String>), Violations> {
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
        check.finish(Some((state, page)))
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
            Some(code) if code.is_empty() || code.len() > MAX_CODE => {
                check.violated("code", "must be what the provider sent")
            }
            code => code,
        };
        let mut bounded = |name, field, most| {
            let value: Option<String> = check.optional(name, field);
            let value = value.filter(|value| !value.is_empty());
            if value.as_ref().is_some_and(|value| value.len() > 4 * most) {
                check.violated::<()>(name, format!("must be at most {most} characters"));
            }
            value
        };
        let state = bounded("state", self.state, MAX_STATE);
        let redirect_uri = bounded("redirect_uri", self.redirect_uri, MAX_PAGE);
        let (provider, code) = provider.zip(code)?;
        // No provider is called so; nothing is made of it.
        let provider: String = provider.chars().take(MAX_PROVIDER).collect();
        Some(SocialCode {
            callback: callback(app, &provider),
            provider,
            code: Secret::new(code),
            state,
            redirect_uri,
            browser: social_cookie::read(app, headers, false)
                .or_else(|| social_cookie::read(app, headers, true)),
            device,
        })
    }
}
