//! What second factors an account has.

use tidegate_domain::factor::FactorKind;
use tidegate_domain::{Catalogue, Permission};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Fault;

use crate::credentials::factors::repository::Factor;
use crate::credentials::recovery_code::repository::RecoveryCodeCount;
use crate::{Identity, IdentityTables};

/// The second factors of an account.
#[derive(Clone, Debug)]
pub struct FactorStatus {
    /// Those that are verified, the primary one first.
    pub factors: Vec<Factor>,
    /// Its backup codes.
    pub recovery_codes: RecoveryCodeCount,
}

impl Identity {
    /// The actor's second factors.
    ///
    /// Source: RiverGen "MFA status", "mfa/totp/devices", "backup-codes".
    ///
    /// # Errors
    /// Only faults.
    pub async fn factor_status(&self, actor: &Actor) -> Result<FactorStatus, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFactors).await?;
        let account = grant.account();
        Ok(FactorStatus {
            factors: unit.factors().of_account(account).await?,
            recovery_codes: unit.recovery_codes().count(account).await?,
        })
    }
}

/// What a factor is called in mails.
pub(crate) fn described(words: &Catalogue, kind: FactorKind, name: &str) -> String {
    match kind {
        FactorKind::Totp if !name.is_empty() => words.fill("mail.factor_kind.totp_named", &[("name", name)]),
        FactorKind::Totp => words.text("mail.factor_kind.totp").to_owned(),
        FactorKind::EmailOtp => words.text("mail.factor_kind.email_otp").to_owned(),
        FactorKind::SmsOtp => words.text("mail.factor_kind.sms_otp").to_owned(),
    }
}
