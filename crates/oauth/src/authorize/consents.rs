//! What a person has allowed applications: listed, and taken away.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::ApplicationId;
use tidegate_domain::session::EndReason;
use tidegate_domain::{Permission, Scopes, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::{Oauth, OauthTables};

/// What a person has allowed an application.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Its `client_id`.
    pub application: ApplicationId,
    /// What the application is called.
    pub name: String,
    /// Whose application it is.
    pub organization: String,
    /// All that was ever allowed.
    pub scopes: Scopes,
    /// When it was first.
    pub created_at: Timestamp,
    /// When something was last added.
    pub updated_at: Timestamp,
}

/// Why nothing was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeConsentError {
    /// There was nothing.
    #[error("you have not given this application access")]
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
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let (account, now) = (work.grant.account(), work.now);
        if !work.unit.consents().delete(account, application).await? {
            return refuse(RevokeConsentError::NotFound);
        }
        // Codes first: a unit that exchanges one holds its row, and what it opened is seen afterwards.
        work.unit.codes().delete(account, application).await?;
        let reason = EndReason::ConsentRevoked;
        work.unit.sessions().end_of_application(application, Some(account), reason, now).await?;
        let subject = work.grant.subject();
        work.audit(Action::AccessRevoked, subject, json!({ "client_id": application })).await?;
        Ok(work.commit().await?)
    }
}
