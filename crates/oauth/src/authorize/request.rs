//! An authorization request, validated.

use tidegate_crypto::oauth::unverified_subject;
use tidegate_domain::Scopes;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::fault::{Fault, Outcome, Refused};
use uuid::Uuid;

use super::answer::ResponseMode;
use super::error::{AuthorizationError, RequestRefused, SentBack, ShownError};
use super::parameters::Parameters;
use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// Longest and shortest challenge and verifier (RFC 7636 section 4.1).
const PKCE_LENGTHS: std::ops::RangeInclusive<usize> = 43..=128;

/// How a challenge was made of the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// Its SHA-256.
    S256,
    /// It is the verifier.
    Plain,
}

impl ChallengeMethod {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::S256, Self::Plain].into_iter().find(|method| method.as_str() == name)
    }
}

/// A challenge of PKCE (RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// How it was made.
    pub method: ChallengeMethod,
    /// Its text.
    pub text: String,
}

/// What the person has to be asked (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Nothing: what is missing is an error.
    pub none: bool,
    /// To sign in again.
    pub login: bool,
    /// For their consent, though it was given before.
    pub consent: bool,
    /// Which account they want to use.
    pub select_account: bool,
    /// To make an account (Initiating User Registration 1.0).
    pub create: bool,
}

/// An authorization request of an application that may make it, with a registered way back.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub application: Application,
    /// Registered. As it was sent: a loopback address may have any port.
    pub redirect_uri: String,
    /// How the answer is sent back.
    pub response_mode: ResponseMode,
    /// What it asks for: all that it may, if it does not say.
    pub scopes: Scopes,
    /// Handed back as it is.
    pub state: Option<String>,
    /// Handed back in the ID token.
    pub nonce: Option<String>,
    /// PKCE. Public clients have one.
    pub challenge: Option<Challenge>,
    /// The API that the access token is for, if not this installation (RFC 8707).
    pub resource: Option<String>,
    /// What the person has to be asked.
    pub prompt: Prompt,
    /// Seconds since the person last proved who they are, at most.
    pub max_age: Option<u64>,
    /// How they should do so, by preference: a wish, not a condition.
    pub acr_values: Vec<String>,
    /// Who they probably are. Not trusted.
    pub login_hint: Option<String>,
    /// Who it has to be: nobody else is answered for. Not trusted, and no proof of anything.
    pub hinted: Option<String>,
    /// Languages, by preference.
    pub ui_locales: Vec<String>,
    /// Single claims that are asked for: a JSON object (Core section 5.5).
    pub claims: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Oauth {
    /// Validates an authorization request. Nothing is decided about the person yet.
    ///
    /// Source: RFC 6749 section 4.1.1; RFC 7636; RFC 9700 section 2.1; OpenID Connect Core section 3.1.2.
    ///
    /// # Errors
    /// [`RequestRefused`].
    pub async fn authorization_request(
        &self,
        parameters: Parameters,
    ) -> Outcome<AuthorizationRequest, RequestRefused> {
        let application = self.active_application(parameters.client_id.as_deref()).await?;
        let application = application.ok_or_else(|| shown(ShownError::InvalidClient))?;
        let redirect_uri = parameters.redirect_uri.clone().filter(|uri| application.redirects_to(uri));
        let redirect_uri = redirect_uri.ok_or_else(|| shown(ShownError::InvalidRedirectUri))?;
        if parameters.response_type.as_deref() != Some("code") {
            let text = "response_type must be `code`".to_owned();
            return Err(shown(ShownError::InvalidRequest(text)));
        }
        let named_mode = parameters.response_mode.as_deref().map(ResponseMode::from_name);
        let response_mode = named_mode.flatten().unwrap_or_default();
        let state = parameters.state.clone();
        let sent_back = |error| {
            let back =
                SentBack { error, redirect_uri: redirect_uri.clone(), response_mode, state: state.clone() };
            Refused::Rule(RequestRefused::SentBack(Box::new(back)))
        };
        if named_mode == Some(None) {
            let error = AuthorizationError::InvalidRequest("response_mode must be `query` or `form_post`");
            return Err(sent_back(error));
        }
        let read = self.read_request(application, redirect_uri.clone(), response_mode, parameters);
        read.map_err(sent_back)
    }

    /// The application of that `client_id`, if it may be used.
    pub(crate) async fn active_application(
        &self,
        client_id: Option<&str>,
    ) -> Result<Option<Application>, Fault> {
        let Some(id) = client_id.and_then(|text| Uuid::try_parse(text).ok()) else {
            return Ok(None);
        };
        let found = self.kernel.store.read().await?.applications().find(id.into()).await?;
        Ok(found.filter(Application::is_active))
    }

    fn read_request(
        &self,
        application: Application,
        redirect_uri: String,
        response_mode: ResponseMode,
        parameters: Parameters,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let unsupported = [
            (parameters.request.is_some(), AuthorizationError::RequestNotSupported),
            (parameters.request_uri.is_some(), AuthorizationError::RequestUriNotSupported),
            (parameters.registration.is_some(), AuthorizationError::RegistrationNotSupported),
        ];
        if let Some((_, error)) = unsupported.into_iter().find(|(is_sent, _)| *is_sent) {
            return Err(error);
        }
        if !application.may(GrantType::AuthorizationCode) {
            return Err(AuthorizationError::UnauthorizedClient);
        }
        let scopes = requested_scopes(&application, parameters.scope.as_deref())
            .ok_or(AuthorizationError::InvalidScope)?;
        let challenge = self.challenge(
            &application,
            parameters.code_challenge,
            parameters.code_challenge_method.as_deref(),
        )?;
        Ok(AuthorizationRequest {
            redirect_uri,
            response_mode,
            scopes,
            state: parameters.state,
            nonce: parameters.nonce,
            challenge,
            resource: self
                .audience(parameters.resource)
                .map_err(|NoSuchApi| AuthorizationError::InvalidTarget)?,
            prompt: prompt(parameters.prompt.as_deref())?,
            max_age: max_age(parameters.max_age.as_deref())?,
            acr_values: words(parameters.acr_values.as_deref()),
            login_hint: parameters.login_hint,
            hinted: hinted(parameters.id_token_hint.as_deref())?,
            ui_locales: words(parameters.ui_locales.as_deref()),
            claims: claims(parameters.claims.as_deref())?,
            application,
        })
    }

    /// The challenge, where the application needs one or sends one (RFC 9700 section 2.1.1).
    fn challenge(
        &self,
        application: &Application,
        text: Option<String>,
        method: Option<&str>,
    ) -> Result<Option<Challenge>, AuthorizationError> {
        let invalid = |text| Err(AuthorizationError::InvalidRequest(text));
        let is_public = application.authentication.is_public();
        let Some(text) = text else {
            return match method {
                Some(_) => invalid("code_challenge_method is sent without code_challenge"),
                None if is_public => invalid("a public client must send code_challenge (PKCE, RFC 7636)"),
                None => Ok(None),
            };
        };
        if !is_pkce_text(&text) {
            return invalid("code_challenge must be 43 to 128 characters of A-Z, a-z, 0-9, -, ., _ and ~");
        }
        // BASE64URL of a SHA-256 is 43 characters: anything else is a mistake, and might be a secret.
        if method == Some(ChallengeMethod::S256.as_str()) && text.len() != *PKCE_LENGTHS.start() {
            return invalid("code_challenge of the method S256 is 43 characters");
        }
        // RFC 7636 section 4.3.
        match ChallengeMethod::from_name(method.unwrap_or("plain")) {
            Some(ChallengeMethod::S256) => Ok(Some(Challenge { method: ChallengeMethod::S256, text })),
            Some(ChallengeMethod::Plain) if self.rules().allow_plain_pkce && !is_public => {
                Ok(Some(Challenge { method: ChallengeMethod::Plain, text }))
            }
            _ => invalid("code_challenge_method must be `S256`"),
        }
    }

    /// The API that an access token is for: none for this installation.
    pub(crate) fn audience(&self, resource: Option<String>) -> Result<Option<String>, NoSuchApi> {
        match resource {
            Some(resource) if resource == self.kernel.settings.public_url => Ok(None),
            Some(resource) if self.rules().knows_resource(&resource) => Ok(Some(resource)),
            Some(_) => Err(NoSuchApi),
            None => Ok(None),
        }
    }
}

/// No access token is made for that API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchApi;

const fn shown(error: ShownError) -> Refused<RequestRefused> {
    Refused::Rule(RequestRefused::Shown(error))
}

/// What an application asks for, if it may: all that it is registered for, where it does not say (RFC 6749 section 3.3).
pub(crate) fn requested_scopes(application: &Application, scope: Option<&str>) -> Option<Scopes> {
    match scope {
        None => Some(application.scopes.clone()),
        Some(text) => {
            let requested = Scopes::parse(text).ok()?;
            application.scopes.contains_all(&requested).then_some(requested)
        }
    }
}

/// Whether it has the form of a challenge and of a verifier.
pub(crate) fn is_pkce_text(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    PKCE_LENGTHS.contains(&text.len()) && text.bytes().all(unreserved)
}

fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

fn prompt(text: Option<&str>) -> Result<Prompt, AuthorizationError> {
    let mut prompt = Prompt::default();
    let mut count = 0;
    for word in text.unwrap_or_default().split_ascii_whitespace() {
        count += 1;
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            "create" => prompt.create = true,
            _ => return Err(AuthorizationError::InvalidRequest("prompt has a value that is not known")),
        }
    }
    if prompt.none && count > 1 {
        return Err(AuthorizationError::InvalidRequest("prompt=none stands alone"));
    }
    Ok(prompt)
}

fn hinted(text: Option<&str>) -> Result<Option<String>, AuthorizationError> {
    let subject = text.map(|text| {
        let subject = unverified_subject(text);
        subject.ok_or(AuthorizationError::InvalidRequest("id_token_hint must be an ID token"))
    });
    subject.transpose()
}

fn max_age(text: Option<&str>) -> Result<Option<u64>, AuthorizationError> {
    let read =
        text.map(|text| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten());
    match read {
        Some(None) => Err(AuthorizationError::InvalidRequest("max_age must be a number of seconds")),
        Some(age) => Ok(age),
        None => Ok(None),
    }
}

fn claims(
    text: Option<&str>,
) -> Result<Option<serde_json::Map<String, serde_json::Value>>, AuthorizationError> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|_| AuthorizationError::InvalidRequest("claims must be a JSON object"))
}
