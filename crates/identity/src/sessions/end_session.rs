//! Ends another session of the same account.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::Identity;

/// Why no session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndSessionError {
    /// The account has no such active session. Sessions of other accounts get the same answer.
    #[error("the session does not exist")]
    NotFound,
}

impl Identity {
    /// Ends the actor's session of that number, which may be the one they act in.
    ///
    /// Source: RiverGen "sessions/{session_id}".
    ///
    /// # Errors
    /// [`EndSessionError`].
    pub async fn end_session(&self, call: &Call, actor: &Actor, number: i64) -> Outcome<(), EndSessionError> {
        let mut work = self.begin_as(call, actor, Permission::EndOwnSessions).await?;
        let (account, now) = (work.grant.account(), work.now);
        let ended = work.unit.sessions().end_numbered(account, number, EndReason::Revoked, now).await?;
        let Some(ended) = ended else {
            return refuse(EndSessionError::NotFound);
        };
        work.audit(Action::SessionRevoked, work.grant.subject(), json!({ "session": ended.to_string() }))
            .await?;
        Ok(work.commit().await?)
    }
}
