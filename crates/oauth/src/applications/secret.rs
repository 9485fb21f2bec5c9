//! An application gets another secret.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::ApplicationId;
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_domain::{Permission, Secret};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
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

/// What a sealed secret is for, and whose it is.
fn context(id: ApplicationId) -> String {
    format!("client-secret/{id}")
}

impl Oauth {
    /// A secret as it is kept of a client that signs with it; of others nothing is kept but the hash.
    pub(super) fn seal_secret(
        &self,
        id: ApplicationId,
        authentication: ClientAuthentication,
        secret: &PlainToken,
    ) -> Result<Option<Vec<u8>>, Fault> {
        if authentication != ClientAuthentication::SecretJwt {
            return Ok(None);
        }
        let kernel = &self.kernel;
        let sealed = kernel.vault.seal(&context(id), secret.expose().as_bytes(), kernel.entropy.as_ref())?;
        Ok(Some(sealed))
    }

    /// The secret of a client that signs with it.
    pub(crate) fn open_secret(&self, application: &Application) -> Result<Option<Secret>, Fault> {
        let Some(sealed) = &application.sealed_secret else { return Ok(None) };
        let opened = self.kernel.vault.open(&context(application.id), sealed)?;
        let text = str::from_utf8(&opened).map_err(|error| Fault::Internal(error.to_string()))?;
        Ok(Some(Secret::new(text)))
    }
}

impl<G> Work<'_, G> {
    pub(super) async fn replace_secret(
        &mut self,
        application: &Application,
        subject: Subject,
    ) -> Outcome<PlainToken, ApplicationError> {
        if !application.authentication.has_secret() {
            return refuse(ApplicationError::NoSecret);
        }
        let secret = PlainToken::generate_checked(SECRET_PREFIX, self.app.kernel.entropy.as_ref());
        let sealed = self.app.seal_secret(application.id, application.authentication, &secret)?;
        // Of a client that signs with its secret, the one before is not kept: nothing could be verified with its hash.
        let overlap = Some(self.app.rules().secret_overlap).filter(|_| sealed.is_none());
        let until = overlap.filter(|overlap| !overlap.is_zero()).map(|overlap| self.now.plus(overlap));
        let replaced = (&secret.hash(), sealed);
        self.unit.applications().replace_secret(application, replaced, until, self.now).await?;
        self.end_tokens(application).await?;
        self.audit(Action::ApplicationSecretReplaced, subject, json!({ "client_id": application.id }))
            .await?;
        if !application.is_self_registered() {
            let news = ApplicationNews::Changed;
            self.kernel().application_changed(application.organization, &application.name, news).await?;
        }
        Ok(secret)
    }
}
