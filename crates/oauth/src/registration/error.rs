//! Why an application is not registered.

use tidegate_kernel::fault::Refused;

use crate::applications::{ApplicationError, ApplicationRule};

/// Why an application is not registered, or its registration not managed (RFC 7591 section 3.2.2, RFC 7592). The texts are for its
/// developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The operator does not allow it.
    #[error("applications do not register themselves here")]
    Off,
    /// Without a right initial access token, or the right registration access token.
    #[error(
        "a registration token is needed here, and the one that was sent, if any, is not right, used up or expired"
    )]
    Token,
    /// A redirect URI that is not registered.
    #[error("{0}")]
    RedirectUri(String),
    /// Anything else that is not registered.
    #[error("{0}")]
    Metadata(String),
    /// RFC 7591 section 2.3.
    #[error("software statements are not supported: leave software_statement out")]
    SoftwareStatement,
    /// As many as there may be.
    #[error("no more applications can register themselves now; ask the operator")]
    Full,
    /// As many from one network, or of one site.
    #[error("as many applications as one network or one site may have are registered from this one")]
    ShareFull,
    /// The operator named no organization for them.
    #[error("the operator has not set up where such applications belong")]
    NotSetUp,
}

impl RegistrationError {
    /// Its code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Off => "not_found",
            Self::Token => "invalid_token",
            Self::RedirectUri(_) => "invalid_redirect_uri",
            Self::Metadata(_) => "invalid_client_metadata",
            Self::SoftwareStatement => "unapproved_software_statement",
            Self::Full | Self::ShareFull | Self::NotSetUp => "temporarily_unavailable",
        }
    }

    pub(super) fn field(name: &str, why: impl std::fmt::Display) -> Self {
        Self::Metadata(format!("{name} {why}"))
    }
}

impl From<ApplicationRule> for RegistrationError {
    fn from(rule: ApplicationRule) -> Self {
        match rule {
            ApplicationRule::NoRedirectUri | ApplicationRule::OwnScheme => {
                Self::RedirectUri(rule.to_string())
            }
            ApplicationRule::PublicClientCredentials => Self::Metadata(rule.to_string()),
            ApplicationRule::Metadata(rule) => Self::field(rule.field(), rule),
        }
    }
}

impl From<ApplicationError> for RegistrationError {
    fn from(error: ApplicationError) -> Self {
        match error {
            ApplicationError::Rule(rule) => rule.into(),
            // Names are made so that no two are the same; what is gone meanwhile has no right token.
            ApplicationError::NameTaken => Self::field("client_name", "is taken; try again"),
            ApplicationError::OrganizationDenied
            | ApplicationError::NotFound
            | ApplicationError::NoSecret => Self::Token,
        }
    }
}

/// The same as a refusal.
pub(super) fn refused(refused: Refused<ApplicationError>) -> Refused<RegistrationError> {
    match refused {
        Refused::Rule(error) => Refused::Rule(error.into()),
        Refused::Fault(fault) => Refused::Fault(fault),
    }
}
