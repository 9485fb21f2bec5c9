//! A token is described to an application that it was shown to.

use tidegate_crypto::PlainToken;
use tidegate_domain::access::ActingParty;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::{PartyName, Scopes};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::REFRESH_PREFIX;
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::{AuthError, KernelTables};

use super::error::TokenError;
use crate::Oauth;
use crate::applications::Application;

/// What is told of a valid token (RFC 7662 section 2.2).
#[derive(Clone, Debug)]
pub struct Introspection {
    /// What it may do at most.
    pub scopes: Scopes,
    /// The application it was issued to, by what that calls itself: its key, or the address of the document that describes it.
    pub client_id: Option<PartyName>,
    /// Whom it speaks for: an account, or an application.
    pub subject: String,
    /// The API that it is for.
    pub audience: String,
    /// Expiry, in seconds since the epoch.
    pub expires_at: i64,
    /// Issue, in seconds since the epoch; none where it is not known.
    pub issued_at: Option<i64>,
    /// Its name; none for a token that does not say it.
    pub id: Option<String>,
    /// The session it belongs to.
    pub session: String,
    /// The organization it acts in.
    pub organization: OrganizationId,
    /// Thumbprint of the key that it is bound to.
    pub key: Option<String>,
    /// Who acts for the subject.
    pub acting: Option<ActingParty>,
    /// Whether it is a refresh token.
    pub is_refresh_token: bool,
}

const NO_SECRET: TokenError = TokenError::UnauthorizedClient(
    "an application without a secret or a key is told nothing of tokens: ask with the credentials of the API that was shown the token",
);

impl Oauth {
    /// Describes a valid token that was issued to the application, that is for an API which the application is, or that is for this
    /// installation and acts in the application's organization. None for any other: which of them it is,
    /// is not told.
    ///
    /// Source: RFC 7662.
    ///
    /// # Errors
    /// [`TokenError::UnauthorizedClient`] for a public client, which proves nothing.
    pub async fn introspect(
        &self,
        client: &Application,
        token: &PlainToken,
    ) -> Outcome<Option<Introspection>, TokenError> {
        if client.authentication.is_public() {
            return refuse(NO_SECRET);
        }
        let found = if token.expose().starts_with(REFRESH_PREFIX) {
            self.introspect_refresh_token(client, token).await?
        } else {
            self.introspect_access_token(token).await?
        };
        let is_told = |found: &Introspection| {
            // The API that a token is for (RFC 7662 section 4: nobody else needs to know of it). Of tokens for this installation those of the
            // organization in which they act; one that registered itself is in no organization's confidence, though it is kept with one.
            let is_api =
                found.audience.split(' ').any(|api| client.metadata.serves.iter().any(|own| own == api));
            let is_of_organization = !client.is_self_registered()
                && found.audience.split(' ').any(|api| api == self.issuer())
                && found.organization == client.organization;
            let is_own = found.client_id.as_ref().is_some_and(|name| client.is_called(name));
            is_own || is_api || is_of_organization
        };
        if found.as_ref().is_some_and(|found| !is_told(found)) {
            noted::refused(CredentialFault::Introspection(
                "the token is good, was issued to another application, is for no API of this one, and is not of its organization, or this one registered itself",
            ));
        }
        Ok(found.filter(is_told))
    }

    /// A refresh token is told of to the application it was issued to: nobody else is shown it.
    async fn introspect_refresh_token(
        &self,
        client: &Application,
        token: &PlainToken,
    ) -> Result<Option<Introspection>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.refresh_tokens().find(token.hash().as_bytes()).await?;
        let found = found.filter(|found| {
            let presented = found.presented;
            let is_live = !presented.session_revoked && presented.expires_at > self.kernel.now();
            found.application == Some(client.id) && is_live && presented.rotated_at.is_none()
        });
        if found.is_none() {
            noted::refused(CredentialFault::Refresh(
                "unknown, of another application, expired, used before, or of a session that has ended",
            ));
        }
        Ok(found.map(|found| Introspection {
            scopes: found.scopes.intersection(&client.scopes),
            client_id: Some(client.party()),
            subject: found.subject.to_string(),
            audience: found.audience.unwrap_or_else(|| self.issuer().to_owned()),
            expires_at: found.presented.expires_at.seconds(),
            issued_at: None,
            id: None,
            session: found.session.to_string(),
            organization: found.organization,
            key: found.key,
            acting: None,
            is_refresh_token: true,
        }))
    }

    async fn introspect_access_token(&self, token: &PlainToken) -> Result<Option<Introspection>, Fault> {
        let actor = match self.kernel.inspect(token.expose()).await {
            Ok(actor) => actor,
            Err(AuthError::Fault(fault)) => return Err(fault),
            Err(AuthError::Invalid | AuthError::Expired) => return Ok(None),
        };
        let (claims, session) = (actor.claims(), actor.session());
        // What is no JWT says nothing of itself: its session, or the token's row, says when it expires.
        let is_signed = token.expose().split('.').count() == 3;
        Ok(Some(Introspection {
            scopes: claims.scope.intersection(&session.scopes),
            client_id: claims.client_id.clone(),
            subject: claims.sub.to_string(),
            audience: claims.aud.clone(),
            expires_at: claims.exp,
            issued_at: is_signed.then_some(claims.iat),
            id: is_signed.then(|| claims.jti.clone()),
            session: claims.sid.to_string(),
            organization: claims.org,
            key: claims.cnf.as_ref().map(|cnf| cnf.jkt.clone()),
            acting: claims.act.clone(),
            is_refresh_token: false,
        }))
    }
}
