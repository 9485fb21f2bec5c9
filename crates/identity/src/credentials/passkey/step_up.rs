//! Step-up with a passkey: an authenticator answers a challenge of this very session.

use serde_json::json;
use tidegate_crypto::PasskeyChallenge;
use tidegate_crypto::webauthn::AssertionResponse;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{ChallengeStatus, Continuation, Purpose};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::passkey::assert::{INVALID_PASSKEY, PasskeyRequest, RefusalReason};
use crate::credentials::step_up::StepUpError;
use crate::work::Acting;
use crate::{Identity, IdentityTables};

impl Identity {
    /// Begins to prove anew who the caller is, with a passkey. What the session began before is withdrawn.
    ///
    /// # Errors
    /// [`StepUpError`].
    pub async fn start_passkey_step_up(
        &self,
        call: &Call,
        actor: &Actor,
    ) -> Outcome<PasskeyRequest, StepUpError> {
        let mut work = self.begin_as(call, actor, Permission::StepUp).await?;
        let session = work.grant.session().id;
        let passkeys = work.unit.passkeys().of_account(work.grant.account()).await?;
        let relying_party = match self.relying_party() {
            Ok(relying_party) if !passkeys.is_empty() => relying_party,
            _ => return refuse(StepUpError::NoPasskey),
        };
        let continuation = Continuation { step_up: Some(session), ..Continuation::default() };
        let challenge = work.challenge_passkey(Purpose::StepUpByPasskey, "", &continuation).await?;
        work.commit().await?;
        let credentials = passkeys.into_iter().map(Into::into).collect();
        Ok(PasskeyRequest { challenge, relying_party, credentials })
    }

    /// Proves anew who the caller is, with a passkey that answers a challenge of this session. The challenge is used up, whatever the
    /// answer is worth.
    ///
    /// # Errors
    /// [`StepUpError`].
    pub async fn step_up_with_passkey(
        &self,
        call: &Call,
        actor: &Actor,
        response: &AssertionResponse,
    ) -> Outcome<Timestamp, StepUpError> {
        let mut work = self.begin_as(call, actor, Permission::StepUp).await?;
        let (account, session) = (work.grant.account(), work.grant.session().id);
        let Ok(relying_party) = self.relying_party() else {
            return refuse(StepUpError::NoPasskey);
        };
        let Some(presented) = PasskeyChallenge::from_client_data(&response.client_data) else {
            return refuse(StepUpError::WrongPasskey);
        };
        let hash = presented.hash();
        let found = work.unit.challenges().find_by_handle(Purpose::StepUpByPasskey, hash.as_bytes()).await?;
        let Some(challenge) = found.filter(|found| {
            found.account == Some(account)
                && found.continuation.step_up == Some(session)
                && found.status(work.now) == ChallengeStatus::Open
        }) else {
            return refuse(StepUpError::ChallengeNotFound);
        };
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(StepUpError::ChallengeNotFound);
        }
        let found = work.unit.passkeys().find(&response.credential_id).await?;
        let named = response.user_handle.as_deref();
        let passkey = found.filter(|passkey| {
            passkey.account == account && named.is_none_or(|named| named == account.0.as_bytes())
        });
        let shown = match passkey {
            Some(passkey) => work.accept_passkey(&relying_party, &presented, response, &passkey).await?,
            None => Err(INVALID_PASSKEY),
        };
        match shown {
            Ok(shown) => {
                let at = work.note_step_up(shown, "webauthn").await?;
                work.commit().await?;
                Ok(at)
            }
            Err(reason) => work.refuse_passkey_step_up(reason).await,
        }
    }
}

impl Acting<'_> {
    /// Records that an answer was refused. Its challenge stays used up.
    async fn refuse_passkey_step_up<T>(mut self, reason: RefusalReason) -> Outcome<T, StepUpError> {
        self.audit(Action::PasskeyRefused, self.grant.subject(), json!({ "reason": reason })).await?;
        self.commit().await?;
        refuse(StepUpError::WrongPasskey)
    }
}
