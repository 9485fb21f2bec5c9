//! Signs out: ends this session, or all sessions of the account.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::Identity;
use crate::work::Acting;

/// Why the sign-out was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignOutError {
    /// The session was ended after its token was accepted.
    #[error("the session has already ended")]
    AlreadyEnded,
}

impl Identity {
    /// Ends the actor's session. Its access tokens and refresh tokens are dead when this returns.
    ///
    /// Source: RiverGen "logout"; IngestIQ "logout".
    ///
    /// # Errors
    /// [`SignOutError`].
    pub async fn sign_out(&self, call: &Call, actor: &Actor) -> Outcome<(), SignOutError> {
        let mut work = self.begin_ending(call, actor).await?;
        let (session, now) = (work.grant.session().id, work.now);
        if !work.unit.sessions().end(session, EndReason::SignedOut, now).await? {
            return refuse(SignOutError::AlreadyEnded);
        }
        work.audit(Action::SignedOut, work.grant.subject(), json!({})).await?;
        Ok(work.commit().await?)
    }

    /// Ends all of the actor's sessions, this one included.
    ///
    /// Source: RiverGen "logout-all".
    ///
    /// # Errors
    /// [`SignOutError`].
    pub async fn sign_out_everywhere(&self, call: &Call, actor: &Actor) -> Outcome<(), SignOutError> {
        let mut work = self.begin_ending(call, actor).await?;
        let (account, now) = (work.grant.account(), work.now);
        let ended = work.unit.sessions().end_all(account, EndReason::Revoked, now).await?;
        if ended == 0 {
            return refuse(SignOutError::AlreadyEnded);
        }
        work.withdraw_verification_links(account).await?;
        work.audit(Action::SignedOutEverywhere, work.grant.subject(), json!({ "sessions": ended })).await?;
        Ok(work.commit().await?)
    }

    /// Contracts have an answer of their own for signing out of a session that has ended.
    async fn begin_ending<'a>(&'a self, call: &'a Call, actor: &Actor) -> Outcome<Acting<'a>, SignOutError> {
        match self.begin_as(call, actor, Permission::EndOwnSessions).await {
            Err(Fault::SessionEnded) => refuse(SignOutError::AlreadyEnded),
            begun => Ok(begun?),
        }
    }
}
