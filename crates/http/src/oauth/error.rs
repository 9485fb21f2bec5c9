//! Flat errors (RFC 6749 section 5.2, RFC 6750 section 3.1).

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tidegate_domain::Timestamp;
use tidegate_oauth::authorize::{PushError, RequestRefused, ShownError};
use tidegate_oauth::claims::userinfo::UserInfoError;
use tidegate_oauth::registration::RegistrationError;
use tidegate_oauth::token::TokenError;

use super::OAuth;
use crate::wire::contract::{ContractError, contract_error};
use crate::wire::possession::Unproven;
use crate::wire::rejection::{Rejection, insufficient_scope};

/// How an application may prove who it is, where it did not (RFC 6749 section 5.2).
const CLIENT_CHALLENGE: &str = "Basic realm=\"oauth\", charset=\"UTF-8\"";

/// What is said of a path that is none of the endpoints'.
const NOT_SERVED: &str = "nothing is served at this path; /docs lists what is";

/// An error of the endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    description: Cow<'static, str>,
    headers: Box<HeaderMap>,
}

impl ContractError for Error {
    fn code(&self) -> &str {
        self.code
    }

    fn render(&self, _now: Timestamp) -> Response {
        let body = Json(json!({ "error": self.code, "error_description": self.description }));
        (self.status, self.headers.as_ref().clone(), body).into_response()
    }
}

impl Error {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, description: description.into(), headers: Box::default() }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// What is wrong, for the developer.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// The same with a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn challenging(mut self, challenge: &'static str) -> Self {
        self.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        self
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        if error == TokenError::InvalidClient {
            let error = Self::new(StatusCode::UNAUTHORIZED, error.code(), error.to_string());
            return error.challenging(CLIENT_CHALLENGE);
        }
        Self::new(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    }
}

impl From<ShownError> for Error {
    fn from(error: ShownError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    }
}

impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        let code = match &error {
            PushError::Request(RequestRefused::Shown(shown)) => return shown.clone().into(),
            PushError::Request(RequestRefused::SentBack(back)) => back.error.code(),
            PushError::Malformed(_) => "invalid_request",
            PushError::TooMany => {
                return Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "temporarily_unavailable",
                    error.to_string(),
                );
            }
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

impl From<RegistrationError> for Error {
    fn from(error: RegistrationError) -> Self {
        let status = match &error {
            RegistrationError::Off => StatusCode::NOT_FOUND,
            RegistrationError::Token => StatusCode::UNAUTHORIZED,
            RegistrationError::RedirectUri(_)
            | RegistrationError::Metadata(_)
            | RegistrationError::SoftwareStatement => StatusCode::BAD_REQUEST,
            RegistrationError::Full | RegistrationError::ShareFull | RegistrationError::NotSetUp => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let made = Self::new(status, error.code(), error.to_string());
        if error == RegistrationError::Token {
            made.challenging("Bearer error=\"invalid_token\"")
        } else {
            made
        }
    }
}

impl From<UserInfoError> for Error {
    fn from(error: UserInfoError) -> Self {
        let UserInfoError::InsufficientScope = error;
        let error = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", error.to_string());
        error.challenging("Bearer error=\"insufficient_scope\", scope=\"openid\"")
    }
}

fn unauthorized(text: &'static str) -> (StatusCode, &'static str, Cow<'static, str>) {
    (StatusCode::UNAUTHORIZED, "invalid_token", text.into())
}

/// Every 403 of these endpoints is about what a token may do (RFC 6750 section 3.1).
fn insufficient(text: String, needed: Option<&'static str>) -> Error {
    let error = Error::new(StatusCode::FORBIDDEN, "insufficient_scope", text);
    error.with_header(header::WWW_AUTHENTICATE, insufficient_scope(needed))
}

fn refused_proof(unproven: Unproven) -> (StatusCode, &'static str, Cow<'static, str>) {
    (StatusCode::UNAUTHORIZED, unproven.error, unproven.description.into())
}

fn unsupported(text: Cow<'static, str>) -> (StatusCode, &'static str, Cow<'static, str>) {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", text)
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let headers = Box::new(rejection.headers());
        let (status, code, description): (_, _, Cow<'static, str>) = match rejection {
            Rejection::MalformedBody(text) => (StatusCode::BAD_REQUEST, "invalid_request", text.into()),
            Rejection::Invalid(violations) => {
                (StatusCode::BAD_REQUEST, "invalid_request", violations.summary().into())
            }
            Rejection::UnsupportedMediaType(taken) => unsupported(taken.advice()),
            Rejection::UnsupportedEncoding => unsupported("send the body without Content-Encoding".into()),
            Rejection::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "invalid_request", "the body did not arrive in time".into())
            }
            Rejection::PayloadTooLarge { limit } => {
                let text = format!("the body is larger than {limit} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", text.into())
            }
            Rejection::NoToken => unauthorized("send an access token as `Authorization: Bearer <token>`"),
            Rejection::InvalidToken => {
                unauthorized("the access token is invalid, for another API, or its session has ended")
            }
            Rejection::Unproven(unproven) => refused_proof(*unproven),
            Rejection::ExpiredToken => unauthorized("the access token has expired; refresh it"),
            Rejection::StepUpRequired => {
                let text = "the person has to prove anew who they are, with their second factor if they have one, and then the request \
                            can be repeated";
                (StatusCode::FORBIDDEN, "interaction_required", text.into())
            }
            Rejection::EmailNotVerified => {
                return insufficient("the account's e-mail address is not verified".to_owned(), None);
            }
            Rejection::Forbidden(reason) => return insufficient(reason.to_string(), reason.scope()),
            Rejection::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found", NOT_SERVED.into()),
            Rejection::MethodNotAllowed { .. } => {
                let text = "this path does not answer that method";
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text.into())
            }
            Rejection::RateLimited { retry_after, .. } => {
                let text = format!("too many requests; try again in {retry_after} s");
                (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", text.into())
            }
            Rejection::QuotaExceeded(exceeded) => {
                (StatusCode::BAD_REQUEST, "invalid_request", exceeded.to_string().into())
            }
            Rejection::Unavailable { reason, .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", reason.into())
            }
            Rejection::NotConfigured { reason } => {
                (StatusCode::SERVICE_UNAVAILABLE, "server_error", reason.into())
            }
            Rejection::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "something went wrong on our side".into())
            }
        };
        Self { status, code, description, headers }
    }
}

contract_error!(OAuth, Error);
