//! Changes the password of a signed-in account.

use serde_json::json;
use tidegate_crypto::Verification;
use tidegate_domain::audit::Action;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{Password, Permission};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::{Actor, Call};

use crate::{Identity, IdentityTables};

/// Why the password was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangePasswordError {
    /// The current password is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The account has no password to change.
    #[error("the account has no password; sign in the way you usually do")]
    NoPassword,
    /// The account is deleted or disabled.
    #[error("the account no longer exists")]
    AccountNotFound,
    /// The contract's password rule.
    #[error("{0}")]
    WeakPassword(WeakPassword),
    /// The new one is the old one.
    #[error("must differ from the current password")]
    SamePassword,
}

impl Identity {
    /// Replaces the password and ends every session, this one included.
    ///
    /// Source: RiverGen "change-password".
    ///
    /// # Errors
    /// [`ChangePasswordError`].
    pub async fn change_password(
        &self,
        call: &Call,
        actor: &Actor,
        current: Password,
        new: Password,
    ) -> Outcome<(), ChangePasswordError> {
        let (mut unit, grant) = self.read_as(actor, Permission::ChangeOwnPassword).await?;
        let found =
            unit.accounts().find(grant.account()).await?.filter(|account| account.disabled_at.is_none());
        let Some(account) = found else {
            return refuse(ChangePasswordError::AccountNotFound);
        };
        // A session that has ended must not learn whether a password is right.
        self.kernel.renewed(&mut unit, grant).await?;
        drop(unit);
        if let Err(weak) = call.profile.password.check(&new) {
            return refuse(ChangePasswordError::WeakPassword(weak));
        }
        if current == new {
            return refuse(ChangePasswordError::SamePassword);
        }
        let Some(email) = &grant.session().email else {
            return refuse(ChangePasswordError::NoPassword);
        };
        // A stolen access token must not become a way to guess the password.
        let login = email.clone().into();
        let failures = self.kernel.failed_password(call, &login).await?;
        self.kernel.throttle(call, &[(failures, self.kernel.settings.failed_passwords_by_account)]).await?;
        let mut reserved = Reserved::new(&self.kernel, call, &[failures]);
        let mut unit = self.kernel.store.read().await?;
        let stored = unit.accounts().password_hash(account.id).await?;
        drop(unit);
        let Some(stored) = stored else {
            return refuse(ChangePasswordError::NoPassword);
        };
        self.spend_hash(call, grant).await?;
        let requester = self.requester(call, Some(grant));
        let verdict = self.verify_password(requester, &login, current, Some(stored.clone())).await?;
        if verdict == Verification::Mismatch {
            reserved.keep();
            return refuse(ChangePasswordError::WrongPassword);
        }
        let hash = self.passwords.hash(requester, new).await?;

        let mut work = self.begin_as(call, actor, Permission::ChangeOwnPassword).await?;
        work.authorize_recent().await?;
        // A change that began with the old password must not undo one that was made meanwhile.
        if !work.unit.accounts().claim_password(account.id, &stored).await? {
            return refuse(ChangePasswordError::WrongPassword);
        }
        reserved.refund(&mut work.unit).await?;
        work.replace_password(account.id, &login, &hash, true).await?;
        work.audit(Action::PasswordChanged, work.grant.subject(), json!({})).await?;
        work.commit().await?;
        reserved.refunded();
        Ok(())
    }
}
