//! Codes by e-mail or text message become a second factor: a first one is sent.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::factor::{FactorKind, SETUP_LIFETIME};
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call};

use crate::credentials::factor_code::send::CodeChallenge;
use crate::credentials::factors::repository::NewFactor;
use crate::{Identity, IdentityTables};

/// Why no code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetUpCodesError {
    /// The primary address, or the phone, is not proven to be the owner's.
    #[error("the account has no verified e-mail address or phone number that codes can be sent to")]
    NoRecipient,
    /// Such codes are a second factor already.
    #[error("codes of this kind are a second factor already")]
    AlreadyEnabled,
}

impl Identity {
    /// Sends a code to the primary address or the phone. Only when it comes back do such codes count as a second factor.
    ///
    /// Source: RiverGen "mfa/email-otp/setup".
    ///
    /// # Errors
    /// [`SetUpCodesError`].
    pub async fn set_up_codes(
        &self,
        call: &Call,
        actor: &Actor,
        kind: FactorKind,
    ) -> Outcome<(), SetUpCodesError> {
        let message = self.count_message_as(call, actor, Permission::ManageOwnFactors).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        work.require_sender(kind)?;
        let account = work.grant.account();
        if work.unit.factors().of_account(account).await?.iter().any(|factor| factor.kind == kind) {
            return refuse(SetUpCodesError::AlreadyEnabled);
        }
        let Some(recipient) = work.recipient(account, kind).await? else {
            return refuse(SetUpCodesError::NoRecipient);
        };
        let counted = Counted::Factor(CountedFactor::Sent(account, FactorUse::SetUp));
        if let Some(exceeded) = work.count(counted, call.profile.limits.second_factor_codes).await? {
            return Err(exceeded.into());
        }
        // One at a time: the code that counts is the newest.
        work.unit.challenges().remove(Purpose::SetUpFactor, account).await?;
        let challenge = CodeChallenge {
            purpose: Purpose::SetUpFactor,
            account,
            address: None,
            handle_hash: None,
            continuation: &Continuation::default(),
        };
        work.unit
            .factors()
            .insert(&NewFactor {
                id: self.kernel.entropy.uuid(work.now).into(),
                account,
                kind,
                name: "",
                sealed: None,
                created_at: work.now,
                expires_at: work.now.plus(SETUP_LIFETIME),
            })
            .await?;
        let metadata = json!({ "method": kind.as_str() });
        work.audit(Action::FactorCodeSent, work.grant.subject(), metadata).await?;
        work.challenge_factor(challenge, Some((&recipient, message))).await?;
        Ok(work.commit().await?)
    }
}
