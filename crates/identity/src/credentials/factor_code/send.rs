//! Sends the code of a second factor, and judges it when it comes back.

use serde_json::json;
use tidegate_crypto::one_time_code;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::challenge::{CODE_DIGITS, Challenge, Continuation, PendingSignIn, Purpose};
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_domain::{EmailAddress, PhoneNumber, Secret};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::{CodeText, Mail};
use tidegate_kernel::{Call, CountedMessage};

use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Where codes are sent.
#[derive(Clone, Debug)]
pub(crate) enum Recipient {
    Email(EmailAddress),
    Phone(PhoneNumber),
}

impl Recipient {
    fn as_str(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Phone(phone) => phone.expose(),
        }
    }
}

/// A challenge that a code may go with.
pub(crate) struct CodeChallenge<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) account: AccountId,
    /// What a sign-in under way signed in as; the recipient elsewhere.
    pub(crate) address: Option<&'a str>,
    /// SHA-256 of the temporary token.
    pub(crate) handle_hash: Option<&'a [u8]>,
    pub(crate) continuation: &'a Continuation,
}

impl Identity {
    /// Counts the message with a code of that kind, before the unit that sends it; none where codes are not sent.
    pub(crate) async fn count_code(
        &self,
        call: &Call,
        kind: FactorKind,
    ) -> Result<Option<CountedMessage>, Fault> {
        match kind {
            FactorKind::Totp => Ok(None),
            FactorKind::EmailOtp | FactorKind::SmsOtp => Ok(Some(self.kernel.count_message(call).await?)),
        }
    }
}

impl<G> Work<'_, G> {
    /// Where the account's codes of that kind go: the primary address, or the phone, if it is proven to be theirs.
    pub(crate) async fn recipient(
        &mut self,
        account: AccountId,
        kind: FactorKind,
    ) -> Result<Option<Recipient>, Fault> {
        Ok(match kind {
            FactorKind::Totp => None,
            FactorKind::EmailOtp => self.proven_address(account).await?.map(Recipient::Email),
            FactorKind::SmsOtp => self.unit.accounts().phone(account).await?.map(Recipient::Phone),
        })
    }

    /// Records a challenge, and sends its code where it has a recipient.
    pub(crate) async fn challenge_factor(
        &mut self,
        challenge: CodeChallenge<'_>,
        recipient: Option<(&Recipient, CountedMessage)>,
    ) -> Result<(), Fault> {
        let code = one_time_code(CODE_DIGITS, self.app.kernel.entropy.as_ref());
        let to = recipient.as_ref().map(|(recipient, _)| recipient.as_str());
        let address = challenge.address.or(to).unwrap_or_default();
        let new = self.new_challenge(challenge.purpose, address);
        let mac = self.app.code_mac(new.id, code.expose());
        let new = NewChallenge {
            account: Some(challenge.account),
            handle_hash: challenge.handle_hash,
            code_mac: recipient.is_some().then_some(mac.as_slice()),
            continuation: challenge.continuation,
            ..new
        };
        let (cause, expires_at) = (new.id.into(), new.expires_at);
        self.unit.challenges().insert(&new).await?;
        match recipient {
            None => Ok(()),
            Some((Recipient::Email(email), message)) => {
                let minutes = minutes(expires_at.since(self.now));
                let pending = challenge.continuation.sign_in.as_ref();
                let provider = pending.and_then(PendingSignIn::mailbox_for).map(|to| to.title.as_str());
                let provider = provider.unwrap_or_default();
                let mail = Mail {
                    template: Template::SecondFactorCode,
                    to: email,
                    display_name: "",
                    cause,
                    values: json!({ "code": code.expose(), "minutes": minutes, "provider": provider }),
                    deliverable: true,
                };
                self.send(mail, message).await
            }
            Some((Recipient::Phone(phone), message)) => {
                let text = CodeText {
                    to: phone,
                    cause,
                    code: &code,
                    expires_at,
                    counted_at_delivery: false,
                    deliverable: true,
                };
                self.text_code(text, message).await
            }
        }
    }

    /// Refuses to send what cannot be sent.
    pub(crate) fn require_sender(&self, kind: FactorKind) -> Result<(), Fault> {
        match kind {
            FactorKind::Totp => Ok(()),
            FactorKind::EmailOtp => self.app.kernel.require_mail(),
            FactorKind::SmsOtp => self.app.kernel.require_sms(),
        }
    }

    /// Whether it is the code of that challenge.
    pub(crate) fn is_code_of(&self, challenge: &Challenge, code: &Secret) -> bool {
        let stored = challenge.code_mac.as_deref().unwrap_or_default();
        self.app.is_code(challenge.id, code, stored)
    }
}
