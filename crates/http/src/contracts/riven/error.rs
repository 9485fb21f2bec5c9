//! What can go wrong, in the contract's words (its section 1). It has no codes: those of the log are ours.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_brokerage::failure::BrokerFailure;
use tidegate_brokerage::open_account::OpenAccountError;
use tidegate_brokerage::profile::BrokerageProfileError;
use tidegate_brokerage::submit_documents::SubmitDocumentsError;
use tidegate_domain::Timestamp;
use tidegate_identity::sessions::sign_out::SignOutError;
use tidegate_kernel::{Fault, Refused};
use utoipa::ToSchema;

use crate::contracts::common_error::{common_answer, sentence};
use crate::wire::contract::{ContractError, contract_error};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// An error of this contract.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    http: StatusCode,
    code: &'static str,
    body: Box<ErrorBody>,
    headers: Box<HeaderMap>,
}

/// The error envelope.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// For people.
    message: String,
    /// What is wrong with each field, by its path such as `contact.email_address`; where fields are at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Vec<String>>>)]
    errors: Option<Map<String, Value>>,
    /// Always empty; only where a success would carry a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Vec<String>>,
    /// Always `false`; left out where the token is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<bool>,
}

impl ContractError for Error {
    fn code(&self) -> &str {
        self.code
    }

    fn render(&self, _now: Timestamp) -> Response {
        let mut response = (self.http, Json(self.body.as_ref())).into_response();
        response.headers_mut().extend(self.headers.as_ref().clone());
        response
    }
}

impl Error {
    pub(super) fn new(http: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let body = ErrorBody { message: message.into(), status: Some(false), ..ErrorBody::default() };
        Self { http, code, body: Box::new(body), headers: Box::default() }
    }

    /// No session has this token.
    fn unauthenticated(code: &'static str) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, code, "Unauthenticated.");
        error.body.status = None;
        error
    }

    /// Where a success carries a token, a wrong code carries an empty list.
    pub(super) fn invalid_code() -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_CODE", "Invalid code");
        error.body.auth = Some(Vec::new());
        error
    }

    /// Here a wrong code is a wrong password.
    pub(super) fn invalid_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid credentials")
    }

    /// Errors of any use case.
    pub(super) fn fault(fault: Fault) -> Self {
        Rejection::from(fault).into()
    }

    /// A fault; or, for a refusal that can only mean one thing, that.
    pub(super) fn or<E>(refused: Refused<E>, rule: fn() -> Self) -> Self {
        match refused {
            Refused::Rule(_) => rule(),
            Refused::Fault(fault) => Self::fault(fault),
        }
    }

    fn conflict(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    fn later(code: &'static str, message: &str, retry_after: u64) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        error.headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
        error
    }

    /// One field is at fault.
    pub(super) fn field(path: &str, message: &str) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", message);
        error.body.errors = Some(Map::from_iter([(path.to_owned(), Value::from(vec![message]))]));
        error
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        let mut errors: Map<String, Value> = Map::new();
        let mut first = None;
        for one in violations.iter() {
            let text = format!("{} {}", one.field, one.message);
            first.get_or_insert_with(|| text.clone());
            let at_field = errors.entry(one.field.to_string()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(texts) = at_field {
                texts.push(text.into());
            }
        }
        let first = first.unwrap_or_default();
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", first);
        error.body.errors = Some(errors);
        error
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let headers = Box::new(rejection.headers());
        let error = match rejection {
            Rejection::Invalid(violations) => return violations.into(),
            Rejection::MalformedBody(text) => Self::field("body", &text),
            // Limits hold for single files too.
            Rejection::PayloadTooLarge { limit } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                format!("What was sent is larger than {limit} bytes."),
            ),
            Rejection::NoToken => Self::unauthenticated("NO_TOKEN"),
            Rejection::InvalidToken | Rejection::Unproven(_) => Self::unauthenticated("INVALID_TOKEN"),
            Rejection::ExpiredToken => Self::unauthenticated("EXPIRED_TOKEN"),
            Rejection::RateLimited { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "Too Many Attempts.")
            }
            rejection => {
                let (status, code, message) = common_answer(&super::CONTRACT, rejection);
                Self::new(status, code, sentence(&message))
            }
        };
        Self { headers, ..error }
    }
}

contract_error!(super::Riven, Error);

impl From<SignOutError> for Error {
    fn from(SignOutError::AlreadyEnded: SignOutError) -> Self {
        Rejection::InvalidToken.into()
    }
}

impl From<OpenAccountError> for Error {
    fn from(error: OpenAccountError) -> Self {
        match error {
            OpenAccountError::AlreadyOpened => Self::conflict("ACCOUNT_EXISTS", "Account already exists"),
            OpenAccountError::EmailTaken => {
                let text = "The e-mail address is in use by another brokerage account.";
                let mut error = Self::conflict("EMAIL_TAKEN", text);
                error.body.errors = Self::field("contact.email_address", text).body.errors;
                error
            }
            OpenAccountError::Unsettled { retry_after } => Self::later(
                "UNSETTLED",
                "An earlier application is not settled yet. It is not lost: try again shortly.",
                retry_after,
            ),
            OpenAccountError::Broker(failure) => failure.into(),
        }
    }
}

impl From<SubmitDocumentsError> for Error {
    fn from(error: SubmitDocumentsError) -> Self {
        match error {
            SubmitDocumentsError::NoAccount => no_account(),
            SubmitDocumentsError::Broker(failure) => failure.into(),
        }
    }
}

impl From<BrokerageProfileError> for Error {
    fn from(error: BrokerageProfileError) -> Self {
        match error {
            BrokerageProfileError::NoAccount => no_account(),
            BrokerageProfileError::Broker(failure) => failure.into(),
        }
    }
}

impl From<BrokerFailure> for Error {
    fn from(failure: BrokerFailure) -> Self {
        match failure {
            BrokerFailure::Refused(refusal) => match refusal.field() {
                Some(path) => Self::field(path, refusal.message()),
                None => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "BROKER_REFUSED", refusal.message()),
            },
            BrokerFailure::Unreachable { retry_after } => Self::later(
                "BROKER_UNREACHABLE",
                "The broker cannot be reached; try again later.",
                retry_after,
            ),
            BrokerFailure::OutOfOrder => Self::new(
                StatusCode::BAD_GATEWAY,
                "BROKER_OUT_OF_ORDER",
                "The broker does not accept this at the moment; try again later.",
            ),
        }
    }
}

fn no_account() -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "NO_ACCOUNT",
        "There is no brokerage account yet; open one with account/create.",
    )
}
