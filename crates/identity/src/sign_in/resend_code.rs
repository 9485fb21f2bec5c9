//! Sends the sign-up code again.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::{EmailAddress, Secret};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, Refused};

use crate::credentials::challenge::no_token;
use crate::{Identity, IdentityTables};

/// Why no code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// The temporary token is unknown, used, withdrawn or expired.
    #[error("the temporary token is invalid or has expired; sign in to get a new one")]
    InvalidToken,
    /// The address is not the one the token was given for.
    #[error("the e-mail address does not belong to the temporary token")]
    OtherEmail,
    /// Nothing is left to verify.
    #[error("the e-mail address is already verified")]
    AlreadyVerified,
}

impl Identity {
    /// Sends a new code, withdraws the old one, and answers the temporary token that goes with the new one. The same request
    /// sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "resend-signup-otp".
    ///
    /// # Errors
    /// [`ResendError`].
    pub async fn resend_code(
        &self,
        call: &Call,
        email: &EmailAddress,
        temporary_token: &PlainToken,
    ) -> Outcome<Secret, ResendError> {
        self.kernel.require_mail()?;
        let action =
            self.kernel.one_time(call, "resend code", &json!([email.as_str(), temporary_token.expose()]));
        let challenge = match self.find_resendable(email, temporary_token).await {
            Ok(challenge) => challenge,
            Err(refused @ Refused::Rule(ResendError::InvalidToken)) => {
                let mut unit = self.kernel.store.read().await?;
                let known = self.kernel.answered::<String>(&mut unit, &action).await?;
                return known.map(Secret::new).ok_or(refused);
            }
            Err(refused) => return Err(refused),
        };
        let Some(account) = challenge.account else {
            return Err(no_token(Some(&challenge), self.kernel.now(), ResendError::InvalidToken));
        };
        self.kernel
            .throttle(call, &[(Counted::ResendByAccount(account), call.profile.limits.resend_by_account)])
            .await?;

        let message = self.kernel.count_message(call).await?;
        let mut work = self.begin(call).await?;
        work.lock(account).await?;
        let Some(account) = work.account_of(&challenge).await? else {
            return Err(no_token(Some(&challenge), work.now, ResendError::InvalidToken));
        };
        work.unit.challenges().withdraw_codes(Purpose::VerifyEmail, account.id).await?;
        let sent = work.new_email_challenge(&account, email, challenge.continuation.clone()).await?;
        work.audit(Action::CodeResent, account.id, json!({})).await?;
        work.kernel().keep_answer(&action, &sent.temporary.expose()).await?;
        work.send_email_challenge(email, &sent, message).await?;
        work.commit().await?;
        Ok(Secret::new(sent.temporary.expose()))
    }

    async fn find_resendable(
        &self,
        email: &EmailAddress,
        token: &PlainToken,
    ) -> Outcome<Challenge, ResendError> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_handle(Purpose::VerifyEmail, token.hash().as_bytes()).await?;
        let Some(challenge) = found else {
            return Err(no_token(None, self.kernel.now(), ResendError::InvalidToken));
        };
        if challenge.address != email.as_str() {
            return refuse(ResendError::OtherEmail);
        }
        if let Some(account) = challenge.account {
            let emails = unit.accounts().emails(account).await?;
            if emails.iter().any(|known| known.email == *email && known.verified_at.is_some()) {
                return refuse(ResendError::AlreadyVerified);
            }
        }
        let now = self.kernel.now();
        let is_alive = challenge.consumed_at.is_none() && challenge.expires_at > now;
        if is_alive { Ok(challenge) } else { Err(no_token(Some(&challenge), now, ResendError::InvalidToken)) }
    }
}
