//! An application gets another secret.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::hooks::ApplicationNews;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call};

use super::application::{Application, ApplicationError};
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// Prefix of client secrets, so that a leaked one is recognised for what it is.
pub const SECRET_PREFIX: &str = "secret_";

impl Oauth {
    /// Gives an application of the caller's organization another secret, and ends its tokens. The old secret is refused at once, or
    /// after the overlap that the operator allows.
    ///
    /// Source: RiverGen "oauth-applications/{app_id}/regenerate-secret".
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn regenerate_secret(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        number: i64,
    ) -> Outcome<PlainToken, ApplicationError> {
        let mut work = self.begin_in(call, actor, organization, Permission::ManageApplications).await?;
        work.authorize_recent().await?;
        let application = work.application_to_change(number).await?;
        let subject = work.grant.subject();
        let secret = work.replace_secret(&application, subject).await?;
        work.commit().await?;
        Ok(secret)
    }
}

impl<G> Work<'_, G> {
    pub(super) async fn replace_secret(
        &mut self,
        application: &Application,
        subject: Subject,
    ) -> Outcome<PlainToken, ApplicationError> {
        if application.authentication.is_public() {
            return refuse(ApplicationError::NoSecret);
        }
        let secret = PlainToken::generate_checked(SECRET_PREFIX, self.app.kernel.entropy.as_ref());
        let overlap = self.app.rules().secret_overlap;
        let until = (!overlap.is_zero()).then(|| self.now.plus(overlap));
        self.unit.applications().replace_secret(application, &secret.hash(), until, self.now).await?;
        self.end_tokens(application).await?;
        self.audit(Action::ApplicationSecretReplaced, subject, json!({ "client_id": application.id }))
            .await?;
        let news = ApplicationNews::Changed;
        self.kernel().application_changed(application.organization, &application.name, news).await?;
        Ok(secret)
    }
}
