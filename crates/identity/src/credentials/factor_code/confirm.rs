//! The code of a second factor that is being set up comes back.

use tidegate_domain::challenge::{ChallengeStatus, Purpose};
use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_domain::{Permission, Secret};
use tidegate_kernel::counted_factor::FactorUse;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::factors::confirmed::ConfirmFactorError;
use crate::credentials::factors::repository::ConfirmedFactor;
use crate::credentials::recovery_code::spend::new_recovery_codes;
use crate::{Identity, IdentityTables};

impl Identity {
    /// Confirms that codes of that kind reach the owner; answers new backup codes, which replace earlier ones. The same
    /// request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "mfa/email-otp/verify".
    ///
    /// # Errors
    /// [`ConfirmFactorError`].
    pub async fn confirm_codes(
        &self,
        call: &Call,
        actor: &Actor,
        kind: FactorKind,
        code: &Secret,
    ) -> Outcome<Vec<RecoveryCode>, ConfirmFactorError> {
        let reserved = self.reserve_factor_guess_as(call, actor, Permission::ManageOwnFactors).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let account = work.grant.account();
        let pending = work.unit.factors().pending(account, kind, work.now).await?;
        let sent = work.unit.challenges().latest(Purpose::SetUpFactor, account).await?;
        let sent = sent.filter(|sent| sent.status(work.now) == ChallengeStatus::Open);
        let action = work.confirmation(kind, code, None);
        let (Some(pending), Some(sent)) = (pending, sent) else {
            return work.confirmed_again(kind, &action, reserved).await;
        };
        let guess = match work.begin_guess(account, FactorUse::SetUp, None, reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ConfirmFactorError::TooManyAttempts(exceeded)),
        };
        if !work.is_code_of(&sent, code) {
            return work.refuse_code(guess, kind).await;
        }
        work.right_guess(guess).await?;
        work.unit.challenges().remove(Purpose::SetUpFactor, account).await?;
        let is_primary = !work.unit.factors().any(account).await?;
        let confirmed = ConfirmedFactor { id: pending.id, account, sealed: None, step: 0, is_primary };
        if !work.unit.factors().confirm(&confirmed, work.now).await? {
            return refuse(ConfirmFactorError::NotPending);
        }
        let codes = new_recovery_codes(self.kernel.entropy.as_ref())?;
        work.replace_recovery_codes(account, &codes).await?;
        work.note_added(kind, "").await?;
        work.keep_confirmed(&action, &codes).await?;
        work.commit().await?;
        Ok(codes)
    }
}
