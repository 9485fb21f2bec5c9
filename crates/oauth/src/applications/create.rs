//! An application is registered.

use serde_json::json;
use tidegate_crypto::{PlainToken, TokenHash};
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId};
use tidegate_domain::quota::Quota;
use tidegate_federation::Publisher;
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

/// Who describes an application.
#[derive(Clone, Debug)]
pub(crate) enum Origin<'a> {
    /// Its organization, or the operator.
    Managed,
    /// Itself, with a token of that hash to manage it by.
    Registered(&'a TokenHash),
    /// A document at that address.
    Document(&'a str),
}

impl Origin<'_> {
    const fn registration(&self) -> Option<&TokenHash> {
        if let Self::Registered(hash) = self { Some(hash) } else { None }
    }

    const fn document(&self) -> Option<&str> {
        if let Self::Document(uri) = self { Some(uri) } else { None }
    }

    const fn publisher(&self) -> Publisher {
        if matches!(self, Self::Managed) { Publisher::Known } else { Publisher::Stranger }
    }
}

impl Oauth {
    /// An application as it may be registered: what contradicts itself is refused, and of keys only what is public is left.
    pub(crate) fn checked(
        &self,
        new: &NewApplication,
        of: Publisher,
    ) -> Result<NewApplication, ApplicationRule> {
        ApplicationRule::check(&new.grant_types, &new.redirect_uris, new.authentication)?;
        let metadata = new.metadata.clone();
        let metadata = metadata.checked(new.authentication, |url| self.documents.admits(of, url))?;
        Ok(NewApplication { metadata, ..new.clone() })
    }

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
        self.insert(organization, created_by, new, &Origin::Managed).await
    }

    /// The same of one that comes from elsewhere, too.
    pub(crate) async fn insert(
        &mut self,
        organization: OrganizationId,
        created_by: Option<AccountId>,
        new: &NewApplication,
        origin: &Origin<'_>,
    ) -> Outcome<Registered, ApplicationError> {
        let checked = self.app.checked(new, origin.publisher());
        let new = &checked.map_err(|rule| Refused::Rule(rule.into()))?;
        let (entropy, now) = (&self.app.kernel.entropy, self.now);
        let secret = new
            .authentication
            .has_secret()
            .then(|| PlainToken::generate_checked(SECRET_PREFIX, entropy.as_ref()));
        let hash = secret.as_ref().map(PlainToken::hash);
        // Not in the order of time: a `client_id` is public, and tells nothing.
        let id = ApplicationId(self.app.new_epoch());
        let sealed = match &secret {
            Some(secret) => self.app.seal_secret(id, new.authentication, secret)?,
            None => None,
        };
        self.unit.applications().lock(organization).await?;
        let row = NewRow {
            id,
            organization,
            new,
            secret: hash.as_ref(),
            sealed_secret: sealed.as_deref(),
            registration: origin.registration(),
            document: origin.document(),
            epochs: (self.app.new_epoch(), self.app.new_epoch()),
            created_by,
            now,
        };
        if self.unit.applications().insert(&row).await?.is_none() {
            return refuse(ApplicationError::NameTaken);
        }
        if matches!(origin, Origin::Managed) {
            let count = self.unit.applications().count_managed(organization).await?;
            self.app.kernel.settings.quotas.judge(Quota::Applications, count)?;
        }
        let subject = Subject { account: created_by, organization: Some(organization), session: None };
        let metadata = json!({
            "client_id": id,
            "name": new.name,
            "redirect_uris": joined(&new.redirect_uris),
            "scopes": new.scopes.to_string(),
            "registered_itself": !matches!(origin, Origin::Managed),
        });
        self.audit(Action::ApplicationCreated, subject, metadata).await?;
        if matches!(origin, Origin::Managed) {
            self.kernel().application_changed(organization, &new.name, ApplicationNews::Made).await?;
        }
        let application = self.unit.applications().find(id).await?;
        let application = application
            .ok_or_else(|| Fault::Internal("an application is gone that was just registered".to_owned()))?;
        Ok(Registered { application, secret })
    }
}
