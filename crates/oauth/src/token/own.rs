//! An application gets a token in its own name.

use tidegate_domain::Scopes;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::delegate::OwnToken;
use tidegate_kernel::fault::{Outcome, Refused, refuse};

use super::error::TokenError;
use super::issued::Issued;
use crate::Oauth;
use crate::applications::Application;
use crate::authorize::scopes::{ScopeRefused, requested_scopes, within};

/// Scopes that are about a person: in its own name an application has none.
const OF_PERSONS: [&str; 5] = ["openid", "profile", "email", "phone", "offline_access"];

const NO_SECRET: TokenError = TokenError::UnauthorizedClient(
    "an application without a secret or a key gets no token in its own name: nothing proves that it asks",
);

impl Oauth {
    /// Issues an access token that speaks for the application, and for no account. Nothing is stored: the token ends with the
    /// application's epoch.
    ///
    /// Source: RFC 6749 section 4.4; RFC 9068 section 2.2.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn own_token(
        &self,
        application: &Application,
        scope: Option<&str>,
        resource: Option<String>,
        key: Option<String>,
    ) -> Outcome<Issued, TokenError> {
        if !application.may(GrantType::ClientCredentials) {
            return refuse(TokenError::NOT_REGISTERED);
        }
        if application.authentication.is_public() {
            return refuse(NO_SECRET);
        }
        let scopes = own_scopes(application, scope).map_err(|why| Refused::Rule(TokenError::from(why)))?;
        self.require_key(application, key.as_deref())?;
        let is_key_bound = key.is_some();
        let audience = self.audience(resource).map_err(|_| Refused::Rule(TokenError::InvalidTarget))?;
        let (access_token, expires_in) = self.kernel.own_token(OwnToken {
            application: application.party(),
            organization: application.organization,
            own_epoch: application.own_epoch,
            scopes: scopes.clone(),
            audience,
            key,
        })?;
        Ok(Issued { access_token, expires_in, refresh_token: None, scopes, id_token: None, is_key_bound })
    }
}

/// What it asks for in its own name, if it may; without what is about a person, where it does not say.
fn own_scopes(application: &Application, scope: Option<&str>) -> Result<Scopes, ScopeRefused> {
    let requested = requested_scopes(application, scope)?;
    let scopes = requested.without(&of_persons());
    match scope {
        Some(_) => within(requested, &scopes, ScopeRefused::OfPerson),
        None if scopes == Scopes::NONE => Err(ScopeRefused::NothingLeft),
        None => Ok(scopes),
    }
}

fn of_persons() -> Scopes {
    Scopes::from_stored(&OF_PERSONS.join(" "))
}
