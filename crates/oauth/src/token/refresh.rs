//! An application continues a session with its refresh token.

use serde_json::Map;
use tidegate_crypto::PlainToken;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::refresh::Continued;

use super::error::TokenError;
use super::issued::Issued;
use crate::Oauth;
use crate::applications::Application;
use crate::authorize::request::NoSuchApi;
use crate::authorize::scopes::{ScopeRefused, parsed, within};
use crate::claims::id_token::IdTokenFor;

/// What is asked for beside a refresh token.
#[derive(Clone, Debug, Default)]
pub struct RefreshAsked<'a> {
    /// The same scopes or fewer.
    pub scope: Option<&'a str>,
    /// The APIs that the access token is for, separated by spaces: of those of the session, if any are named.
    pub resource: Option<String>,
    /// Thumbprint of the key that the application has proved to hold.
    pub key: Option<&'a str>,
}

impl Oauth {
    /// Exchanges a refresh token of the application for its child and a new access token, with the same scopes or fewer.
    ///
    /// Source: RFC 6749 section 6; RFC 9700 section 4.14.2; OpenID Connect Core section 12.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn refresh_for_client(
        &self,
        call: &Call,
        application: &Application,
        token: &PlainToken,
        asked: RefreshAsked<'_>,
    ) -> Outcome<Issued, TokenError> {
        if !application.may(GrantType::AuthorizationCode) && !application.may(GrantType::DeviceCode) {
            return refuse(TokenError::UnauthorizedClient(
                "refresh tokens are for applications that are registered for a grant type by which people sign in",
            ));
        }
        let RefreshAsked { scope, resource, key } = asked;
        let narrowed = scope.map(parsed).transpose().map_err(|why| Refused::Rule(TokenError::from(why)))?;
        self.require_key(application, key)?;
        let refreshed = self.kernel.refresh_with_key(call, token, key, |found| {
            if found.application != Some(application.id) {
                noted::refused(CredentialFault::Refresh("issued to another application"));
                return Err(TokenError::REFRESH);
            }
            // The key that a public client has in its hands is all that tells it from a thief of its token.
            if found.key.is_some() && found.key.as_deref() != key {
                noted::refused(CredentialFault::Refresh(
                    "bound to another key than the DPoP proof, or no proof is sent",
                ));
                return Err(TokenError::OTHER_KEY);
            }
            let audience = self.narrowed(found.audience.as_deref(), resource.clone());
            let audience = audience.map_err(|NoSuchApi| TokenError::InvalidTarget)?;
            // An application whose scopes were reduced meanwhile gets no more of them.
            let granted = found.scopes.intersection(&application.scopes);
            let scopes = match &narrowed {
                None => granted,
                Some(narrowed) => within(narrowed.clone(), &granted, ScopeRefused::NotGranted)?,
            };
            Ok(Continued { scopes, audience, client_id: Some(application.party()) })
        });
        let refreshed = refreshed.await?;
        let found = refreshed.found;
        let id_token = self.id_token(IdTokenFor {
            application,
            subject: found.subject,
            session: found.session,
            scopes: &refreshed.scopes,
            nonce: None,
            amr: found.amr,
            auth_time: found.auth_time,
            access_token: refreshed.tokens.access_token.expose(),
            requested: Map::new(),
        });
        let id_token = id_token.await?;
        Ok(Issued {
            access_token: refreshed.tokens.access_token,
            expires_in: refreshed.tokens.expires_in,
            refresh_token: Some(refreshed.tokens.refresh_token),
            scopes: refreshed.scopes,
            id_token,
            is_key_bound: key.is_some(),
        })
    }
}
