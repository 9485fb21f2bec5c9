//! Why an authorization request is refused: shown to the person, or sent back to the application.

use tidegate_kernel::noted::{self, CredentialFault};

use super::answer::{Answer, ResponseMode};
use super::scopes::ScopeRefused;
use crate::applications::Unregistered;

/// An error that is sent back to the application (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, RFC 8707
/// section 2). The text is for its developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Malformed.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The application may not ask so.
    #[error("the application is not registered for the grant type authorization_code")]
    UnauthorizedClient,
    /// The person refused.
    #[error("the person did not give access")]
    AccessDenied,
    /// More than the application may ask for.
    #[error(transparent)]
    InvalidScope(#[from] ScopeRefused),
    /// No access token is made for that API.
    #[error("resource is not an API that this server makes access tokens for")]
    InvalidTarget,
    /// `prompt=none`, and the person has to sign in.
    #[error("the person has to sign in")]
    LoginRequired,
    /// `prompt=none`, and the person has to be asked.
    #[error("the person has to give their consent")]
    ConsentRequired,
    /// OpenID Connect Core Unmet Authentication Requirements 1.0: an essential `acr` that the person cannot show.
    #[error("the person did not sign in as the essential claim acr asks")]
    UnmetAuthenticationRequirements,
    /// Core section 6.1.
    #[error(
        "the parameter request is not supported for an application without keys: register jwks or jwks_uri"
    )]
    RequestNotSupported,
    /// Core section 6.2.
    #[error("request_uri must be one that this server made for a pushed request: it asks no other address")]
    RequestUriNotSupported,
    /// Core section 7.2.1.
    #[error("the parameter registration is not supported")]
    RegistrationNotSupported,
}

impl AuthorizationError {
    /// Its code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::InvalidScope(_) => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
        }
    }
}

/// An error that is shown, because there is nowhere to send it: nobody is ever sent to an address that is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShownError {
    /// Unknown, revoked or suspended: which of them is not told.
    #[error("the client_id is unknown, or the application is revoked or suspended")]
    InvalidClient,
    /// No application is named.
    #[error("client_id is missing")]
    NoClient,
    /// Missing, or not registered.
    #[error(
        "redirect_uri must be one of the redirect URIs that the application is registered with, character by character; only the port of a \
         loopback address may be another"
    )]
    InvalidRedirectUri(Unregistered),
    /// Malformed.
    #[error("{0}")]
    InvalidRequest(String),
    /// No pushed request of the application that waits to be answered.
    #[error(
        "the request_uri is unknown, expired or used, or another application's: begin anew in the application"
    )]
    InvalidRequestUri,
    /// Not a request that the application signed for this server.
    #[error("the request object is refused: {0}")]
    InvalidRequestObject(String),
}

impl ShownError {
    /// Of a request whose application cannot be told by what it sent.
    pub(crate) fn without_client(client_id: Option<&str>) -> Self {
        if client_id.is_some() {
            return Self::InvalidClient;
        }
        noted::refused(CredentialFault::Client("client_id is missing"));
        Self::NoClient
    }

    /// Its code (RiverGen contract, "GET /oauth/authorize").
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidClient | Self::NoClient => "invalid_client",
            Self::InvalidRedirectUri(_) | Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidRequestObject(_) => "invalid_request_object",
        }
    }
}

/// An error with the way back to the application.
#[derive(Clone, Debug)]
pub struct SentBack {
    /// The error.
    pub error: AuthorizationError,
    /// A registered address.
    pub redirect_uri: String,
    /// How the answer is sent.
    pub response_mode: ResponseMode,
    /// As it was sent.
    pub state: Option<String>,
    /// Whether the address is one that a stranger registered.
    pub is_strangers: bool,
}

impl SentBack {
    /// The answer with the error. `issuer` tells the application whose it is (RFC 9207).
    pub fn answer(&self, issuer: &str) -> Answer {
        let fields = [
            ("error", Some(self.error.code().to_owned())),
            ("error_description", Some(self.error.to_string())),
            ("state", self.state.clone()),
            ("iss", Some(issuer.to_owned())),
        ];
        let answer = Answer::new(self.redirect_uri.clone(), self.response_mode, fields);
        Answer { needs_person: self.is_strangers, ..answer }
    }
}

/// Why an authorization request is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestRefused {
    /// Shown to the person.
    #[error(transparent)]
    Shown(#[from] ShownError),
    /// Sent back to the application.
    #[error("{}", .0.error)]
    SentBack(Box<SentBack>),
}
