//! An API exchanges a token that it was called with for one to call another API with.

use tidegate_domain::access::ActingParty;
use tidegate_domain::{AccessClaims, ContractId, Scopes, Secret};
use tidegate_kernel::exchanged::ExchangedToken;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, AuthError, Call};

use super::error::TokenError;
use super::issued::Issued;
use crate::Oauth;
use crate::applications::Application;
use crate::authorize::scopes::{ScopeRefused, parsed, within};

/// The only type of token that is exchanged (RFC 8693 section 3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same of a JWT: access tokens are ones.
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Most parties that act one after another for one person.
pub const MOST_ACTING: usize = 4;

const SUBJECT: TokenError = TokenError::InvalidRequest(
    "subject_token is no valid access token of a person that was issued by this server for an API which this application serves",
);
const ACTOR: TokenError =
    TokenError::InvalidRequest("actor_token is no valid access token that was issued to this application");

const NO_EXCHANGE: TokenError = TokenError::UnauthorizedClient(
    "the application may not exchange tokens: the operator allows it to one that has a secret or a key, by the APIs that it serves and reaches",
);

/// What is asked for of what the token that is presented may do; all of it, where nothing is.
fn traded_scopes(asked: Option<&str>, granted: Scopes) -> Result<Scopes, ScopeRefused> {
    let scopes = match asked {
        None => granted,
        Some(text) => within(parsed(text)?, &granted, ScopeRefused::NotGranted)?,
    };
    if scopes == Scopes::NONE { Err(ScopeRefused::NothingLeft) } else { Ok(scopes) }
}

/// What is presented for a token (RFC 8693 section 2.1).
#[derive(Clone, Debug)]
pub struct PresentedTokens {
    /// Whom the new token is to speak for.
    pub subject_token: Secret,
    /// Its type.
    pub subject_type: String,
    /// Who acts for them, and the type of that token. Both or none.
    pub actor: Option<(Secret, Option<String>)>,
    /// The type of the new token.
    pub requested_type: Option<String>,
    /// The API that it is for: the same said twice is said once.
    pub audience: Option<String>,
    /// The API that it is for (RFC 8707).
    pub resource: Option<String>,
    /// The same scopes or fewer.
    pub scope: Option<String>,
    /// Thumbprint of the key that the application has proved to hold.
    pub key: Option<String>,
}

impl Oauth {
    /// Exchanges a person's access token for an API that the application serves for one for another API. It never allows more and never
    /// lives longer, names the application as who acts, and ends with the person's session and with the application.
    ///
    /// Source: RFC 8693; RFC 9700 section 2.3.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn exchange_token(
        &self,
        call: &Call,
        application: &Application,
        presented: PresentedTokens,
    ) -> Outcome<Issued, TokenError> {
        let rules = &application.rules;
        if rules.exchange_from.is_empty() || application.authentication.is_public() {
            return refuse(NO_EXCHANGE);
        }
        self.require_key(application, presented.key.as_deref())?;
        check_types(&presented)?;
        let audience = self.exchange_target(application, &presented)?;
        let subject = self.subject(application, &presented.subject_token).await?;
        let claims = subject.claims();
        let granted = claims.scope.intersection(&subject.session().scopes).intersection(&application.scopes);
        let scopes = traded_scopes(presented.scope.as_deref(), granted)
            .map_err(|why| Refused::Rule(TokenError::from(why)))?;
        let acting = self.acting(application, claims, presented.actor.as_ref()).await?;
        let is_key_bound = presented.key.is_some();
        let exchanged = ExchangedToken {
            subject: claims,
            client_id: application.party(),
            own_epoch: application.own_epoch,
            scopes: scopes.clone(),
            audience: audience.clone(),
            acting,
            key: presented.key,
        };
        let (access_token, expires_in) = self.kernel.exchanged_token(exchanged)?;
        self.note_exchange(call, application, &subject, (&scopes, audience.as_deref())).await?;
        Ok(Issued { access_token, expires_in, refresh_token: None, scopes, id_token: None, is_key_bound })
    }

    /// The API that the new token is for: one that an operator lets the application reach so.
    fn exchange_target(
        &self,
        application: &Application,
        presented: &PresentedTokens,
    ) -> Outcome<Option<String>, TokenError> {
        let named = match (&presented.audience, &presented.resource) {
            (Some(audience), Some(resource)) if audience != resource => {
                return refuse(TokenError::InvalidTarget);
            }
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => {
                return refuse(TokenError::InvalidRequest(
                    "audience or resource is required: which API the token is for",
                ));
            }
        };
        if !named.split(' ').all(|api| application.rules.exchange_to.iter().any(|to| to == api)) {
            return refuse(TokenError::InvalidTarget);
        }
        self.audience(Some(named.clone())).map_err(|_| Refused::Rule(TokenError::InvalidTarget))
    }

    /// Whom a subject token speaks for: a person, who gave an application access, at an API that this application serves.
    async fn subject(&self, application: &Application, token: &Secret) -> Outcome<Actor, TokenError> {
        let Some(actor) = self.signed(token).await? else {
            return refuse(SUBJECT);
        };
        let is_persons = actor.session().application.is_some_and(|application| !application.in_own_name);
        let is_served = application.rules.exchange_from.iter().any(|api| actor.claims().is_for(api));
        if is_persons && is_served && actor.claims().contract == ContractId::OAUTH {
            Ok(actor)
        } else {
            refuse(SUBJECT)
        }
    }

    /// Who a signed access token speaks for; none for what is no valid one.
    async fn signed(&self, token: &Secret) -> Outcome<Option<Actor>, TokenError> {
        if token.expose().split('.').count() != 3 {
            return Ok(None);
        }
        match self.kernel.inspect(token.expose()).await {
            Ok(actor) => Ok(Some(actor)),
            Err(AuthError::Fault(fault)) => Err(fault.into()),
            Err(AuthError::Invalid | AuthError::Expired) => Ok(None),
        }
    }

    /// Who acts: the application, or whom its actor token speaks for, and before them whoever acted already.
    async fn acting(
        &self,
        application: &Application,
        subject: &AccessClaims,
        actor: Option<&(Secret, Option<String>)>,
    ) -> Outcome<ActingParty, TokenError> {
        let sub = match actor {
            None => application.client_id(),
            Some((token, _)) => match self.signed(token).await? {
                // Of its own, in its own name: a person's would hide it.
                Some(actor)
                    if actor.claims().act.is_none()
                        && actor
                            .session()
                            .application
                            .is_some_and(|of| of.in_own_name && of.id == application.id) =>
                {
                    application.client_id()
                }
                Some(_) | None => return refuse(ACTOR),
            },
        };
        let acting = ActingParty { sub, act: subject.act.clone().map(Box::new) };
        if acting.depth() > MOST_ACTING {
            return refuse(TokenError::InvalidRequest("the token was exchanged too often already"));
        }
        Ok(acting)
    }

    async fn note_exchange(
        &self,
        call: &Call,
        application: &Application,
        subject: &Actor,
        (scopes, audience): (&Scopes, Option<&str>),
    ) -> Outcome<(), TokenError> {
        let session = subject.session();
        let mut work = self.begin(call).await?;
        let of = Subject {
            account: Some(session.account),
            organization: Some(session.organization),
            session: Some(session.id),
        };
        let metadata = serde_json::json!({
            "client_id": application.id, "audience": audience, "scope": scopes.to_string(),
        });
        work.audit(tidegate_domain::audit::Action::TokenExchanged, of, metadata).await?;
        Ok(work.commit().await?)
    }
}

fn check_types(presented: &PresentedTokens) -> Outcome<(), TokenError> {
    let is_access = |name: &str| name == ACCESS_TOKEN_TYPE || name == JWT_TYPE;
    if !is_access(&presented.subject_type) {
        return refuse(TokenError::InvalidRequest(
            "subject_token_type must be urn:ietf:params:oauth:token-type:access_token",
        ));
    }
    if !presented.requested_type.as_deref().is_none_or(is_access) {
        let text = "requested_token_type must be urn:ietf:params:oauth:token-type:access_token";
        return refuse(TokenError::InvalidRequest(text));
    }
    match &presented.actor {
        None => Ok(()),
        Some((_, Some(kind))) if is_access(kind) => Ok(()),
        Some(_) => {
            let text = "actor_token_type must be urn:ietf:params:oauth:token-type:access_token";
            refuse(TokenError::InvalidRequest(text))
        }
    }
}
