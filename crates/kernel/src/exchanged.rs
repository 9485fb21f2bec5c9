//! Tokens that applications got for others (RFC 8693): signed, and as long as all applications live that they passed through.

use std::sync::Arc;

use tidegate_database::Unit;
use tidegate_domain::access::{ActingParty, Confirmation};
use tidegate_domain::id::SessionId;
use tidegate_domain::{AccessClaims, PartyName, Scopes, Secret};
use uuid::Uuid;

use crate::authenticate::{AuthError, ended_meanwhile, invalid};
use crate::cache::MAX_AGE;
use crate::fault::Fault;
use crate::noted::CredentialFault;
use crate::{Kernel, KernelTables};

/// A token that an application gets for another one, which it was called with.
#[derive(Clone, Debug)]
pub struct ExchangedToken<'a> {
    /// What that one says: the new token lives no longer, in the same session.
    pub subject: &'a AccessClaims,
    /// The application, as tokens call it.
    pub client_id: PartyName,
    /// The epoch of its own tokens: the new token ends with it.
    pub own_epoch: Uuid,
    /// What it may do at most.
    pub scopes: Scopes,
    /// The API that it is for, if not this installation.
    pub audience: Option<String>,
    /// Who acts.
    pub acting: ActingParty,
    /// Thumbprint of the key that the application has proved to hold.
    pub key: Option<String>,
}

impl Kernel {
    /// Signs an access token for an application in the name of another one's subject; answers how many seconds it lives. Nothing is
    /// stored: it ends with the session of the subject, and with the applications that exchanged tokens on the way to it.
    ///
    /// # Errors
    /// Those of signing.
    pub fn exchanged_token(&self, token: ExchangedToken<'_>) -> Result<(Secret, i64), Fault> {
        let now = self.now();
        let lifetime = self.settings.oauth.profile.access_token_lifetime;
        let claims = AccessClaims {
            aud: token.audience.unwrap_or_else(|| self.settings.public_url.clone()),
            exp: now.plus(lifetime).seconds().min(token.subject.exp),
            iat: now.seconds(),
            jti: self.entropy.uuid(now).simple().to_string(),
            scope: token.scopes,
            client_id: Some(token.client_id),
            cnf: token.key.map(|jkt| Confirmation { jkt }),
            act: Some(token.acting),
            xep: token.subject.xep.iter().copied().chain([token.own_epoch]).collect(),
            ..token.subject.clone()
        };
        let access_token = self.key_ring().sign(&claims)?;
        Ok((access_token, claims.exp - claims.iat))
    }

    /// Refuses a token of which an application has ended that it passed through: that may be known for two seconds.
    pub(crate) async fn require_live_epochs(&self, claims: &AccessClaims) -> Result<(), AuthError> {
        let ended = || {
            invalid(CredentialFault::Session("an application that the token was exchanged by has ended it"))
        };
        for epoch in claims.xep.iter().copied().map(SessionId) {
            let now = self.now();
            let stamp = self.memory.changes.stamp(&[epoch.0]);
            let record = match self.memory.sessions.get(&epoch, stamp, now, MAX_AGE) {
                Some(record) => record,
                None => {
                    let mut unit = self.store.read().await.map_err(Fault::from)?;
                    let record = unit.application_records().record(epoch).await.map_err(Fault::from)?;
                    let record = Arc::new(record.ok_or_else(ended)?);
                    self.memory.sessions.put(epoch, Arc::clone(&record), stamp, now);
                    record
                }
            };
            if record.ended {
                return Err(ended());
            }
        }
        Ok(())
    }

    /// The same as it is in this unit of work.
    pub(crate) async fn require_epochs_in(
        &self,
        unit: &mut Unit,
        claims: &AccessClaims,
    ) -> Result<(), Fault> {
        for epoch in claims.xep.iter().copied().map(SessionId) {
            let record = unit.application_records().record(epoch).await?;
            if record.is_none_or(|record| record.ended) {
                return Err(ended_meanwhile());
            }
        }
        Ok(())
    }
}
