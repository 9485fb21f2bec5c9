//! The feature: everything its use cases need, wired once.

use std::sync::Arc;

use tidegate_broker::sandbox::SandboxConfig;
use tidegate_broker::{Alpaca, Broker, Sandbox};
use tidegate_domain::Permission;
use tidegate_domain::limit::Standing;
use tidegate_kernel::fault::Forbidden;
use tidegate_kernel::{Actor, Kernel};

use crate::hooks::BrokerageHooks;
use crate::sandbox_shelf::StoreShelf;

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
    /// Wires the feature on a kernel.
    pub fn start(kernel: Arc<Kernel>, choice: BrokerChoice) -> Arc<Self> {
        let broker = match choice {
            BrokerChoice::Alpaca(alpaca) => Broker::Alpaca(alpaca),
            BrokerChoice::Sandbox(config) => {
                let shelf = Arc::new(StoreShelf {
                    store: kernel.store.clone(),
                    vault: Arc::clone(&kernel.vault),
                    entropy: Arc::clone(&kernel.entropy),
                });
                Broker::Sandbox(Sandbox::new(config, Arc::clone(&kernel.clock), shelf))
            }
        };
        kernel.register_hooks(Arc::new(BrokerageHooks { broker: broker.name() }));
        Arc::new(Self { kernel, broker })
    }

    /// Whether brokerage accounts are the embedded sandbox's: none is real then.
    pub fn broker_is_sandbox(&self) -> bool {
        self.broker.is_sandbox()
    }

    /// Counts a request that has the broker work for an account: its calls are everybody's. None when there is no such limit.
    ///
    /// # Errors
    /// [`Forbidden`] without that permission.
    pub fn meter_brokerage(
        &self,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Option<Standing>, Forbidden> {
        let account = actor.authorize(permission)?.account();
        let limit = self.kernel.settings.brokerage_by_account;
        Ok(limit.map(|limit| self.kernel.meter(format!("brokerage {account}"), limit)))
    }
}
