//! The owner looks at the account's passkeys, and removes them.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::passkey::repository::Passkey;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Why no passkey was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovePasskeyError {
    /// No such passkey of theirs; another account's looks the same.
    #[error("the passkey does not exist")]
    NotFound,
}

impl Identity {
    /// The actor's passkeys, the newest first.
    ///
    /// Source: RiverGen "webauthn/credentials".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_passkeys(&self, actor: &Actor) -> Result<Vec<Passkey>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFactors).await?;
        Ok(unit.passkeys().of_account(grant.account()).await?)
    }

    /// Removes the passkey of that number. Sessions stay.
    ///
    /// Source: RiverGen "webauthn/credentials/{credential_id}".
    ///
    /// # Errors
    /// [`RemovePasskeyError`].
    pub async fn remove_passkey(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<(), RemovePasskeyError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        let Some(name) = work.unit.passkeys().remove_numbered(account, number).await? else {
            return refuse(RemovePasskeyError::NotFound);
        };
        let metadata = json!({ "device_name": name, "credential": number });
        work.audit(Action::PasskeyRemoved, work.grant.subject(), metadata).await?;
        work.security_notice(account, Template::PasskeyRemoved, json!({ "passkey": name })).await?;
        Ok(work.commit().await?)
    }
}

impl<G> Work<'_, G> {
    /// Removes the account's passkeys that were registered at `since` or later, and records it; answers what they were
    /// called. What is mailed about it is the caller's to say.
    pub(crate) async fn remove_passkeys(
        &mut self,
        account: AccountId,
        since: Timestamp,
    ) -> Result<Vec<String>, Fault> {
        let removed = self.unit.passkeys().remove_since(account, since).await?;
        if !removed.is_empty() {
            self.audit(Action::PasskeyRemoved, account, json!({ "device_names": removed })).await?;
        }
        Ok(removed)
    }
}
