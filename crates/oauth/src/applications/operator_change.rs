//! An operator changes an application: `tidegate client change`.

use std::sync::Arc;

use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::ApplicationId;
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::hooks::ApplicationNews;
use tidegate_kernel::work::Subject;

use super::application::{Application, ApplicationError, ApplicationRule};
use super::change::{ApplicationChange, changed, difference};
use super::metadata::ClientMetadata;
use super::operator::of_organization;
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// An application that was changed, and its new secret, if it got one: shown once.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The application.
    pub application: Application,
    /// Its new secret.
    pub secret: Option<PlainToken>,
}

impl Oauth {
    /// Changes an application: what an organization can change of it, how it proves who it is, and what else is known of it. Another way
    /// to prove it ends its tokens, and comes with a secret of its own, if it needs one.
    ///
    /// Source: `tidegate client change`.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn change_application_for_operator(
        &self,
        call: &Call,
        id: ApplicationId,
        change: ApplicationChange,
        authentication: Option<ClientAuthentication>,
        edit: impl FnOnce(&mut ClientMetadata) + Send,
    ) -> Outcome<Changed, ApplicationError> {
        let mut work = self.begin(call).await?;
        let before = work.locked(id).await?;
        let mut metadata = before.metadata.as_ref().clone();
        edit(&mut metadata);
        let after = Application {
            authentication: authentication.unwrap_or(before.authentication),
            metadata: Arc::new(metadata),
            ..changed(&before, change)
        };
        let subject = of_organization(&before);
        let changed = work.replace(&before, after, subject).await?;
        work.commit().await?;
        self.prepare_keys_of(&changed.application).await?;
        Ok(changed)
    }

    /// Makes the keys that sign ID tokens and userinfo of an application, before the first is asked for.
    ///
    /// # Errors
    /// Only faults.
    pub(crate) async fn prepare_keys_of(
        &self,
        application: &Application,
    ) -> Result<(), tidegate_kernel::Fault> {
        let algorithms =
            [application.id_token_algorithm(), application.metadata.userinfo_signed_response_alg];
        for algorithm in algorithms.into_iter().flatten() {
            self.kernel.ensure_id_token_key(algorithm).await?;
        }
        Ok(())
    }
}

impl<G> Work<'_, G> {
    /// Puts an application in the place of what it was before.
    pub(crate) async fn replace(
        &mut self,
        before: &Application,
        after: Application,
        subject: Subject,
    ) -> Outcome<Changed, ApplicationError> {
        let rule = |rule: ApplicationRule| Refused::Rule(ApplicationError::from(rule));
        ApplicationRule::check(&after.grant_types, &after.redirect_uris, after.authentication)
            .map_err(rule)?;
        let (documents, of) = (&self.app.documents, after.publisher());
        let metadata = after.metadata.as_ref().clone();
        let metadata = metadata
            .checked(after.authentication, |url| documents.admits(of, url))
            .map_err(|wrong| rule(wrong.into()))?;
        let after = Application { metadata: Arc::new(metadata), ..after };
        if self.unit.applications().is_taken(before.organization, &after.name, before.id).await? {
            return refuse(ApplicationError::NameTaken);
        }
        self.unit.applications().change(&after, self.now).await?;
        let is_other_method = before.authentication != after.authentication;
        let mut secret = None;
        if is_other_method && after.authentication.has_secret() && needs_new_secret(before, &after) {
            secret = Some(self.replace_secret(&after, subject).await?);
        } else if is_other_method && !after.authentication.has_secret() {
            self.unit.applications().remove_secrets(&after).await?;
        }
        // Tokens of a way that it may no longer use must not go on either.
        let loses_grant = before.grant_types.iter().any(|grant| !after.may(*grant));
        if is_other_method
            || loses_grant
            || after.narrows(before)
            || (before.is_active() && !after.is_active())
        {
            self.end_tokens(before).await?;
        }
        self.audit(Action::ApplicationUpdated, subject, difference(before, &after)).await?;
        // Who is mailed never made one that registered itself, and strangers must not fill a mailbox.
        if !after.is_self_registered() {
            let news = ApplicationNews::Changed;
            self.kernel().application_changed(after.organization, &after.name, news).await?;
        }
        let current = self.unit.applications().find(after.id).await?;
        Ok(Changed { application: current.unwrap_or(after), secret })
    }
}

/// Whether the secret that there is, if there is one, is of no use for the new way: only its hash is known, or it was sealed.
fn needs_new_secret(before: &Application, after: &Application) -> bool {
    !(before.authentication.sends_secret() && after.authentication.sends_secret())
}
