//! Lists the sessions of an account.

use tidegate_domain::Permission;
use tidegate_domain::account::Session;
use tidegate_domain::id::SessionId;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::{Actor, KernelTables};

use crate::Identity;

/// An account's sessions.
#[derive(Clone, Debug)]
pub struct SessionList {
    /// The account's number.
    pub account: i64,
    /// The session in which they are listed.
    pub current: SessionId,
    /// The active ones, latest activity first.
    pub active: Vec<Session>,
    /// How many are kept in all, ended and expired ones included.
    pub total: i64,
}

impl Identity {
    /// The actor's sessions, through whichever contract they were opened.
    ///
    /// Source: RiverGen "sessions".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_sessions(&self, actor: &Actor) -> Result<SessionList, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnSessions).await?;
        let (account, now) = (grant.account(), self.kernel.now());
        Ok(SessionList {
            account: grant.session().account_number,
            current: grant.session().id,
            active: unit.sessions().active(account, now).await?,
            total: unit.sessions().counts(account, now).await?.1,
        })
    }
}
