//! Sets a new password with a mailed token.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, Password, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::{Call, KernelTables, Refused};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::note_mailed;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// What a password is set anew with.
#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// From the mail.
    pub token: PlainToken,
    /// Whose it must be, where the contract asks.
    pub email: Option<EmailAddress>,
    /// When its mail said that the token expires, where the contract asks. What is stored decides beside.
    pub expires_at: Option<Timestamp>,
    /// The new password.
    pub new_password: Password,
    /// Whether the account's phones may no longer sign in.
    pub remove_phones: bool,
    /// Whether its passkeys may no longer.
    pub remove_passkeys: bool,
}

/// Why the password was not reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetPasswordError {
    /// The token is unknown, used or expired.
    #[error("the reset token is invalid or has expired; ask for a new one")]
    InvalidToken,
    /// The account was deleted or disabled since the token was mailed.
    #[error("the account no longer exists")]
    AccountNotFound,
    /// The contract's password rule; the token stays good.
    #[error("new_password {0}")]
    WeakPassword(WeakPassword),
}

impl Identity {
    /// Sets a new password and removes every foothold the old one may have given: all sessions, other reset tokens,
    /// pending address changes and verification links.
    ///
    /// The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Who holds the token reads the mailbox, so the address counts as verified from now on: see [`crate::accounts::proof`].
    ///
    /// Source: RiverGen "reset-password"; Crossing Minds "accounts/individual/reset".
    ///
    /// # Errors
    /// [`ResetPasswordError`].
    pub async fn reset_password(&self, call: &Call, claim: ResetPassword) -> Outcome<(), ResetPasswordError> {
        let ResetPassword { token, email, expires_at, new_password, remove_phones, remove_passkeys } = claim;
        let found = self.open_reset(&token, email.as_ref(), expires_at).await?;
        let action = self.kernel.one_time(
            call,
            "reset password",
            &json!([token.expose(), new_password.expose(), remove_phones, remove_passkeys]),
        );
        let Some(challenge) = found else {
            let mut unit = self.kernel.store.read().await?;
            let known = self.kernel.answered::<()>(&mut unit, &action).await?;
            return known.ok_or(Refused::Rule(ResetPasswordError::InvalidToken));
        };
        // The rules of the contract that sent the link, wherever it is followed.
        let call = call.under(self.kernel.settings.profile(challenge.contract));
        if let Err(weak) = call.profile.password.check(&new_password) {
            return refuse(ResetPasswordError::WeakPassword(weak));
        }
        let hash = self.hash_for_client(&call, new_password).await?;

        let mut work = self.begin(&call).await?;
        if let Some(account) = challenge.account {
            work.lock(account).await?;
        }
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            let known = self.kernel.answered::<()>(&mut work.unit, &action).await?;
            return known.ok_or(Refused::Rule(ResetPasswordError::InvalidToken));
        }
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ResetPasswordError::AccountNotFound);
        };
        let by = ProvenBy::mail(&challenge);
        let email = EmailAddress::from_stored(challenge.address);
        // The address was changed since: the old mailbox has no access any more.
        let emails = work.unit.accounts().emails(account.id).await?;
        if !emails.iter().any(|known| known.is_primary && known.email == email) {
            return refuse(ResetPasswordError::InvalidToken);
        }
        // Before the mail is composed: what the account says of its owner may be an attacker's words until now.
        let Some(proven) = work.prove_mailbox(account.id, &email, by).await? else {
            return refuse(ResetPasswordError::InvalidToken);
        };
        work.audit_proof(proven, account.id).await?;
        work.remove_as_asked(account.id, remove_phones, remove_passkeys).await?;
        work.replace_password(account.id, &email.into(), &hash, true).await?;
        work.audit(Action::PasswordReset, account.id, json!({})).await?;
        work.kernel().keep_answer(&action, &()).await?;
        Ok(work.commit().await?)
    }

    /// What a reset token was mailed for, if it may be used as it is sent.
    async fn open_reset(
        &self,
        token: &PlainToken,
        email: Option<&EmailAddress>,
        expires_at: Option<Timestamp>,
    ) -> Result<Option<Challenge>, Fault> {
        let hash = token.hash();
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(Purpose::ResetPassword, hash.as_bytes()).await?;
        drop(unit);
        let now = self.kernel.now();
        let is_good = |found: &Challenge| {
            let is_theirs = email.is_none_or(|email| found.address == email.as_str());
            let is_in_time = expires_at.is_none_or(|expiry| expiry > now);
            is_theirs && is_in_time && found.status(now) == ChallengeStatus::Open
        };
        if !found.as_ref().is_some_and(is_good) {
            note_mailed("reset token", found.as_ref(), now);
        }
        Ok(found.filter(is_good))
    }
}

impl<G> Work<'_, G> {
    /// Removes what else signs in, where the owner asked for it.
    async fn remove_as_asked(
        &mut self,
        account: AccountId,
        phones: bool,
        passkeys: bool,
    ) -> Result<(), Fault> {
        if phones {
            self.unit.claims().remove_phones(account).await?;
            self.audit(Action::PhoneRemoved, account, json!({})).await?;
            self.settle_phone_factor(account).await?;
        }
        if passkeys {
            self.remove_passkeys(account, Timestamp::default()).await?;
        }
        Ok(())
    }

    /// Stores a new password, ends all sessions, withdraws all that was sent out under the old one, and notifies the
    /// owner.
    pub(crate) async fn replace_password(
        &mut self,
        account: AccountId,
        login: &LoginName,
        hash: &str,
        tell: bool,
    ) -> Result<(), Fault> {
        self.unit.accounts().set_password(account, hash, self.now).await?;
        let tokens = self.unit.access_tokens().count(account).await?;
        self.remove_footholds(account, EndReason::PasswordChanged).await?;
        let mut logins = vec![login.clone()];
        logins
            .extend(self.unit.accounts().emails(account).await?.into_iter().map(|known| known.email.into()));
        self.kernel().forget_guesses(account, &logins).await?;
        let (Some(email), true) = (login.email(), tell) else {
            return Ok(());
        };
        // An attacker who created an account with another person's address must not write to them through its name.
        let known = self.unit.accounts().find_for_sign_in(login).await?;
        let known = known.filter(|known| known.verified_at.is_some());
        let display_name = known.map(|known| known.account.display_name);
        let phones = self.unit.claims().phones(account).await?;
        let passkeys = self.unit.passkeys().count(account).await?;
        self.notify(Mail {
            template: Template::PasswordChanged,
            to: email,
            display_name: display_name.as_deref().unwrap_or_default(),
            cause: self.app.kernel.entropy.uuid(self.now),
            values: json!({
                "when": self.now.iso_seconds(),
                "ip": self.call.ip_text(),
                "phones": phones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                "passkeys": passkeys,
                "tokens": tokens,
            }),
            deliverable: true,
        })
        .await
    }

    /// A verification link signs in for as long as it lives; ending everything ends it too.
    pub(crate) async fn withdraw_verification_links(&mut self, account: AccountId) -> Result<(), Fault> {
        Ok(self.unit.challenges().remove(Purpose::VerifyEmail, account).await?)
    }
}
