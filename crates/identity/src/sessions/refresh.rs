//! A session is continued with its refresh token.

use serde_json::json;
use tidegate_crypto::{PlainToken, TokenHash};
use tidegate_domain::audit::Action;
use tidegate_domain::refresh::Verdict;
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::{Bearer, REFRESH_PREFIX, TokenSet};
use tidegate_kernel::tables::refresh_tokens::{NewRefreshToken, PresentedToken};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use crate::Identity;

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

/// How often a lost race is run again. Each time a concurrent request changed the token, so two rounds settle it.
const ROUNDS: usize = 4;

/// Generations that are followed from a superseded token. What is reached then was superseded later, and is repeated in its turn.
const GENERATIONS: usize = 64;

impl Identity {
    /// Exchanges a refresh token for its child and a new access token.
    ///
    /// The child is derived from the parent, so that every request with the parent within the grace period gets the newest of its
    /// descendants, however often the session was refreshed since. A replaced token outside of it ends the session: two parties
    /// hold it.
    ///
    /// Source: RiverGen "refresh"; IngestIQ "refresh"; RFC 9700 section 4.14.2.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self, call: &Call, token: &PlainToken) -> Outcome<TokenSet, RefreshError> {
        if !token.expose().starts_with(REFRESH_PREFIX) {
            return refuse(RefreshError::Invalid);
        }
        let hash = token.hash();
        for round in 0..ROUNDS {
            // After a lost race, a writing unit reads again: until the winner's unit is durable, no reader sees it.
            let mut unit =
                if round == 0 { self.kernel.store.read().await? } else { self.kernel.store.begin().await? };
            let found = unit.refresh_tokens().find(hash.as_bytes()).await?;
            unit.commit().await?;
            // A token of one contract does not get another contract's lifetimes; its session is not harmed by trying.
            let Some(found) = found.filter(|found| found.contract == call.profile.contract) else {
                return refuse(RefreshError::Invalid);
            };
            match call.profile.refresh.judge(found.presented, self.kernel.now()) {
                Verdict::Rotate => {
                    if let Some(tokens) = self.rotate(call, token, &found).await? {
                        return Ok(tokens);
                    }
                }
                Verdict::Repeat => return self.repeat_newest(call, token.clone(), found).await,
                Verdict::Expired => return refuse(RefreshError::Expired),
                Verdict::Revoked => return refuse(RefreshError::Invalid),
                Verdict::Replayed => {
                    self.end_replayed(call, &found).await?;
                    return refuse(RefreshError::Invalid);
                }
            }
        }
        refuse(RefreshError::Invalid)
    }

    /// None when a concurrent request was first.
    async fn rotate(
        &self,
        call: &Call,
        token: &PlainToken,
        found: &PresentedToken,
    ) -> Result<Option<TokenSet>, Fault> {
        let profile = &call.profile;
        let child = self.kernel.vault.refresh_child(token);
        let child_hash = child.hash();
        let now = self.kernel.now();
        let session_expires_at = profile.session.extended(now, found.times);
        let tokens = self.kernel.token_set(profile, bearer(found, session_expires_at), child, now)?;

        let mut work = self.begin(call).await?;
        let child = NewRefreshToken {
            id: self.kernel.entropy.uuid(now).into(),
            session: found.session,
            hash: child_hash.as_bytes(),
            parent: Some(found.id),
            issued_at: now,
            expires_at: now.plus(profile.refresh.lifetime).min(session_expires_at),
        };
        if !work.unit.refresh_tokens().insert_child(child).await? {
            return Ok(None);
        }
        if !work.unit.sessions().refreshed(found.session, now, session_expires_at).await? {
            return Ok(None);
        }
        work.commit().await?;
        Ok(Some(tokens))
    }

    /// Answers with the newest descendant of a superseded token. Nothing is written.
    async fn repeat_newest(
        &self,
        call: &Call,
        mut token: PlainToken,
        mut found: PresentedToken,
    ) -> Outcome<TokenSet, RefreshError> {
        let mut unit = self.kernel.store.read().await?;
        for _ in 0..GENERATIONS {
            let Some(hash) = &found.child_hash else { break };
            let child = TokenHash::try_from(&**hash)
                .ok()
                .and_then(|hash| self.kernel.vault.issued_refresh_child(&token, &hash))
                .ok_or_else(|| {
                    Fault::Internal("a rotated refresh token has no derivable child".to_owned())
                })?;
            let Some(next) = unit.refresh_tokens().find(child.hash().as_bytes()).await? else {
                return refuse(RefreshError::Invalid);
            };
            (token, found) = (child, next);
        }
        drop(unit);
        let now = self.kernel.now();
        if found.presented.session_revoked {
            return refuse(RefreshError::Invalid);
        }
        if found.presented.expires_at <= now {
            return refuse(RefreshError::Expired);
        }
        Ok(self.kernel.token_set(&call.profile, bearer(&found, found.times.expires_at), token, now)?)
    }

    async fn end_replayed(&self, call: &Call, found: &PresentedToken) -> Result<(), Fault> {
        let mut work = self.begin(call).await?;
        let now = work.now;
        work.unit.sessions().end(found.session, EndReason::RefreshTokenReplayed, now).await?;
        let subject = Subject {
            account: Some(found.account),
            organization: Some(found.organization),
            session: Some(found.session),
        };
        work.audit(Action::RefreshTokenReplayed, subject, json!({})).await?;
        work.commit().await?;
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

fn bearer(found: &PresentedToken, session_expires_at: tidegate_domain::Timestamp) -> Bearer {
    Bearer {
        account: found.account,
        organization: found.organization,
        role: found.role,
        session: found.session,
        session_expires_at,
        amr: found.amr,
        auth_time: found.auth_time,
        binding: None,
        scopes: found.scopes.clone(),
    }
}
