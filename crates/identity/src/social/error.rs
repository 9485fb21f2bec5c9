//! Why a sign-in by a provider failed.

use tidegate_federation::FederationError;

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocialError {
    /// There is no such provider, or it is not set up.
    #[error("sign-in by this provider is not available")]
    UnknownProvider,
    /// The request names a page that the operator does not allow.
    #[error("this page is not one that people may be sent back to")]
    PageNotAllowed,
    /// The provider says that the person did not agree, or that something is wrong.
    #[error("the provider did not sign in ({0}); begin again")]
    Denied(String),
    /// The provider's answer has no code.
    #[error("the provider's answer has no authorization code; begin again")]
    MissingCode,
    /// The state is missing, unknown, used or expired, or another provider's or browser's.
    #[error("this sign-in is unknown, or has expired, or was begun in another browser; begin again")]
    InvalidState,
    /// The answer is another provider's.
    #[error("this answer is not from the provider that was asked; begin again")]
    OtherProvider,
    /// The provider does not accept the code.
    #[error("the provider does not accept the code; begin again")]
    CodeRefused,
    /// The provider cannot be reached.
    #[error("the provider does not answer at the moment; try again later, or sign in in another way")]
    ProviderUnavailable,
    /// The provider's answer cannot be used.
    #[error("the provider's answer cannot be used; sign in in another way, and tell support")]
    ProviderFailed,
    /// The person had to sign in at the provider anew, and it does not say that they did.
    #[error("the provider did not have you sign in anew; begin again, or sign in in another way")]
    NotAnew,
    /// The provider does not vouch for an address.
    #[error(
        "the provider has not verified your e-mail address; verify it there and begin again, or sign up with an e-mail address"
    )]
    NoVerifiedEmail,
    /// An account has the address, and does not become the caller's by it.
    #[error(
        "an account has this e-mail address already; sign in to it in another way and verify the address, then this sign-in can be \
         connected"
    )]
    AddressTaken,
    /// The person has an account already, and wanted another.
    #[error("you have an account already; sign in to it")]
    AlreadyRegistered,
    /// The account's owner has said that it is not theirs.
    #[error("this sign-in was removed by the owner of the account; sign in in another way")]
    Blocked,
    /// The account is disabled or belongs to no organization.
    #[error("this account cannot sign in")]
    NotAdmitted,
}

impl SocialError {
    /// What the audit log and clients call it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::PageNotAllowed => "page_not_allowed",
            Self::Denied(_) => "denied_by_provider",
            Self::MissingCode => "missing_code",
            Self::InvalidState => "invalid_state",
            Self::OtherProvider => "other_provider",
            Self::CodeRefused => "code_refused",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::ProviderFailed => "provider_failed",
            Self::NotAnew => "not_signed_in_anew",
            Self::NoVerifiedEmail => "email_not_verified_by_provider",
            Self::AddressTaken => "address_taken",
            Self::AlreadyRegistered => "already_registered",
            Self::Blocked => "blocked",
            Self::NotAdmitted => "not_admitted",
        }
    }

    /// What a client is told of a provider's failure. The log has the rest.
    pub(crate) fn of(provider: &str, error: &FederationError) -> Self {
        if error.is_for_operators() {
            tracing::error!(provider, %error, "sign-in by a provider is set up wrongly: check [social]");
        } else {
            tracing::warn!(provider, %error, "a sign-in by a provider failed");
        }
        match error {
            FederationError::Unavailable(_) => Self::ProviderUnavailable,
            FederationError::CodeRefused(_) => Self::CodeRefused,
            FederationError::Misconfigured(_)
            | FederationError::Unreadable(_)
            | FederationError::TokenRefused(_) => Self::ProviderFailed,
        }
    }
}
