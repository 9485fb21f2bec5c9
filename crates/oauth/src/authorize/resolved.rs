//! An authorization request as it is meant, however it came.

use tidegate_crypto::TokenHash;

use super::parameters::Parameters;

/// A request, and how it came.
pub(super) struct Resolved {
    pub(super) parameters: Parameters,
    /// The name of what is kept, if it is.
    pub(super) pushed: Option<TokenHash>,
    pub(super) is_pushed: bool,
    pub(super) is_signed: bool,
}
