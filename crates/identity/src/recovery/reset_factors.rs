//! An operator or a manager resets the second factors of an account whose owner has lost them.

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::factor::{FactorKind, ResetMode};
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, Permission, Role, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, CountedMessage, KernelTables};

use crate::credentials::challenges_repository::NewChallenge;
use crate::credentials::factors::remove::kinds_of;
use crate::credentials::factors::status::described;
use crate::recovery::delayed_factor_reset;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Tokens of these links are of this kind.
const RESET_PREFIX: &str = "tgd_";

/// What became of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactorReset {
    /// The factors and passkeys are removed.
    Done(FactorsRemoved),
    /// They are removed then, unless the owner follows the mailed link before.
    At(Timestamp),
    /// They are removed when the owner follows the mailed link, until then.
    OnceConfirmed(Timestamp),
}

/// Why nothing is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetFactorsError {
    /// No account has that address; for a manager, none of the organization.
    #[error("no account has this e-mail address")]
    UnknownAccount,
    /// It has none.
    #[error("the account has no second factor and no passkey")]
    NoFactors,
    /// Nobody could call it off, or confirm it.
    #[error("the account has no verified e-mail address to ask its owner at")]
    NoAddress,
    /// It is the manager's own.
    #[error("one's own second factors are removed in one's own account")]
    OwnAccount,
    /// It is the organization's owner's.
    #[error("the account owns the organization")]
    IsOwner,
    /// Its owner has not agreed that the organization's managers look after it.
    #[error("the account is not managed by the organization")]
    NotManaged,
}

/// A reset that is asked for.
struct Request {
    account: AccountId,
    mode: ResetMode,
    /// The manager who asks; none for an operator.
    by: Option<AccountId>,
    subject: Subject,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorsRemoved {
    /// The kinds of second factors there were.
    pub kinds: Vec<FactorKind>,
    /// What the passkeys were called.
    pub passkeys: Vec<String>,
}

impl Identity {
    /// Resets the second factors of an account, as the installation has it for operators.
    ///
    /// The password stays: who asks an operator for this has shown nothing yet that the server can check.
    ///
    /// Source: `tidegate user reset-mfa`.
    ///
    /// # Errors
    /// [`ResetFactorsError`].
    pub async fn reset_factors(
        &self,
        call: &Call,
        email: &EmailAddress,
    ) -> Outcome<FactorReset, ResetFactorsError> {
        let mode = self.kernel.settings.factor_resets.by_operator;
        let message = self.count_question(call, mode).await?;
        let mut work = self.begin(call).await?;
        let Some(account) = work.unit.accounts().owner_of(&email.clone().into()).await? else {
            return refuse(ResetFactorsError::UnknownAccount);
        };
        work.lock(account).await?;
        let request = Request { account, mode, by: None, subject: account.into() };
        let reset = work.request_factor_reset(&request, message).await?;
        work.commit().await?;
        Ok(reset)
    }

    /// Resets the second factors of a member who agreed to be managed, as the installation has it for managers.
    ///
    /// # Errors
    /// [`ResetFactorsError`].
    pub async fn reset_member_factors(
        &self,
        call: &Call,
        actor: &Actor,
        login: &LoginName,
    ) -> Outcome<FactorReset, ResetFactorsError> {
        actor.authorize(Permission::ManageMembers)?;
        let mode = self.kernel.settings.factor_resets.by_manager;
        let message = self.count_question(call, mode).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageMembers).await?;
        work.authorize_recent().await?;
        let Some(member) = work.lock_member(login).await? else {
            return refuse(ResetFactorsError::UnknownAccount);
        };
        let by = work.grant.account();
        if member.account == by {
            return refuse(ResetFactorsError::OwnAccount);
        }
        if member.role == Role::Owner {
            return refuse(ResetFactorsError::IsOwner);
        }
        if !member.accepted {
            return refuse(ResetFactorsError::NotManaged);
        }
        let subject = Subject { account: Some(member.account), ..work.grant.subject() };
        let request = Request { account: member.account, mode, by: Some(by), subject };
        let reset = work.request_factor_reset(&request, message).await?;
        work.commit().await?;
        Ok(reset)
    }

    /// Counts the mail that asks the owner; none where they are not asked.
    async fn count_question(&self, call: &Call, mode: ResetMode) -> Result<Option<CountedMessage>, Fault> {
        match mode {
            ResetMode::Immediate => Ok(None),
            ResetMode::Delayed | ResetMode::Confirmed => Ok(Some(self.kernel.count_message(call).await?)),
        }
    }
}

impl<G> Work<'_, G> {
    /// Removes the factors, or has their removal wait for its time or for the owner. A new request takes the place of one that waits.
    async fn request_factor_reset(
        &mut self,
        request: &Request,
        message: Option<CountedMessage>,
    ) -> Outcome<FactorReset, ResetFactorsError> {
        let Request { account, mode, by, .. } = *request;
        let has_passkeys = self.unit.passkeys().count(account).await? > 0;
        if !has_passkeys && !self.unit.factors().any(account).await? {
            return refuse(ResetFactorsError::NoFactors);
        }
        self.withdraw_factor_resets(account).await?;
        let delay = self.app.kernel.settings.factor_resets.delay;
        match mode {
            ResetMode::Immediate => {
                let removed = self.finish_factor_reset(account, request.subject, json!({ "by": by })).await?;
                Ok(FactorReset::Done(removed))
            }
            ResetMode::Delayed => {
                let at = self.now.plus(delay);
                self.ask_owner(request, Purpose::CancelFactorReset, at, message).await?;
                Ok(FactorReset::At(at))
            }
            ResetMode::Confirmed => {
                let until = self.now.plus(self.call.profile.codes.of(Purpose::ConfirmFactorReset));
                self.ask_owner(request, Purpose::ConfirmFactorReset, until, message).await?;
                Ok(FactorReset::OnceConfirmed(until))
            }
        }
    }

    /// Mails the owner the link that calls the reset off, or that confirms it. `at` is when it takes effect, or the link stops working.
    async fn ask_owner(
        &mut self,
        request: &Request,
        purpose: Purpose,
        at: Timestamp,
        message: Option<CountedMessage>,
    ) -> Outcome<(), ResetFactorsError> {
        self.app.kernel.require_mail()?;
        let account = request.account;
        let Some(email) = self.proven_address(account).await? else {
            return refuse(ResetFactorsError::NoAddress);
        };
        let token = PlainToken::generate(RESET_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let new = self.new_challenge(purpose, email.as_str());
        let (template, link, expires_at) = match purpose {
            // As long as it takes to be carried out: the job may be late.
            Purpose::CancelFactorReset => (
                Template::FactorResetRequested,
                self.app.kernel.cancel_factor_reset_link(&token),
                at.plus(self.call.profile.codes.of(purpose)),
            ),
            _ => (Template::FactorResetConfirmation, self.app.kernel.confirm_factor_reset_link(&token), at),
        };
        let new =
            NewChallenge { account: Some(account), link_hash: Some(hash.as_bytes()), expires_at, ..new };
        let challenge = new.id;
        self.unit.challenges().insert(&new).await?;
        if purpose == Purpose::CancelFactorReset {
            self.enqueue_factor_reset(account, challenge, at).await?;
        }
        let called = self.what_is_reset(account, &email).await?;
        let metadata = json!({ "mode": request.mode, "at": at.iso_seconds(), "by": request.by });
        self.audit(Action::FactorsResetRequested, request.subject, metadata).await?;
        let mail = Mail {
            template,
            to: &email,
            display_name: "",
            cause: challenge.into(),
            values: json!({
                "factor": called,
                "when": self.now.iso_seconds(),
                "at": at.iso_seconds(),
                "link": link.expose(),
            }),
            deliverable: true,
        };
        Ok(self.send(mail, CountedMessage::required(message)?).await?)
    }

    /// The account's second factors and passkeys as its owner calls them, in the owner's language.
    async fn what_is_reset(&mut self, account: AccountId, email: &EmailAddress) -> Result<String, Fault> {
        let words = self.kernel().words_for(email).await?;
        let factors = self.unit.factors().of_account(account).await?;
        let factors = factors.iter().map(|factor| described(&words, factor.kind, &factor.name));
        let passkeys = self.unit.passkeys().of_account(account).await?;
        let passkeys =
            passkeys.iter().map(|passkey| words.fill("mail.factor_kind.passkey", &[("name", &passkey.name)]));
        Ok(factors.chain(passkeys).collect::<Vec<_>>().join(", "))
    }

    async fn enqueue_factor_reset(
        &mut self,
        account: AccountId,
        challenge: ChallengeId,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let payload = json!({ "account": account, "challenge": challenge });
        let job = self.app.kernel.job(delayed_factor_reset::NAME, &payload)?.about(account).at(at);
        self.unit.jobs().enqueue(&job).await?;
        Ok(())
    }

    /// Removes all second factors, backup codes, passkeys and trusted devices of an account, ends its sessions, revokes its access tokens, and
    /// mails its owner.
    pub(crate) async fn finish_factor_reset(
        &mut self,
        account: AccountId,
        subject: Subject,
        mut metadata: Value,
    ) -> Result<FactorsRemoved, Fault> {
        let removed = self.remove_all_factors(account).await?;
        let passkeys = self.remove_passkeys(account, Timestamp::default()).await?;
        self.unit.sessions().end_all(account, EndReason::FactorsReset, self.now).await?;
        self.unit.access_tokens().remove_all(account).await?;
        let kinds = kinds_of(&removed);
        let methods: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        tidegate_domain::text::merge(&mut metadata, &json!({ "methods": methods, "passkeys": passkeys }));
        self.audit(Action::FactorsReset, subject, metadata).await?;
        if !removed.is_empty() {
            self.tell_of_removed(account, &removed).await?;
        }
        self.tell_of_passkeys(account, &passkeys).await?;
        Ok(FactorsRemoved { kinds, passkeys })
    }

    /// Mails the owner which passkeys were removed.
    pub(crate) async fn tell_of_passkeys(
        &mut self,
        account: AccountId,
        removed: &[String],
    ) -> Result<(), Fault> {
        if removed.is_empty() {
            return Ok(());
        }
        let values = json!({ "passkey": removed.join(", ") });
        self.security_notice(account, Template::PasskeyRemoved, values).await
    }

    /// Calls off resets of second factors that wait: their links and their jobs do nothing any more.
    pub(crate) async fn withdraw_factor_resets(&mut self, account: AccountId) -> Result<(), Fault> {
        let purposes = [Purpose::CancelFactorReset, Purpose::ConfirmFactorReset];
        Ok(self.unit.challenges().remove_both(purposes, account).await?)
    }
}
