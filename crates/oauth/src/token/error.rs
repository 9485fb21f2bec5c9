//! Why no token is issued.

use tidegate_kernel::fault::Refused;
use tidegate_kernel::refresh::RefreshError;

/// Why no token is issued (RFC 6749 section 5.2, RFC 8707 section 2). The text is for the application's developer, and tells nothing
/// of codes and tokens that are not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Unknown, revoked, or without a right secret.
    #[error("the client is unknown or revoked, or its secret is wrong")]
    InvalidClient,
    /// Unknown, expired, used, of another application, or with another redirect URI or verifier.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// The application is not registered for that.
    #[error("the application is not registered for this grant_type")]
    UnauthorizedClient,
    /// There is no such way to tokens.
    #[error("grant_type must be one of authorization_code, refresh_token and client_credentials")]
    UnsupportedGrantType,
    /// More than there is.
    #[error("a scope is unknown, or exceeds what was granted")]
    InvalidScope,
    /// No access token is made for that API.
    #[error("resource is not the API that this grant is for")]
    InvalidTarget,
}

impl TokenError {
    pub(super) const CODE: Self = Self::InvalidGrant(
        "the code is unknown, expired or used, or was made for another application or redirect_uri",
    );
    pub(super) const VERIFIER: Self = Self::InvalidGrant(
        "code_verifier does not fit the code: send the one whose challenge the authorization request had, and none if it had none",
    );
    pub(super) const REFRESH: Self = Self::InvalidGrant(
        "the refresh token is unknown, expired or used, or belongs to another application",
    );

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
        }
    }
}

impl From<RefreshError> for TokenError {
    fn from(_: RefreshError) -> Self {
        Self::REFRESH
    }
}

/// The same as a refusal.
pub(super) const fn refused(error: TokenError) -> Refused<TokenError> {
    Refused::Rule(error)
}
