//! The owner makes new backup codes.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::factor::RecoveryCode;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::recovery_code::spend::new_recovery_codes;
use crate::{Identity, IdentityTables};

/// Why no codes were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewCodesError {
    /// Without a second factor there is nothing that they could stand in for.
    #[error("the account has no second factor")]
    NotEnabled,
}

impl Identity {
    /// Makes a set of backup codes in place of the earlier one.
    ///
    /// Source: RiverGen "mfa/backup-codes/generate".
    ///
    /// # Errors
    /// [`RenewCodesError`].
    pub async fn renew_recovery_codes(
        &self,
        call: &Call,
        actor: &Actor,
    ) -> Outcome<Vec<RecoveryCode>, RenewCodesError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        if !work.unit.factors().any(account).await? {
            return refuse(RenewCodesError::NotEnabled);
        }
        let codes = new_recovery_codes(self.kernel.entropy.as_ref())?;
        work.replace_recovery_codes(account, &codes).await?;
        work.audit(Action::RecoveryCodesMade, work.grant.subject(), json!({ "count": codes.len() })).await?;
        work.commit().await?;
        Ok(codes)
    }
}
