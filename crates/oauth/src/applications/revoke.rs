//! An application is revoked.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::oauth::ApplicationStatus;
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call};

use super::application::{Application, ApplicationError};
use crate::work::Work;
use crate::{Oauth, OauthTables};

impl Oauth {
    /// Revokes an application of the caller's organization: its tokens end, and it gets no others until it is enabled again.
    ///
    /// Source: RiverGen "oauth-applications/{app_id}/revoke".
    ///
    /// # Errors
    /// [`ApplicationError::OrganizationDenied`], [`ApplicationError::NotFound`].
    pub async fn revoke_application(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        number: i64,
    ) -> Outcome<(), ApplicationError> {
        let mut work = self.begin_in(call, actor, organization, Permission::ManageApplications).await?;
        let application = work.application_to_change(number).await?;
        let subject = work.grant.subject();
        work.revoke(application, subject).await?;
        Ok(work.commit().await?)
    }
}

impl<G> Work<'_, G> {
    pub(super) async fn revoke(
        &mut self,
        application: Application,
        subject: Subject,
    ) -> Result<Application, Fault> {
        let revoked = Application { status: ApplicationStatus::Revoked, ..application };
        self.unit.applications().change(&revoked, self.now).await?;
        self.unit.applications().forget_previous_secret(&revoked).await?;
        self.end_tokens(&revoked).await?;
        self.audit(Action::ApplicationRevoked, subject, json!({ "client_id": revoked.id })).await?;
        Ok(revoked)
    }
}
