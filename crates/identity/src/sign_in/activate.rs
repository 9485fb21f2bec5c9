//! Verifies an address with a mailed code, without signing in.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::EmailAddress;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::throttle::Counted;

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::note_mailed;
use crate::{Identity, IdentityTables};

/// What the log calls it.
const CODE: &str = "activation code";

/// Why the address was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivateError {
    /// No account has that address.
    #[error("the account {0} does not exist")]
    UnknownEmail(EmailAddress),
    /// Wrong, withdrawn or expired.
    #[error("the activation code does not match")]
    WrongCode,
}

/// Why the address was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendActivationError {
    /// No account has that address.
    #[error("the account {0} does not exist")]
    UnknownEmail(EmailAddress),
    /// Nothing is left to verify.
    #[error("the account is already verified")]
    AlreadyVerified,
}

impl Identity {
    /// Verifies an address by the code that was mailed there. The same code succeeds again until it expires.
    ///
    /// Source: Crossing Minds "accounts/verify".
    ///
    /// # Errors
    /// [`ActivateError`]; that an address is unknown is disclosed by the contract itself.
    pub async fn activate(
        &self,
        call: &Call,
        email: &EmailAddress,
        code: &PlainToken,
    ) -> Outcome<(), ActivateError> {
        let hash = code.hash();
        let mut unit = self.kernel.store.read().await?;
        let known = unit.accounts().find_for_sign_in(&email.clone().into()).await?;
        let found = unit.challenges().find_by_link(Purpose::VerifyEmail, hash.as_bytes()).await?;
        drop(unit);
        let Some(known) = known.filter(|known| known.account.disabled_at.is_none()) else {
            return refuse(ActivateError::UnknownEmail(email.clone()));
        };
        let account = known.account.id;
        let now = self.kernel.now();
        let is_meant = |found: &Challenge| {
            found.account == Some(account)
                && found.address == email.as_str()
                && found.contract == call.profile.contract
                && found.expires_at > now
        };
        if !found.as_ref().is_some_and(is_meant) {
            note_mailed(CODE, found.as_ref(), now);
        }
        let Some(challenge) = found.filter(is_meant) else {
            return refuse(ActivateError::WrongCode);
        };
        if known.verified_at.is_some() {
            return Ok(());
        }
        let mut work = self.begin(call).await?;
        work.lock(account).await?;
        if !work.unit.challenges().claim(challenge.id, work.now).await? {
            note_mailed(CODE, Some(&challenge), now);
            return refuse(ActivateError::WrongCode);
        }
        let Some(proven) = work.prove_challenge(&challenge, ProvenBy::mail(&challenge)).await? else {
            return refuse(ActivateError::UnknownEmail(email.clone()));
        };
        work.audit_proof(proven, account).await?;
        Ok(work.commit().await?)
    }

    /// Mails a new code and withdraws the old one.
    ///
    /// Source: Crossing Minds "accounts/resend-verification-code".
    ///
    /// # Errors
    /// [`ResendActivationError`]; that an address is unknown is disclosed by the contract itself.
    pub async fn resend_activation(
        &self,
        call: &Call,
        email: &EmailAddress,
    ) -> Outcome<(), ResendActivationError> {
        self.kernel.require_mail()?;
        let known =
            self.kernel.store.read().await?.accounts().find_for_sign_in(&email.clone().into()).await?;
        let Some(known) = known.filter(|known| known.account.disabled_at.is_none()) else {
            return refuse(ResendActivationError::UnknownEmail(email.clone()));
        };
        if known.verified_at.is_some() {
            return refuse(ResendActivationError::AlreadyVerified);
        }
        let (account, limits) = (known.account, &call.profile.limits);
        self.kernel
            .throttle(
                call,
                &[
                    (Counted::ResendByAccount(account.id), limits.resend_by_account),
                    (Counted::MailsByEmail(email), limits.mails_by_email),
                ],
            )
            .await?;
        let message = self.kernel.count_message(call).await?;
        let mut work = self.begin(call).await?;
        work.lock(account.id).await?;
        // Again: it may have been verified or deleted meanwhile, and the address may belong to another account.
        let known = work.unit.accounts().find_for_sign_in(&email.clone().into()).await?;
        match known {
            Some(known) if known.account.id != account.id => {
                return refuse(ResendActivationError::UnknownEmail(email.clone()));
            }
            Some(known) if known.verified_at.is_some() => {
                return refuse(ResendActivationError::AlreadyVerified);
            }
            Some(_) => {}
            None => return refuse(ResendActivationError::UnknownEmail(email.clone())),
        }
        // Only those of this contract: another caller must not disturb a sign-up through another contract.
        work.unit.challenges().withdraw(Purpose::VerifyEmail, account.id, call.profile.contract).await?;
        work.send_activation(&account, email, message).await?;
        work.audit(Action::CodeResent, account.id, json!({})).await?;
        Ok(work.commit().await?)
    }
}
