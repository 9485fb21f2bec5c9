//! Why no token is issued.

use tidegate_kernel::fault::Refused;
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::refresh::RefreshError;

use crate::authorize::scopes::ScopeRefused;

/// Why no token is issued (RFC 6749 section 5.2, RFC 8707 section 2). The text is for the application's developer, and tells nothing
/// of codes and tokens that are not theirs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// The application may not do that.
    #[error("{0}")]
    UnauthorizedClient(&'static str),
    /// RFC 9700 section 2.4.
    #[error(
        "there is no grant_type password: the person signs in at /oauth/authorize, and an application in its own name by client_credentials"
    )]
    NoPasswordGrant,
    /// There is no such way to tokens.
    #[error(
        "grant_type must be one of authorization_code, refresh_token, client_credentials, \
         urn:ietf:params:oauth:grant-type:device_code and urn:ietf:params:oauth:grant-type:token-exchange"
    )]
    UnsupportedGrantType,
    /// More than there is.
    #[error(transparent)]
    InvalidScope(#[from] ScopeRefused),
    /// No access token is made for that API.
    #[error(
        "resource names an API that this server makes no access tokens for, or that this grant is not for"
    )]
    InvalidTarget,
    /// RFC 9449 section 5.
    #[error("{0}")]
    InvalidProof(&'static str),
    /// RFC 8628 section 3.5.
    #[error("the person has not answered yet; poll again after the interval")]
    AuthorizationPending,
    /// RFC 8628 section 3.5.
    #[error("poll less often: five seconds are added to the interval")]
    SlowDown,
    /// RFC 8628 section 3.5.
    #[error("the device_code has expired; ask for another one")]
    ExpiredToken,
    /// RFC 8628 section 3.5.
    #[error("the person did not give access")]
    AccessDenied,
}

impl TokenError {
    pub(crate) const NOT_REGISTERED: Self = Self::UnauthorizedClient(
        "the application is not registered for this grant_type: its organization or the operator adds it to its grant types",
    );
    pub(super) const CODE: Self = Self::InvalidGrant(
        "the code is unknown, expired or used, or was made for another application or redirect_uri",
    );
    pub(super) const OTHER_KEY: Self = Self::InvalidGrant(
        "what is presented is bound to another key than the DPoP proof, or the proof is missing",
    );
    pub(super) const VERIFIER: Self = Self::InvalidGrant(
        "code_verifier does not fit the code: send the one whose challenge the authorization request had, and none if it had none",
    );
    pub(super) const REFRESH: Self = Self::InvalidGrant(
        "the refresh token is unknown, expired or used, or belongs to another application",
    );

    /// Its code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::NoPasswordGrant | Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope(_) => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidProof(_) => "invalid_dpop_proof",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::AccessDenied => "access_denied",
        }
    }
}

impl From<RefreshError> for TokenError {
    fn from(_: RefreshError) -> Self {
        Self::REFRESH
    }
}

/// A code that does not count: the application learns no more than that, the operator why.
pub(super) fn no_code(why: &'static str) -> Refused<TokenError> {
    noted::refused(CredentialFault::Code(why));
    Refused::Rule(TokenError::CODE)
}
