//! What can go wrong with a provider.

/// Why a provider identified nobody. The texts are for the log: they hold neither a code nor a token, nor what a provider wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederationError {
    /// It cannot be reached, is too slow, or says that it is overloaded.
    #[error("{0}")]
    Unavailable(String),
    /// It does not accept the code: unknown, used, expired, or another client's.
    #[error("the code is not accepted ({0})")]
    CodeRefused(String),
    /// It does not accept this installation: credentials or redirect URI are wrong.
    #[error("{0}")]
    Misconfigured(String),
    /// It answered what the protocol does not allow.
    #[error("{0}")]
    Unreadable(String),
    /// Its ID token is not one for this sign-in.
    #[error("the ID token is refused: {0}")]
    TokenRefused(&'static str),
}

impl FederationError {
    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether an operator has to do something.
    pub const fn is_for_operators(&self) -> bool {
        matches!(self, Self::Misconfigured(_))
    }
}
