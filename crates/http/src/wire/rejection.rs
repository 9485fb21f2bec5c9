//! What can go wrong before or around a use case, in no contract's words yet.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tidegate_domain::limit::{Exceeded, LimitStatus};
use tidegate_domain::quota::QuotaExceeded;
use tidegate_kernel::fault::Forbidden;
use tidegate_kernel::noted::{CredentialFault, refused_otherwise};
use tidegate_kernel::{AuthError, Fault, NotAdmitted};

use crate::wire::fields::Violations;
use crate::wire::possession::Unproven;

/// The limit that a caller is held against.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// How many requests are left of it.
pub(crate) const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When it begins anew.
pub(crate) const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What the body of a request has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyType {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    FileForm {
        /// The field with the file.
        field: &'static str,
    },
}

impl BodyType {
    /// How it is sent. It begins with a small letter and has no full stop.
    pub(crate) fn advice(self) -> Cow<'static, str> {
        match self {
            Self::Json => "send the body as application/json".into(),
            Self::Form => "send the body as application/x-www-form-urlencoded".into(),
            Self::FileForm { field } => {
                format!("send the file as multipart/form-data, in the field {field}: curl -F {field}=@FILE")
                    .into()
            }
        }
    }
}

/// Why a request was not answered by its use case.
#[derive(Clone, Debug)]
pub(crate) enum Rejection {
    /// The body is not JSON, or not an object.
    MalformedBody(String),
    /// Fields are missing, ill-typed or out of bounds.
    Invalid(Violations),
    /// The content type is not the one the endpoint takes, which is this.
    UnsupportedMediaType(BodyType),
    /// The body is compressed, or transformed in another way that is not undone here.
    UnsupportedEncoding,
    /// The client did not send its body in time.
    RequestTimeout,
    /// The body is larger than the endpoint takes.
    PayloadTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// No usable `Authorization` header.
    NoToken,
    /// A token that is malformed, forged, or whose session has ended.
    InvalidToken,
    /// A right token, whose bearer did not prove to hold the key that it is bound to.
    Unproven(Box<Unproven>),
    /// A token past its lifetime.
    ExpiredToken,
    /// A right token whose owner has yet to verify their address, on a contract that asks for it.
    EmailNotVerified,
    /// A right token that does not reach here, and why.
    Forbidden(Forbidden),
    /// A right token, and its owner has to prove anew who they are.
    StepUpRequired,
    /// No such route.
    NotFound {
        /// As it was asked for.
        path: String,
        /// The one that was perhaps meant, as a clause.
        elsewhere: Option<Box<str>>,
    },
    /// The route exists, with other methods.
    MethodNotAllowed {
        /// That was asked for.
        method: Method,
    },
    /// Too many requests.
    RateLimited {
        /// Which limit.
        status: LimitStatus,
        /// Seconds to wait.
        retry_after: u64,
    },
    /// The organization keeps as much as it may.
    QuotaExceeded(QuotaExceeded),
    /// Come back later.
    Unavailable {
        /// Seconds to wait.
        retry_after: u64,
        /// What a client may know of the reason.
        reason: &'static str,
    },
    /// The operator has not set up what this needs: coming back later does not help.
    NotConfigured {
        /// What a client may know of the reason.
        reason: &'static str,
    },
    /// A defect. The reason is in the log.
    Internal,
}

const NO_MAIL: &str =
    "This server is not set up to send e-mail. Trying again does not help: its operator has to set it up.";
const NO_SMS: &str = "This server is not set up to send text messages. Trying again does not help: its operator has to set it up.";

impl From<Violations> for Rejection {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Forbidden> for Rejection {
    /// The log says of a token, too, that its scopes do not suffice.
    fn from(reason: Forbidden) -> Self {
        if let Forbidden::Scope { .. } = reason {
            refused_otherwise(CredentialFault::Scope(reason.to_string()));
        }
        Self::Forbidden(reason)
    }
}

impl From<NotAdmitted> for Rejection {
    fn from(reason: NotAdmitted) -> Self {
        match reason {
            NotAdmitted::Program => Self::Forbidden(Forbidden::Program),
            NotAdmitted::EmailNotVerified => Self::EmailNotVerified,
        }
    }
}

impl From<AuthError> for Rejection {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid => Self::InvalidToken,
            AuthError::Expired => Self::ExpiredToken,
            AuthError::Fault(fault) => fault.into(),
        }
    }
}

/// The one place where internals are logged; clients never see them. The request id is in the surrounding span.
impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::RateLimited { status, retry_after } => Self::RateLimited { status, retry_after },
            Fault::QuotaExceeded(exceeded) => Self::QuotaExceeded(exceeded),
            Fault::Busy { retry_after } => {
                // No line of its own: a flood of sign-ins would become a flood of lines.
                metrics::counter!("tidegate_password_hashes_refused_total").increment(1);
                tracing::debug!(retry_after, "refused: the password-hash queue is full");
                Self::Unavailable { retry_after, reason: "The server is busy; try again later." }
            }
            Fault::Forbidden(reason) => reason.into(),
            Fault::StepUpRequired => Self::StepUpRequired,
            Fault::SessionEnded => Self::InvalidToken,
            Fault::MailNotConfigured => {
                tracing::error!("refused: {fault}");
                Self::NotConfigured { reason: NO_MAIL }
            }
            Fault::SmsNotConfigured => {
                tracing::error!("refused: {fault}");
                Self::NotConfigured { reason: NO_SMS }
            }
            Fault::Unavailable(error) => {
                tracing::error!(error, "refused: the database, or the store of files, is unavailable");
                Self::Unavailable { retry_after: 1, reason: "The service is temporarily unavailable." }
            }
            Fault::Internal(error) => {
                tracing::error!(error, "an internal error");
                Self::Internal
            }
        }
    }
}

impl Rejection {
    /// The headers that go with it whatever the contract.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::RateLimited { status, retry_after } => {
                headers = limit_headers(&Exceeded { status: *status, retry_after: *retry_after });
            }
            Self::Unavailable { retry_after, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            // RFC 9110 section 12.5.3: what would be taken.
            Self::UnsupportedEncoding => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            // RFC 6750 section 3. The boundary adds the plain challenge to every other 401.
            Self::InvalidToken | Self::ExpiredToken => {
                let value = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
            Self::Unproven(unproven) => headers = unproven.headers(),
            // RFC 6750 section 3.1: the scope to ask for.
            Self::Forbidden(Forbidden::Scope { needed, .. }) => {
                headers.insert(header::WWW_AUTHENTICATE, insufficient_scope(*needed));
            }
            _ => {}
        }
        headers
    }
}

/// The challenge to a token whose scopes do not suffice. No scope is named where none would do.
pub(crate) fn insufficient_scope(needed: Option<&'static str>) -> HeaderValue {
    let plain = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
    let Some(needed) = needed else { return plain };
    HeaderValue::from_str(&format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\""))
        .unwrap_or(plain)
}

/// The headers of a limit that was met.
pub(crate) fn limit_headers(exceeded: &Exceeded) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(exceeded.retry_after));
    limit_status_headers(&exceeded.status, &mut headers);
    headers
}

/// `X-RateLimit-*`: the limit, how many are left, and when it resets in Unix seconds.
pub(crate) fn limit_status_headers(status: &LimitStatus, headers: &mut HeaderMap) {
    headers.insert(RATE_LIMIT, HeaderValue::from(status.limit));
    headers.insert(RATE_LIMIT_REMAINING, HeaderValue::from(status.remaining));
    headers.insert(RATE_LIMIT_RESET, HeaderValue::from(status.resets_at.seconds_ceil()));
}
