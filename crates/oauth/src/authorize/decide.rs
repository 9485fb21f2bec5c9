//! What is missing before an application gets access.

use std::time::Duration;

use tidegate_domain::{Permission, Scopes, Timestamp};
use tidegate_kernel::{Actor, Fault, Grant, KernelTables};

use super::error::{AuthorizationError, SentBack};
use super::request::AuthorizationRequest;
use crate::claims::id_token::{CONTEXTS, acr};
use crate::claims::requested::is_context_met;
use crate::{Oauth, OauthTables};

/// How the person is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A client that holds an access token of a full session asks in their name, and can show them nothing. (RiverGen contract, "GET
    /// /oauth/authorize": authenticated users are auto-approved. Here they are for applications of their own organizations.)
    Bearer,
    /// The same, and it brings their answer.
    BearerWithAnswer,
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
    Granted(Approval),
    /// The person has to sign in (again) first.
    NeedsSignIn,
    /// The person has to be asked.
    NeedsConsent(Question),
    /// Neither can be done: the application is told.
    SentBack(Box<SentBack>),
}

/// That access may be given, and why: nothing but a decision makes one.
#[derive(Clone, Copy, Debug)]
pub struct Approval {
    pub(super) because: Because,
}

/// Why access may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The person was asked, and allows it.
    Asked,
    /// They were asked before, or not even then: as what it is now, it is remembered already.
    Remembered,
    /// The application is one of an organization of theirs: they are not asked.
    Member,
}

/// What a person is to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The scopes, and the addresses of APIs, that they have not allowed before.
    pub new: Scopes,
}

impl Question {
    /// They allow it.
    pub fn allowed(self) -> Approval {
        Approval { because: Because::Asked }
    }
}

impl AuthorizationRequest {
    /// Whether the answer goes to a client that could be another one than it says: it has no secret, and its address is not one that only
    /// its owner serves (RFC 8252 section 8.6).
    fn could_be_another(&self) -> bool {
        self.application.authentication.is_public() && !self.redirect_uri.starts_with("https://")
    }

    /// The request, refused.
    pub fn refused(&self, error: AuthorizationError) -> SentBack {
        SentBack {
            error,
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            state: self.state.clone(),
            is_strangers: self.application.is_self_registered(),
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
        if let Some(missing) = self.missing_sign_in(grant, request, presence).await? {
            return Ok(missing);
        }
        let is_browser = matches!(presence, Presence::Browser { .. });
        let (account, application) = (grant.account(), &request.application);
        let given = unit.consents().given(account, application.id, grant.session().contract).await?;
        let may_be_silent =
            presence != Presence::BearerWithAnswer && !request.prompt.consent && !request.could_be_another();
        if may_be_silent && given.asked.contains_all(&request.allowed) {
            return Ok(Decision::Granted(Approval { because: Because::Remembered }));
        }
        // Nobody of the organization has looked at one that registered itself.
        // OpenID Connect Core section 11: access without the person is given by nobody who was not asked.
        let is_own = presence == Presence::Bearer
            && !application.is_self_registered()
            && !request.scopes.contains("offline_access")
            && unit.memberships().exists(account, application.organization).await?;
        if may_be_silent && is_own {
            let is_remembered = given.as_member.contains_all(&request.allowed);
            let because = if is_remembered { Because::Remembered } else { Because::Member };
            return Ok(Decision::Granted(Approval { because }));
        }
        Ok(if presence == Presence::Bearer || (request.prompt.none && is_browser) {
            Decision::SentBack(Box::new(request.refused(AuthorizationError::ConsentRequired)))
        } else {
            Decision::NeedsConsent(Question { new: request.allowed.without(&given.asked) })
        })
    }

    /// What follows where the person has to prove anew, or better, who they are; none where they need not.
    async fn missing_sign_in(
        &self,
        grant: &Grant,
        request: &AuthorizationRequest,
        presence: Presence,
    ) -> Result<Option<Decision>, Fault> {
        let refused = |error| Decision::SentBack(Box::new(request.refused(error)));
        let auth_time = grant.session().auth_time;
        let is_fresh = match presence {
            Presence::Browser { signed_in_for_it: Some(at) } => auth_time >= at,
            Presence::Browser { signed_in_for_it: None } => false,
            Presence::Bearer | Presence::BearerWithAnswer => false,
        };
        let can_ask = matches!(presence, Presence::Browser { .. }) && !request.prompt.none;
        let since = self.kernel.now().since(auth_time);
        let is_too_old = request.max_age.is_some_and(|age| since > Duration::from_secs(age));
        let must_choose = request.prompt.select_account || request.prompt.create;
        // Which account it is, a client that brings an answer has asked.
        let must_sign_in = request.prompt.login || (must_choose && presence != Presence::BearerWithAnswer);
        // Core section 3.1.2.1: nobody else is answered for than the one of the hint.
        let is_other = match &request.hinted {
            None => false,
            Some(hinted) => {
                *hinted != self.subject_of(&request.application, grant.account()).await?.to_string()
            }
        };
        if is_other && is_fresh {
            return Ok(Some(refused(AuthorizationError::LoginRequired)));
        }
        if (is_too_old || must_sign_in || is_other) && !is_fresh {
            let missing =
                if can_ask { Decision::NeedsSignIn } else { refused(AuthorizationError::LoginRequired) };
            return Ok(Some(missing));
        }
        if is_context_met(request.claims.as_ref(), acr(grant.session().amr)) {
            return Ok(None);
        }
        // With a second factor it may be: whether the person has one, signing in shows.
        let [_, more] = CONTEXTS;
        let can_show = can_ask && !is_fresh && is_context_met(request.claims.as_ref(), more);
        Ok(Some(match can_show {
            true => Decision::NeedsSignIn,
            false => refused(AuthorizationError::UnmetAuthenticationRequirements),
        }))
    }
}
