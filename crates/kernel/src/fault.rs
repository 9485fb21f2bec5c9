//! Errors of use cases.

use tidegate_crypto::{HashError, PasswordError, SigningFailed, VaultError};
use tidegate_database::StoreError;
use tidegate_domain::limit::{Exceeded, LimitStatus};
use tidegate_domain::quota::QuotaExceeded;

/// A use case's answer: `E` are the refusals its contract lists, [`Fault`] is everything that can befall any of them.
pub type Outcome<T, E> = Result<T, Refused<E>>;

/// Why a use case did not answer.
#[derive(Debug)]
pub enum Refused<E> {
    /// A rule of the use case.
    Rule(E),
    /// Something that can befall any use case.
    Fault(Fault),
}

/// What can befall any use case.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Too many requests.
    #[error("rate limit exceeded")]
    RateLimited {
        /// Which limit, and when it ends.
        status: LimitStatus,
        /// Seconds to wait.
        retry_after: u64,
    },
    /// More work than this machine has capacity for.
    #[error("too much work is waiting; try again in {retry_after} s")]
    Busy {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// The organization keeps as much as it may.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// A mail is needed and no provider is configured.
    #[error("no mail provider is configured: set [mail.smtp] in the configuration, or serve with --dev")]
    MailNotConfigured,
    /// A text message is needed and no provider is configured.
    #[error(
        "no SMS provider is configured: set [sms.africas_talking], [sms.twilio] or [sms.webhook] in the configuration, or serve \
         with --dev"
    )]
    SmsNotConfigured,
    /// The caller's role, the token's scope or binding, or the contract that issued it does not allow this.
    #[error("the token's role, scope or contract does not allow this")]
    Forbidden,
    /// The caller has to prove anew who they are: it was too long ago.
    #[error("sign in again, or prove anew who you are, and then try again")]
    StepUpRequired,
    /// The session that asked has ended since its token was accepted, or its role there allows less now.
    #[error("the session has ended meanwhile")]
    SessionEnded,
    /// The database cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// A defect, ours or the machine's. The text is for the log alone.
    #[error("{0}")]
    Internal(String),
}

/// The caller may not do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token's role, scope or contract does not allow this")]
pub struct Forbidden;

impl From<Forbidden> for Fault {
    fn from(Forbidden: Forbidden) -> Self {
        Self::Forbidden
    }
}

impl From<Exceeded> for Fault {
    fn from(Exceeded { status, retry_after }: Exceeded) -> Self {
        Self::RateLimited { status, retry_after }
    }
}

/// Shorthand for refusing by a rule.
///
/// # Errors
/// Always: [`Refused::Rule`].
pub fn refuse<T, E>(rule: E) -> Outcome<T, E> {
    Err(Refused::Rule(rule))
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(text) => Self::Unavailable(text),
            lost @ StoreError::Lost { .. } => Self::Unavailable(lost.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<HashError> for Fault {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after_seconds } => Self::Busy { retry_after: retry_after_seconds },
            other => Self::Internal(other.to_string()),
        }
    }
}

macro_rules! internal {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Internal(error.to_string())
            }
        }
    )+};
}
internal!(VaultError, SigningFailed, PasswordError, serde_json::Error, tidegate_crypto::KeyError);

impl<E, F: Into<Fault>> From<F> for Refused<E> {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}
