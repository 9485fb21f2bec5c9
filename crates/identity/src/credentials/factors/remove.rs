//! Second factors are removed by their owner.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::factors::repository::Factor;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Why no factor was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveFactorError {
    /// The account has no such factor; another account's looks the same.
    #[error("there is no such second factor")]
    NotFound,
}

/// What becomes of the backup codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecoveryCodes {
    /// They go with the last factor of any kind.
    WithLastFactor,
    /// They go with the last app.
    WithLastApp,
}

/// The kinds of some factors, each once.
pub(crate) fn kinds_of(factors: &[Factor]) -> Vec<FactorKind> {
    let has = |kind: &FactorKind| factors.iter().any(|factor| factor.kind == *kind);
    FactorKind::ALL.into_iter().filter(has).collect()
}

impl Identity {
    /// Removes all factors of a kind, or all there are; answers the kinds. No device is trusted any more.
    ///
    /// Source: RiverGen "auth/mfa/deactivate".
    ///
    /// # Errors
    /// [`RemoveFactorError`].
    pub async fn deactivate_factors(
        &self,
        call: &Call,
        actor: &Actor,
        kind: Option<FactorKind>,
    ) -> Outcome<Vec<FactorKind>, RemoveFactorError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        let held = work.unit.factors().of_account(account).await?;
        let removed: Vec<Factor> =
            held.into_iter().filter(|factor| kind.is_none_or(|kind| kind == factor.kind)).collect();
        if removed.is_empty() {
            return refuse(RemoveFactorError::NotFound);
        }
        work.remove_factors(account, &removed, RecoveryCodes::WithLastFactor).await?;
        let kinds = kinds_of(&removed);
        let methods: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        work.audit(Action::FactorsDeactivated, work.grant.subject(), json!({ "methods": methods })).await?;
        work.tell_of_removed(account, &removed).await?;
        work.commit().await?;
        Ok(kinds)
    }

    /// Removes one app. With the last one the backup codes go, as the contract says.
    ///
    /// Source: RiverGen "mfa/totp/devices/{device_id}".
    ///
    /// # Errors
    /// [`RemoveFactorError`].
    pub async fn remove_totp_device(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<(), RemoveFactorError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        let held = work.unit.factors().of_account(account).await?;
        let found =
            held.into_iter().find(|factor| factor.kind == FactorKind::Totp && factor.number == number);
        let Some(app) = found else {
            return refuse(RemoveFactorError::NotFound);
        };
        let removed = [app];
        work.remove_factors(account, &removed, RecoveryCodes::WithLastApp).await?;
        let metadata = json!({ "method": FactorKind::Totp.as_str(), "device": number });
        work.audit(Action::FactorRemoved, work.grant.subject(), metadata).await?;
        work.tell_of_removed(account, &removed).await?;
        Ok(work.commit().await?)
    }
}

impl<G> Work<'_, G> {
    async fn remove_factors(
        &mut self,
        account: AccountId,
        removed: &[Factor],
        codes: RecoveryCodes,
    ) -> Result<(), Fault> {
        for factor in removed {
            self.unit.factors().remove(account, factor.id).await?;
        }
        self.unit.factors().ensure_primary(account).await?;
        let left = self.unit.factors().of_account(account).await?;
        let keeps_codes = match codes {
            RecoveryCodes::WithLastFactor => !left.is_empty(),
            RecoveryCodes::WithLastApp => left.iter().any(|factor| factor.kind == FactorKind::Totp),
        };
        if !keeps_codes {
            self.unit.recovery_codes().remove_all(account).await?;
        }
        self.unit.trusted_devices().remove_all(account).await?;
        // Sign-ins under way begin anew: the factor they chose may be gone.
        Ok(self.unit.challenges().remove(Purpose::SecondFactor, account).await?)
    }

    /// Removes all second factors, backup codes and trusted devices; answers which factors there were.
    pub(crate) async fn remove_all_factors(&mut self, account: AccountId) -> Result<Vec<Factor>, Fault> {
        let held = self.unit.factors().of_account(account).await?;
        self.unit.factors().remove_all_pending(account).await?;
        self.remove_factors(account, &held, RecoveryCodes::WithLastFactor).await?;
        Ok(held)
    }

    /// Removes the factors that were verified at `since` or later, what is being set up, and backup codes that were made since; records
    /// why, and mails the owner.
    pub(crate) async fn remove_factors_since(
        &mut self,
        account: AccountId,
        since: Timestamp,
        reason: &str,
    ) -> Result<(), Fault> {
        self.unit.factors().remove_all_pending(account).await?;
        let codes = self.unit.recovery_codes().count(account).await?;
        if codes.made_at.is_some_and(|made_at| made_at >= since) {
            self.unit.recovery_codes().remove_all(account).await?;
        }
        let added = self.unit.factors().verified_since(account, since).await?;
        self.remove_for(account, &added, reason).await
    }

    /// Removes factors for a reason other than their owner's wish, and mails the owner.
    pub(crate) async fn remove_for(
        &mut self,
        account: AccountId,
        removed: &[Factor],
        reason: &str,
    ) -> Result<(), Fault> {
        if removed.is_empty() {
            return Ok(());
        }
        self.remove_factors(account, removed, RecoveryCodes::WithLastFactor).await?;
        let methods: Vec<&str> = kinds_of(removed).into_iter().map(FactorKind::as_str).collect();
        let metadata = json!({ "methods": methods, "reason": reason });
        self.audit(Action::FactorsDeactivated, account, metadata).await?;
        self.tell_of_removed(account, removed).await
    }

    /// Mails the owner which factors were removed.
    pub(crate) async fn tell_of_removed(
        &mut self,
        account: AccountId,
        removed: &[Factor],
    ) -> Result<(), Fault> {
        let removed: Vec<(FactorKind, &str)> =
            removed.iter().map(|factor| (factor.kind, factor.name.as_str())).collect();
        self.factor_notice(account, Template::FactorRemoved, &removed, json!({})).await
    }
}
