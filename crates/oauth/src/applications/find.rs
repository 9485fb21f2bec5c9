//! Applications are read.

use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, refuse};
use uuid::Uuid;

use super::application::{Application, ApplicationError};
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

impl Oauth {
    /// The applications of the caller's organization, which has this number, in the order in which they were made.
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
        let (mut unit, grant) = self.read_as(actor, Permission::ReadApplications).await?;
        check_organization(&mut unit, grant.organization(), organization).await?;
        let applications = unit.applications().of_organization(grant.organization(), skip, limit).await?;
        let total = unit.applications().count(grant.organization()).await?;
        Ok(ApplicationList { applications, total })
    }

    /// One application of the caller's organization.
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
        let (mut unit, grant) = self.read_as(actor, Permission::ReadApplications).await?;
        check_organization(&mut unit, grant.organization(), organization).await?;
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

/// Tokens act in the organization that their session is in. Whether another one exists, they do not learn.
async fn check_organization(
    unit: &mut Unit,
    own: OrganizationId,
    number: i64,
) -> Outcome<(), ApplicationError> {
    match unit.applications().organization_number(own).await? {
        Some(own) if own == number => Ok(()),
        _ => refuse(ApplicationError::OrganizationDenied),
    }
}

impl Acting<'_> {
    pub(super) async fn check_organization(&mut self, number: i64) -> Outcome<(), ApplicationError> {
        check_organization(&mut self.unit, self.grant.organization(), number).await
    }

    /// The organization's application of that number, to be changed: others wait until the unit ends.
    pub(super) async fn application_to_change(
        &mut self,
        organization: i64,
        number: i64,
    ) -> Outcome<Application, ApplicationError> {
        self.check_organization(organization).await?;
        let own = self.grant.organization();
        self.unit.applications().lock(own).await?;
        match self.unit.applications().numbered(own, number).await? {
            Some(application) => Ok(application),
            None => refuse(ApplicationError::NotFound),
        }
    }
}
