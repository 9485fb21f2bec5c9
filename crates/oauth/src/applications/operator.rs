//! Applications for the operator: `tidegate client`.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{ApplicationId, OrganizationId};
use tidegate_domain::logout::LogoutSettings;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::work::Subject;

use super::application::{Application, ApplicationError, NewApplication};
use super::change::difference;
use super::create::Registered;
use super::remove::remove;
use crate::work::Work;
use crate::{Oauth, OauthTables};

impl Oauth {
    /// Up to `limit` applications of the installation, or of one organization, with numbers beyond `after`.
    ///
    /// Source: `tidegate client list`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn applications_for_operator(
        &self,
        organization: Option<OrganizationId>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Application>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let all = match organization {
            Some(organization) => unit.applications().of_organization(organization, after, limit).await?,
            None => unit.applications().all(after, limit).await?,
        };
        Ok(all)
    }

    /// The organization of that number.
    ///
    /// # Errors
    /// Only faults.
    pub async fn organization_numbered(&self, number: i64) -> Result<Option<OrganizationId>, Fault> {
        Ok(self.kernel.store.read().await?.applications().organization_numbered(number).await?)
    }

    /// One application.
    ///
    /// Source: `tidegate client show`.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`].
    pub async fn application_for_operator(
        &self,
        id: ApplicationId,
    ) -> Outcome<Application, ApplicationError> {
        match self.kernel.store.read().await?.applications().find(id).await? {
            Some(application) => Ok(application),
            None => refuse(ApplicationError::NotFound),
        }
    }

    /// Registers an application of an organization.
    ///
    /// Source: `tidegate client create`.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn create_application_for_operator(
        &self,
        call: &Call,
        organization: OrganizationId,
        new: &NewApplication,
    ) -> Outcome<Registered, ApplicationError> {
        let mut work = self.begin(call).await?;
        let registered = work.register(organization, None, new).await?;
        work.commit().await?;
        self.prepare_keys_of(&registered.application).await?;
        Ok(registered)
    }

    /// Sets how people leave an application: all of it anew.
    ///
    /// Source: `tidegate client logout`.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`].
    pub async fn set_logout_for_operator(
        &self,
        call: &Call,
        id: ApplicationId,
        logout: LogoutSettings,
    ) -> Outcome<Application, ApplicationError> {
        let mut work = self.begin(call).await?;
        let before = work.locked(id).await?;
        let after = Application { logout, ..before.clone() };
        work.unit.applications().change(&after, work.now).await?;
        let metadata = difference(&before, &after);
        work.audit(Action::ApplicationUpdated, of_organization(&after), metadata).await?;
        work.commit().await?;
        Ok(after)
    }

    /// Gives an application another secret, and ends its tokens.
    ///
    /// Source: `tidegate client rotate-secret`.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn rotate_secret_for_operator(
        &self,
        call: &Call,
        id: ApplicationId,
    ) -> Outcome<PlainToken, ApplicationError> {
        let mut work = self.begin(call).await?;
        let application = work.locked(id).await?;
        let secret = work.replace_secret(&application, of_organization(&application)).await?;
        work.commit().await?;
        Ok(secret)
    }

    /// Takes an application out of use: its tokens end, and it gets no others until an operator puts it back. Its organization cannot.
    ///
    /// Source: `tidegate client suspend`.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`].
    pub async fn suspend_application(
        &self,
        call: &Call,
        id: ApplicationId,
    ) -> Outcome<Application, ApplicationError> {
        let mut work = self.begin(call).await?;
        let application = work.locked(id).await?;
        work.unit.applications().suspend(&application, Some(work.now)).await?;
        work.unit.applications().forget_previous_secret(&application).await?;
        work.end_tokens(&application).await?;
        let metadata = json!({ "client_id": application.id, "suspended": true });
        work.audit(Action::ApplicationRevoked, of_organization(&application), metadata).await?;
        work.commit().await?;
        Ok(Application { is_suspended: true, ..application })
    }

    /// Puts an application back that was suspended. What it had been given it does not get back.
    ///
    /// Source: `tidegate client resume`.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`].
    pub async fn resume_application(
        &self,
        call: &Call,
        id: ApplicationId,
    ) -> Outcome<Application, ApplicationError> {
        let mut work = self.begin(call).await?;
        let application = work.locked(id).await?;
        work.unit.applications().suspend(&application, None).await?;
        let metadata = json!({ "client_id": application.id, "suspended": false });
        work.audit(Action::ApplicationUpdated, of_organization(&application), metadata).await?;
        work.commit().await?;
        Ok(Application { is_suspended: false, ..application })
    }

    /// Deletes an application with its tokens.
    ///
    /// Source: `tidegate client delete`.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`].
    pub async fn delete_application_for_operator(
        &self,
        call: &Call,
        id: ApplicationId,
    ) -> Outcome<Application, ApplicationError> {
        let mut work = self.begin(call).await?;
        let application = work.locked(id).await?;
        remove(&mut work.kernel(), &application).await?;
        let metadata = json!({ "client_id": application.id, "name": application.name });
        work.audit(Action::ApplicationDeleted, of_organization(&application), metadata).await?;
        work.commit().await?;
        Ok(application)
    }
}

pub(crate) fn of_organization(application: &Application) -> Subject {
    Subject { account: None, organization: Some(application.organization), session: None }
}

impl Work<'_> {
    /// An application, to be changed: others wait until the unit ends.
    pub(crate) async fn locked(&mut self, id: ApplicationId) -> Outcome<Application, ApplicationError> {
        let Some(found) = self.unit.applications().find(id).await? else {
            return refuse(ApplicationError::NotFound);
        };
        self.unit.applications().lock(found.organization).await?;
        match self.unit.applications().find(id).await? {
            Some(application) => Ok(application),
            None => refuse(ApplicationError::NotFound),
        }
    }
}
