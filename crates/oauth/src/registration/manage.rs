//! An application that registered itself reads, changes and removes its registration (RFC 7592).

use std::sync::Arc;

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_kernel::Call;
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::throttle::Counted;

use super::described::{SelfDescription, kept};
use super::document::mark_of;
use super::error::{RegistrationError, refused};
use super::register::Registration;
use crate::Oauth;
use crate::applications::Application;
use crate::applications::operator::of_organization;
use crate::applications::remove::remove;

impl Oauth {
    /// The registration of the application that has that token.
    ///
    /// Source: RFC 7592 section 2.1.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub async fn read_registration(
        &self,
        call: &Call,
        client_id: &str,
        token: Option<&PlainToken>,
    ) -> Outcome<Application, RegistrationError> {
        self.registered(call, client_id, token).await
    }

    /// Puts another description in the place of the one there is: what it does not say is as for a new application.
    ///
    /// Source: RFC 7592 section 2.2.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub async fn change_registration(
        &self,
        call: &Call,
        client_id: &str,
        token: Option<&PlainToken>,
        description: &SelfDescription,
    ) -> Outcome<Registration, RegistrationError> {
        let known = self.registered(call, client_id, token).await?;
        if description.client_id() != Some(client_id) {
            return refuse(RegistrationError::field("client_id", "must be sent, as it is registered"));
        }
        if let Some(secret) = description.client_secret() {
            let hash = PlainToken::from_presented(secret).hash();
            if !known.secrets.accept(&hash, self.kernel.now()) {
                return refuse(RegistrationError::field(
                    "client_secret",
                    "must be the present one, or be left out",
                ));
            }
        }
        // It writes, and may have this server read what a stranger names.
        let counted = (Counted::Client(CountedClient::Registrations), self.rules().registration.by_network);
        self.kernel.throttle(call, &[counted]).await?;
        let new = self.described(description, &mark_of(&known)).map_err(Refused::Rule)?;
        let new = self.in_sector(description, new).await.map_err(Refused::Rule)?;
        let mut work = self.begin(call).await?;
        let before = work.locked(known.id).await.map_err(refused)?;
        if before.registration_hash != known.registration_hash {
            return refuse(RegistrationError::Token);
        }
        let after = Application {
            name: new.name,
            grant_types: new.grant_types,
            redirect_uris: new.redirect_uris,
            scopes: new.scopes,
            authentication: new.authentication,
            logout: new.logout,
            metadata: Arc::new(kept(&before, new.metadata)),
            ..before.clone()
        };
        let changed = work.replace(&before, after, of_organization(&before)).await.map_err(refused)?;
        work.commit().await?;
        self.prepare_keys_of(&changed.application).await?;
        Ok(Registration { application: changed.application, secret: changed.secret, token: None })
    }

    /// Removes the application that has that token, with all its tokens.
    ///
    /// Source: RFC 7592 section 2.3.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub async fn remove_registration(
        &self,
        call: &Call,
        client_id: &str,
        token: Option<&PlainToken>,
    ) -> Outcome<(), RegistrationError> {
        let known = self.registered(call, client_id, token).await?;
        let mut work = self.begin(call).await?;
        let application = work.locked(known.id).await.map_err(refused)?;
        remove(&mut work.kernel(), &application).await?;
        let metadata =
            json!({ "client_id": application.id, "name": application.name, "registered_itself": true });
        work.audit(Action::ApplicationDeleted, of_organization(&application), metadata).await?;
        Ok(work.commit().await?)
    }

    /// The application of that `client_id`, if the token is the one by which it manages its registration, and nobody took it out of use.
    async fn registered(
        &self,
        call: &Call,
        client_id: &str,
        token: Option<&PlainToken>,
    ) -> Outcome<Application, RegistrationError> {
        if !self.rules().registration.is_on() {
            return refuse(RegistrationError::Off);
        }
        let found = self.application_called(call, client_id).await?;
        let hash = token.map(PlainToken::hash);
        let is_own =
            |found: &Application| found.is_active() && hash.is_some() && found.registration_hash == hash;
        match found.filter(is_own) {
            Some(found) => Ok(found),
            None => {
                let why = if hash.is_none() {
                    "missing"
                } else {
                    "not the one of this client_id, which may be unknown or revoked"
                };
                noted::refused(CredentialFault::Registration(why));
                self.count_wrong_token(call).await?;
                refuse(RegistrationError::Token)
            }
        }
    }

    async fn count_wrong_token(&self, call: &Call) -> Result<(), Fault> {
        let limit = self.rules().failed_clients_by_network;
        self.kernel.throttle(call, &[(Counted::Client(CountedClient::FailedByNetwork), limit)]).await
    }
}
