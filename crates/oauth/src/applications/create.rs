//! An application is registered.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId};
use tidegate_domain::quota::Quota;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::hooks::ApplicationNews;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call};

use super::application::{Application, ApplicationError, ApplicationRule, NewApplication};
use super::repository::NewRow;
use super::secret::SECRET_PREFIX;
use crate::applications::change::joined;
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// An application with its secret, which is shown once. A public client has none.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The application.
    pub application: Application,
    /// Its secret.
    pub secret: Option<PlainToken>,
}

impl Oauth {
    /// Registers an application of one of the caller's organizations, by its number.
    ///
    /// Source: RiverGen "oauth-applications", create.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn create_application(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        new: &NewApplication,
    ) -> Outcome<Registered, ApplicationError> {
        let mut work = self.begin_in(call, actor, organization, Permission::ManageApplications).await?;
        work.authorize_recent().await?;
        let (organization, account) = (work.grant.organization(), work.grant.account());
        let registered = work.register(organization, Some(account), new).await?;
        work.commit().await?;
        Ok(registered)
    }
}

impl<G> Work<'_, G> {
    /// Registers an application of an organization, within its quota.
    pub(super) async fn register(
        &mut self,
        organization: OrganizationId,
        created_by: Option<AccountId>,
        new: &NewApplication,
    ) -> Outcome<Registered, ApplicationError> {
        ApplicationRule::check(&new.grant_types, &new.redirect_uris, new.authentication)
            .map_err(|rule| Refused::Rule(rule.into()))?;
        let (entropy, now) = (&self.app.kernel.entropy, self.now);
        let secret = (!new.authentication.is_public())
            .then(|| PlainToken::generate_checked(SECRET_PREFIX, entropy.as_ref()));
        let hash = secret.as_ref().map(PlainToken::hash);
        // Not in the order of time: a `client_id` is public, and tells nothing.
        let id = ApplicationId(self.app.new_epoch());
        self.unit.applications().lock(organization).await?;
        let row = NewRow {
            id,
            organization,
            new,
            secret: hash.as_ref(),
            epochs: (self.app.new_epoch(), self.app.new_epoch()),
            created_by,
            now,
        };
        if self.unit.applications().insert(&row).await?.is_none() {
            return refuse(ApplicationError::NameTaken);
        }
        let count = self.unit.applications().count(organization).await?;
        self.app.kernel.settings.quotas.judge(Quota::Applications, count)?;
        let subject = Subject { account: created_by, organization: Some(organization), session: None };
        let metadata = json!({
            "client_id": id,
            "name": new.name,
            "redirect_uris": joined(&new.redirect_uris),
            "scopes": new.scopes.to_string(),
        });
        self.audit(Action::ApplicationCreated, subject, metadata).await?;
        self.kernel().application_changed(organization, &new.name, ApplicationNews::Made).await?;
        let application = self.unit.applications().find(id).await?;
        let application = application
            .ok_or_else(|| Fault::Internal("an application is gone that was just registered".to_owned()))?;
        Ok(Registered { application, secret })
    }
}
