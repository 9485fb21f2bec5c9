//! Lists the sign-ins of an account.

use tidegate_domain::Permission;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::{Actor, KernelTables};

pub use tidegate_kernel::tables::audit::{SignInEvent, SignInFilter};

use crate::Identity;

/// A page of sign-ins.
#[derive(Clone, Debug)]
pub struct SignInHistory {
    /// Newest first.
    pub events: Vec<SignInEvent>,
    /// How many there are in all.
    pub total: i64,
}

impl Identity {
    /// The actor's sign-ins, successful and failed.
    ///
    /// Source: RiverGen "login-history".
    ///
    /// # Errors
    /// Only faults.
    pub async fn sign_in_history(
        &self,
        actor: &Actor,
        filter: SignInFilter,
        limit: i64,
        offset: i64,
    ) -> Result<SignInHistory, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnSessions).await?;
        let account = grant.account();
        Ok(SignInHistory {
            events: unit.audit().sign_ins(account, filter, limit, offset).await?,
            total: unit.audit().count_sign_ins(account, filter).await?,
        })
    }
}
