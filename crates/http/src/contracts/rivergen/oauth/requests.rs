//! Request bodies, and how they are read.

use serde::Deserialize;
use tidegate_domain::logout::LogoutSettings;
use tidegate_domain::oauth::{
    AccessLevel, ApplicationStatus, ClientAuthentication, GrantType, MAX_APPLICATION_DESCRIPTION,
    MAX_APPLICATION_NAME, MAX_REDIRECT_URI, MAX_REDIRECT_URIS,
};
use tidegate_domain::text::line;
use tidegate_domain::{RedirectUri, Scope, Scopes};
use tidegate_oauth::applications::{ApplicationChange, ClientMetadata, NewApplication};
use tidegate_oauth::authorize::Parameters;
use tidegate_oauth::authorize::parameters::MAX_VALUE;
use utoipa::{IntoParams, ToSchema};

use super::leaving::Leaving;
use super::responses::OneApplicationData;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::openapi::shapes::Shape;
use crate::wire::unknown::{Exact, fields_of};

/// Most applications on a page.
const MAX_PAGE: i64 = 100;

/// What these requests are made of, besides what attributes can say.
pub(in super::super) fn texts() -> Vec<Shape> {
    let words = |format, words| Shape { format, words, ..Shape::default() };
    vec![
        words("access-level", vec![AccessLevel::Organization.as_str()]),
        words("application-status", ApplicationStatus::ALL.map(ApplicationStatus::as_str).to_vec()),
        words(
            "client-authentication",
            ClientAuthentication::PLAIN.map(ClientAuthentication::as_str).to_vec(),
        ),
        words("grant-type", GrantType::ALL.map(GrantType::as_str).to_vec()),
        words("application-scope", Scope::known().collect()),
        Shape {
            format: "oauth-parameter",
            max_length: Some(MAX_VALUE),
            pattern: Some(r"^[^\u0000-\u001f\u007f-\u009f]*$".to_owned()),
            ..Shape::default()
        },
        Shape {
            format: "redirect-uri",
            min_length: Some(1),
            max_length: Some(MAX_REDIRECT_URI),
            pattern: Some(REDIRECT_URI.to_owned()),
            ..Shape::default()
        },
        Shape {
            format: "backchannel-uri",
            min_length: Some(1),
            max_length: Some(MAX_REDIRECT_URI),
            pattern: Some(REDIRECT_URI.to_owned()),
            ..Shape::default()
        },
    ]
}

/// A redirect URI of the usual kind. Public clients may register others, with a scheme of their own.
const REDIRECT_URI: &str =
    r"^https://[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z]{2,10}){1,3}(/[A-Za-z0-9._~-]{0,100}){0,5}$";

/// A way to tokens.
#[derive(ToSchema)]
#[schema(value_type = String, format = "grant-type", example = "authorization_code")]
struct GrantTypeName(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// A redirect URI.
#[derive(ToSchema)]
#[schema(value_type = String, format = "redirect-uri", example = "https://app.example.com/callback")]
struct RedirectUriText(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// A scope: see docs/scopes.md.
#[derive(ToSchema)]
#[schema(value_type = String, format = "application-scope", example = "openid")]
struct ApplicationScope(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// POST .../oauth-applications.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateApplicationBody {
    /// Unique in the organization.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 128)]
    #[serde(default)]
    name: Field<String>,
    /// For people.
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 1000)]
    #[serde(default)]
    description: Field<String>,
    /// `authorization_code`, `client_credentials`, `urn:ietf:params:oauth:grant-type:device_code` (for devices without a browser), or several.
    #[schema(required = true, value_type = Vec<GrantTypeName>, min_items = 1)]
    #[serde(default)]
    grant_types: Field<Vec<String>>,
    /// `https`, or `http` on a loopback address (at any port), without a fragment. Public clients may have schemes of their own, which
    /// contain a dot. A request has to repeat one exactly.
    #[schema(required = true, value_type = Vec<RedirectUriText>, max_items = 50)]
    #[serde(default)]
    redirect_uris: Field<Vec<String>>,
    /// What the application may ask for at most.
    #[schema(required = true, value_type = Vec<ApplicationScope>, min_items = 1)]
    #[serde(default)]
    scopes: Field<Vec<String>>,
    /// `organization`, also when left out.
    #[schema(value_type = Option<String>, format = "access-level", example = "organization")]
    #[serde(default)]
    access_level: Field<String>,
    /// `client_secret_basic`, also when left out; `client_secret_post`; or `none` for a public client, which has no secret and uses PKCE.
    #[schema(value_type = Option<String>, format = "client-authentication", example = "client_secret_basic")]
    #[serde(default)]
    token_endpoint_auth_method: Field<String>,
    /// Where people may be sent after they signed out; a request has to repeat one exactly. Extension of the contract.
    #[schema(value_type = Option<Vec<RedirectUriText>>, max_items = 50)]
    #[serde(default)]
    post_logout_redirect_uris: Field<Vec<String>>,
    /// Where the application is told that a session has ended; `null`: nowhere. Extension of the contract.
    #[schema(value_type = Option<String>, format = "backchannel-uri", example = "https://app.example.com/backchannel-logout")]
    #[serde(default)]
    backchannel_logout_uri: Field<String>,
    /// Whether the application needs the session's name to be told. Extension of the contract.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    backchannel_logout_session_required: Field<bool>,
}

impl Exact for CreateApplicationBody {}

impl CreateApplicationBody {
    pub(super) fn read(self) -> Result<NewApplication, Violations> {
        let mut check = Check::new();
        let name = name(&mut check, self.name);
        if name.is_none() {
            check_missing(&mut check, "name");
        }
        let description = description(&mut check, self.description);
        let grant_types = grant_types(&mut check, self.grant_types);
        let redirect_uris = redirect_uris(&mut check, self.redirect_uris);
        let scopes = scopes(&mut check, self.scopes);
        for (field, is_missing) in [
            ("grant_types", grant_types.is_none()),
            ("redirect_uris", redirect_uris.is_none()),
            ("scopes", scopes.is_none()),
        ] {
            if is_missing {
                check_missing(&mut check, field);
            }
        }
        let leaving = Leaving {
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            backchannel_logout_uri: self.backchannel_logout_uri,
            backchannel_logout_session_required: self.backchannel_logout_session_required,
        };
        let logout = leaving.read(&mut check).of(LogoutSettings::default());
        let access_level = access_level(&mut check, self.access_level);
        let method = check.optional("token_endpoint_auth_method", self.token_endpoint_auth_method);
        let authentication = method.map(|name| match ClientAuthentication::from_name(&name) {
            Some(method) if ClientAuthentication::PLAIN.contains(&method) => Some(method),
            _ => check.violated(
                "token_endpoint_auth_method",
                "must be none, client_secret_basic or client_secret_post",
            ),
        });
        let lists = grant_types.zip(redirect_uris).zip(scopes);
        check.finish(name.zip(lists).map(|(name, ((grant_types, redirect_uris), scopes))| NewApplication {
            name,
            description: description.unwrap_or_default(),
            grant_types,
            redirect_uris,
            scopes,
            access_level: access_level.unwrap_or_default(),
            authentication: authentication.flatten().unwrap_or_default(),
            logout,
            metadata: ClientMetadata::default(),
        }))
    }
}

/// PATCH .../oauth-applications/{app_id}. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeApplicationBody {
    /// Unique in the organization.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 128)]
    #[serde(default)]
    name: Field<String>,
    /// For people.
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 1000)]
    #[serde(default)]
    description: Field<String>,
    /// `authorization_code`, `client_credentials` or both.
    #[schema(value_type = Option<Vec<GrantTypeName>>, min_items = 1)]
    #[serde(default)]
    grant_types: Field<Vec<String>>,
    /// As for a new application.
    #[schema(value_type = Option<Vec<RedirectUriText>>, max_items = 50)]
    #[serde(default)]
    redirect_uris: Field<Vec<String>>,
    /// What the application may ask for at most.
    #[schema(value_type = Option<Vec<ApplicationScope>>, min_items = 1)]
    #[serde(default)]
    scopes: Field<Vec<String>>,
    /// `organization`.
    #[schema(value_type = Option<String>, format = "access-level", example = "organization")]
    #[serde(default)]
    access_level: Field<String>,
    /// `active` or `revoked`.
    #[schema(value_type = Option<String>, format = "application-status", example = "active")]
    #[serde(default)]
    status: Field<String>,
    /// Where people may be sent after they signed out; a request has to repeat one exactly. Extension of the contract.
    #[schema(value_type = Option<Vec<RedirectUriText>>, max_items = 50)]
    #[serde(default)]
    post_logout_redirect_uris: Field<Vec<String>>,
    /// Where the application is told that a session has ended; `null`: nowhere. Extension of the contract.
    #[schema(value_type = Option<String>, format = "backchannel-uri", example = "https://app.example.com/backchannel-logout")]
    #[serde(default)]
    backchannel_logout_uri: Field<String>,
    /// Whether the application needs the session's name to be told. Extension of the contract.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    backchannel_logout_session_required: Field<bool>,
}

impl Exact for ChangeApplicationBody {
    fn sent_back() -> Vec<String> {
        fields_of::<OneApplicationData>()
    }
}

impl ChangeApplicationBody {
    pub(super) fn read(self) -> Result<ApplicationChange, Violations> {
        let mut check = Check::new();
        let status =
            check.optional("status", self.status).map(|name| match ApplicationStatus::from_name(&name) {
                Some(status) => Some(status),
                None => check.violated("status", "must be active or revoked"),
            });
        let leaving = Leaving {
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            backchannel_logout_uri: self.backchannel_logout_uri,
            backchannel_logout_session_required: self.backchannel_logout_session_required,
        };
        let change = ApplicationChange {
            logout: leaving.read(&mut check),
            name: name(&mut check, self.name),
            description: description(&mut check, self.description),
            grant_types: grant_types(&mut check, self.grant_types),
            redirect_uris: redirect_uris(&mut check, self.redirect_uris),
            scopes: scopes(&mut check, self.scopes),
            access_level: access_level(&mut check, self.access_level),
            status: status.flatten(),
        };
        check.finish(Some(change))
    }
}

/// A required field is missing, unless it was found to be wrong already.
fn check_missing(check: &mut Check, field: &'static str) {
    if !check.blames(field) {
        check.violated::<()>(field, "is required");
    }
}

fn name(check: &mut Check, field: Field<String>) -> Option<String> {
    let text = check.optional("name", field)?;
    check.parsed("name", line(&text, MAX_APPLICATION_NAME))
}

fn description(check: &mut Check, field: Field<String>) -> Option<String> {
    let text = check.optional("description", field)?;
    if text.trim().is_empty() {
        return Some(String::new());
    }
    check.parsed("description", line(&text, MAX_APPLICATION_DESCRIPTION))
}

fn grant_types(check: &mut Check, field: Field<Vec<String>>) -> Option<Vec<GrantType>> {
    let names = check.optional("grant_types", field)?;
    let mut grant_types = Vec::new();
    for name in &names {
        match GrantType::from_name(name) {
            Some(one) if grant_types.contains(&one) => {}
            Some(one) => grant_types.push(one),
            None => {
                let text = "must be of authorization_code, client_credentials and urn:ietf:params:oauth:grant-type:device_code";
                return check.violated("grant_types", text);
            }
        }
    }
    if grant_types.is_empty() {
        return check.violated("grant_types", "must have at least one value");
    }
    Some(grant_types)
}

fn redirect_uris(check: &mut Check, field: Field<Vec<String>>) -> Option<Vec<RedirectUri>> {
    let texts = check.optional("redirect_uris", field)?;
    if texts.len() > MAX_REDIRECT_URIS {
        return check.violated("redirect_uris", format!("must have at most {MAX_REDIRECT_URIS} values"));
    }
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let uri = check.parsed(format!("redirect_uris.{at}"), RedirectUri::parse(text))?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Some(uris)
}

fn scopes(check: &mut Check, field: Field<Vec<String>>) -> Option<Scopes> {
    let names = check.optional("scopes", field)?;
    check.parsed("scopes", Scopes::requested(names.iter().map(String::as_str)))
}

fn access_level(check: &mut Check, field: Field<String>) -> Option<AccessLevel> {
    let name = check.optional("access_level", field)?;
    match AccessLevel::from_name(&name) {
        Some(level) => Some(level),
        None => check.violated("access_level", "must be organization"),
    }
}

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many to leave out from the beginning.
    #[param(value_type = Option<i64>, minimum = 0, default = 0)]
    skip: Option<String>,
    /// At most so many.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, default = 100)]
    limit: Option<String>,
}

impl PageQuery {
    pub(super) fn read(self) -> Result<(i64, i64), Violations> {
        let mut check = Check::new();
        let skip = match self.skip.map(|text| text.parse::<i64>()) {
            None => Some(0),
            Some(Ok(skip)) if skip >= 0 => Some(skip),
            Some(_) => check.violated("skip", "must be an integer from 0"),
        };
        let limit = match self.limit.map(|text| text.parse::<i64>()) {
            None => Some(MAX_PAGE),
            Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => Some(limit),
            Some(_) => check.violated("limit", format!("must be an integer from 1 to {MAX_PAGE}")),
        };
        check.finish(skip.zip(limit))
    }
}

/// POST /api/v1/oauth/authorize.
#[derive(Deserialize, ToSchema)]
pub(super) struct AuthorizeBody {
    /// The application.
    #[schema(required = true, value_type = String, format = "oauth-parameter")]
    #[serde(default)]
    client_id: Field<String>,
    /// One of its redirect URIs.
    #[schema(required = true, value_type = String, format = "oauth-parameter")]
    #[serde(default)]
    redirect_uri: Field<String>,
    /// Separated by spaces; all that the application may ask for when left out.
    #[schema(value_type = Option<String>, format = "oauth-parameter")]
    #[serde(default)]
    scope: Field<String>,
    /// Handed back.
    #[schema(value_type = Option<String>, format = "oauth-parameter")]
    #[serde(default)]
    state: Field<String>,
    /// Handed back in the ID token.
    #[schema(value_type = Option<String>, format = "oauth-parameter")]
    #[serde(default)]
    nonce: Field<String>,
    /// PKCE.
    #[schema(value_type = Option<String>, format = "oauth-parameter")]
    #[serde(default)]
    code_challenge: Field<String>,
    /// `S256`.
    #[schema(value_type = Option<String>, format = "oauth-parameter", example = "S256")]
    #[serde(default)]
    code_challenge_method: Field<String>,
    /// The API that the access token is for (RFC 8707).
    #[schema(value_type = Option<String>, format = "oauth-parameter")]
    #[serde(default)]
    resource: Field<String>,
    /// What the person answered.
    #[schema(required = true, value_type = bool)]
    #[serde(default)]
    approve: Field<bool>,
}

impl AuthorizeBody {
    pub(super) fn read(self) -> Result<(Parameters, bool), Violations> {
        let mut check = Check::new();
        let client_id = check.required("client_id", self.client_id);
        let redirect_uri = check.required("redirect_uri", self.redirect_uri);
        let optional = [
            ("scope", self.scope),
            ("state", self.state),
            ("nonce", self.nonce),
            ("code_challenge", self.code_challenge),
            ("code_challenge_method", self.code_challenge_method),
            ("resource", self.resource),
        ];
        let mut pairs = vec![("response_type".to_owned(), "code".to_owned())];
        for (name, field) in optional {
            pairs.extend(check.optional(name, field).map(|value| (name.to_owned(), value)));
        }
        let approve = check.required("approve", self.approve);
        let needed = client_id.zip(redirect_uri).zip(approve);
        let ((client_id, redirect_uri), approve) = check.finish(needed)?;
        pairs.push(("client_id".to_owned(), client_id));
        pairs.push(("redirect_uri".to_owned(), redirect_uri));
        let parameters = Parameters::read(pairs)
            .map_err(|unreadable| Violations::of(unreadable.field(), unreadable.to_string()))?;
        Ok((parameters, approve))
    }
}
