//! Keys with which programs sign in, made and deleted by managers.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::audit::Action;
use tidegate_domain::id::ServiceKeyId;
use tidegate_domain::quota::Quota;
use tidegate_domain::session::EndReason;
use tidegate_domain::{Document, Permission, Secret, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::credentials::owner_notice::Credential;
use crate::credentials::service_keys_repository::ServiceKey;
use crate::{Identity, IdentityTables};

/// Keys of programs are of this kind.
const KEY_PREFIX: &str = "tgk_";

/// Keys of one program, expired ones included.
const MOST_KEYS: i64 = 50;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct CreateServiceKey {
    /// For which program.
    pub name: ServiceName,
    /// When it stops signing in; never unless given.
    pub expires_at: Option<Timestamp>,
    /// Free document.
    pub metadata: Document,
}

/// Why the request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceKeyError {
    /// No program of that name belongs to the organization.
    #[error("the account {0} does not exist")]
    AccountNotFound(LoginName),
    /// It has as many keys as a program may have.
    #[error("has {MOST_KEYS} keys already; delete one first")]
    TooMany,
    /// No such key of any of its programs.
    #[error("the key {0} does not exist")]
    KeyNotFound(ServiceKeyId),
}

impl Identity {
    /// Makes a key for a program of the actor's organization; its text is answered this once.
    ///
    /// Source: Crossing Minds "accounts/service/keys".
    ///
    /// # Errors
    /// [`ServiceKeyError`].
    pub async fn create_service_key(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CreateServiceKey,
    ) -> Outcome<(ServiceKey, Secret), ServiceKeyError> {
        actor.authorize(Permission::ManageProgramKeys)?;
        let login = LoginName::Service(claim.name);
        let text = PlainToken::generate(KEY_PREFIX, self.kernel.entropy.as_ref());
        let mut work = self.begin_as(call, actor, Permission::ManageProgramKeys).await?;
        work.authorize_recent().await?;
        let organization = work.grant.organization();
        let found = work.unit.members().find(organization, &login).await?;
        let Some(member) = found else {
            return refuse(ServiceKeyError::AccountNotFound(login));
        };
        // A program that is deleted in this moment gets no key.
        work.lock(member.account).await?;
        if work.unit.members().find(organization, &login).await?.is_none() {
            return refuse(ServiceKeyError::AccountNotFound(login));
        }
        if work.unit.service_keys().count(member.account).await? >= MOST_KEYS {
            return refuse(ServiceKeyError::TooMany);
        }
        let key = ServiceKey {
            id: self.kernel.entropy.uuid(work.now).into(),
            account: member.account,
            metadata: claim.metadata,
            created_at: work.now,
            expires_at: claim.expires_at,
        };
        work.unit.service_keys().insert(&key, text.hash().as_bytes()).await?;
        let subject = Subject { account: Some(member.account), ..work.grant.subject() };
        let metadata = json!({ "by": work.grant.account().to_string(), "key": key.id.to_string() });
        work.audit(Action::ServiceKeyCreated, subject, metadata).await?;
        work.tell_owner(organization, Credential::Key, &login).await?;
        work.require_room(organization, &[Quota::Keys, Quota::MetadataBytes]).await?;
        work.commit().await?;
        Ok((key, Secret::new(text.expose())))
    }

    /// Deletes a key of a program of the actor's organization, and ends every session it opened.
    ///
    /// Source: Crossing Minds "accounts/service/keys/{key_id}".
    ///
    /// # Errors
    /// [`ServiceKeyError`].
    pub async fn delete_service_key(
        &self,
        call: &Call,
        actor: &Actor,
        id: ServiceKeyId,
    ) -> Outcome<(), ServiceKeyError> {
        let mut work = self.begin_as(call, actor, Permission::ManageProgramKeys).await?;
        let organization = work.grant.organization();
        let Some(account) = work.unit.service_keys().owner(organization, id).await? else {
            return refuse(ServiceKeyError::KeyNotFound(id));
        };
        work.lock(account).await?;
        if !work.unit.service_keys().remove(id).await? {
            return refuse(ServiceKeyError::KeyNotFound(id));
        }
        work.unit.sessions().end_opened_with(id, EndReason::KeyDeleted, work.now).await?;
        let subject = Subject { account: Some(account), ..work.grant.subject() };
        let metadata = json!({ "by": work.grant.account().to_string(), "key": id.to_string() });
        work.audit(Action::ServiceKeyDeleted, subject, metadata).await?;
        Ok(work.commit().await?)
    }
}
