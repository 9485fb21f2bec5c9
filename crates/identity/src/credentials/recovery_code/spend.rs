//! A backup code is used up.

use serde_json::json;
use tidegate_crypto::recovery_code;
use tidegate_delivery::Template;
use tidegate_domain::Entropy;
use tidegate_domain::audit::Action;
use tidegate_domain::factor::{RECOVERY_CODES, RecoveryCode};
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::work::Work;

/// What the hashes of backup codes are keyed for.
const RECOVERY_CODE: &str = "backup code";
/// When so many are left, the owner is reminded to make new ones.
const FEW: usize = 2;

/// A code bound to its account.
fn message(account: AccountId, code: &RecoveryCode) -> Vec<u8> {
    [account.0.as_bytes().as_slice(), code.expose().as_bytes()].concat()
}

/// A set of backup codes.
pub(crate) fn new_recovery_codes(entropy: &dyn Entropy) -> Result<Vec<RecoveryCode>, Fault> {
    let codes: Result<Vec<_>, _> = (0..RECOVERY_CODES).map(|_| recovery_code(entropy)).collect();
    codes.map_err(|error| Fault::Internal(error.to_string()))
}

impl<G> Work<'_, G> {
    /// Stores a new set in place of an earlier one.
    pub(crate) async fn replace_recovery_codes(
        &mut self,
        account: AccountId,
        codes: &[RecoveryCode],
    ) -> Result<(), Fault> {
        self.unit.recovery_codes().remove_all(account).await?;
        for code in codes {
            let id = self.app.kernel.entropy.uuid(self.now);
            let mac = self.app.kernel.vault.mac(RECOVERY_CODE, &message(account, code));
            self.unit.recovery_codes().insert(id, account, &mac, self.now).await?;
        }
        Ok(())
    }

    /// Uses a code up, records it, and mails the owner; answers how many are left. None when it is none of the account's, or was used
    /// before.
    pub(crate) async fn use_recovery_code(
        &mut self,
        account: AccountId,
        code: &RecoveryCode,
    ) -> Result<Option<usize>, Fault> {
        let message = message(account, code);
        let unused = self.unit.recovery_codes().unused(account).await?;
        let vault = &self.app.kernel.vault;
        let found = unused.iter().find(|(_, mac)| vault.verify_mac(RECOVERY_CODE, &message, mac));
        let Some((id, _)) = found else { return Ok(None) };
        if !self.unit.recovery_codes().spend(*id, self.now).await? {
            return Ok(None);
        }
        let remaining = unused.len().saturating_sub(1);
        self.audit(Action::RecoveryCodeUsed, account, json!({ "remaining": remaining })).await?;
        let values = json!({ "remaining": remaining });
        self.security_notice(account, Template::RecoveryCodeUsed, values.clone()).await?;
        if remaining == FEW {
            self.security_notice(account, Template::RecoveryCodesLow, values).await?;
        }
        Ok(Some(remaining))
    }
}
