//! Signs in with a passkey: possession and, by the authenticator's own verification, a second factor at once.

use serde_json::json;
use tidegate_crypto::PasskeyChallenge;
use tidegate_crypto::webauthn::AssertionResponse;
use tidegate_delivery::Template;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_domain::factor::{DeviceData, device_name};
use tidegate_domain::id::AccountId;
use tidegate_domain::{EmailAddress, Origin};
use tidegate_kernel::Call;
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::throttle::Counted;

use crate::credentials::challenges_repository::NewChallenge;
use crate::credentials::passkey::assert::{AllowedCredential, INVALID_PASSKEY, PasskeyRequest};
use crate::credentials::passkey::repository::Passkey;
use crate::sign_in::complete::{Completed, Completion};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// What the credential ids of addresses without passkeys are keyed for.
const CONCEALED: &str = "concealed passkey";

/// Why no sign-in was begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartPasskeySignInError {
    /// The installation has no relying party.
    #[error("{0}")]
    NotSetUp(String),
    /// No account has that address. The contract discloses it.
    #[error("no account has this e-mail address")]
    UnknownAccount,
    /// The account has no passkey. The contract discloses it.
    #[error("the account has no passkey")]
    NoPasskeys,
}

/// A client answers with what an authenticator says.
#[derive(Clone, Debug)]
pub struct PasskeySignIn {
    /// The address given at the beginning; none where the authenticator found the passkey.
    pub email: Option<EmailAddress>,
    /// What the authenticator says.
    pub response: AssertionResponse,
    /// What the client sent of its device.
    pub device: DeviceData,
}

/// Why no session was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeySignInError {
    /// The installation has no relying party.
    #[error("{0}")]
    NotSetUp(String),
    /// The challenge is unknown, used or expired, or it is another account's or purpose's.
    #[error("the sign-in is unknown or has expired; begin again")]
    ChallengeNotFound,
    /// No account has that address, or it is gone.
    #[error("no account has this e-mail address")]
    UnknownAccount,
    /// The passkey is unknown, or another account's.
    #[error("this passkey is not known here")]
    InvalidCredential,
    /// The assertion does not verify.
    #[error("the assertion does not verify")]
    InvalidAssertion,
    /// The passkey is right, and no session may be opened: the address is not verified, or the account belongs to no organization.
    #[error("the passkey is right, but the account cannot sign in here")]
    NotAdmitted,
}

/// Whose passkey a client named.
struct PasskeyOwner {
    account: Account,
    login: LoginName,
    /// Whether the address is known to be theirs.
    is_verified: bool,
    passkey: Passkey,
}

/// A passkey that does not sign in, and the account whose history says so.
struct RefusedPasskey {
    error: PasskeySignInError,
    account: Option<AccountId>,
}

impl Identity {
    /// Begins a sign-in: of the account with that address, or of whichever account the authenticator has a passkey of.
    ///
    /// Without an address nothing is looked up. With one, the contract discloses whether it has an account, unless the operator has it
    /// concealed; a page never discloses it. Where it is concealed, an address without a passkey is answered with a credential that
    /// nobody has.
    ///
    /// Source: RiverGen "webauthn/authenticate/start".
    ///
    /// # Errors
    /// [`StartPasskeySignInError`].
    pub async fn start_passkey_sign_in(
        &self,
        call: &Call,
        email: Option<&EmailAddress>,
    ) -> Outcome<PasskeyRequest, StartPasskeySignInError> {
        let limit = call.profile.limits.passkey_challenges_by_ip;
        self.kernel.throttle(call, &[(Counted::PasskeyChallengesByIp, limit)]).await?;
        let relying_party = match self.relying_party() {
            Ok(relying_party) => relying_party,
            Err(reason) => return refuse(StartPasskeySignInError::NotSetUp(reason)),
        };
        let mut work = self.begin(call).await?;
        let (account, credentials) = match email {
            None => (None, Vec::new()),
            Some(email) => match work.passkeys_of(email).await? {
                Ok((account, passkeys)) => (Some(account), passkeys.into_iter().map(Into::into).collect()),
                Err(_)
                    if self.kernel.settings.passkeys.conceal_accounts || *call.origin() == Origin::Page =>
                {
                    let id = self.kernel.vault.mac(CONCEALED, email.as_str().as_bytes());
                    (None, vec![AllowedCredential { id: id.to_vec(), transports: Vec::new() }])
                }
                Err(error) => return refuse(error),
            },
        };
        let challenge = PasskeyChallenge::generate(self.kernel.entropy.as_ref());
        let hash = challenge.hash();
        let address = email.map(EmailAddress::as_str).unwrap_or_default();
        let new = work.new_challenge(Purpose::SignInByPasskey, address);
        let new = NewChallenge { account, handle_hash: Some(hash.as_bytes()), ..new };
        work.unit.challenges().insert(&new).await?;
        work.commit().await?;
        Ok(PasskeyRequest { challenge, relying_party, credentials })
    }

    /// Opens a session for the owner of a passkey, if its authenticator answers the challenge. The challenge is used up, whatever the
    /// answer is worth.
    ///
    /// Source: RiverGen "webauthn/authenticate/complete".
    ///
    /// # Errors
    /// [`PasskeySignInError`].
    pub async fn complete_passkey_sign_in(
        &self,
        call: &Call,
        claim: PasskeySignIn,
    ) -> Outcome<SignedIn, PasskeySignInError> {
        let relying_party = match self.relying_party() {
            Ok(relying_party) => relying_party,
            Err(reason) => return refuse(PasskeySignInError::NotSetUp(reason)),
        };
        let Some(presented) = PasskeyChallenge::from_client_data(&claim.response.client_data) else {
            return refuse(PasskeySignInError::InvalidAssertion);
        };
        let challenge = match self.passkey_challenge(&presented, claim.email.as_ref()).await? {
            Ok(challenge) => challenge,
            Err(error) => return refuse(error),
        };
        let mut work = self.begin(call).await?;
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(PasskeySignInError::ChallengeNotFound);
        }
        let owner = match work.passkey_owner(&challenge, &claim).await? {
            Ok(owner) => owner,
            Err(RefusedPasskey { error, account }) => {
                return work.refuse_passkey_sign_in(account, error, INVALID_PASSKEY).await;
            }
        };
        let PasskeyOwner { account, login, is_verified, passkey } = owner;
        let shown = work.accept_passkey(&relying_party, &presented, &claim.response, &passkey).await?;
        let methods = match shown {
            Ok(methods) => methods,
            Err(reason) => {
                let error = PasskeySignInError::InvalidAssertion;
                return work.refuse_passkey_sign_in(Some(account.id), error, reason).await;
            }
        };
        let evidence = Evidence {
            login,
            is_verified,
            methods,
            trusted_device: false,
            remember_me: false,
            key: None,
            shown_at: None,
        };
        work.finish_passkey_sign_in(account, evidence, &claim.device).await
    }

    /// The challenge that the client data repeats, if it waits for an answer for that address.
    async fn passkey_challenge(
        &self,
        presented: &PasskeyChallenge,
        email: Option<&EmailAddress>,
    ) -> Result<Result<Challenge, PasskeySignInError>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let hash = presented.hash();
        let found = unit.challenges().find_by_handle(Purpose::SignInByPasskey, hash.as_bytes()).await?;
        let found = found.filter(|found| found.status(self.kernel.now()) == ChallengeStatus::Open);
        let Some(challenge) = found else {
            return Ok(Err(PasskeySignInError::ChallengeNotFound));
        };
        let is_for_any = challenge.address.is_empty();
        if is_for_any || email.is_some_and(|email| email.as_str() == challenge.address) {
            return Ok(Ok(challenge));
        }
        // The beginning of a sign-in discloses as much.
        let is_unknown = match email {
            Some(email) => unit.accounts().find_for_sign_in(&email.clone().into()).await?.is_none(),
            None => false,
        };
        Ok(Err(if is_unknown && !self.kernel.settings.passkeys.conceal_accounts {
            PasskeySignInError::UnknownAccount
        } else {
            PasskeySignInError::ChallengeNotFound
        }))
    }
}

impl Work<'_> {
    /// The account with that address and its passkeys.
    async fn passkeys_of(
        &mut self,
        email: &EmailAddress,
    ) -> Result<Result<(AccountId, Vec<Passkey>), StartPasskeySignInError>, Fault> {
        let found = self.unit.accounts().find_for_sign_in(&email.clone().into()).await?;
        let Some(account) = found.filter(|found| found.account.disabled_at.is_none()) else {
            return Ok(Err(StartPasskeySignInError::UnknownAccount));
        };
        let passkeys = self.unit.passkeys().of_account(account.account.id).await?;
        if passkeys.is_empty() {
            return Ok(Err(StartPasskeySignInError::NoPasskeys));
        }
        Ok(Ok((account.account.id, passkeys)))
    }

    /// Whose passkey the client names: the account, locked, what it signs in as, and the passkey. What the challenge was for, the
    /// address sent and what the authenticator says of its owner must all agree.
    async fn passkey_owner(
        &mut self,
        challenge: &Challenge,
        claim: &PasskeySignIn,
    ) -> Result<Result<PasskeyOwner, RefusedPasskey>, Fault> {
        let credential_id = &claim.response.credential_id;
        let refused = |error, account| Ok(Err(RefusedPasskey { error, account }));
        let is_for_any = challenge.address.is_empty();
        let found = self.unit.passkeys().find(credential_id).await?;
        let Some(owner) =
            found.map(|found| found.account).filter(|owner| is_for_any || challenge.account == Some(*owner))
        else {
            return refused(PasskeySignInError::InvalidCredential, challenge.account);
        };
        self.lock(owner).await?;
        // Again: it may have signed in, or be gone or another account's, since.
        let passkey = self.unit.passkeys().find(credential_id).await?;
        let Some(passkey) = passkey.filter(|passkey| passkey.account == owner) else {
            return refused(PasskeySignInError::InvalidCredential, Some(owner));
        };
        let account = self.unit.accounts().find(owner).await?;
        let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
            return refused(PasskeySignInError::UnknownAccount, Some(owner));
        };
        let emails = self.unit.accounts().emails(owner).await?;
        let Some(primary) = emails.into_iter().find(|known| known.is_primary) else {
            return refused(PasskeySignInError::NotAdmitted, Some(owner));
        };
        if claim.email.as_ref().is_some_and(|sent| *sent != primary.email) {
            return refused(PasskeySignInError::InvalidCredential, Some(owner));
        }
        let is_owner = match &claim.response.user_handle {
            Some(handle) => handle == owner.0.as_bytes(),
            None => !is_for_any,
        };
        if !is_owner {
            return refused(PasskeySignInError::InvalidAssertion, Some(owner));
        }
        let is_verified = primary.verified_at.is_some();
        Ok(Ok(PasskeyOwner { account, login: primary.email.into(), is_verified, passkey }))
    }

    /// Opens the session.
    async fn finish_passkey_sign_in(
        mut self,
        account: Account,
        evidence: Evidence,
        device: &DeviceData,
    ) -> Outcome<SignedIn, PasskeySignInError> {
        let is_known = self.kernel().is_known_network(&evidence.login).await?;
        let history = json!({ "method": "webauthn", "remember_me": false });
        let completion = Completion::to_home(evidence, Some(history));
        let Completed::SignedIn(signed_in) = self.complete_sign_in(&account, completion).await? else {
            let error = PasskeySignInError::NotAdmitted;
            return self.refuse_passkey_sign_in(Some(account.id), error, "not_admitted").await;
        };
        // Noted where it is trusted: a passkey makes no device trusted.
        self.is_trusted(account.id, device).await?;
        if !is_known {
            let values = json!({ "device": device_name(&self.call.user_agent), "days": 0 });
            self.security_notice(account.id, Template::NewDevice, values).await?;
        }
        self.commit().await?;
        Ok(signed_in)
    }

    /// Records a sign-in that failed. Its challenge stays used up.
    async fn refuse_passkey_sign_in<T>(
        mut self,
        account: Option<AccountId>,
        error: PasskeySignInError,
        reason: &str,
    ) -> Outcome<T, PasskeySignInError> {
        let subject = tidegate_kernel::work::Subject { account, ..Default::default() };
        let metadata = json!({ "reason": reason, "method": "webauthn" });
        self.audit(Action::SignInFailed, subject, metadata).await?;
        self.commit().await?;
        refuse(error)
    }
}
