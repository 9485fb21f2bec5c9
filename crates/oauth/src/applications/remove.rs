//! An application is deleted.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::{Actor, Call};

use super::application::{Application, ApplicationError};
use super::change::end_sessions;
use crate::{Oauth, OauthTables};

impl Oauth {
    /// Deletes an application of the caller's organization: its tokens end, and what people allowed it is forgotten.
    ///
    /// Source: RiverGen "oauth-applications/{app_id}", delete.
    ///
    /// # Errors
    /// [`ApplicationError::OrganizationDenied`], [`ApplicationError::NotFound`].
    pub async fn delete_application(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        number: i64,
    ) -> Outcome<(), ApplicationError> {
        let mut work = self.begin_in(call, actor, organization, Permission::ManageApplications).await?;
        let application = work.application_to_change(number).await?;
        remove(&mut work.kernel(), &application).await?;
        let metadata = json!({ "client_id": application.id, "name": application.name });
        let subject = work.grant.subject();
        work.audit(Action::ApplicationDeleted, subject, metadata).await?;
        Ok(work.commit().await?)
    }
}

/// Removes an application with all that belongs to it.
pub(crate) async fn remove(
    work: &mut tidegate_kernel::Work<'_>,
    application: &Application,
) -> Result<(), Fault> {
    end_sessions(work, application).await?;
    work.unit.consents().delete_of_application(application.id).await?;
    work.unit.pushed_requests().delete_of_application(application.id).await?;
    work.unit.applications().delete(application).await?;
    Ok(())
}
