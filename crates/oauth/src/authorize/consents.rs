//! What a person has allowed applications: listed, and taken away.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, ApplicationId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, KernelTables};

pub use super::consents_repository::Consent;
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// Why nothing was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeConsentError {
    /// There was nothing.
    #[error("this application was not given access to the account")]
    NotFound,
}

impl Oauth {
    /// The applications that the actor has given access.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_consents(&self, actor: &Actor) -> Result<Vec<Consent>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::AuthorizeApplications).await?;
        Ok(unit.consents().of_account(grant.account()).await?)
    }

    /// Takes an application's access to the actor's account away: its sessions end, and it has to ask again.
    ///
    /// # Errors
    /// [`RevokeConsentError`].
    pub async fn revoke_consent(
        &self,
        call: &Call,
        actor: &Actor,
        application: ApplicationId,
    ) -> Outcome<(), RevokeConsentError> {
        let work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let (account, subject) = (work.grant.account(), work.grant.subject());
        work.take_access(account, application, subject).await
    }

    /// What an account has allowed applications.
    ///
    /// Source: `tidegate user consents`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn consents_for_operator(&self, account: AccountId) -> Result<Vec<Consent>, Fault> {
        Ok(self.kernel.store.read().await?.consents().of_account(account).await?)
    }

    /// Takes an application's access to an account away, as [`Oauth::revoke_consent`] does.
    ///
    /// Source: `tidegate user consents --revoke`.
    ///
    /// # Errors
    /// [`RevokeConsentError`].
    pub async fn revoke_consent_for_operator(
        &self,
        call: &Call,
        account: AccountId,
        application: ApplicationId,
    ) -> Outcome<(), RevokeConsentError> {
        let work = self.begin(call).await?;
        let subject = Subject { account: Some(account), organization: None, session: None };
        work.take_access(account, application, subject).await
    }
}

impl<G> Work<'_, G> {
    async fn take_access(
        mut self,
        account: AccountId,
        application: ApplicationId,
        subject: Subject,
    ) -> Outcome<(), RevokeConsentError> {
        let now = self.now;
        // A unit that exchanges a code holds the account: what it opened is seen here, or it sees that access is gone.
        self.kernel().lock(account).await?;
        let known = self.unit.applications().find(application).await?;
        if !self.unit.consents().delete(account, application).await? {
            return refuse(RevokeConsentError::NotFound);
        }
        // Codes first: a unit that exchanges one holds its row, and what it opened is seen afterwards.
        self.unit.codes().delete(account, application).await?;
        self.unit.device_codes().delete(account, application).await?;
        let reason = EndReason::ConsentRevoked;
        self.unit.sessions().end_of_application(application, Some(account), reason, now).await?;
        let metadata = match known {
            Some(known) => self.audited(&known).await?,
            None => json!({ "client_id": application }),
        };
        self.audit(Action::AccessRevoked, subject, metadata).await?;
        Ok(self.commit().await?)
    }
}
