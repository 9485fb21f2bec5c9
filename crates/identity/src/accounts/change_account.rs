//! Changes or deletes accounts: a manager those of the organization, an account owner their own.

use serde_json::json;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::session::EndReason;
use tidegate_domain::{Document, Password, Permission, Role};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Grant, KernelTables};

use crate::accounts::members_repository::Member;
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// What to change; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Another password.
    pub password: Option<Password>,
    /// Another given name.
    pub first_name: Option<String>,
    /// Another family name.
    pub last_name: Option<String>,
    /// Another free document in place of the old.
    pub metadata: Option<Document>,
}

/// Why the change was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeAccountError {
    /// No member has that address or name.
    #[error("the account {0} does not exist")]
    NotFound(LoginName),
    /// It is the owner's.
    #[error("the account {0} has the root role")]
    IsOwner(LoginName),
    /// The account's owner did not agree that the organization manages it.
    #[error("the account {0} is not managed by this organization")]
    NotManaged(LoginName),
    /// The contract's password rule.
    #[error("password {0}")]
    WeakPassword(WeakPassword),
}

impl Identity {
    /// Changes an account of the actor's organization. A new password ends its sessions. Only the owner changes the
    /// owner's.
    ///
    /// Source: Crossing Minds "accounts/individual" and "accounts/service", `PATCH`.
    ///
    /// # Errors
    /// [`ChangeAccountError`].
    pub async fn change_account(
        &self,
        call: &Call,
        actor: &Actor,
        login: &LoginName,
        change: AccountChange,
    ) -> Outcome<(), ChangeAccountError> {
        // Before the hash: what does not exist costs nothing.
        let (grant, account) = self.require_member(actor, login).await?;
        if change.password.is_some() && account == grant.account() {
            grant.require(Permission::SetOwnPassword)?;
        }
        let hash = match change.password {
            Some(password) => {
                let rule = match (login, &call.profile.program_password) {
                    (LoginName::Service(_), Some(rule)) => rule,
                    _ => &call.profile.password,
                };
                if let Err(weak) = rule.check(&password) {
                    return refuse(ChangeAccountError::WeakPassword(weak));
                }
                Some(self.hash_for_actor(call, grant, password).await?)
            }
            None => None,
        };

        let mut work = self.begin_as(call, actor, managing(login)).await?;
        if hash.is_some() {
            work.authorize_recent().await?;
        }
        let mut member = work.member_to_change(login, hash.is_some()).await?;
        let mut changed = Vec::new();
        let mut note = |name: &'static str, is_given: bool| changed.extend(is_given.then_some(name));
        note("password", hash.is_some());
        note("first_name", change.first_name.is_some());
        note("last_name", change.last_name.is_some());
        note("metadata", change.metadata.is_some());
        member.first_name = change.first_name.unwrap_or(member.first_name);
        member.last_name = change.last_name.unwrap_or(member.last_name);
        let before = member.metadata.clone();
        member.metadata = change.metadata.unwrap_or(member.metadata);
        let Member { account, first_name, last_name, metadata, .. } = &member;
        work.unit.members().describe(*account, first_name, last_name, metadata, work.now).await?;
        if let Some(hash) = &hash {
            // Beyond the limit the password is changed all the same: the mail limit must not block a new password.
            let limit = call.profile.limits.mails_by_email;
            let tell = match login.email() {
                Some(email) => work.count(Counted::MailsByEmail(email), limit).await?.is_none(),
                None => false,
            };
            work.replace_password(*account, login, hash, tell).await?;
        }
        let subject = Subject { account: Some(*account), ..work.grant.subject() };
        let by = work.grant.account().to_string();
        work.audit(Action::AccountUpdated, subject, json!({ "by": by, "changed": changed })).await?;
        let organization = work.grant.organization();
        work.require_room_for(organization, &before, metadata).await?;
        Ok(work.commit().await?)
    }

    /// Deletes an account of the actor's organization, which may be the actor's own.
    ///
    /// Source: Crossing Minds "accounts/individual" and "accounts/service", `DELETE`.
    ///
    /// # Errors
    /// [`ChangeAccountError`]; the owner's account is never deleted.
    pub async fn delete_account(
        &self,
        call: &Call,
        actor: &Actor,
        login: &LoginName,
    ) -> Outcome<(), ChangeAccountError> {
        self.require_member(actor, login).await?;
        let mut work = self.begin_as(call, actor, managing(login)).await?;
        match work.lock_member(login).await? {
            Some(member) => work.delete_member(&member).await?,
            None => return refuse(ChangeAccountError::NotFound(login.clone())),
        }
        Ok(work.commit().await?)
    }

    /// Deletes the actor's own account; not that of the owner of the organization signed in to, nor with a token that is
    /// in an end user's hands.
    ///
    /// Source: Crossing Minds "accounts", `DELETE`.
    ///
    /// # Errors
    /// [`ChangeAccountError`].
    pub async fn delete_own_account(&self, call: &Call, actor: &Actor) -> Outcome<(), ChangeAccountError> {
        let mut work = self.begin_as(call, actor, Permission::DeleteOwnAccount).await?;
        let (organization, account) = (work.grant.organization(), work.grant.account());
        let Some(member) = work.unit.members().find_by_key(organization, account).await? else {
            let emails = work.unit.accounts().emails(account).await?;
            return match emails.into_iter().find(|known| known.is_primary) {
                // In the organization of their own, which is not the one that looks after them.
                Some(own) => refuse(ChangeAccountError::IsOwner(own.email.into())),
                // A concurrent request deleted it already.
                None => Ok(()),
            };
        };
        work.delete_member(&member).await?;
        Ok(work.commit().await?)
    }

    /// Refuses what does not exist, or is not the actor's to touch, before it costs a turn at the writer.
    async fn require_member<'a>(
        &self,
        actor: &'a Actor,
        login: &LoginName,
    ) -> Outcome<(&'a Grant, AccountId), ChangeAccountError> {
        let (mut unit, grant) = self.read_as(actor, managing(login)).await?;
        // A session that has ended must not learn who belongs to the organization.
        self.kernel.renewed(&mut unit, grant).await?;
        match unit.members().find(grant.organization(), login).await? {
            Some(member) if is_anothers_owner(&member, grant) => {
                refuse(ChangeAccountError::IsOwner(login.clone()))
            }
            Some(member) => Ok((grant, member.account)),
            None => refuse(ChangeAccountError::NotFound(login.clone())),
        }
    }
}

/// An organization has one owner. A former owner has no rights over the new one.
fn is_anothers_owner(member: &Member, grant: &Grant) -> bool {
    member.role == Role::Owner && member.account != grant.account()
}

/// What it takes to change or delete an account of that name.
const fn managing(login: &LoginName) -> Permission {
    match login {
        LoginName::Service(_) => Permission::ManagePrograms,
        LoginName::Email(_) | LoginName::Phone(_) => Permission::ManageMembers,
    }
}

/// Whether a manager may set a member's password: that of an account with an unproven mailbox, which yields to its
/// first proof; and that of an account whose owner, or the operator for them, agreed to be managed. See ADR 10.
const fn may_set_password(member: &Member) -> bool {
    !member.verified || member.accepted
}

impl Acting<'_> {
    /// The account of that name in the actor's organization, locked, where the actor may change it.
    async fn member_to_change(
        &mut self,
        login: &LoginName,
        sets_password: bool,
    ) -> Outcome<Member, ChangeAccountError> {
        let Some(member) = self.lock_member(login).await? else {
            return refuse(ChangeAccountError::NotFound(login.clone()));
        };
        if is_anothers_owner(&member, &self.grant) {
            return refuse(ChangeAccountError::IsOwner(login.clone()));
        }
        // Another's password is a matter of managing; one's own, without the current one, of a power of its own.
        if sets_password && member.account == self.grant.account() {
            self.grant.require(Permission::SetOwnPassword)?;
        } else if sets_password && !may_set_password(&member) {
            return refuse(ChangeAccountError::NotManaged(login.clone()));
        }
        Ok(member)
    }

    /// The account of that name in the actor's organization, locked until the unit ends.
    pub(crate) async fn lock_member(&mut self, login: &LoginName) -> Result<Option<Member>, Fault> {
        let organization = self.grant.organization();
        let Some(found) = self.unit.members().find(organization, login).await? else {
            return Ok(None);
        };
        self.lock(found.account).await?;
        if found.account == self.grant.account() {
            // A password reset that came first has ended this session.
            self.grant = self.app.kernel.renewed(&mut self.unit, &self.grant).await?;
        }
        // Again: it may have been changed or deleted while this unit waited.
        Ok(self.unit.members().find(organization, login).await?)
    }

    async fn delete_member(&mut self, member: &Member) -> Outcome<(), ChangeAccountError> {
        if member.role == Role::Owner {
            return refuse(ChangeAccountError::IsOwner(member.login.clone()));
        }
        self.unit.sessions().end_all(member.account, EndReason::AccountDeleted, self.now).await?;
        self.kernel().account_deleted(member.account).await?;
        self.unit.accounts().delete(member.account, member.login.as_str(), self.now).await?;
        let subject = Subject { account: Some(member.account), ..self.grant.subject() };
        let by = self.grant.account().to_string();
        self.audit(Action::AccountDeleted, subject, json!({ "by": by })).await?;
        Ok(())
    }
}
