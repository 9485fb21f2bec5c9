//! Wires the feature, and what it registers with the kernel.

use std::sync::{Arc, OnceLock};

use tidegate_domain::OauthRules;
use tidegate_federation::{ClientDocuments, Publisher};
use tidegate_kernel::Kernel;

use crate::Oauth;
use crate::applications::cache::KnownApplications;
use crate::applications::unregistered::UnregisteredLog;
use crate::claims::cache::KnownPeople;
use crate::hooks::OauthHooks;
use crate::logout::callers::Callers;
use crate::logout::notify;
use crate::maintenance::PRUNINGS;

impl Oauth {
    /// Wires the feature on a kernel.
    pub fn start(kernel: Arc<Kernel>) -> Arc<Self> {
        let documents = Self::client_documents(&kernel.settings.oauth.rules);
        Self::start_with(kernel, documents)
    }

    /// What clients publish, where these rules let it be.
    pub fn client_documents(rules: &OauthRules) -> ClientDocuments {
        ClientDocuments::new(|of| match of {
            Publisher::Known => rules.private_network_clients,
            Publisher::Stranger => rules.registration.private_network,
        })
    }

    /// The same, where what clients publish is read in another way.
    pub fn start_with(kernel: Arc<Kernel>, documents: ClientDocuments) -> Arc<Self> {
        kernel.register_hooks(Arc::new(OauthHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        let callers = Callers::new(kernel.settings.oauth.rules.backchannel_reach);
        let oauth = Arc::new(Self {
            kernel,
            callers,
            pairwise_key: OnceLock::new(),
            documents,
            unregistered_log: UnregisteredLog::default(),
            known_applications: KnownApplications::new(),
            known_people: KnownPeople::new(),
        });
        oauth.kernel.register_job(&oauth, notify::JOB);
        oauth
    }
}
