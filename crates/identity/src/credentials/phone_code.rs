//! Sends a one-time code to a phone.

use serde_json::json;
use tidegate_domain::PhoneNumber;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{CODE_DIGITS, Purpose};
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::{CodeText, Language};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;

use crate::credentials::challenges_repository::NewChallenge;
use crate::{Identity, IdentityTables};

/// What a code on a phone is for. A code for one is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhonePurpose {
    /// To have an account from then on.
    Register,
    /// To get into the account one has.
    SignIn,
}

impl PhonePurpose {
    pub(crate) const fn challenge(self) -> Purpose {
        match self {
            Self::Register => Purpose::RegisterPhone,
            Self::SignIn => Purpose::SignInByPhone,
        }
    }
}

impl Identity {
    /// Texts a code to a phone; it takes the place of any sent there before for the same purpose.
    ///
    /// To sign in, an unknown phone gets none: the same rows are written, and the message is discarded from the start.
    /// Answer and time are the same for both. To register, a phone that has an account gets one, and the
    /// caller who sends it back is signed in to that account.
    ///
    /// Source: Riven "auth/enter-phone", "login/send-code" and section 1, OTP.
    ///
    /// # Errors
    /// [`Fault::RateLimited`], also when too much is sent to register numbers like this one; beyond that limit, a code to
    /// sign in is not delivered. [`Fault::SmsNotConfigured`].
    pub async fn text_code(
        &self,
        call: &Call,
        phone: &PhoneNumber,
        purpose: PhonePurpose,
    ) -> Result<(), Fault> {
        self.kernel.require_sms()?;
        let limits = &self.kernel.settings.texts;
        // Unused numbers can be registered without end, and must not use up the limit of existing accounts: codes to sign
        // in have a budget of their own, counted when they are delivered.
        let registrations = limits.by_prefix.filter(|_| purpose == PhonePurpose::Register);
        let counted = [
            (Counted::CodesByIp, limits.by_ip),
            (Counted::CodesAtOnceByPhone(phone), limits.by_phone_at_once),
            (Counted::CodesByPhone(phone), limits.by_phone),
            (Counted::RegistrationsByPrefix(phone), registrations),
        ];
        // With the message, which is one in any case.
        let message = self.kernel.count_text(call, phone, &counted).await?;

        let mut work = self.begin(call).await?;
        let login = LoginName::Phone(phone.clone());
        let known = work.unit.accounts().find_for_sign_in(&login).await?;
        let language = Language::Known(known.as_ref().and_then(|known| known.language.clone()));
        let known = known.filter(|known| known.account.disabled_at.is_none());
        let account = known.map(|known| known.account.id);
        let deliverable = account.is_some() || purpose == PhonePurpose::Register;
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, self.kernel.entropy.as_ref());
        let new = work.new_challenge(purpose.challenge(), phone.expose());
        let mac = self.code_mac(new.id, code.expose());
        let new = NewChallenge { account, code_mac: Some(&mac), ..new };
        work.unit.challenges().replace(&new).await?;
        let subject = Subject { account, ..Subject::default() };
        work.audit(Action::CodeTexted, subject, json!({ "purpose": new.purpose.as_str() })).await?;
        let text = CodeText {
            to: phone,
            cause: new.id.into(),
            code: &code,
            expires_at: new.expires_at,
            counted_at_delivery: purpose == PhonePurpose::SignIn,
            deliverable,
        };
        work.kernel().text_code_in(text, language, message).await?;
        work.commit().await
    }
}
