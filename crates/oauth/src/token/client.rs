//! An application proves who it is.

use std::time::Duration;

use tidegate_crypto::PlainToken;
use tidegate_domain::Secret;
use tidegate_kernel::Call;
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::throttle::Counted;

use super::error::TokenError;
use crate::applications::Application;
use crate::applications::find::fault_of;
use crate::{Oauth, OauthTables};

/// How exactly it is known when an application was last used.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What an application presents of itself. Of the ways to do so, the caller has seen to it that one alone was used.
#[derive(Clone, Debug)]
pub struct PresentedClient {
    /// Its `client_id`.
    pub id: String,
    /// Its secret, which may be sent empty; none for a public client, and for one that sends an assertion.
    pub secret: Option<Secret>,
    /// A JWT that it signed (RFC 7523).
    pub assertion: Option<Secret>,
}

impl PresentedClient {
    /// Whether something was sent that proves who it is.
    pub fn has_proof(&self) -> bool {
        self.assertion.is_some() || (self.secret.is_some() && !self.has_empty_secret())
    }

    /// Whether a secret was sent and is empty: it proves nothing, and nobody has it.
    fn has_empty_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.expose().is_empty())
    }
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
        // What is remembered admits, and refuses nobody. An assertion counts once, and is looked at once.
        if presented.assertion.is_none()
            && let Some(application) = self.remembered_client(&presented.id)
            && self.prove(&application, presented).await?.is_ok()
        {
            return self.admitted(call, application).await;
        }
        let found = self.application_called(call, &presented.id).await?;
        let proven = match &found {
            Some(application) if application.is_active() => self.prove(application, presented).await?,
            found => Err(fault_of(&presented.id, found.as_ref())),
        };
        match (found, proven) {
            (Some(application), Ok(())) => self.admitted(call, application).await,
            (found, proven) => {
                if let Err(fault) = proven {
                    noted::refused(fault);
                }
                self.count_failure(call, found.as_ref()).await?;
                refuse(TokenError::InvalidClient)
            }
        }
    }

    async fn admitted(&self, call: &Call, application: Application) -> Outcome<Application, TokenError> {
        self.meter_client(call, &application)?;
        self.note_use(&application).await;
        Ok(application)
    }

    /// Whether an application presents what proves that it is this one: in the way that it is registered for, and no other.
    async fn prove(
        &self,
        application: &Application,
        presented: &PresentedClient,
    ) -> Result<Result<(), CredentialFault>, Fault> {
        let method = application.authentication;
        let shown = match (&presented.secret, &presented.assertion) {
            (Some(_), None) if method.sends_secret() && presented.has_empty_secret() => {
                let empty = "empty; is the variable set that the application takes it from?";
                return Ok(Err(CredentialFault::ClientSecret(empty)));
            }
            (Some(secret), None) if method.sends_secret() => {
                let hash = PlainToken::from_presented(secret.expose()).hash();
                let is_right = application.secrets.accept(&hash, self.kernel.now());
                let wrong = CredentialFault::ClientSecret("wrong, or replaced by a newer one");
                return Ok(if is_right { Ok(()) } else { Err(wrong) });
            }
            (None, Some(assertion)) if method.signs() => {
                let asserted = self.check_assertion(application, assertion).await?;
                return Ok(asserted.map_err(CredentialFault::Assertion));
            }
            (None, None) if method.is_public() => return Ok(Ok(())),
            (Some(_), None) if method.is_public() && presented.has_empty_secret() => return Ok(Ok(())),
            (None, None) => "none",
            (Some(_), None) => "client_secret",
            (None, Some(_)) => "client_assertion",
            (Some(_), Some(_)) => "client_secret and client_assertion",
        };
        Ok(Err(CredentialFault::ClientAuthentication { presented: shown, registered: method.as_str() }))
    }

    /// Counts a request of an application from one network, in memory, as other requests are. Strangers cannot use its limit up: they have
    /// proven nothing.
    fn meter_client(&self, call: &Call, application: &Application) -> Result<(), Fault> {
        let Some(limit) = self.rules().requests_by_client else { return Ok(()) };
        let caller = format!("oauth client {} {}", application.id, call.network());
        let status = self.kernel.meter("oauth.requests_by_client", caller, limit);
        if status.exceeded { Err(status.exceeded_at(self.kernel.now()).into()) } else { Ok(()) }
    }

    async fn count_failure(&self, call: &Call, application: Option<&Application>) -> Result<(), Fault> {
        let rules = self.rules();
        let by_network = (Counted::Client(CountedClient::FailedByNetwork), rules.failed_clients_by_network);
        match application {
            Some(application) => {
                let of_one = (
                    Counted::Client(CountedClient::FailedSecret(application.id)),
                    rules.failed_secrets_by_client,
                );
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
