//! The userinfo endpoint.

use tidegate_domain::{Permission, Scopes, Secret};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, Refused};

use super::id_token::IdTokenFor;
use super::person::{OF_PERSON, UserInfo, told_by};
use super::requested::AskedClaims;
use crate::Oauth;

/// What an application is answered.
#[derive(Clone, Debug)]
pub enum ToldUserInfo {
    /// As JSON.
    Plain(Box<UserInfo>),
    /// As a JWT (OpenID Connect Core section 5.3.2).
    Signed(Secret),
}

/// Why nothing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// Core section 5.3.
    #[error("the access token was not issued with the scope openid")]
    InsufficientScope,
}

/// The names of the claims that are told at the userinfo endpoint, and in ID tokens.
pub fn claims_supported() -> Vec<&'static str> {
    IdTokenFor::CLAIMS.into_iter().chain(OF_PERSON).collect()
}

impl Oauth {
    /// What the scopes of the actor's token tell of them.
    ///
    /// Source: OpenID Connect Core section 5.3.
    ///
    /// # Errors
    /// [`UserInfoError`].
    pub async fn userinfo(&self, actor: &Actor) -> Outcome<ToldUserInfo, UserInfoError> {
        // A session of this installation's own has the role and not the scope: say which one is missing.
        let grant = actor
            .authorize(Permission::ReadOwnClaims)
            .map_err(|_| Refused::Rule(UserInfoError::InsufficientScope))?;
        self.kernel.ensure_session_current(grant).await?;
        let scopes = &grant.claims().scope;
        if !scopes.contains("openid") {
            return Err(Refused::Rule(UserInfoError::InsufficientScope));
        }
        let application = match &grant.claims().client_id {
            Some(name) => self.application_of_token(name).await?,
            None => None,
        };
        let known = self.known_person(grant.session()).await?;
        // They were allowed to the application that asked for them, and not to an API that exchanged its token (RFC 8693).
        let asked = match &grant.claims().act {
            None => AskedClaims::from_stored(known.asked.as_deref()),
            Some(_) => AskedClaims::default(),
        };
        let (account, name) = (grant.account(), &grant.session().display_name);
        let mut told = told_by(&known.card, account, name, scopes);
        let registered = application.as_ref().map_or(Scopes::NONE, |application| application.scopes.clone());
        let single = asked.scopes(&registered);
        if !scopes.contains_all(&single) {
            // Each was asked for with the scope that tells it, and is told without the others of that scope.
            let all = told_by(&known.card, account, name, &single);
            told = told.with(asked.of(&all)?)?;
        }
        told.sub = grant.claims().sub.to_string();
        told.custom = self.custom_claims(grant.session(), scopes).await?;
        let signed = self.sign_userinfo(application.as_ref(), &told).await?;
        Ok(match signed {
            Some(signed) => ToldUserInfo::Signed(signed),
            None => ToldUserInfo::Plain(Box::new(told)),
        })
    }
}
