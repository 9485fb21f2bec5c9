//! A session is continued with its refresh token, which is replaced.

use serde_json::json;
use tidegate_crypto::{PlainToken, TokenHash};
use tidegate_database::StoreError;
use tidegate_domain::audit::Action;
use tidegate_domain::refresh::Verdict;
use tidegate_domain::session::EndReason;
use tidegate_domain::{PartyName, Scopes, Timestamp};

use crate::fault::{Fault, Outcome, Refused, refuse};
use crate::issue::{Bearer, REFRESH_PREFIX, TokenSet};
use crate::noted::{self, CredentialFault};
use crate::tables::refresh_tokens::{NewRefreshToken, PresentedToken};
use crate::work::Subject;
use crate::{Call, Kernel, KernelTables, Work};

/// Why no token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, of another contract, replayed, or of a session that has ended.
    #[error("the refresh token is invalid or was already used")]
    Invalid,
    /// Past its lifetime or its session's.
    #[error("the refresh token has expired; sign in again")]
    Expired,
}

/// A session, continued.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Its next tokens.
    pub tokens: TokenSet,
    /// The refresh token that was presented, with its session.
    pub found: PresentedToken,
    /// What the access token may do at most.
    pub scopes: Scopes,
}

/// With what a session is continued.
#[derive(Clone, Debug)]
pub struct Continued {
    /// What the access token may do at most.
    pub scopes: Scopes,
    /// The APIs that it is for, separated by spaces; none for this installation.
    pub audience: Option<String>,
    /// The application it is issued to, as tokens call it; none where it is none's.
    pub client_id: Option<PartyName>,
}

/// What the access token is given.
struct Granted<'a> {
    scopes: &'a Scopes,
    audience: Option<&'a str>,
    client_id: Option<&'a PartyName>,
    /// Thumbprint of the key that its bearer has to prove to hold.
    key: Option<&'a str>,
}

/// How often a lost race is run again. Each time a concurrent request changed the token, so two rounds settle it.
const ROUNDS: usize = 4;

/// What the log says of a refresh token whose session is over.
const ENDED: &str = "its session has ended: signed out, revoked or replaced";

/// A refresh token that does not count: the client learns no more than that, the operator why.
fn invalid(why: &'static str) -> RefreshError {
    noted::refused(CredentialFault::Refresh(why));
    RefreshError::Invalid
}

/// Generations that are followed from a superseded token. What is reached then was superseded later, and is repeated in its turn.
const GENERATIONS: usize = 64;

impl Kernel {
    /// Exchanges a refresh token for its child and a new access token.
    ///
    /// The child is derived from the parent, so that every request with the parent within the grace period gets the newest of its
    /// descendants, however often the session was refreshed since. A replaced token outside of it ends the session: two parties
    /// hold it.
    ///
    /// `admit` says whether the caller may continue the session, and with which scopes. Its refusal harms no session.
    ///
    /// Source: RiverGen "refresh"; IngestIQ "refresh"; RFC 6749 section 6; RFC 9700 section 4.14.2.
    ///
    /// # Errors
    /// [`RefreshError`], and those of `admit`.
    pub async fn refresh<E: From<RefreshError>>(
        &self,
        call: &Call,
        token: &PlainToken,
        admit: impl Fn(&PresentedToken) -> Result<Scopes, E>,
    ) -> Outcome<Refreshed, E> {
        let admit = |found: &PresentedToken| {
            let client_id = found.application.map(PartyName::from);
            admit(found).map(|scopes| Continued { scopes, audience: found.audience.clone(), client_id })
        };
        self.refresh_with_key(call, token, None, admit).await
    }

    /// The same for a caller who has proved to hold the key of that thumbprint: the access token is bound to it.
    ///
    /// # Errors
    /// As [`Kernel::refresh`].
    pub async fn refresh_with_key<E: From<RefreshError>>(
        &self,
        call: &Call,
        token: &PlainToken,
        key: Option<&str>,
        admit: impl Fn(&PresentedToken) -> Result<Continued, E>,
    ) -> Outcome<Refreshed, E> {
        if !token.expose().starts_with(REFRESH_PREFIX) {
            return refuse(invalid("malformed; is it an access token?").into());
        }
        let hash = token.hash();
        for round in 0..ROUNDS {
            // After a lost race, a writing unit reads again: until the winner's unit is durable, no reader sees it.
            let mut unit = if round == 0 { self.store.read().await? } else { self.store.begin().await? };
            let found = unit.refresh_tokens().find(hash.as_bytes()).await?;
            unit.commit().await?;
            // A token of one contract does not get another contract's lifetimes; its session is not harmed by trying.
            let Some(found) = found else {
                return refuse(invalid("unknown, or removed").into());
            };
            if found.contract != call.profile.contract {
                return refuse(invalid("of another contract").into());
            }
            let Continued { scopes, audience, client_id } = match admit(&found) {
                Ok(continued) => continued,
                Err(refusal) => return refuse(refusal),
            };
            let (audience, client_id) = (audience.as_deref(), client_id.as_ref());
            let granted = Granted { scopes: &scopes, audience, client_id, key };
            match call.profile.refresh.judge(found.presented, self.now()) {
                Verdict::Rotate => {
                    if let Some(tokens) = self.rotate(call, token, &found, &granted).await? {
                        return Ok(Refreshed { tokens, found, scopes });
                    }
                }
                Verdict::Repeat => {
                    let newest = self.repeat_newest(call, token.clone(), found.clone(), &granted).await;
                    return match newest {
                        Ok(tokens) => Ok(Refreshed { tokens, found, scopes }),
                        Err(Refused::Rule(error)) => refuse(error.into()),
                        Err(Refused::Fault(fault)) => Err(fault.into()),
                    };
                }
                Verdict::Expired => return refuse(self.expired(&found).into()),
                Verdict::Revoked => return refuse(invalid(ENDED).into()),
                Verdict::Replayed => {
                    self.end_replayed(call, &found).await?;
                    return refuse(invalid("used before, and replaced: its session was ended").into());
                }
            }
        }
        refuse(invalid("exchanged by other requests at the same time").into())
    }

    fn expired(&self, found: &PresentedToken) -> RefreshError {
        let at = found.presented.expires_at;
        noted::refused(CredentialFault::expired("refresh token", at, self.now()));
        RefreshError::Expired
    }

    /// None when a concurrent request was first.
    async fn rotate(
        &self,
        call: &Call,
        token: &PlainToken,
        found: &PresentedToken,
        granted: &Granted<'_>,
    ) -> Result<Option<TokenSet>, Fault> {
        let profile = &call.profile;
        let child = self.vault.refresh_child(token);
        let child_hash = child.hash();
        let now = self.now();
        let session_expires_at = profile.session.extended(now, found.times);
        let tokens = self.token_set(profile, bearer(found, granted, session_expires_at), child, now)?;

        // One statement, which writes both or, when another request was first, no child: a transaction around it would be two more
        // trips. All that a lost race then leaves on PostgreSQL is the session's activity, which the winner notes as well.
        let mut unit = self.store.begin_single().await?;
        let child = NewRefreshToken {
            id: self.entropy.uuid(now).into(),
            session: found.session,
            hash: child_hash.as_bytes(),
            parent: Some(found.id),
            issued_at: now,
            expires_at: now.plus(profile.refresh.lifetime).min(session_expires_at),
        };
        let exchanged = unit.refresh_tokens().exchange(child, session_expires_at).await;
        let exchanged = match exchanged {
            // The server closed the connection meanwhile. A unit that begins replaces it; were the token exchanged, it has a child now.
            Err(StoreError::Unavailable(_)) => {
                drop(unit);
                unit = self.store.begin().await?;
                unit.refresh_tokens().exchange(child, session_expires_at).await?
            }
            exchanged => exchanged?,
        };
        if !exchanged {
            return Ok(None);
        }
        unit.commit().await?;
        Ok(Some(tokens))
    }

    /// Answers with the newest descendant of a superseded token. Nothing is written.
    async fn repeat_newest(
        &self,
        call: &Call,
        mut token: PlainToken,
        mut found: PresentedToken,
        granted: &Granted<'_>,
    ) -> Outcome<TokenSet, RefreshError> {
        let mut unit = self.store.read().await?;
        for _ in 0..GENERATIONS {
            let Some(hash) = &found.child_hash else { break };
            let child = TokenHash::try_from(&**hash)
                .ok()
                .and_then(|hash| self.vault.issued_refresh_child(&token, &hash))
                .ok_or_else(|| {
                    Fault::Internal("a rotated refresh token has no derivable child".to_owned())
                })?;
            let Some(next) = unit.refresh_tokens().find(child.hash().as_bytes()).await? else {
                return refuse(invalid("unknown, or removed"));
            };
            (token, found) = (child, next);
        }
        drop(unit);
        let now = self.now();
        if found.presented.session_revoked {
            return refuse(invalid(ENDED));
        }
        if found.presented.expires_at <= now {
            return refuse(self.expired(&found));
        }
        Ok(self.token_set(&call.profile, bearer(&found, granted, found.times.expires_at), token, now)?)
    }

    async fn end_replayed(&self, call: &Call, found: &PresentedToken) -> Result<(), Fault> {
        let (mut unit, now) = (self.store.begin().await?, self.now());
        let mut work = Work { kernel: self, call, unit: &mut unit, now };
        work.unit.sessions().end(found.session, EndReason::RefreshTokenReplayed, now).await?;
        let subject = Subject {
            account: Some(found.account),
            organization: Some(found.organization),
            session: Some(found.session),
        };
        work.audit(Action::RefreshTokenReplayed, subject, json!({})).await?;
        unit.commit().await?;
        tracing::warn!(
            session = %found.session,
            account = %found.account,
            contract = %call.profile.contract,
            network = call.network(),
            "a refresh token that had been replaced was presented again: its session is ended, because an attacker may hold the token"
        );
        Ok(())
    }
}

fn bearer(found: &PresentedToken, granted: &Granted<'_>, session_expires_at: Timestamp) -> Bearer {
    Bearer {
        subject: found.subject.into(),
        organization: found.organization,
        role: found.role,
        session: found.session,
        session_expires_at,
        amr: found.amr,
        auth_time: found.auth_time,
        binding: None,
        scopes: granted.scopes.clone(),
        client_id: granted.client_id.cloned(),
        audience: granted.audience.map(str::to_owned),
        key: granted.key.map(str::to_owned),
    }
}
