//! The userinfo endpoint.

use tidegate_domain::{Permission, Scopes, Secret};
use tidegate_kernel::fault::{Outcome, Refused};
use tidegate_kernel::{Actor, Fault};

use super::id_token::IdTokenFor;
use super::person::{OF_PERSON, UserInfo, told_of};
use super::requested::AskedClaims;
use super::session_claims::SessionClaims;
use crate::{Oauth, OauthTables};

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
        let opened = self.read_as(actor, Permission::ReadOwnClaims).await;
        let (mut unit, grant) = opened.map_err(|fault| match fault {
            // A session of this installation's own has the role and not the scope: say which one is missing.
            Fault::Forbidden(_) => Refused::Rule(UserInfoError::InsufficientScope),
            other => Refused::Fault(other),
        })?;
        let scopes = &grant.claims().scope;
        if !scopes.contains("openid") {
            return Err(Refused::Rule(UserInfoError::InsufficientScope));
        }
        let application = match &grant.claims().client_id {
            Some(name) => unit.applications().called(name).await?,
            None => None,
        };
        // They were allowed to the application that asked for them, and not to an API that exchanged its token (RFC 8693).
        let asked = match &grant.claims().act {
            None => SessionClaims(&mut unit).of(grant.session().id).await?,
            Some(_) => AskedClaims::default(),
        };
        let (account, name) = (grant.account(), &grant.session().display_name);
        let mut told = told_of(&mut unit, account, name, scopes).await?;
        let registered = application.as_ref().map_or(Scopes::NONE, |application| application.scopes.clone());
        let single = asked.scopes(&registered);
        if !scopes.contains_all(&single) {
            // Each was asked for with the scope that tells it, and is told without the others of that scope.
            let all = told_of(&mut unit, account, name, &single).await?;
            told = told.with(asked.of(&all)?)?;
        }
        told.sub = grant.claims().sub.to_string();
        told.custom = self.custom_claims(&mut unit, grant.session(), scopes).await?;
        drop(unit);
        let signed = self.sign_userinfo(application.as_ref(), &told).await?;
        Ok(match signed {
            Some(signed) => ToldUserInfo::Signed(signed),
            None => ToldUserInfo::Plain(Box::new(told)),
        })
    }
}
