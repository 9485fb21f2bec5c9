//! Somebody forgot their password.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_store::challenges::NewChallenge;

use crate::fault::Fault;
use crate::mail::Mail;
use crate::throttle::Counted;
use crate::work::Subject;
use crate::{Call, Identity};

/// Password-reset tokens are of this kind.
const RESET_PREFIX: &str = "tgp_";

impl Identity {
    /// Sends a link with which the password can be set anew, if somebody has that address.
    ///
    /// For an address nobody has, the same rows are written, and the mail is marked as never to be sent: neither the
    /// answer nor its time tells the two apart.
    ///
    /// Source: RiverGen "forgot-password".
    ///
    /// # Errors
    /// Only faults.
    pub async fn forgot_password(&self, call: &Call, email: &EmailAddress) -> Result<(), Fault> {
        self.require_mail()?;
        self.throttle(call, &[(Counted::ForgotPasswordByIp, call.profile.limits.forgot_password_by_ip)])
            .await?;

        let mut work = self.begin(call).await?;
        let found = work.unit.accounts().find_for_sign_in(email).await?;
        let found = found.filter(|found| found.account.disabled_at.is_none());
        // Whoever signed up with a stranger's address must not write to them through the name they chose.
        let verified = found.as_ref().is_some_and(|found| found.verified_at.is_some());
        let account = found.map(|found| found.account);
        let mut deliverable = account.is_some();
        if let Some(limit) = call.profile.limits.forgot_password_by_email {
            let bucket = self.bucket(call, Counted::ForgotPasswordByEmail(email));
            // Somebody floods a mailbox from many addresses. Telling them would tell that the mailbox is known.
            deliverable &= !work.unit.limits().count(&bucket, limit, 1, work.now).await?.exceeded;
        }
        let id = self.entropy.uuid(work.now);
        let token = PlainToken::generate(RESET_PREFIX, self.entropy.as_ref());
        let lifetime = Purpose::ResetPassword.lifetime();
        work.unit
            .challenges()
            .insert(&NewChallenge {
                id: id.into(),
                account: account.as_ref().map(|account| account.id),
                purpose: Purpose::ResetPassword,
                address: email.as_str(),
                handle_hash: None,
                link_hash: Some(token.hash().as_bytes()),
                code_mac: None,
                dialect: call.profile.dialect,
                continuation: &Continuation::default(),
                created_at: work.now,
                expires_at: work.now.plus(lifetime),
            })
            .await?;
        work.send(Mail {
            template: Template::PasswordReset,
            to: email,
            display_name: account.as_ref().filter(|_| verified).map_or("", |account| &account.display_name),
            cause: id,
            values: json!({
                "link": self.reset_password_link(&token).expose(),
                "minutes": lifetime.as_secs() / 60,
            }),
            deliverable,
        })
        .await?;
        let subject = Subject { account: account.map(|account| account.id), ..Subject::default() };
        work.audit(Action::PasswordResetRequested, subject, json!({})).await?;
        work.commit().await
    }
}
