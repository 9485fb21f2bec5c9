//! The second factor is shown again right after it worked.

use serde::{Deserialize, Serialize};
use tidegate_domain::account::LoginName;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose, REPEATED_FOR};
use tidegate_domain::id::AccountId;
use tidegate_domain::{Secret, Timestamp};
use tidegate_kernel::counted_factor::FactorUse;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::one_time::OneTime;

use crate::credentials::challenge::{note_token, used_token};
use crate::credentials::factors::guess::ReservedGuess;
use crate::credentials::trusted_device::recognize::OfferedDevice;
use crate::sign_in::kept::KeptSignIn;
use crate::sign_in::second_factor::{FactorShown, ShowFactorError, counted_use};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// What a repeat of the request is answered: kept sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptFactorShown {
    signed_in: KeptSignIn,
    device: Option<KeptDevice>,
}

#[derive(Serialize, Deserialize)]
struct KeptDevice {
    number: i64,
    name: String,
    activation_token: String,
    expires_at: Timestamp,
}

impl From<&FactorShown> for KeptFactorShown {
    fn from(shown: &FactorShown) -> Self {
        Self {
            signed_in: KeptSignIn::from(&shown.signed_in),
            device: shown.device.as_ref().map(|device| KeptDevice {
                number: device.number,
                name: device.name.clone(),
                activation_token: device.activation_token.expose().to_owned(),
                expires_at: device.expires_at,
            }),
        }
    }
}

impl From<KeptDevice> for OfferedDevice {
    fn from(kept: KeptDevice) -> Self {
        let activation_token = Secret::new(kept.activation_token);
        Self { number: kept.number, name: kept.name, activation_token, expires_at: kept.expires_at }
    }
}

impl Work<'_> {
    /// Answers a sign-in that was completed just now as the first time. Anything but the code that was right counts as a wrong one: the
    /// answer that is kept must not be had by guessing.
    pub(crate) async fn factor_shown_again(
        mut self,
        challenge: &Challenge,
        action: &OneTime,
        reserved: ReservedGuess,
    ) -> Outcome<FactorShown, ShowFactorError> {
        let Some(account) = challenge.account else {
            return refuse(ShowFactorError::InvalidToken);
        };
        let login = LoginName::from_stored_address(challenge.address.clone());
        let counted = challenge.continuation.sign_in.as_ref().map_or(FactorUse::SignIn, counted_use);
        let guess = match self.begin_guess(account, counted, Some(&login), reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ShowFactorError::TooManyAttempts(exceeded)),
        };
        let kept = self.app.kernel.answered::<KeptFactorShown>(&mut self.unit, action).await?;
        let Some(kept) = kept else {
            self.wrong_guess(guess).await?;
            self.commit().await?;
            return Err(used_token(ShowFactorError::InvalidToken));
        };
        self.right_guess(guess).await?;
        let again = self.open_kept(kept, login).await?;
        self.commit().await?;
        match again {
            Some(shown) => Ok(shown),
            None => Err(used_token(ShowFactorError::InvalidToken)),
        }
    }

    async fn open_kept(
        &mut self,
        kept: KeptFactorShown,
        login: LoginName,
    ) -> Result<Option<FactorShown>, Fault> {
        let signed_in = kept.signed_in.open_again(&self.app.kernel, &mut self.unit, login).await?;
        let device = kept.device.map(OfferedDevice::from);
        Ok(signed_in.map(|signed_in| FactorShown { signed_in, device }))
    }
}

impl Identity {
    /// The account of the sign-in that a temporary token names, where it waits or was answered just now: what is none is refused before it
    /// costs a turn at the writer.
    pub(super) async fn account_of_pending(&self, hash: &[u8]) -> Result<Option<AccountId>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_handle(Purpose::SecondFactor, hash).await?;
        let now = self.kernel.now();
        match found {
            Some(found) if found.status(now) == ChallengeStatus::Open || was_just_answered(&found, now) => {
                Ok(found.account)
            }
            found => {
                note_token(found.as_ref(), now);
                Ok(None)
            }
        }
    }
}

/// Whether a request with this challenge may be a repeat of the one that answered it.
pub(super) fn was_just_answered(challenge: &Challenge, now: Timestamp) -> bool {
    challenge.consumed_at.is_some_and(|answered| answered.plus(REPEATED_FOR) > now)
}
