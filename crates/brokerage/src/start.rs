//! Wires the feature: its broker, and what it registers with the kernel.

use std::sync::Arc;

use tidegate_broker::{Broker, Sandbox};
use tidegate_kernel::Kernel;

use crate::hooks::BrokerageHooks;
use crate::sandbox_store::DatabaseSandboxStore;
use crate::{BrokerChoice, Brokerage, check_account_status, events};

impl Brokerage {
    /// Wires the feature on a kernel.
    pub fn start(kernel: Arc<Kernel>, choice: BrokerChoice) -> Arc<Self> {
        let broker = match choice {
            BrokerChoice::Alpaca(alpaca) => Broker::Alpaca(alpaca),
            BrokerChoice::Sandbox(config) => {
                let store = Arc::new(DatabaseSandboxStore {
                    store: kernel.store.clone(),
                    vault: Arc::clone(&kernel.vault),
                    entropy: Arc::clone(&kernel.entropy),
                });
                Broker::Sandbox(Sandbox::new(config, Arc::clone(&kernel.clock), store))
            }
        };
        kernel.register_hooks(Arc::new(BrokerageHooks { broker: broker.name() }));
        let brokerage = Arc::new(Self { kernel, broker });
        brokerage.kernel.register_job(&brokerage, check_account_status::JOB);
        brokerage.kernel.register_job(&brokerage, events::JOB);
        brokerage
    }
}
