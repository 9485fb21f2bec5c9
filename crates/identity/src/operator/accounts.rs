//! Lists, shows, disables, enables, unlocks and deletes accounts for an operator, and ends their sessions.

use std::net::IpAddr;

use serde_json::json;
use tidegate_domain::account::{MemberOrganization, Session};
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::session::EndReason;
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::kept_out::KeptOut;
use tidegate_kernel::tables::audit::{SignInEvent, SignInFilter};

use super::identifiers::logins;
use super::repository::{AccountFilter, AccountSummary, Identifier};
use super::{AccountName, Operator, OperatorError};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Sign-ins shown of an account.
const SIGN_INS: i64 = 10;
/// The last failed sign-ins whose addresses are looked up among the limits, and how many addresses at most.
const FAILURES: i64 = 100;
const CLIENTS: usize = 10;

/// An account as its operator sees it.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    /// The account.
    pub summary: AccountSummary,
    /// What it can be reached at and signs in as.
    pub identifiers: Vec<Identifier>,
    /// Whether it has a password.
    pub has_password: bool,
    /// Where it is a member.
    pub organizations: Vec<MemberOrganization>,
    /// Its active sessions, latest activity first.
    pub sessions: Vec<Session>,
    /// Its last sign-ins, failed ones included, newest first.
    pub sign_ins: Vec<SignInEvent>,
    /// The last replaced refresh tokens that were presented again, newest first: each ended its session.
    pub replays: Vec<SignInEvent>,
    /// The limits that keep it out just now.
    pub kept_out: Vec<KeptOut>,
}

impl Identity {
    /// Up to `limit` accounts with numbers beyond `after`.
    ///
    /// Source: `tidegate user list`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_accounts(
        &self,
        _: &Operator,
        filter: &AccountFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AccountSummary>, Fault> {
        Ok(self.kernel.store.read().await?.installation().accounts(filter, after, limit).await?)
    }

    /// All an operator may know of an account.
    ///
    /// Source: `tidegate user show`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn show_account(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<AccountDetails, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let id = work.named(name).await?;
        let Some(summary) = work.unit.installation().account(id).await? else {
            return refuse(OperatorError::NotFound);
        };
        let identifiers = work.unit.installation().identifiers(id).await?;
        let clients = work.clients_that_failed(id).await?;
        Ok(AccountDetails {
            summary,
            kept_out: work.kernel().kept_out(id, &logins(&identifiers), &clients).await?,
            identifiers,
            has_password: work.unit.installation().has_password(id).await?,
            organizations: work.unit.organizations().of_member(id).await?,
            sessions: work.unit.sessions().active(id, work.now).await?,
            sign_ins: work.unit.audit().sign_ins(id, SignInFilter::Any, SIGN_INS, 0).await?,
            replays: work.unit.audit().sign_ins(id, SignInFilter::Replay, SIGN_INS, 0).await?,
        })
    }

    /// Keeps an account out, ends its sessions, and revokes its access tokens; answers how many sessions were active. One that is kept
    /// out already stays so.
    ///
    /// Source: `tidegate user disable`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn disable_account(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<usize, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?;
        let now = work.now;
        if account.disabled_at.is_none() {
            work.unit.installation().set_disabled(account.id, Some(now), now).await?;
            work.audit(Action::AccountDisabled, account.id, json!({})).await?;
        }
        // Neither comes back when the account is enabled again.
        let ended = work.unit.sessions().end_all(account.id, EndReason::AccountDisabled, now).await?;
        work.unit.access_tokens().remove_all(account.id).await?;
        work.commit().await?;
        Ok(ended)
    }

    /// Lets a disabled account sign in again.
    ///
    /// Source: `tidegate user enable`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn enable_account(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<(), OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?;
        if account.disabled_at.is_some() {
            let now = work.now;
            work.unit.installation().set_disabled(account.id, None, now).await?;
            work.audit(Action::AccountEnabled, account.id, json!({})).await?;
        }
        Ok(work.commit().await?)
    }

    /// Lets an account sign in again that wrong passwords or codes keep out.
    ///
    /// Source: `tidegate user unlock`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn unlock_account(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<(), OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?;
        let identifiers = work.unit.installation().identifiers(account.id).await?;
        let clients = work.clients_that_failed(account.id).await?;
        work.kernel().unlock(account.id, &logins(&identifiers), &clients).await?;
        work.audit(Action::AccountUnlocked, account.id, json!({})).await?;
        Ok(work.commit().await?)
    }

    /// Lifts the block of an account at a provider, which the owner had said is not theirs. It signs in once the owner has connected it
    /// again with a mailed code.
    ///
    /// Source: `tidegate user unblock-provider`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn unblock_provider(
        &self,
        operator: &Operator,
        name: &AccountName,
        provider: &str,
        subject: &str,
    ) -> Outcome<(), OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let (account, now) = (work.lock_named(name).await?.id, work.now);
        if !work.unit.social_accounts().unblock(account, provider, subject, now).await? {
            return refuse(OperatorError::NotBlocked);
        }
        let metadata = json!({ "provider": provider, "subject": subject });
        work.audit(Action::SocialAccountUnblocked, account, metadata).await?;
        Ok(work.commit().await?)
    }

    /// Deletes an account, with the organizations it owns and nobody else belongs to.
    ///
    /// Source: `tidegate user delete`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn delete_account_for_operator(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<(), OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?;
        work.unit.installation().lock_owned(account.id).await?;
        match work.unit.installation().others_in_owned(account.id).await? {
            0 => {}
            others => return refuse(OperatorError::OwnsOthers(others)),
        }
        work.unit.sessions().end_all(account.id, EndReason::AccountDeleted, work.now).await?;
        work.kernel().account_deleted(account.id).await?;
        work.unit.installation().dissolve_owned(account.id, work.now).await?;
        let called = account.login.unwrap_or_default();
        work.unit.accounts().delete(account.id, &called, work.now).await?;
        work.audit(Action::AccountDeleted, account.id, json!({})).await?;
        Ok(work.commit().await?)
    }

    /// Ends one active session of an account, or all; answers how many were.
    ///
    /// Source: `tidegate user sessions --end`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn end_account_sessions(
        &self,
        operator: &Operator,
        name: &AccountName,
        number: Option<i64>,
    ) -> Outcome<usize, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?.id;
        let (reason, now) = (EndReason::EndedByOperator, work.now);
        let ended = match number {
            None => work.unit.sessions().end_all(account, reason, now).await?,
            Some(number) => match work.unit.sessions().end_numbered(account, number, reason, now).await? {
                Some(_) => 1,
                None => return refuse(OperatorError::NoSuchSession),
            },
        };
        work.audit(Action::SessionRevoked, account, json!({ "session": number, "ended": ended })).await?;
        work.commit().await?;
        Ok(ended)
    }
}

impl Work<'_> {
    /// The addresses from which sign-ins to the account failed lately, the last one first.
    async fn clients_that_failed(&mut self, account: AccountId) -> Result<Vec<IpAddr>, Fault> {
        let failed = self.unit.audit().sign_ins(account, SignInFilter::Failure, FAILURES, 0).await?;
        let mut clients = Vec::new();
        for client in failed.iter().filter_map(|event| event.ip.parse::<IpAddr>().ok()) {
            if !clients.contains(&client) && clients.len() < CLIENTS {
                clients.push(client);
            }
        }
        Ok(clients)
    }

    /// The key of the account of that name.
    pub(super) async fn named(&mut self, name: &AccountName) -> Outcome<AccountId, OperatorError> {
        let found = match name {
            AccountName::Id(id) => Some(*id),
            AccountName::Number(number) => self.unit.installation().numbered(*number).await?,
            AccountName::Login(login) => self.unit.accounts().owner_of(login).await?,
        };
        match found {
            Some(id) => Ok(id),
            None => refuse(OperatorError::NotFound),
        }
    }

    /// The account of that name, locked until the unit ends.
    pub(super) async fn lock_named(&mut self, name: &AccountName) -> Outcome<AccountSummary, OperatorError> {
        let id = self.named(name).await?;
        self.lock(id).await?;
        match self.unit.installation().account(id).await? {
            Some(account) if account.login.is_none() => refuse(OperatorError::Deleted),
            Some(account) => Ok(account),
            None => refuse(OperatorError::NotFound),
        }
    }
}
