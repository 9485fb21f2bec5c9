//! Tokens about the end of a session.

use serde_json::{Map, Value};
use tidegate_crypto::{HintError, SigningAlgorithm};
use tidegate_domain::Secret;

use crate::Kernel;
use crate::fault::Fault;

impl Kernel {
    /// A logout token that says `claims` (OpenID Connect Back-Channel Logout 1.0, section 2.4), signed as the application's ID tokens are.
    ///
    /// # Errors
    /// Those of signing, and of the store where a key has to be made.
    pub async fn sign_logout_token_for<T: serde::Serialize>(
        &self,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, Fault> {
        Ok(self.ring_with(algorithm).await?.sign_logout_token(algorithm, claims)?)
    }

    /// What an ID token of this installation says, also when it has expired: a hint, and no proof of who sends it.
    ///
    /// # Errors
    /// [`HintError`].
    pub fn read_id_token_hint(&self, token: &str) -> Result<Map<String, Value>, HintError> {
        self.key_ring().read_hint(token, &self.settings.public_url)
    }
}
