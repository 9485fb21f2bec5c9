//! A passkey is registered: the authenticator answers a challenge, in the session that asked for it.

use std::sync::Arc;

use serde_json::json;
use tidegate_crypto::webauthn::{RegisteredPasskey, RegistrationRejected, RegistrationResponse};
use tidegate_crypto::{PasskeyChallenge, RelyingParty};
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{ChallengeStatus, Continuation, PendingPasskey, Purpose};
use tidegate_domain::id::{AccountId, PasskeyId};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::passkey::repository::{NewPasskey, Passkey};
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// Passkeys of one account.
pub const MOST_PASSKEYS: i64 = 20;

/// What a client needs to register a passkey.
#[derive(Clone, Debug)]
pub struct PasskeyCreation {
    /// What the authenticator signs.
    pub challenge: PasskeyChallenge,
    /// Whom the passkey is for.
    pub relying_party: Arc<RelyingParty>,
    /// Whose it will be; authenticators give it back.
    pub account: AccountId,
    /// What authenticators show.
    pub email: String,
    /// What they show beside it.
    pub display_name: String,
    /// Passkeys of the account: their authenticators make no second one.
    pub present: Vec<Passkey>,
}

/// Why no registration was begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartPasskeyError {
    /// The installation has no relying party.
    #[error("{0}")]
    NotSetUp(String),
    /// The account has no address that authenticators could show.
    #[error("the account has no e-mail address")]
    NoEmail,
    /// It has as many as an account may have.
    #[error("the account has {MOST_PASSKEYS} passkeys already; remove one first")]
    TooMany,
}

/// What a client answers.
#[derive(Clone, Debug)]
pub struct CompletePasskey {
    /// The same as at the beginning.
    pub name: String,
    /// What the authenticator says.
    pub response: RegistrationResponse,
}

/// A passkey that was added.
#[derive(Clone, Debug)]
pub struct AddedPasskey {
    /// As contracts show it.
    pub number: i64,
    /// What its owner calls it.
    pub name: String,
    /// When.
    pub created_at: Timestamp,
}

/// Why no passkey was added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompletePasskeyError {
    /// The installation has no relying party.
    #[error("{0}")]
    NotSetUp(String),
    /// The challenge is unknown, used or expired, or it is another account's, session's or purpose's.
    #[error("the registration is unknown or has expired; begin again")]
    ChallengeNotFound,
    /// The name is not the one given at the beginning.
    #[error("device_name is not the one given at the beginning")]
    OtherName,
    /// The client data is for another site or purpose.
    #[error("the client data is not for a registration at this site")]
    ClientData,
    /// The attestation object cannot be accepted.
    #[error("the attestation cannot be accepted")]
    Attestation,
    /// The operator does not allow this model.
    #[error("this kind of authenticator is not allowed here")]
    Authenticator,
    /// It is registered, by whomever.
    #[error("this passkey is registered already")]
    AlreadyRegistered,
    /// The account has as many as an account may have.
    #[error("the account has {MOST_PASSKEYS} passkeys already; remove one first")]
    TooMany,
}

impl Identity {
    /// The relying party, or what an operator must set.
    pub(crate) fn relying_party(&self) -> Result<Arc<RelyingParty>, String> {
        self.kernel.settings.passkeys.relying_party.clone()
    }

    /// Begins to register a passkey. Another registration of the account that was begun before is withdrawn.
    ///
    /// Source: RiverGen "webauthn/register/start".
    ///
    /// # Errors
    /// [`StartPasskeyError`].
    pub async fn start_passkey(
        &self,
        call: &Call,
        actor: &Actor,
        name: String,
    ) -> Outcome<PasskeyCreation, StartPasskeyError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let relying_party = match self.relying_party() {
            Ok(relying_party) => relying_party,
            Err(reason) => return refuse(StartPasskeyError::NotSetUp(reason)),
        };
        let session = work.grant.session();
        let (account, display_name) = (session.account, session.display_name.clone());
        let pending = PendingPasskey { name, session: session.id };
        let Some(email) = session.email.as_ref().map(ToString::to_string) else {
            return refuse(StartPasskeyError::NoEmail);
        };
        let present = work.unit.passkeys().of_account(account).await?;
        if i64::try_from(present.len()).unwrap_or(i64::MAX) >= MOST_PASSKEYS {
            return refuse(StartPasskeyError::TooMany);
        }
        let continuation = Continuation { passkey: Some(pending), ..Continuation::default() };
        let challenge = work.challenge_passkey(Purpose::RegisterPasskey, &email, &continuation).await?;
        work.commit().await?;
        Ok(PasskeyCreation { challenge, relying_party, account, email, display_name, present })
    }

    /// Adds the passkey, if its authenticator answers the challenge of this very session. The challenge is used up, whatever the
    /// answer is worth.
    ///
    /// Source: RiverGen "webauthn/register/complete".
    ///
    /// # Errors
    /// [`CompletePasskeyError`].
    pub async fn complete_passkey(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CompletePasskey,
    ) -> Outcome<AddedPasskey, CompletePasskeyError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let relying_party = match self.relying_party() {
            Ok(relying_party) => relying_party,
            Err(reason) => return refuse(CompletePasskeyError::NotSetUp(reason)),
        };
        let Some(challenge) = PasskeyChallenge::from_client_data(&claim.response.client_data) else {
            return refuse(CompletePasskeyError::ClientData);
        };
        let (account, session) = (work.grant.account(), work.grant.session().id);
        let hash = challenge.hash();
        let found = work.unit.challenges().find_by_handle(Purpose::RegisterPasskey, hash.as_bytes()).await?;
        let found = found.filter(|found| {
            found.account == Some(account) && found.status(work.now) == ChallengeStatus::Open
        });
        let Some((id, pending)) = found.and_then(|found| Some((found.id, found.continuation.passkey?)))
        else {
            return refuse(CompletePasskeyError::ChallengeNotFound);
        };
        if pending.session != session {
            return refuse(CompletePasskeyError::ChallengeNotFound);
        }
        if pending.name != claim.name {
            return refuse(CompletePasskeyError::OtherName);
        }
        if !work.unit.challenges().consume(id, work.now).await? {
            return refuse(CompletePasskeyError::ChallengeNotFound);
        }
        let registered = match relying_party.verify_registration(&challenge, &claim.response) {
            Ok(registered) => registered,
            Err(RegistrationRejected::Broken) => {
                return Err(Fault::Internal("the ceremony of a passkey cannot be set up".to_owned()).into());
            }
            Err(rejected) => return work.refuse_passkey(rejected.into()).await,
        };
        if work.unit.passkeys().count(account).await? >= MOST_PASSKEYS {
            return work.refuse_passkey(CompletePasskeyError::TooMany).await;
        }
        let Some(number) = work.add_passkey(&claim, &registered).await? else {
            return work.refuse_passkey(CompletePasskeyError::AlreadyRegistered).await;
        };
        let created_at = work.now;
        work.commit().await?;
        Ok(AddedPasskey { number, name: claim.name, created_at })
    }
}

impl Acting<'_> {
    /// Stores a passkey, records it and mails its owner. None where its credential is registered already.
    async fn add_passkey(
        &mut self,
        claim: &CompletePasskey,
        registered: &RegisteredPasskey,
    ) -> Result<Option<i64>, Fault> {
        let account = self.grant.account();
        let new = NewPasskey {
            id: PasskeyId(self.app.kernel.entropy.uuid(self.now)),
            account,
            name: &claim.name,
            credential_id: &claim.response.credential_id,
            credential: &registered.credential,
            sign_count: registered.sign_count,
            backup_eligible: registered.backup_eligible,
            backed_up: registered.backed_up,
            aaguid: registered.aaguid,
            transports: &claim.response.transports,
            created_at: self.now,
        };
        let Some(number) = self.unit.passkeys().insert(&new).await? else { return Ok(None) };
        let metadata =
            json!({ "device_name": claim.name, "aaguid": registered.aaguid, "credential": number });
        self.audit(Action::PasskeyRegistered, self.grant.subject(), metadata).await?;
        self.security_notice(account, Template::PasskeyAdded, json!({ "passkey": claim.name })).await?;
        Ok(Some(number))
    }

    /// Records that an answer was refused. Its challenge stays used up.
    async fn refuse_passkey<T>(mut self, error: CompletePasskeyError) -> Outcome<T, CompletePasskeyError> {
        let metadata = json!({ "reason": error.reason() });
        self.audit(Action::PasskeyRefused, self.grant.subject(), metadata).await?;
        self.commit().await?;
        refuse(error)
    }
}

impl CompletePasskeyError {
    /// What the audit log says of it.
    const fn reason(&self) -> &'static str {
        match self {
            Self::NotSetUp(_) => "not_set_up",
            Self::ChallengeNotFound => "challenge_not_found",
            Self::OtherName => "other_name",
            Self::ClientData => "client_data",
            Self::Attestation => "attestation",
            Self::Authenticator => "authenticator_not_allowed",
            Self::AlreadyRegistered => "already_registered",
            Self::TooMany => "too_many",
        }
    }
}

impl From<RegistrationRejected> for CompletePasskeyError {
    fn from(rejected: RegistrationRejected) -> Self {
        match rejected {
            RegistrationRejected::ClientData => Self::ClientData,
            RegistrationRejected::Attestation | RegistrationRejected::Broken => Self::Attestation,
            RegistrationRejected::Authenticator => Self::Authenticator,
        }
    }
}
