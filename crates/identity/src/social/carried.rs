//! What the page wants back that began a sign-in by a provider.

use tidegate_crypto::PlainToken;
use tidegate_kernel::fault::Fault;

use crate::{Identity, IdentityTables};

impl Identity {
    /// What the page gave along that began the open sign-in with that state, in that browser. It stays open.
    ///
    /// # Errors
    /// Only faults.
    pub async fn social_carried(
        &self,
        provider: &str,
        state: &str,
        browser: &PlainToken,
    ) -> Result<Option<String>, Fault> {
        let (hash, browser) = (PlainToken::from_presented(state).hash(), browser.hash());
        let mut unit = self.kernel.store.read().await?;
        let now = self.kernel.now();
        Ok(unit.social_requests().carried(provider, hash.as_bytes(), browser.as_bytes(), now).await?)
    }
}
