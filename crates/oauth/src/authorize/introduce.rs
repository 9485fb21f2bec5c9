//! Who an application is, for a page that asks a person.

use tidegate_domain::Scopes;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, Refused, refuse};

use super::scopes::{ScopeRefused, requested_scopes};
use crate::Oauth;
use crate::applications::Application;

/// Who an application is.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The application.
    pub application: Application,
    /// What it asks for.
    pub requested: Scopes,
}

/// Why it is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntroductionError {
    /// Unknown, revoked or suspended.
    #[error("the client_id is unknown, or the application is revoked or suspended")]
    InvalidClient,
    /// Not registered.
    #[error("redirect_uri is not one that the application is registered with")]
    InvalidRedirectUri,
    /// More than the application may ask for.
    #[error(transparent)]
    InvalidScope(#[from] ScopeRefused),
}

impl Oauth {
    /// Tells who an application is, to whoever knows its redirect URI.
    ///
    /// Source: RiverGen "GET /api/v1/oauth/app-info".
    ///
    /// # Errors
    /// [`IntroductionError`].
    pub async fn introduce(
        &self,
        call: &Call,
        client_id: &str,
        redirect_uri: &str,
        scope: Option<&str>,
    ) -> Outcome<Introduction, IntroductionError> {
        let Some(application) = self.active_application(call, Some(client_id)).await? else {
            return refuse(IntroductionError::InvalidClient);
        };
        if !application.redirects_to(redirect_uri) {
            self.unregistered_redirect(&application, Some(redirect_uri));
            return refuse(IntroductionError::InvalidRedirectUri);
        }
        let requested = requested_scopes(&application, scope)
            .map_err(|why| Refused::Rule(IntroductionError::from(why)))?;
        Ok(Introduction { application, requested })
    }
}
