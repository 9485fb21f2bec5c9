//! The feature: what its use cases need.

use std::sync::Arc;

use tidegate_broker::sandbox::SandboxConfig;
use tidegate_broker::{Alpaca, Broker};
use tidegate_domain::Permission;
use tidegate_domain::limit::LimitStatus;
use tidegate_kernel::fault::Forbidden;
use tidegate_kernel::{Actor, Kernel};

/// Where brokerage accounts are opened.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process makes one")]
pub enum BrokerChoice {
    /// At the embedded sandbox, which keeps them in the store.
    Sandbox(SandboxConfig),
    /// At Alpaca's.
    Alpaca(Alpaca),
}

/// Brokerage accounts.
pub struct Brokerage {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) broker: Broker,
}

impl Brokerage {
    /// Whether brokerage accounts are the embedded sandbox's: none is real then.
    pub fn broker_is_sandbox(&self) -> bool {
        self.broker.is_sandbox()
    }

    /// Counts a request that calls the broker, by account: the broker limits the calls of the installation. None when there
    /// is no such limit.
    ///
    /// # Errors
    /// [`Forbidden`] without that permission.
    pub fn meter_brokerage(
        &self,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Option<LimitStatus>, Forbidden> {
        let account = actor.authorize(permission)?.account();
        let limit = self.kernel.settings.brokerage_by_account;
        let key = "riven.limits.brokerage_requests";
        Ok(limit.map(|limit| self.kernel.meter(key, format!("brokerage {account}"), limit)))
    }
}
