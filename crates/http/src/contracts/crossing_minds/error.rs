//! Errors in the contract's envelope: section 2.

use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_domain::account::LoginName;
use tidegate_domain::{Role, Timestamp};
use tidegate_identity::accounts::change_account::ChangeAccountError;
use tidegate_identity::accounts::create_account::CreateAccountError;
use tidegate_identity::accounts::metadata::TooLarge;
use tidegate_identity::credentials::redirect::RedirectRefused;
use tidegate_identity::credentials::service_keys::ServiceKeyError;
use tidegate_identity::databases::manage::DatabaseError;
use tidegate_identity::recovery::reset_password::ResetPasswordError;
use tidegate_identity::sessions::continue_session::ContinueError;
use tidegate_identity::sessions::resolve_session::ResolveError;
use tidegate_identity::sign_in::activate::{ActivateError, ResendActivationError};
use tidegate_identity::sign_in::bind::BindError;
use tidegate_identity::sign_in::login::SignInError;
use tidegate_kernel::fault::Forbidden;
use utoipa::ToSchema;

use crate::contracts::common_error::{common_answer, forbidden_text};
use crate::wire::contract::{ContractError, contract_error};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// An error of this contract.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    class: Class,
    status: StatusCode,
    message: String,
    data: Map<String, Value>,
    headers: Box<HeaderMap>,
}

/// The contract's classes of errors, by number and name.
#[derive(Clone, Copy, Debug)]
struct Class(u16, &'static str);

const SERVER_ERROR: Class = Class(0, "ServerError");
const SERVER_UNAVAILABLE: Class = Class(1, "ServerUnavailable");
const TOO_MANY_REQUESTS: Class = Class(2, "TooManyRequests");
const AUTH_ERROR: Class = Class(21, "AuthError");
const JWT_TOKEN_EXPIRED: Class = Class(22, "JwtTokenExpired");
const REFRESH_TOKEN_EXPIRED: Class = Class(28, "RefreshTokenExpired");
const WRONG_DATA: Class = Class(40, "WrongData");
const DUPLICATED_ERROR: Class = Class(42, "DuplicatedError");
const FORBIDDEN_ERROR: Class = Class(50, "ForbiddenError");
const NOT_FOUND_ERROR: Class = Class(60, "NotFoundError");
const METHOD_NOT_ALLOWED: Class = Class(70, "MethodNotAllowed");

/// The error envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// Number of the class.
    #[schema(example = 42)]
    error_code: u16,
    /// Name of the class.
    #[schema(example = "DuplicatedError")]
    error_name: &'static str,
    /// For people; not to branch on.
    message: String,
    /// `name` says what went wrong exactly; the other keys depend on the class. Always an object.
    #[schema(value_type = Object)]
    error_data: Map<String, Value>,
}

impl ContractError for Error {
    fn code(&self) -> &str {
        self.data.get("name").and_then(Value::as_str).unwrap_or(self.class.1)
    }

    fn render(&self, _now: Timestamp) -> Response {
        let body = ErrorBody {
            error_code: self.class.0,
            error_name: self.class.1,
            message: self.message.clone(),
            error_data: self.data.clone(),
        };
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().extend(self.headers.as_ref().clone());
        response
    }
}

impl Error {
    fn new(status: StatusCode, class: Class, message: impl Into<String>, data: Value) -> Self {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Self { class, status, message: message.into(), data, headers: Box::default() }
    }

    /// 401 AuthError.
    pub(super) fn auth(name: &'static str, error: &str) -> Self {
        let message = format!("Cannot perform authentication: {error}");
        Self::new(StatusCode::UNAUTHORIZED, AUTH_ERROR, message, json!({ "error": error, "name": name }))
    }

    /// 403 ForbiddenError.
    pub(super) fn forbidden(name: &'static str, error: &str) -> Self {
        let message = format!("Do not have enough permissions to access this resource: {error}");
        Self::new(StatusCode::FORBIDDEN, FORBIDDEN_ERROR, message, json!({ "error": error, "name": name }))
    }

    /// 404 NotFoundError.
    pub(super) fn not_found(kind: &'static str, key: &str, name: &'static str) -> Self {
        let message = format!("The {kind} {key} does not exist");
        let data = json!({ "type": kind, "key": key, "name": name });
        Self::new(StatusCode::NOT_FOUND, NOT_FOUND_ERROR, message, data)
    }

    /// The same of a path. The message, which is not to branch on, names the one that was perhaps meant.
    fn path_not_found(path: &str, elsewhere: Option<&str>) -> Self {
        let mut error = Self::not_found("path", path, "PATH_NOT_FOUND");
        if let Some(elsewhere) = elsewhere {
            error.message = format!("{}; {elsewhere}", error.message);
        }
        error
    }

    /// 405 MethodNotAllowed.
    fn method_not_allowed(method: &Method) -> Self {
        let message = format!("Method \"{method}\" not allowed");
        let data = json!({ "method": method.as_str(), "name": "METHOD_NOT_ALLOWED" });
        Self::new(StatusCode::METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED, message, data)
    }

    /// 400 WrongData about the request as a whole.
    pub(super) fn wrong_data(name: &'static str, error: &str) -> Self {
        wrong_data(StatusCode::BAD_REQUEST, name, error)
    }

    fn duplicated(kind: &'static str, key: &str, name: &'static str) -> Self {
        let message = format!("The {kind} {key} is duplicated");
        let data = json!({ "type": kind, "key": key, "name": name });
        Self::new(StatusCode::BAD_REQUEST, DUPLICATED_ERROR, message, data)
    }

    fn account_not_found(key: &str) -> Self {
        Self::not_found("account", key, "ACCOUNT_NOT_FOUND")
    }

    /// 401 AuthError about a code from a mail: wrong, used or expired, which is not told. `again` is what to do, and ends with the request
    /// that sends another one.
    fn wrong_code(again: &str) -> Self {
        Self::auth("ACTIVATION_CODE_DOES_NOT_MATCH", "the activation code does not match")
            .with_hint(format!("it is wrong, used or expired; {again} sends another one"))
    }

    /// What helps, beside a text that is the contract's: an extension of it.
    fn with_hint(mut self, hint: String) -> Self {
        self.data.insert("hint".to_owned(), hint.into());
        self
    }

    /// 404 NotFoundError about a program's key.
    pub(super) fn key_not_found(key: &str) -> Self {
        Self::not_found("key", key, "KEY_NOT_FOUND")
    }

    fn unavailable(name: &'static str, headers: HeaderMap) -> Self {
        let message = "The server is currently unavailable, please try again later";
        let error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER_UNAVAILABLE, message, json!({ "name": name }));
        Self { headers: Box::new(headers), ..error }
    }
}

fn wrong_data(status: StatusCode, name: &'static str, error: &str) -> Error {
    let data = json!({ "error": error, "name": name });
    Error::new(status, WRONG_DATA, "There is an error in the submitted data", data)
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        let mut query = Map::new();
        for one in violations.iter() {
            let messages = query.entry(one.field.clone()).or_insert_with(|| json!([]));
            if let Value::Array(messages) = messages {
                messages.push(one.message.clone().into());
            }
        }
        let data = json!({ "query": query, "name": "WRONG_DATA_TYPE" });
        Self::new(StatusCode::BAD_REQUEST, WRONG_DATA, "There is an error in the submitted data", data)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let headers = Box::new(rejection.headers());
        let error = match rejection {
            Rejection::Invalid(violations) => violations.into(),
            Rejection::MalformedBody(text) => Self::wrong_data("WRONG_DATA_TYPE", &text),
            Rejection::UnsupportedMediaType(_)
            | Rejection::UnsupportedEncoding
            | Rejection::RequestTimeout
            | Rejection::PayloadTooLarge { .. } => {
                let (status, code, message) = common_answer(&super::CONTRACT, rejection);
                wrong_data(status, code, &message)
            }
            Rejection::NoToken => {
                Self::auth("INCORRECT_JWT_TOKEN", "send a JWT token as `Authorization: Bearer <token>`")
            }
            Rejection::InvalidToken | Rejection::Unproven(_) => {
                Self::auth("INCORRECT_JWT_TOKEN", "the JWT token is incorrect")
            }
            Rejection::ExpiredToken => {
                let message = "The JWT token has expired";
                let data = json!({ "error": "the JWT token has expired", "name": "INCORRECT_JWT_TOKEN" });
                Self::new(StatusCode::UNAUTHORIZED, JWT_TOKEN_EXPIRED, message, data)
            }
            Rejection::EmailNotVerified => not_verified(),
            Rejection::Forbidden(reason) => Self::forbidden("INSUFFICIENT_ROLE", &forbidden(&reason)),
            Rejection::StepUpRequired => {
                Self::forbidden("INSUFFICIENT_ROLE", "sign in again, then try once more")
            }
            Rejection::NotFound { path, elsewhere } => Self::path_not_found(&path, elsewhere.as_deref()),
            Rejection::MethodNotAllowed { method } => Self::method_not_allowed(&method),
            Rejection::RateLimited { retry_after, .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                TOO_MANY_REQUESTS,
                "The amount of requests exceeds the limit of your subscription",
                json!({ "name": "RATE_LIMIT_OVERFLOW", "retry_after": retry_after }),
            ),
            Rejection::QuotaExceeded(exceeded) => Self::wrong_data("QUOTA_EXCEEDED", &exceeded.to_string()),
            Rejection::Unavailable { .. } => Self::unavailable("SERVER_UNAVAILABLE", HeaderMap::new()),
            // Not the contract's own message, which asks to try again.
            Rejection::NotConfigured { reason } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                SERVER_UNAVAILABLE,
                reason,
                json!({ "name": "SERVER_UNAVAILABLE" }),
            ),
            Rejection::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                SERVER_ERROR,
                "Unknown error from server",
                json!({ "name": "SERVER_ERROR" }),
            ),
        };
        Self { headers, ..error }
    }
}

contract_error!(super::CrossingMinds, Error);

/// Why a token does not reach so far; roles are called what the contract calls them.
fn forbidden(reason: &Forbidden) -> String {
    match reason {
        Forbidden::Role { permission, .. } => match Role::least_with(*permission) {
            Some(least) => {
                format!("the token's role does not allow this; it takes the role {}", super::role_name(least))
            }
            None => NOT_ALLOWED.to_owned(),
        },
        Forbidden::Unsaid => NOT_ALLOWED.to_owned(),
        reason => forbidden_text(&super::CONTRACT, reason),
    }
}

const NOT_ALLOWED: &str = "the token's role does not allow this";

/// What a manager can do about a name that is taken. It is the same whose account it is: they must not learn that.
const fn if_taken(login: &LoginName) -> &'static str {
    match login {
        LoginName::Service(_) => "another program has the name: choose another one",
        LoginName::Email(_) | LoginName::Phone(_) => {
            "an account that exists joins no other organization: invite another address of the person, or have an operator \
             delete that account (tidegate user delete) and invite again; to somebody who was invited, \
             PUT /v1/accounts/resend-verification-code/ mails a new code"
        }
    }
}

fn not_verified() -> Error {
    Error::auth("ACCOUNT_NOT_VERIFIED", "this account is not verified")
}

impl From<BindError> for Error {
    fn from(error: BindError) -> Self {
        match error {
            BindError::DatabaseNotFound(key) => Self::not_found("database", &key, "DATABASE_NOT_FOUND"),
            BindError::Invalid { field, reason } => Violations::of(field, reason).into(),
        }
    }
}

impl From<SignInError> for Error {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::InvalidCredentials => {
                Self::auth("INCORRECT_PASSWORD", "account password is incorrect")
            }
            SignInError::NotVerified | SignInError::CannotVerify => not_verified(),
            SignInError::WorkspaceDenied => Rejection::Forbidden(Forbidden::Unsaid).into(),
            SignInError::Binding(error) => error.into(),
        }
    }
}

impl From<ContinueError> for Error {
    fn from(error: ContinueError) -> Self {
        match error {
            ContinueError::Invalid => {
                Self::auth("INCORRECT_REFRESH_TOKEN", "refresh token is incorrect or invalidated")
            }
            ContinueError::Expired => {
                let data =
                    json!({ "error": "the refresh token has expired", "name": "REFRESH_TOKEN_EXPIRED" });
                let message = "The refresh token has expired";
                Self::new(StatusCode::UNAUTHORIZED, REFRESH_TOKEN_EXPIRED, message, data)
            }
            ContinueError::AccountDeleted(name) => Self::account_not_found(&name),
            ContinueError::Binding(error) => error.into(),
            ContinueError::BoundToUser => Self::forbidden("INSUFFICIENT_ROLE", &error.to_string()),
        }
    }
}

impl From<CreateAccountError> for Error {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::Taken(login) => {
                let error = Self::duplicated("account", login.as_str(), "DUPLICATED_ACCOUNT");
                error.with_hint(if_taken(&login).to_owned())
            }
            CreateAccountError::WeakPassword(weak) => Violations::of("password", weak.to_string()).into(),
            CreateAccountError::OwnerRole => Violations::of("role", "cannot be root").into(),
            CreateAccountError::Redirect(refused) => refused.into(),
        }
    }
}

impl From<RedirectRefused> for Error {
    fn from(refused: RedirectRefused) -> Self {
        Violations::of("email_redirect_url", refused.to_string()).into()
    }
}

impl From<ChangeAccountError> for Error {
    fn from(error: ChangeAccountError) -> Self {
        match error {
            ChangeAccountError::NotFound(login) => Self::account_not_found(login.as_str()),
            ChangeAccountError::IsOwner(_) | ChangeAccountError::NotManaged(_) => {
                Self::forbidden("INCORRECT_ACCOUNT", &error.to_string())
            }
            ChangeAccountError::WeakPassword(weak) => Violations::of("password", weak.to_string()).into(),
        }
    }
}

impl From<ServiceKeyError> for Error {
    fn from(error: ServiceKeyError) -> Self {
        match error {
            ServiceKeyError::AccountNotFound(login) => Self::account_not_found(login.as_str()),
            ServiceKeyError::TooMany => Violations::of("name", error.to_string()).into(),
            ServiceKeyError::KeyNotFound(id) => Self::key_not_found(&id.opaque()),
        }
    }
}

impl From<ActivateError> for Error {
    fn from(error: ActivateError) -> Self {
        match error {
            ActivateError::UnknownEmail(email) => Self::account_not_found(&email.to_string()),
            ActivateError::WrongCode => Self::wrong_code(
                "the code of the newest invitation mail is meant, not the six digits of a sign-up or sign-in; \
                 PUT /v1/accounts/resend-verification-code/",
            ),
        }
    }
}

impl From<ResendActivationError> for Error {
    fn from(error: ResendActivationError) -> Self {
        match error {
            ResendActivationError::UnknownEmail(email) => Self::account_not_found(&email.to_string()),
            ResendActivationError::AlreadyVerified => {
                Self::auth("ACCOUNT_ALREADY_VERIFIED", "this account is already verified")
            }
        }
    }
}

impl From<ResetPasswordError> for Error {
    fn from(error: ResetPasswordError) -> Self {
        match error {
            ResetPasswordError::InvalidToken | ResetPasswordError::AccountNotFound => {
                Self::wrong_code("POST /v1/accounts/individual/send-reset-password-email/")
            }
            ResetPasswordError::WeakPassword(weak) => Violations::of("new_password", weak.to_string()).into(),
        }
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::NameTaken(name) => Self::duplicated("database", &name, "DUPLICATED_DB_NAME"),
            DatabaseError::NoneSelected => Self::wrong_data("NO_DATABASE_SELECTED", &error.to_string()),
            DatabaseError::NotFound(key) => Self::not_found("database", &key, "DATABASE_NOT_FOUND"),
            DatabaseError::TooLarge(too_large) => too_large.into(),
        }
    }
}

impl From<TooLarge> for Error {
    fn from(too_large: TooLarge) -> Self {
        Violations::of("metadata", too_large.to_string()).into()
    }
}

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Database(error) => error.into(),
            ResolveError::NotReady => {
                let soon = Rejection::Unavailable { retry_after: 5, reason: "" };
                Self::unavailable("DATABASE_NOT_READY", soon.headers())
            }
            ResolveError::Invalid { field, reason } => Violations::of(field, reason).into(),
            ResolveError::NotOwn => Self::forbidden("INSUFFICIENT_ROLE", &error.to_string()),
        }
    }
}
