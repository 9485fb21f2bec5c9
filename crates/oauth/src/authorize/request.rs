//! An authorization request, validated.

use tidegate_crypto::TokenHash;
use tidegate_crypto::dpop::is_thumbprint;
use tidegate_crypto::oauth::unverified_subject;
use tidegate_domain::Scopes;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, Refused};

use super::answer::ResponseMode;
use super::error::{AuthorizationError, RequestRefused, SentBack, ShownError};
use super::parameters::Parameters;
use super::resolved::Resolved;
use super::scopes::requested_scopes;
use crate::Oauth;
use crate::applications::Application;
use crate::claims::requested;

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
    /// To make an account (Initiating User Registration 1.0). Where the operator has no page for that, they sign in, and the page says
    /// how people get accounts; it is not announced then.
    pub create: bool,
}

impl Prompt {
    /// The values of `prompt` that are always announced: those that have a page of their own, or need none.
    pub const NAMES: [&'static str; 4] = ["none", "login", "consent", "select_account"];
    /// The one that is announced where people can make an account.
    pub const CREATE: &'static str = "create";
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
    /// What the person is asked for: those, and the scopes of single claims (Core section 5.5).
    pub asked_scopes: Scopes,
    /// What the person allows, and what is remembered of it: those, and by their addresses the APIs besides this installation that the
    /// access token is for. Who allowed an application to read something here allowed no token for another API with that.
    pub allowed: Scopes,
    /// Handed back as it is.
    pub state: Option<String>,
    /// Handed back in the ID token.
    pub nonce: Option<String>,
    /// PKCE. Public clients have one.
    pub challenge: Option<Challenge>,
    /// The APIs that the access token is for, separated by spaces, if not this installation alone (RFC 8707).
    pub resource: Option<String>,
    /// Thumbprint of the key that the code is bound to (RFC 9449 section 10).
    pub dpop_jkt: Option<String>,
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
    /// The name of the request that is kept, if it is: it is answered once.
    pub(crate) pushed: Option<TokenHash>,
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
        call: &Call,
        parameters: Parameters,
    ) -> Outcome<AuthorizationRequest, RequestRefused> {
        let client_id = parameters.client_id.as_deref();
        let application = self.active_application(call, client_id).await?;
        let application = application.ok_or_else(|| shown(ShownError::without_client(client_id)))?;
        let resolved = match self.resolved(&application, parameters).await {
            Ok(resolved) => resolved,
            Err(Refused::Rule(error)) => return Err(shown(error)),
            Err(Refused::Fault(fault)) => return Err(Refused::Fault(fault)),
        };
        self.validated(application, resolved).await
    }

    /// Validates the parameters of an application, however they came.
    ///
    /// # Errors
    /// [`RequestRefused`].
    pub(super) async fn validated(
        &self,
        application: Application,
        resolved: Resolved,
    ) -> Outcome<AuthorizationRequest, RequestRefused> {
        let parameters = &resolved.parameters;
        let sent = parameters.redirect_uri.as_deref();
        let Some(redirect_uri) = sent.filter(|uri| application.redirects_to(uri)).map(str::to_owned) else {
            let told = self.unregistered_redirect(&application, sent);
            return Err(shown(ShownError::InvalidRedirectUri(told)));
        };
        if parameters.response_type.as_deref() != Some("code") {
            let text = "response_type must be `code`".to_owned();
            return Err(shown(ShownError::InvalidRequest(text)));
        }
        let named_mode = parameters.response_mode.as_deref().map(ResponseMode::from_name);
        let response_mode = named_mode.flatten().unwrap_or_default();
        let state = parameters.state.clone();
        let is_strangers = application.is_self_registered();
        let sent_back = |error| {
            let back = SentBack {
                error,
                redirect_uri: redirect_uri.clone(),
                response_mode,
                state: state.clone(),
                is_strangers,
            };
            Refused::Rule(RequestRefused::SentBack(Box::new(back)))
        };
        if named_mode == Some(None) {
            let error = AuthorizationError::InvalidRequest("response_mode must be `query` or `form_post`");
            return Err(sent_back(error));
        }
        self.check_way(&application, &resolved).map_err(sent_back)?;
        let read = self.read_request(application, redirect_uri.clone(), response_mode, resolved);
        read.map_err(sent_back)
    }

    /// Refuses a request that did not come in the way in which it has to: what anybody can change on its way counts for nothing then.
    fn check_way(&self, application: &Application, resolved: &Resolved) -> Result<(), AuthorizationError> {
        let metadata = &application.metadata;
        let must_push = self.rules().require_pushed_authorization_requests
            || metadata.require_pushed_authorization_requests;
        let invalid = |text| Err(AuthorizationError::InvalidRequest(text));
        if resolved.parameters.request.is_some() {
            return Err(AuthorizationError::RequestNotSupported);
        }
        if resolved.parameters.request_uri.is_some() {
            return Err(AuthorizationError::RequestUriNotSupported);
        }
        if must_push && !resolved.is_pushed {
            return invalid("this application has to push its authorization requests (RFC 9126)");
        }
        if metadata.require_signed_request_object && !resolved.is_signed {
            return invalid("this application has to sign its authorization requests (RFC 9101)");
        }
        Ok(())
    }

    fn read_request(
        &self,
        application: Application,
        redirect_uri: String,
        response_mode: ResponseMode,
        resolved: Resolved,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let Resolved { parameters, pushed, .. } = resolved;
        if parameters.registration.is_some() {
            return Err(AuthorizationError::RegistrationNotSupported);
        }
        if !application.may(GrantType::AuthorizationCode) {
            return Err(AuthorizationError::UnauthorizedClient);
        }
        let scopes = requested_scopes(&application, parameters.scope.as_deref())?;
        let challenge = self.challenge(
            &application,
            parameters.code_challenge,
            parameters.code_challenge_method.as_deref(),
        )?;
        let claims = claims(parameters.claims.as_deref())?;
        let mut acr_values = words(parameters.acr_values.as_deref());
        acr_values.extend(requested::contexts(claims.as_ref()));
        // OpenID Connect Registration section 2: `default_acr_values`.
        if acr_values.is_empty() {
            acr_values.clone_from(&application.metadata.default_acr_values);
        }
        let of_claims = requested::scopes(claims.as_ref(), &application.scopes);
        // Without `openid` neither place tells anything.
        let asked_scopes = if scopes.contains("openid") { scopes.union(&of_claims) } else { scopes.clone() };
        let resource =
            self.audience(parameters.resource).map_err(|NoSuchApi| AuthorizationError::InvalidTarget)?;
        Ok(AuthorizationRequest {
            redirect_uri,
            response_mode,
            allowed: asked_scopes.union(&self.apis_in(resource.as_deref())),
            asked_scopes,
            scopes,
            state: parameters.state,
            nonce: parameters.nonce,
            challenge,
            resource,
            dpop_jkt: thumbprint(parameters.dpop_jkt)?,
            prompt: prompt(parameters.prompt.as_deref())?,
            // OpenID Connect Registration section 2: `default_max_age`.
            max_age: max_age(parameters.max_age.as_deref())?
                .or(application.metadata.default_max_age.map(u64::from)),
            acr_values,
            login_hint: parameters.login_hint,
            hinted: hinted(parameters.id_token_hint.as_deref(), requested::subject(claims.as_ref()))?,
            ui_locales: words(parameters.ui_locales.as_deref()),
            claims,
            pushed,
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
        let Some(text) = text else {
            return match method {
                Some(_) => invalid("code_challenge_method is sent without code_challenge"),
                None if application.needs_pkce() => {
                    invalid("this application must send code_challenge (PKCE, RFC 7636)")
                }
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
            Some(ChallengeMethod::Plain) if self.rules().allow_plain_pkce && !application.needs_pkce() => {
                Ok(Some(Challenge { method: ChallengeMethod::Plain, text }))
            }
            _ => invalid("code_challenge_method must be `S256`"),
        }
    }

    /// The APIs that an access token is for, separated by spaces as they were named: none for this installation alone.
    pub(crate) fn audience(&self, resource: Option<String>) -> Result<Option<String>, NoSuchApi> {
        let own = self.kernel.settings.public_url.as_str();
        let Some(named) = resource.filter(|named| named != own) else { return Ok(None) };
        let is_known = |api: &str| api == own || self.rules().knows_resource(api);
        if named.split(' ').all(is_known) { Ok(Some(named)) } else { Err(NoSuchApi) }
    }

    /// The APIs besides this installation among those that a token is for, by their addresses: what a person is asked for besides scopes.
    pub(crate) fn apis_in(&self, audience: Option<&str>) -> Scopes {
        let own = self.kernel.settings.public_url.as_str();
        let others: Vec<&str> = audience.unwrap_or_default().split(' ').filter(|api| *api != own).collect();
        Scopes::from_stored(&others.join(" "))
    }

    /// The APIs that one access token of a grant is for: those of the grant, or those of them that are named (RFC 8707 section 2.2).
    pub(crate) fn narrowed(
        &self,
        granted: Option<&str>,
        resource: Option<String>,
    ) -> Result<Option<String>, NoSuchApi> {
        let Some(resource) = resource else { return Ok(granted.map(str::to_owned)) };
        let own = self.kernel.settings.public_url.as_str();
        let named = self.audience(Some(resource))?;
        let of_grant: Vec<&str> = granted.unwrap_or(own).split(' ').collect();
        let is_granted = named.as_deref().unwrap_or(own).split(' ').all(|api| of_grant.contains(&api));
        if is_granted { Ok(named) } else { Err(NoSuchApi) }
    }
}

/// No access token is made for that API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchApi;

const fn shown(error: ShownError) -> Refused<RequestRefused> {
    Refused::Rule(RequestRefused::Shown(error))
}

/// Whether it has the form of a challenge and of a verifier.
pub(crate) fn is_pkce_text(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    PKCE_LENGTHS.contains(&text.len()) && text.bytes().all(unreserved)
}

fn thumbprint(text: Option<String>) -> Result<Option<String>, AuthorizationError> {
    match text {
        Some(text) if !is_thumbprint(&text) => Err(AuthorizationError::InvalidRequest(
            "dpop_jkt must be the SHA-256 thumbprint of a key (RFC 7638)",
        )),
        text => Ok(text),
    }
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
            _ => {
                let text =
                    "prompt must be of none, login, consent, select_account and create, separated by spaces";
                return Err(AuthorizationError::InvalidRequest(text));
            }
        }
    }
    if prompt.none && count > 1 {
        return Err(AuthorizationError::InvalidRequest("prompt=none stands alone"));
    }
    Ok(prompt)
}

/// Who it has to be: the one of the hint, or the one of whom the ID token has to speak.
fn hinted(hint: Option<&str>, asked: Option<String>) -> Result<Option<String>, AuthorizationError> {
    let hinted = hint.map(|text| {
        let subject = unverified_subject(text);
        subject.ok_or(AuthorizationError::InvalidRequest("id_token_hint must be an ID token"))
    });
    match (hinted.transpose()?, asked) {
        (Some(hinted), Some(asked)) if hinted != asked => {
            let text = "id_token_hint and the sub in claims name two people";
            Err(AuthorizationError::InvalidRequest(text))
        }
        (hinted, asked) => Ok(hinted.or(asked)),
    }
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
