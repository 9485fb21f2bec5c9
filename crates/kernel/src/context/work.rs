//! One request's unit of work. What use cases do in it is in `impl Work` blocks, each beside what it is about.

use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;

use crate::fault::Fault;
use crate::{Call, Kernel, KernelTables};

pub use crate::tables::audit::Subject;

/// A unit of work on behalf of a caller, lent by the feature whose use case it is.
pub struct Work<'w> {
    /// The kernel.
    pub kernel: &'w Kernel,
    /// Who is calling.
    pub call: &'w Call,
    /// The unit of work.
    pub unit: &'w mut Unit,
    /// When it began.
    pub now: Timestamp,
}

impl Kernel {
    /// Begins a unit of work on behalf of a caller: what features do for whatever a request changes.
    ///
    /// # Errors
    /// Those of the store; a defect where the call is one that [only looks](Call::looking).
    pub async fn begin_for_call(&self, call: &Call) -> Result<Unit, Fault> {
        call.ensure_may_act()?;
        Ok(self.store.begin().await?)
    }
}

impl Work<'_> {
    /// Waits for other units that change the account's password or answer its challenges, and keeps the next one
    /// waiting until this unit ends: what is opened while a password is replaced must not outlive it. To be taken before
    /// any other row of the account, so that no two wait for each other.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        Ok(self.unit.account_cards().lock(account).await?)
    }
}
