//! An application gives a token up.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, SessionId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::REFRESH_PREFIX;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{AuthError, Call, KernelTables};

use super::error::TokenError;
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
    /// its own tokens only; those in its own name are revoked by nobody else, since all of them end with one.
    ///
    /// Source: RFC 7009; RiverGen "POST /oauth/token/revoke", which asks for no client authentication: who holds a token may end it.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`] for a token in an application's own name without its secret.
    pub async fn revoke_token(
        &self,
        call: &Call,
        client: Option<&Application>,
        token: &PlainToken,
    ) -> Outcome<(), TokenError> {
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
                Ok(work.commit().await?)
            }
            Some(TokenOf::Application(_)) if client.is_none() => refuse(TokenError::InvalidClient),
            Some(TokenOf::Application(application)) if is_own(application) => {
                let mut work = self.begin(call).await?;
                if let Some(application) = work.unit.applications().find(application).await? {
                    work.unit.applications().renew_own_epoch(&application, self.new_epoch()).await?;
                    let subject = Subject {
                        account: None,
                        organization: Some(application.organization),
                        session: None,
                    };
                    let metadata = json!({ "client_id": application.id, "own_name": true });
                    work.audit(Action::ApplicationSignedOut, subject, metadata).await?;
                }
                Ok(work.commit().await?)
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
        // A token that was exchanged is in the hands of one that was called: it must not end what the person signed in to. It is short.
        if actor.claims().act.is_some() {
            return Ok(None);
        }
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
