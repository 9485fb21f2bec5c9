//! Wires the feature, and what it registers with the kernel.

use std::sync::Arc;

use tidegate_kernel::Kernel;

use crate::Oauth;
use crate::hooks::OauthHooks;
use crate::maintenance::PRUNINGS;

impl Oauth {
    /// Wires the feature on a kernel.
    pub fn start(kernel: Arc<Kernel>) -> Arc<Self> {
        kernel.register_hooks(Arc::new(OauthHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        Arc::new(Self { kernel })
    }
}
