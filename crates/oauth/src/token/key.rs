//! Tokens that are bound to a key (RFC 9449).

use tidegate_kernel::fault::{Outcome, refuse};

use super::error::TokenError;
use crate::Oauth;
use crate::applications::Application;

impl Oauth {
    /// Refuses an application without a proof that gets tokens only with one, as all do where the operator says so.
    ///
    /// Source: RFC 9449 section 5.2.
    ///
    /// # Errors
    /// [`TokenError::InvalidProof`].
    pub(crate) fn require_key(
        &self,
        application: &Application,
        key: Option<&str>,
    ) -> Outcome<(), TokenError> {
        let is_bound = application.is_dpop_bound() || self.rules().require_dpop;
        if is_bound && key.is_none() {
            return refuse(TokenError::InvalidProof("this application gets tokens only with a DPoP proof"));
        }
        Ok(())
    }
}

/// Refuses what is bound to a key without the proof of that key.
///
/// # Errors
/// [`TokenError::InvalidGrant`].
pub(crate) fn require_same_key(bound: Option<&str>, key: Option<&str>) -> Outcome<(), TokenError> {
    if bound.is_some() && bound != key { refuse(TokenError::OTHER_KEY) } else { Ok(()) }
}

/// The key that the refresh tokens of a session are bound to. An application that proves who it is may change its key (RFC 9449 section
/// 5).
pub(crate) fn session_key<'k>(application: &Application, key: Option<&'k str>) -> Option<&'k str> {
    key.filter(|_| application.authentication.is_public())
}
