//! An application proves who it is.

use std::time::Duration;

use tidegate_crypto::PlainToken;
use tidegate_domain::Secret;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use uuid::Uuid;

use super::error::TokenError;
use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// How exactly it is known when an application was last used.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What an application presents of itself. Of the ways to do so, the caller has seen to it that one alone was used.
#[derive(Clone, Debug)]
pub struct PresentedClient {
    /// Its `client_id`.
    pub id: String,
    /// Its secret; none for a public client.
    pub secret: Option<Secret>,
}

impl Oauth {
    /// The application that presents itself so. Wrong secrets are counted; a right one is never refused because of them, as nobody
    /// guesses 238 random bits, and a stranger must not keep an application out.
    ///
    /// Source: RFC 6749 section 2.3; OpenID Connect Core section 9.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`].
    pub async fn authenticate_client(
        &self,
        call: &Call,
        presented: &PresentedClient,
    ) -> Outcome<Application, TokenError> {
        let now = self.kernel.now();
        let found = match Uuid::try_parse(&presented.id) {
            Ok(id) => self.kernel.store.read().await?.applications().find(id.into()).await?,
            Err(_) => None,
        };
        let is_right = |application: &Application| {
            let is_proven = match &presented.secret {
                Some(secret) => {
                    let hash = PlainToken::from_presented(secret.expose()).hash();
                    application.secrets.accept(&hash, now)
                }
                None => application.authentication.is_public(),
            };
            is_proven && application.is_active()
        };
        match found {
            Some(application) if is_right(&application) => {
                self.note_use(&application).await;
                Ok(application)
            }
            found => {
                self.count_failure(call, found.as_ref()).await?;
                refuse(TokenError::InvalidClient)
            }
        }
    }

    async fn count_failure(&self, call: &Call, application: Option<&Application>) -> Result<(), Fault> {
        let rules = self.rules();
        let by_network = (Counted::FailedClientByNetwork, rules.failed_clients_by_network);
        match application {
            Some(application) => {
                let of_one = (Counted::FailedClientSecret(application.id), rules.failed_secrets_by_client);
                self.kernel.throttle(call, &[by_network, of_one]).await
            }
            None => self.kernel.throttle(call, &[by_network]).await,
        }
    }

    async fn note_use(&self, application: &Application) {
        let now = self.kernel.now();
        if application.last_used_at.is_some_and(|at| now.since(at) < USE_NOTED_EVERY) {
            return;
        }
        let noted = async {
            let mut unit = self.kernel.store.begin().await?;
            unit.applications().used(application.id, now, now.minus(USE_NOTED_EVERY)).await?;
            unit.commit().await
        };
        // Not a reason to refuse the request. Where nothing can be written, what follows fails for itself.
        drop(noted.await);
    }
}
