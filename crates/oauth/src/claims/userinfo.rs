//! The userinfo endpoint.

use tidegate_domain::{Permission, Secret};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, Refused};

use super::id_token::IdTokenFor;
use super::person::{OF_PERSON, UserInfo, told_of};
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
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnClaims).await?;
        let scopes = &grant.claims().scope;
        if !scopes.contains("openid") {
            return Err(Refused::Rule(UserInfoError::InsufficientScope));
        }
        let mut told = told_of(&mut unit, grant.account(), &grant.session().display_name, scopes).await?;
        told.sub = grant.claims().sub.to_string();
        told.custom = self.custom_claims(&mut unit, grant.session(), scopes).await?;
        let signed = self.sign_userinfo(&mut unit, grant.claims().client_id, &told).await?;
        Ok(match signed {
            Some(signed) => ToldUserInfo::Signed(signed),
            None => ToldUserInfo::Plain(Box::new(told)),
        })
    }
}
