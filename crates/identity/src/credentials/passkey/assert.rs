//! An authenticator answers a challenge with a passkey: to sign in, or for step-up.

use std::sync::Arc;

use tidegate_crypto::webauthn::{AssertionRejected, AssertionResponse, VerifiedAssertion};
use tidegate_crypto::{PasskeyChallenge, RelyingParty};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::credentials::passkey::repository::Passkey;
use crate::work::Work;

/// What a client needs to show a passkey.
#[derive(Clone, Debug)]
pub struct PasskeyRequest {
    /// What the authenticator signs.
    pub challenge: PasskeyChallenge,
    /// Whom the passkey is for.
    pub relying_party: Arc<RelyingParty>,
    /// The passkeys that would do; empty where the authenticator is to find one.
    pub credentials: Vec<AllowedCredential>,
}

/// A passkey that would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCredential {
    /// What its authenticator calls it.
    pub id: Vec<u8>,
    /// The ways to the authenticator; empty where unknown.
    pub transports: Vec<String>,
}

impl From<Passkey> for AllowedCredential {
    fn from(passkey: Passkey) -> Self {
        Self { id: passkey.credential_id, transports: passkey.transports }
    }
}

/// Why the audit log says that a passkey was refused.
pub(crate) type RefusalReason = &'static str;

/// The reason for an answer that does not verify.
pub(crate) const INVALID_PASSKEY: RefusalReason = "invalid_passkey";

impl<G> Work<'_, G> {
    /// Verifies an authenticator's answer and notes that the passkey was used; answers what was proven by it. Whose the passkey is, and
    /// that the challenge is used up, the caller has seen to.
    pub(crate) async fn accept_passkey(
        &mut self,
        relying_party: &RelyingParty,
        challenge: &PasskeyChallenge,
        response: &AssertionResponse,
        passkey: &Passkey,
    ) -> Result<Result<AmrSet, RefusalReason>, Fault> {
        let verified = match relying_party.verify_assertion(challenge, response, &passkey.stored()) {
            Ok(verified) => verified,
            Err(AssertionRejected::Broken) => {
                return Err(Fault::Internal("the ceremony of a passkey cannot be set up".to_owned()));
            }
            Err(AssertionRejected::CounterWentBack) => return Ok(Err("passkey_counter_went_back")),
            Err(AssertionRejected::Invalid) => return Ok(Err(INVALID_PASSKEY)),
        };
        self.unit.passkeys().used(passkey.id, &verified, self.now).await?;
        Ok(Ok(shown_by(&verified)))
    }
}

/// Possession and, by the authenticator's own verification, a second factor at once.
fn shown_by(verified: &VerifiedAssertion) -> AmrSet {
    let key = if verified.backup_eligible { Amr::SoftwareKey } else { Amr::HardwareKey };
    AmrSet::of(key).with(Amr::UserPresence).with(Amr::MultiFactor)
}
