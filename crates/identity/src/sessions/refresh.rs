//! A session is continued with its refresh token.

use tidegate_crypto::PlainToken;
use tidegate_kernel::fault::Outcome;
use tidegate_kernel::issue::TokenSet;
use tidegate_kernel::{Call, Kernel};

use crate::Identity;

pub use tidegate_kernel::refresh::RefreshError;

impl Identity {
    /// Exchanges a refresh token for its child and a new access token: see [`Kernel::refresh`].
    ///
    /// Source: RiverGen "refresh"; IngestIQ "refresh"; RFC 9700 section 4.14.2.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self, call: &Call, token: &PlainToken) -> Outcome<TokenSet, RefreshError> {
        let kernel: &Kernel = &self.kernel;
        Ok(kernel.refresh(call, token, |found| Ok(found.scopes.clone())).await?.tokens)
    }
}
