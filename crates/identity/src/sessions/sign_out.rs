//! Somebody signs out: of this session, or of all.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::Identity;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignOutError {
    /// Somebody else ended the session between its token being accepted and now.
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
        let mut work = self.begin(call).await?;
        let now = work.now;
        if !work.unit.sessions().end(actor.session.id, EndReason::SignedOut, now).await? {
            return refuse(SignOutError::AlreadyEnded);
        }
        work.audit(Action::SignedOut, actor.subject(), json!({})).await?;
        Ok(work.commit().await?)
    }

    /// Ends all of the actor's sessions, this one included.
    ///
    /// Source: RiverGen "logout-all".
    ///
    /// # Errors
    /// [`SignOutError`].
    pub async fn sign_out_everywhere(&self, call: &Call, actor: &Actor) -> Outcome<(), SignOutError> {
        let mut work = self.begin(call).await?;
        let (account, now) = (actor.session.account, work.now);
        work.lock(account).await?;
        let ended = work.unit.sessions().end_all(account, EndReason::Revoked, now).await?;
        if ended == 0 {
            return refuse(SignOutError::AlreadyEnded);
        }
        work.withdraw_verification_links(account).await?;
        work.audit(Action::SignedOutEverywhere, actor.subject(), json!({ "sessions": ended })).await?;
        Ok(work.commit().await?)
    }
}
