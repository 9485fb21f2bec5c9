//! Errors of use cases.

use std::fmt;

use tidegate_crypto::{HashError, PasswordError, SigningFailed, VaultError};
use tidegate_database::StoreError;
use tidegate_domain::limit::{Exceeded, LimitStatus};
use tidegate_domain::quota::QuotaExceeded;
use tidegate_domain::{ContractId, Permission, Role, Scopes};

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
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
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

/// The caller may not do that, and why: told to the caller, who can do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The role does not have the permission.
    Role {
        /// The caller's.
        role: Role,
        /// What it takes.
        permission: Permission,
    },
    /// The scopes of the token do not give what the role may do.
    Scope {
        /// The scope to ask for; none where only a session has it that the account's owner signed in to.
        needed: Option<&'static str>,
        /// The token's.
        held: Scopes,
        /// Whether an application asks with it who its owner is: that is answered elsewhere.
        asks_owner: bool,
    },
    /// A token of that contract reaches less far, whatever the role and the scopes.
    Contract {
        /// That issued it.
        issuer: ContractId,
    },
    /// The token of a program, where only people sign in.
    Program,
    /// What the token is bound to, or another reason that is not told.
    Unsaid,
}

/// What is told of an application's token, where it asks who its owner is.
const OF_APPLICATION: &str =
    "; it is an application's: with the scope openid, /oauth/userinfo answers who its owner is";

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role { role, permission } => {
                write!(f, "{} may not {}", role.people(), permission.does())?;
                match Role::least_with(*permission) {
                    Some(least) => write!(f, "; it takes {}", least.person()),
                    None => Ok(()),
                }
            }
            Self::Scope { needed, held, asks_owner } => {
                let held = if *held == Scopes::NONE { "none".to_owned() } else { held.to_string() };
                match needed {
                    Some(needed) => write!(f, "the token needs the scope {needed} (it has {held})")?,
                    None => write!(
                        f,
                        "no scope gives this: it takes a session that the account's owner signed in to (the token has {held})"
                    )?,
                }
                if *asks_owner { f.write_str(OF_APPLICATION) } else { Ok(()) }
            }
            Self::Contract { issuer } => {
                write!(f, "this token was issued by {}, and does not reach this", issuer.title())
            }
            Self::Program => f.write_str("this token is a program's, and programs have no access here"),
            Self::Unsaid => f.write_str("the token's role or scope does not allow this"),
        }
    }
}

impl std::error::Error for Forbidden {}

impl Forbidden {
    /// The scope to ask for, where that is what lacks.
    pub const fn scope(&self) -> Option<&'static str> {
        match self {
            Self::Scope { needed, .. } => *needed,
            Self::Role { .. } | Self::Contract { .. } | Self::Program | Self::Unsaid => None,
        }
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
            StoreError::Unavailable(reason) => Self::Unavailable(reason.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_it_takes() {
        let scope = |needed, held| {
            Forbidden::Scope { needed, held: Scopes::from_stored(held), asks_owner: false }.to_string()
        };
        assert_eq!(
            scope(Some("data:read"), "data:query"),
            "the token needs the scope data:read (it has data:query)"
        );
        assert_eq!(scope(Some("data:read"), ""), "the token needs the scope data:read (it has none)");
        assert!(scope(None, "read").starts_with("no scope gives this"));
        let of_application = Forbidden::Scope {
            needed: Some("read"),
            held: Scopes::from_stored("openid email"),
            asks_owner: true,
        };
        assert_eq!(
            of_application.to_string(),
            "the token needs the scope read (it has openid email); it is an application's: with the scope openid, /oauth/userinfo answers \
             who its owner is"
        );
        let role = Forbidden::Role { role: Role::Viewer, permission: Permission::ManagePolicies };
        assert_eq!(role.to_string(), "Viewers may not make or change policies; it takes an admin");
        let contract = Forbidden::Contract { issuer: ContractId::RIVERGEN };
        assert_eq!(contract.to_string(), "this token was issued by RiverGen, and does not reach this");
    }
}
