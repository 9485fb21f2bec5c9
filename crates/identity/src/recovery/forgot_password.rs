//! Requests a password reset.

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::EmailAddress;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, CountedMessage};
use uuid::Uuid;

use crate::credentials::challenge::RESET_PREFIX;
use crate::credentials::challenges_repository::NewChallenge;
use crate::credentials::redirect::{RedirectRefused, RedirectUrl};
use crate::work::Work;
use crate::{Identity, IdentityTables};

impl Identity {
    /// Sends a password-reset link, if an account has that address.
    ///
    /// For an unknown address, the same rows are written, and the mail is discarded from the start: neither the
    /// answer nor its time differs between the two.
    ///
    /// Source: RiverGen "forgot-password".
    ///
    /// # Errors
    /// Only faults.
    pub async fn forgot_password(&self, call: &Call, email: &EmailAddress) -> Result<(), Fault> {
        self.mail_reset_link(call, email, None).await
    }

    /// The same, with a link that leads to an application's own page.
    ///
    /// Source: Crossing Minds "accounts/individual/send-reset-password-email".
    ///
    /// # Errors
    /// [`RedirectRefused`] when `page` is none that links may lead to.
    pub async fn forgot_password_at(
        &self,
        call: &Call,
        email: &EmailAddress,
        page: &str,
    ) -> Outcome<(), RedirectRefused> {
        match self.redirect(page) {
            Ok(redirect) => Ok(self.mail_reset_link(call, email, Some(&redirect)).await?),
            Err(refused) => refuse(refused),
        }
    }

    async fn mail_reset_link(
        &self,
        call: &Call,
        email: &EmailAddress,
        redirect: Option<&RedirectUrl>,
    ) -> Result<(), Fault> {
        self.kernel.require_mail()?;
        self.kernel
            .throttle(call, &[(Counted::ForgotPasswordByIp, call.profile.limits.forgot_password_by_ip)])
            .await?;

        let message = self.kernel.count_message(call).await?;
        let mut work = self.begin(call).await?;
        let found = work.unit.accounts().find_for_sign_in(&email.clone().into()).await?;
        let found = found.filter(|found| found.account.disabled_at.is_none());
        // An attacker who signed up with another person's address must not write to them through the display name.
        let verified = found.as_ref().is_some_and(|found| found.verified_at.is_some());
        let account = found.map(|found| found.account);
        let mut deliverable = account.is_some();
        let limits = &call.profile.limits;
        let counted = [
            (Counted::ForgotPasswordByEmail(email), limits.forgot_password_by_email),
            (Counted::MailsByEmail(email), limits.mails_by_email),
        ];
        let counted: Vec<_> =
            counted.into_iter().filter_map(|(counted, limit)| Some((counted, limit?))).collect();
        // An attacker floods a mailbox from many addresses. An error would disclose that the mailbox is known.
        deliverable &= work.kernel().count_each(&counted).await?.iter().all(Option::is_none);
        let new = work.new_challenge(Purpose::ResetPassword, email.as_str());
        let link = work.insert_reset_link(new, account.as_ref(), redirect).await?;
        let subject = Subject { account: account.as_ref().map(|account| account.id), ..Subject::default() };
        work.audit(Action::PasswordResetRequested, subject, json!({})).await?;
        let mail = Mail {
            template: Template::PasswordReset,
            to: email,
            display_name: account.as_ref().filter(|_| verified).map_or("", |account| &account.display_name),
            cause: link.cause,
            values: link.values,
            deliverable,
        };
        work.send(mail, message).await?;
        work.commit().await
    }
}

/// A link with which a password can be set, on its way to a mail.
struct ResetLink {
    cause: Uuid,
    values: Value,
}

impl<G> Work<'_, G> {
    /// Mails a new account a link to choose its first password.
    pub(crate) async fn send_password_link(
        &mut self,
        account: &Account,
        email: &EmailAddress,
        redirect: Option<&RedirectUrl>,
        message: CountedMessage,
    ) -> Result<(), Fault> {
        let organization = self.manager_of(account.id).await?;
        let continuation = Continuation { invitation: organization, ..Continuation::default() };
        let new = self.new_challenge(Purpose::ResetPassword, email.as_str());
        let new = NewChallenge { continuation: &continuation, ..new };
        let mut link = self.insert_reset_link(new, Some(account), redirect).await?;
        if let Some(organization) = organization {
            let label = self.unit.claims().label(organization).await?.to_string();
            tidegate_domain::text::merge(&mut link.values, &json!({ "organization": label }));
        }
        let mail = Mail {
            template: Template::Invitation,
            to: email,
            // Chosen by the creator of the account: see above.
            display_name: "",
            cause: link.cause,
            values: link.values,
            deliverable: true,
        };
        self.send(mail, message).await
    }

    /// Mails an account's owner a link to set a new password, after they reported a change that was not theirs.
    pub(crate) async fn mail_recovery(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
        message: CountedMessage,
    ) -> Result<(), Fault> {
        let Some(account) = self.unit.accounts().find(account).await? else {
            return Ok(());
        };
        let new = self.new_challenge(Purpose::ResetPassword, email.as_str());
        let link = self.insert_reset_link(new, Some(&account), None).await?;
        self.audit(Action::PasswordResetRequested, account.id, json!({})).await?;
        let mail = Mail {
            template: Template::PasswordReset,
            to: email,
            display_name: &account.display_name,
            cause: link.cause,
            values: link.values,
            deliverable: true,
        };
        self.send(mail, message).await
    }

    async fn insert_reset_link(
        &mut self,
        new: NewChallenge<'_>,
        account: Option<&Account>,
        redirect: Option<&RedirectUrl>,
    ) -> Result<ResetLink, Fault> {
        let token = PlainToken::generate(RESET_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let new = NewChallenge {
            account: account.map(|account| account.id),
            link_hash: Some(hash.as_bytes()),
            ..new
        };
        self.unit.challenges().insert(&new).await?;
        let link = match redirect {
            Some(redirect) => redirect.with_code(
                token.expose(),
                &EmailAddress::from_stored(new.address.to_owned()),
                new.expires_at,
            ),
            None => self.app.kernel.reset_password_link(&token),
        };
        let minutes = minutes(self.call.profile.codes.reset_password);
        let values = json!({ "link": link.expose(), "minutes": minutes });
        Ok(ResetLink { cause: new.id.into(), values })
    }
}
