//! Takes a changed e-mail address back, from the previous mailbox.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::account::AccountEmail;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::id::ChallengeId;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::{Call, Refused};

use crate::credentials::challenge::if_open;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Why the address was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreEmailError {
    /// The token is unknown, used or expired, or the address or its account is gone.
    #[error("the link is invalid or has expired")]
    InvalidToken,
}

/// What following a link means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestorePurpose {
    /// The address that becomes the primary one again.
    pub address: EmailAddress,
}

impl Identity {
    /// What the token of a `/restore-email` link is for. None for a token that is not valid.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore_purpose(&self, token: &PlainToken) -> Result<Option<RestorePurpose>, Fault> {
        let found = self.find_restore(token).await?;
        Ok(found.map(|found| RestorePurpose { address: EmailAddress::from_stored(found.address) }))
    }

    /// Makes the previous address the account's primary one, removes the addresses, phones and second factors added since, ends all
    /// sessions and drops the password: whoever changed the address may have set it. Answers a token with which another password is
    /// chosen.
    ///
    /// The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// The link is in a mail to the previous mailbox, so following it proves that mailbox.
    ///
    /// # Errors
    /// [`RestoreEmailError`].
    pub async fn restore_email(
        &self,
        call: &Call,
        token: &PlainToken,
    ) -> Outcome<PlainToken, RestoreEmailError> {
        let action = self.kernel.one_time(call, "restore e-mail", &json!([token.expose()]));
        let Some(challenge) = self.find_restore(token).await? else {
            let mut unit = self.kernel.store.read().await?;
            let known = self.kernel.answered::<String>(&mut unit, &action).await?;
            let known = known.map(|choice| PlainToken::from_presented(&choice));
            return known.ok_or(Refused::Rule(RestoreEmailError::InvalidToken));
        };
        let call = call.under(self.kernel.settings.profile(challenge.contract));
        let mut work = self.begin(&call).await?;
        if let Some(account) = challenge.account {
            work.lock(account).await?;
        }
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(RestoreEmailError::InvalidToken);
        }
        // Not while an operator keeps the account out.
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(RestoreEmailError::InvalidToken);
        };
        let account = account.id;
        let address = EmailAddress::from_stored(challenge.address.clone());
        let emails = work.unit.accounts().emails(account).await?;
        if !emails.iter().any(|known| known.email == address && known.verified_at.is_some()) {
            return refuse(RestoreEmailError::InvalidToken);
        }
        work.tell_replaced(&emails, &address, challenge.id).await?;
        work.unit.accounts().make_email_primary(account, &address).await?;
        work.remove_footholds_since(account, &address, challenge.created_at).await?;
        let choice = work.password_choice(account, &address).await?;
        work.audit(Action::EmailRestored, account, json!({ "email": address.as_str() })).await?;
        work.kernel().keep_answer(&action, &choice.expose()).await?;
        work.commit().await?;
        Ok(choice)
    }

    async fn find_restore(&self, token: &PlainToken) -> Result<Option<Challenge>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(Purpose::RestoreEmail, token.hash().as_bytes()).await?;
        Ok(if_open(found, self.kernel.now()))
    }
}

impl Work<'_> {
    /// Tells the mailboxes that lose the account: if the restore was not its owner's, they hear of it.
    async fn tell_replaced(
        &mut self,
        emails: &[AccountEmail],
        restored: &EmailAddress,
        cause: ChallengeId,
    ) -> Result<(), Fault> {
        for known in emails.iter().filter(|known| known.is_primary && known.email != *restored) {
            self.notify(Mail {
                template: Template::EmailChanged,
                to: &known.email,
                display_name: "",
                cause: cause.0,
                values: json!({
                    "old_email": known.email.as_str(),
                    "new_email": restored.as_str(),
                    "when": self.now.iso_seconds(),
                }),
                deliverable: true,
            })
            .await?;
        }
        Ok(())
    }
}
