//! What an authenticator of somebody who is signed in has to answer.

use tidegate_crypto::PasskeyChallenge;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Acting;

impl Acting<'_> {
    /// Makes a challenge of that purpose for the caller's own account; those of the same purpose that were begun before are withdrawn.
    pub(crate) async fn challenge_passkey(
        &mut self,
        purpose: Purpose,
        address: &str,
        continuation: &Continuation,
    ) -> Result<PasskeyChallenge, Fault> {
        let account = self.grant.account();
        self.unit.challenges().remove(purpose, account).await?;
        let challenge = PasskeyChallenge::generate(self.app.kernel.entropy.as_ref());
        let hash = challenge.hash();
        let new = NewChallenge {
            account: Some(account),
            handle_hash: Some(hash.as_bytes()),
            continuation,
            ..self.new_challenge(purpose, address)
        };
        self.unit.challenges().insert(&new).await?;
        Ok(challenge)
    }
}
