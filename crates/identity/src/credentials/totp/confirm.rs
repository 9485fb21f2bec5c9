//! An authenticator app shows that it has its seed.

use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_domain::{Permission, Secret};
use tidegate_kernel::counted_factor::FactorUse;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::factors::confirmed::ConfirmFactorError;
use crate::credentials::factors::present::{note_wrong_totp, seed_context};
use crate::credentials::factors::repository::ConfirmedFactor;
use crate::credentials::totp::set_up::{set_up_context, unpack};
use crate::{Identity, IdentityTables};

impl Identity {
    /// Confirms the app that is being set up with one of its codes; answers the backup codes, which are those of the set-up. They
    /// replace earlier ones. The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "mfa/totp/verify".
    ///
    /// # Errors
    /// [`ConfirmFactorError`].
    pub async fn confirm_totp(
        &self,
        call: &Call,
        actor: &Actor,
        code: &Secret,
        name: Option<&str>,
    ) -> Outcome<Vec<RecoveryCode>, ConfirmFactorError> {
        let reserved = self.reserve_factor_guess_as(call, actor, Permission::ManageOwnFactors).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let account = work.grant.account();
        let pending = work.unit.factors().pending(account, FactorKind::Totp, work.now).await?;
        let action = work.confirmation(FactorKind::Totp, code, name);
        let Some(pending) = pending.filter(|pending| name.is_none_or(|name| name == pending.name)) else {
            return work.confirmed_again(FactorKind::Totp, &action, reserved).await;
        };
        let guess = match work.begin_guess(account, FactorUse::SetUp, None, reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ConfirmFactorError::TooManyAttempts(exceeded)),
        };
        let sealed = pending.sealed.as_deref().unwrap_or_default();
        let opened = self.kernel.vault.open(&set_up_context(pending.id), sealed)?;
        let unpacked = unpack(&opened);
        let (seed, codes) = unpacked.ok_or_else(|| Fault::Internal("a set-up cannot be read".to_owned()))?;
        let Some(step) = seed.step_of(code, work.now) else {
            note_wrong_totp(seed.clock_offset(code, work.now));
            return work.refuse_code(guess, FactorKind::Totp).await;
        };
        work.right_guess(guess).await?;
        let sealed = self.kernel.vault.seal(
            &seed_context(pending.id),
            seed.as_bytes(),
            self.kernel.entropy.as_ref(),
        )?;
        let is_primary = !work.unit.factors().any(account).await?;
        let confirmed = ConfirmedFactor { id: pending.id, account, sealed: Some(&sealed), step, is_primary };
        if !work.unit.factors().confirm(&confirmed, work.now).await? {
            return refuse(ConfirmFactorError::NotPending);
        }
        work.replace_recovery_codes(account, &codes).await?;
        work.note_added(FactorKind::Totp, &pending.name).await?;
        work.keep_confirmed(&action, &codes).await?;
        work.commit().await?;
        Ok(codes)
    }
}
