//! An operator removes the second factors and passkeys of an account whose owner has lost them.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Call, KernelTables};

use crate::{Identity, IdentityTables};

/// Why nothing was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetFactorsError {
    /// No account has that address.
    #[error("no account has this e-mail address")]
    UnknownAccount,
    /// It has none.
    #[error("the account has no second factor and no passkey")]
    NoFactors,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorsRemoved {
    /// The kinds of second factors there were.
    pub kinds: Vec<FactorKind>,
    /// What the passkeys were called.
    pub passkeys: Vec<String>,
}

impl Identity {
    /// Removes all second factors, backup codes, passkeys and trusted devices of an account, ends its sessions, and mails its owner. The password
    /// stays: who asks an operator for this has shown nothing yet that the server can check.
    ///
    /// Source: `tidegate user reset-mfa`.
    ///
    /// # Errors
    /// [`ResetFactorsError`].
    pub async fn reset_factors(
        &self,
        call: &Call,
        email: &EmailAddress,
    ) -> Outcome<FactorsRemoved, ResetFactorsError> {
        let mut work = self.begin(call).await?;
        let Some(account) = work.unit.accounts().owner_of(&email.clone().into()).await? else {
            return refuse(ResetFactorsError::UnknownAccount);
        };
        work.lock(account).await?;
        let removed = work.remove_all_factors(account).await?;
        let passkeys = work.remove_passkeys(account, Timestamp::default()).await?;
        if removed.is_empty() && passkeys.is_empty() {
            return refuse(ResetFactorsError::NoFactors);
        }
        work.unit.sessions().end_all(account, EndReason::FactorsReset, work.now).await?;
        let kinds: Vec<FactorKind> = FactorKind::ALL
            .into_iter()
            .filter(|kind| removed.iter().any(|factor| factor.kind == *kind))
            .collect();
        let methods: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        work.audit(Action::FactorsReset, account, json!({ "methods": methods, "passkeys": passkeys }))
            .await?;
        if !removed.is_empty() {
            work.tell_of_removed(account, &removed).await?;
        }
        if !passkeys.is_empty() {
            let values = json!({ "passkey": passkeys.join(", ") });
            work.security_notice(account, Template::PasskeyRemoved, values).await?;
        }
        work.commit().await?;
        Ok(FactorsRemoved { kinds, passkeys })
    }
}
