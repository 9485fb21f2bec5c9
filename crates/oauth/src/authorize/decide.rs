//! What is missing before an application gets access.

use std::time::Duration;

use tidegate_domain::{Permission, Scopes, Timestamp};
use tidegate_kernel::{Actor, Fault};

use super::error::{AuthorizationError, SentBack};
use super::request::AuthorizationRequest;
use crate::{Oauth, OauthTables};

/// How the person is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A client that holds an access token of a full session asks in their name, and can show them nothing: it has their approval
    /// (RiverGen contract, "GET /oauth/authorize": authenticated users are auto-approved).
    Bearer,
    /// In a browser, where pages can be shown.
    Browser {
        /// When the person last signed in because of this very request: `prompt=login` is satisfied then.
        signed_in_for_it: Option<Timestamp>,
    },
}

/// What follows.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Access may be given: go on with [`Oauth::approve`].
    Granted,
    /// The person has to sign in (again) first.
    NeedsSignIn,
    /// The person has to be asked. These of the scopes they have not allowed before.
    NeedsConsent(Scopes),
    /// Neither can be done: the application is told.
    SentBack(Box<SentBack>),
}

impl AuthorizationRequest {
    /// The request, refused.
    pub fn refused(&self, error: AuthorizationError) -> SentBack {
        SentBack {
            error,
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            state: self.state.clone(),
        }
    }

    /// What is to be done with nobody signed in: to sign in, or to tell the application that it would have to be.
    pub fn without_person(&self) -> Decision {
        if self.prompt.none {
            Decision::SentBack(Box::new(self.refused(AuthorizationError::LoginRequired)))
        } else {
            Decision::NeedsSignIn
        }
    }
}

impl Oauth {
    /// Decides what is missing before the application gets what it asks of the actor.
    ///
    /// Source: OpenID Connect Core section 3.1.2.3 and 3.1.2.4.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] for a token that is itself limited: it gives nobody access. Those of the store.
    pub async fn decide(
        &self,
        actor: &Actor,
        request: &AuthorizationRequest,
        presence: Presence,
    ) -> Result<Decision, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::AuthorizeApplications).await?;
        let now = self.kernel.now();
        let auth_time = grant.session().auth_time;
        let is_fresh = match presence {
            Presence::Browser { signed_in_for_it: Some(at) } => auth_time >= at,
            Presence::Browser { signed_in_for_it: None } | Presence::Bearer => false,
        };
        let is_too_old = request.max_age.is_some_and(|age| now.since(auth_time) > Duration::from_secs(age));
        let must_sign_in = request.prompt.login || request.prompt.select_account || request.prompt.create;
        if is_too_old || (must_sign_in && !is_fresh) {
            let can_ask = presence != Presence::Bearer && !request.prompt.none;
            return Ok(match can_ask {
                true => Decision::NeedsSignIn,
                false => Decision::SentBack(Box::new(request.refused(AuthorizationError::LoginRequired))),
            });
        }
        if presence == Presence::Bearer && !request.prompt.consent {
            return Ok(Decision::Granted);
        }
        let allowed = unit.consents().find(grant.account(), request.application.id).await?;
        let allowed = allowed.map_or(Scopes::NONE, |consent| consent.scopes);
        if allowed.contains_all(&request.scopes) && !request.prompt.consent {
            return Ok(Decision::Granted);
        }
        Ok(if request.prompt.none || presence == Presence::Bearer {
            Decision::SentBack(Box::new(request.refused(AuthorizationError::ConsentRequired)))
        } else {
            Decision::NeedsConsent(request.scopes.without(&allowed))
        })
    }
}
