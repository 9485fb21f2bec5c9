//! An application continues a session with its refresh token.

use tidegate_crypto::PlainToken;
use tidegate_domain::Scopes;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, refuse};

use super::error::TokenError;
use super::issued::Issued;
use crate::Oauth;
use crate::applications::Application;
use crate::claims::id_token::IdTokenFor;

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
        scope: Option<&str>,
        resource: Option<String>,
    ) -> Outcome<Issued, TokenError> {
        if !application.may(GrantType::AuthorizationCode) {
            return refuse(TokenError::UnauthorizedClient);
        }
        let narrowed = match scope.map(Scopes::parse).transpose() {
            Ok(narrowed) => narrowed,
            Err(_) => return refuse(TokenError::InvalidScope),
        };
        let audience = resource.map(|resource| self.audience(Some(resource)));
        let refreshed = self.kernel.refresh(call, token, |found| {
            if found.application != Some(application.id) {
                return Err(TokenError::REFRESH);
            }
            if audience.as_ref().is_some_and(|audience| *audience != Ok(found.audience.clone())) {
                return Err(TokenError::InvalidTarget);
            }
            // An application whose scopes were reduced meanwhile gets no more of them.
            let granted = found.scopes.intersection(&application.scopes);
            match &narrowed {
                None => Ok(granted),
                Some(narrowed) if granted.contains_all(narrowed) => Ok(narrowed.clone()),
                Some(_) => Err(TokenError::InvalidScope),
            }
        });
        let refreshed = refreshed.await?;
        let found = refreshed.found;
        let id_token = self.id_token(IdTokenFor {
            application: application.id,
            account: found.account,
            session: found.session,
            scopes: &refreshed.scopes,
            nonce: None,
            amr: found.amr,
            auth_time: found.auth_time,
            access_token: refreshed.tokens.access_token.expose(),
        })?;
        Ok(Issued {
            access_token: refreshed.tokens.access_token,
            expires_in: refreshed.tokens.expires_in,
            refresh_token: Some(refreshed.tokens.refresh_token),
            scopes: refreshed.scopes,
            id_token,
        })
    }
}
