//! The phone that a second factor sends its codes to is gone.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::credentials::factors::repository::Factor;
use crate::work::Work;

/// What became of codes by text message when a phone was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneFactor {
    /// They are no factor of the account, or it has another phone.
    Unaffected,
    /// They are no factor any more: the account is still asked for another one.
    Removed,
    /// They are the only factor, and stay: whoever could remove the phone would otherwise get around it. So many backup codes are left;
    /// without one, only a reset lets the owner in.
    Unreachable {
        /// Backup codes.
        backup_codes: i64,
    },
}

impl<G> Work<'_, G> {
    /// Settles what becomes of codes by text message after a phone of the account was removed, and mails its owner.
    pub(crate) async fn settle_phone_factor(&mut self, account: AccountId) -> Result<PhoneFactor, Fault> {
        let held = self.unit.factors().of_account(account).await?;
        let usable = self.usable_kinds(account, &held).await?;
        let dead: Vec<Factor> = held.into_iter().filter(|factor| factor.kind == FactorKind::SmsOtp).collect();
        if dead.is_empty() || usable.contains(&FactorKind::SmsOtp) {
            return Ok(PhoneFactor::Unaffected);
        }
        if !usable.is_empty() {
            self.remove_for(account, &dead, "phone_removed").await?;
            return Ok(PhoneFactor::Removed);
        }
        let backup_codes = self.unit.recovery_codes().count(account).await?.remaining;
        let values = json!({ "remaining": backup_codes });
        let lost = [(FactorKind::SmsOtp, "")];
        self.factor_notice(account, Template::FactorUnreachable, &lost, values).await?;
        Ok(PhoneFactor::Unreachable { backup_codes })
    }
}
