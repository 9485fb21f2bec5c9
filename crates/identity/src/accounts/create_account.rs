//! A manager makes accounts in their organization: people and programs.

use serde_json::json;
use tidegate_domain::account::{AccountKind, LoginName, ServiceName};
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Document, EmailAddress, Password, PasswordRule, Permission, Role};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Grant};

use crate::accounts::people::{NewPerson, Person};
use crate::accounts::repository::{NewAccount, NewIdentifier};
use crate::credentials::owner_notice::Credential;
use crate::credentials::redirect::RedirectRefused;
use crate::organizations::repository::{MANAGED, NewMembership};
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// A person to be made.
#[derive(Clone, Debug)]
pub struct CreateIndividual {
    /// Their address.
    pub email: EmailAddress,
    /// Their role in the manager's organization.
    pub role: Role,
    /// Their password; without one they are mailed a link to choose it.
    pub password: Option<Password>,
    /// Given name; may be empty.
    pub first_name: String,
    /// Family name; may be empty.
    pub last_name: String,
    /// Free document.
    pub metadata: Document,
    /// Where the link of that mail leads; to the hosted page unless given.
    pub redirect: Option<String>,
}

/// A program to be made.
#[derive(Clone, Debug)]
pub struct CreateProgram {
    /// What it signs in as.
    pub name: ServiceName,
    /// Its role in the manager's organization.
    pub role: Role,
    /// Its password; without one it signs in with keys.
    pub password: Option<Password>,
    /// Free document.
    pub metadata: Document,
}

/// Why no account was created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateAccountError {
    /// The address or name is taken.
    #[error("the account {0} is duplicated")]
    Taken(LoginName),
    /// The contract's password rule.
    #[error("password {0}")]
    WeakPassword(WeakPassword),
    /// An organization has the one owner it was provisioned with.
    #[error("an account cannot be created as owner")]
    OwnerRole,
    /// The link would lead to a host that is not allowed.
    #[error(transparent)]
    Redirect(RedirectRefused),
}

impl Identity {
    /// Invites a person to the actor's organization: makes an account that gives no rights before its owner accepts, and mails
    /// them a code to verify their address, or a link to choose a password. Both say what accepting means.
    ///
    /// Source: Crossing Minds "accounts/individual".
    ///
    /// # Errors
    /// [`CreateAccountError`].
    pub async fn create_individual(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CreateIndividual,
    ) -> Outcome<AccountId, CreateAccountError> {
        let grant = actor.authorize(Permission::ManageMembers)?;
        self.kernel.require_mail()?;
        if claim.role == Role::Owner {
            return refuse(CreateAccountError::OwnerRole);
        }
        let redirect = match claim.redirect.as_deref().map(|url| self.redirect(url)).transpose() {
            Ok(redirect) => redirect,
            Err(error) => return refuse(CreateAccountError::Redirect(error)),
        };
        let login = LoginName::Email(claim.email.clone());
        self.require_free(&login).await?;
        let hash = self.new_hash(call, grant, &call.profile.password, claim.password).await?;

        let display_name = [claim.first_name.as_str(), claim.last_name.as_str()].join(" ");
        let message = self.kernel.count_message(call).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageMembers).await?;
        let new = NewPerson {
            login: &login,
            verified_at: None,
            display_name: display_name.trim(),
            password_hash: hash.as_deref(),
            agreed_to_terms: false,
            terms_version: None,
            source: "managed",
            is_at_home: false,
        };
        let Some(Person { account, .. }) = work.create_person(&new).await? else {
            return refuse(CreateAccountError::Taken(login));
        };
        work.unit
            .members()
            .describe(account.id, &claim.first_name, &claim.last_name, &claim.metadata, work.now)
            .await?;
        work.take_in(account.id, claim.role).await?;
        let organization = work.grant.organization();
        if work.unit.claims().manages_domain(organization, claim.email.domain()).await? {
            // The operator says that addresses of that domain are the organization's.
            work.unit.claims().accept(account.id, work.now).await?;
        }
        let limit = call.profile.limits.mails_by_email;
        if let Some(exceeded) = work.count(Counted::MailsByEmail(&claim.email), limit).await? {
            return Err(Fault::from(exceeded).into());
        }
        if hash.is_some() {
            work.send_activation(&account, &claim.email, message).await?;
        } else {
            work.send_password_link(&account, &claim.email, redirect.as_ref(), message).await?;
        }
        let organization = work.grant.organization();
        work.require_room(organization, &[Quota::Members, Quota::MetadataBytes]).await?;
        work.commit().await?;
        Ok(account.id)
    }

    /// Makes a program that belongs to the actor's organization.
    ///
    /// Source: Crossing Minds "accounts/service".
    ///
    /// # Errors
    /// [`CreateAccountError`].
    pub async fn create_program(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CreateProgram,
    ) -> Outcome<AccountId, CreateAccountError> {
        let grant = actor.authorize(Permission::ManagePrograms)?;
        if claim.role == Role::Owner {
            return refuse(CreateAccountError::OwnerRole);
        }
        let login = LoginName::Service(claim.name);
        self.require_free(&login).await?;
        let rule = call.profile.program_password.as_ref().unwrap_or(&call.profile.password);
        let hash = self.new_hash(call, grant, rule, claim.password).await?;

        let mut work = self.begin_as(call, actor, Permission::ManagePrograms).await?;
        work.authorize_recent().await?;
        let (now, id) = (work.now, AccountId(self.kernel.entropy.uuid(work.now)));
        work.unit
            .accounts()
            .insert(&NewAccount {
                id,
                kind: AccountKind::Service,
                display_name: login.as_str(),
                agreed_to_terms: false,
                terms_version: None,
                language: None,
                created_at: now,
            })
            .await?;
        let identifier = NewIdentifier {
            id: self.kernel.entropy.uuid(now).into(),
            account: id,
            login: &login,
            verified_at: None,
            is_primary: true,
            created_at: now,
        };
        if !work.unit.accounts().insert_identifier(identifier).await? {
            return refuse(CreateAccountError::Taken(login));
        }
        if let Some(hash) = &hash {
            work.unit.accounts().set_password(id, hash, now).await?;
        }
        work.unit.members().describe(id, "", "", &claim.metadata, now).await?;
        work.take_in(id, claim.role).await?;
        work.unit.claims().accept(id, now).await?;
        let organization = work.grant.organization();
        work.tell_owner(organization, Credential::Program, &login).await?;
        work.require_room(organization, &[Quota::Programs, Quota::MetadataBytes]).await?;
        work.commit().await?;
        Ok(id)
    }

    /// Refuses a taken name before a password is hashed for it.
    async fn require_free(&self, login: &LoginName) -> Outcome<(), CreateAccountError> {
        let mut unit = self.kernel.store.read().await?;
        if unit.accounts().owner_of(login).await?.is_some() {
            return refuse(CreateAccountError::Taken(login.clone()));
        }
        Ok(())
    }

    async fn new_hash(
        &self,
        call: &Call,
        grant: &Grant,
        rule: &PasswordRule,
        password: Option<Password>,
    ) -> Outcome<Option<String>, CreateAccountError> {
        let Some(password) = password else {
            return Ok(None);
        };
        if let Err(weak) = rule.check(&password) {
            return refuse(CreateAccountError::WeakPassword(weak));
        }
        Ok(Some(self.hash_for_actor(call, grant, password).await?))
    }
}

impl Acting<'_> {
    /// Makes a new account a member of the actor's organization, and that its home.
    async fn take_in(&mut self, account: AccountId, role: Role) -> Result<(), Fault> {
        let organization = self.grant.organization();
        let workspace = self.unit.organizations().default_workspace(organization).await?;
        let membership = NewMembership {
            id: self.app.kernel.entropy.uuid(self.now).into(),
            account,
            organization,
            role,
            source: MANAGED,
            is_home: true,
            joined_at: self.now,
        };
        self.unit.organizations().insert_membership(membership, workspace).await?;
        let subject = Subject { account: Some(account), ..self.grant.subject() };
        let by = self.grant.account().to_string();
        self.audit(Action::AccountCreated, subject, json!({ "by": by, "role": role.as_str() })).await
    }
}
