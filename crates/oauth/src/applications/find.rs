//! Applications are read.

use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::{Actor, Call};
use uuid::Uuid;

use super::application::{Application, ApplicationError};
use super::unregistered::Unregistered;
use crate::work::Acting;
use crate::{Oauth, OauthTables};

/// A page of an organization's applications.
#[derive(Clone, Debug)]
pub struct ApplicationList {
    /// The page.
    pub applications: Vec<Application>,
    /// How many there are in all.
    pub total: i64,
}

/// Why an application that was looked for by that `client_id` may not be used, for the log.
pub(crate) fn fault_of(client_id: &str, found: Option<&Application>) -> CredentialFault {
    CredentialFault::Client(match found {
        Some(application) if application.is_suspended => "suspended by the operator",
        Some(_) => "revoked",
        None if Uuid::try_parse(client_id).is_ok() || client_id.contains("://") => "unknown",
        None => "unknown, and not written as a client_id; is it the word of an example?",
    })
}

impl Oauth {
    /// The applications of one of the caller's organizations, by its number, in the order in which they were made.
    ///
    /// Source: RiverGen "oauth-applications", list.
    ///
    /// # Errors
    /// [`ApplicationError::OrganizationDenied`].
    pub async fn list_applications(
        &self,
        actor: &Actor,
        organization: i64,
        skip: i64,
        limit: i64,
    ) -> Outcome<ApplicationList, ApplicationError> {
        let (mut unit, grant) = self.read_in(actor, organization, Permission::ReadApplications).await?;
        let applications = unit.applications().of_organization(grant.organization(), skip, limit).await?;
        let total = unit.applications().count(grant.organization()).await?;
        Ok(ApplicationList { applications, total })
    }

    /// The application of that `client_id`, if it may be used: as it was at most two seconds ago.
    pub(crate) async fn active_application(
        &self,
        call: &Call,
        client_id: Option<&str>,
    ) -> Result<Option<Application>, Fault> {
        let Some(client_id) = client_id else { return Ok(None) };
        if let Some(known) = self.remembered_client(client_id) {
            return Ok(Some(known));
        }
        let found = self.application_called(call, client_id).await?;
        if !found.as_ref().is_some_and(Application::is_active) {
            noted::refused_otherwise(fault_of(client_id, found.as_ref()));
            return Ok(None);
        }
        Ok(found)
    }

    /// The application of that `client_id` as it is, whether or not it may be used.
    pub(crate) async fn application_called(
        &self,
        call: &Call,
        client_id: &str,
    ) -> Result<Option<Application>, Fault> {
        match Uuid::try_parse(client_id) {
            Ok(id) => {
                let found = self.application_now(id.into()).await?;
                // One that a document describes has one name, its address.
                Ok(found.filter(|found| found.document.is_none()))
            }
            Err(_) => self.application_of_document(call, client_id).await,
        }
    }

    /// What is told of a redirect URI that an application is not registered with; the log is.
    pub(crate) fn unregistered_redirect(
        &self,
        application: &Application,
        sent: Option<&str>,
    ) -> Unregistered {
        let told = Unregistered::new(sent, &application.redirect_uris);
        self.note_unregistered(application, "redirect_uri", &told);
        told
    }

    /// Tells the log of an address that an application is not registered with. `parameter` is the one that it came in.
    pub(crate) fn note_unregistered(
        &self,
        application: &Application,
        parameter: &'static str,
        told: &Unregistered,
    ) {
        if self.unregistered_log.admits(application.id, self.kernel.now()) {
            let client_id = application.client_id();
            tracing::info!(client_id = client_id.as_str(), parameter, "an address is not registered: {told}");
        }
    }

    /// One application of one of the caller's organizations.
    ///
    /// Source: RiverGen "oauth-applications/{app_id}".
    ///
    /// # Errors
    /// [`ApplicationError::OrganizationDenied`], [`ApplicationError::NotFound`].
    pub async fn read_application(
        &self,
        actor: &Actor,
        organization: i64,
        number: i64,
    ) -> Outcome<Application, ApplicationError> {
        let (mut unit, grant) = self.read_in(actor, organization, Permission::ReadApplications).await?;
        match unit.applications().numbered(grant.organization(), number).await? {
            Some(application) => Ok(application),
            None => refuse(ApplicationError::NotFound),
        }
    }

    /// A random key, not in the order of time.
    pub(crate) fn new_epoch(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.kernel.entropy.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

impl Acting<'_> {
    /// The organization's application of that number, to be changed: others wait until the unit ends.
    pub(super) async fn application_to_change(
        &mut self,
        number: i64,
    ) -> Outcome<Application, ApplicationError> {
        let own = self.grant.organization();
        self.unit.applications().lock(own).await?;
        match self.unit.applications().numbered(own, number).await? {
            Some(application) => Ok(application),
            None => refuse(ApplicationError::NotFound),
        }
    }
}
