//! An application gives a token up.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, SessionId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::issue::REFRESH_PREFIX;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{AuthError, Call, KernelTables};

use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// What a token that was issued to an application belongs to.
enum TokenOf {
    /// A session of an account.
    Session {
        session: SessionId,
        application: ApplicationId,
        account: AccountId,
        organization: OrganizationId,
    },
    /// The application itself.
    Application(ApplicationId),
}

impl Oauth {
    /// Ends what a token belongs to: the session with all its tokens, or all tokens of the application in its own name. A token that
    /// is unknown, dead or not an application's changes nothing, and that is not told. An application that proves who it is revokes
    /// its own tokens only.
    ///
    /// Source: RFC 7009; RiverGen "POST /oauth/token/revoke", which asks for no client authentication: who holds a token may end it.
    ///
    /// # Errors
    /// Only faults.
    pub async fn revoke_token(
        &self,
        call: &Call,
        client: Option<&Application>,
        token: &PlainToken,
    ) -> Result<(), Fault> {
        let found = if token.expose().starts_with(REFRESH_PREFIX) {
            self.of_refresh_token(token).await?
        } else {
            self.of_access_token(token).await?
        };
        let is_own = |application: ApplicationId| client.is_none_or(|client| client.id == application);
        match found {
            Some(TokenOf::Session { session, application, account, organization }) if is_own(application) => {
                let mut work = self.begin(call).await?;
                let now = work.now;
                if work.unit.sessions().end(session, EndReason::RevokedByApplication, now).await? {
                    let subject = Subject {
                        account: Some(account),
                        organization: Some(organization),
                        session: Some(session),
                    };
                    work.audit(Action::ApplicationSignedOut, subject, json!({ "client_id": application }))
                        .await?;
                }
                work.commit().await
            }
            Some(TokenOf::Application(application)) if is_own(application) => {
                let mut work = self.begin(call).await?;
                if let Some(application) = work.unit.applications().find(application).await? {
                    let epochs = (application.epoch, self.new_epoch());
                    work.unit.applications().renew_epochs(&application, epochs).await?;
                }
                work.commit().await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn of_refresh_token(&self, token: &PlainToken) -> Result<Option<TokenOf>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.refresh_tokens().find(token.hash().as_bytes()).await?;
        Ok(found.and_then(|found| {
            Some(TokenOf::Session {
                session: found.session,
                application: found.application?,
                account: found.account,
                organization: found.organization,
            })
        }))
    }

    async fn of_access_token(&self, token: &PlainToken) -> Result<Option<TokenOf>, Fault> {
        let actor = match self.kernel.inspect(token.expose()).await {
            Ok(actor) => actor,
            Err(AuthError::Fault(fault)) => return Err(fault),
            Err(AuthError::Invalid | AuthError::Expired) => return Ok(None),
        };
        let session = actor.session();
        Ok(session.application.map(|application| {
            if application.in_own_name {
                TokenOf::Application(application.id)
            } else {
                TokenOf::Session {
                    session: session.id,
                    application: application.id,
                    account: session.account,
                    organization: session.organization,
                }
            }
        }))
    }
}
