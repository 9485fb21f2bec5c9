//! The feature.

use std::sync::{Arc, OnceLock};

use tidegate_domain::OauthRules;
use tidegate_federation::ClientDocuments;
use tidegate_kernel::Kernel;

use crate::applications::cache::KnownApplications;
use crate::applications::unregistered::UnregisteredLog;
use crate::claims::cache::KnownPeople;
use crate::logout::callers::Callers;

/// The use cases of OAuth 2 and OpenID Connect.
pub struct Oauth {
    pub(crate) kernel: Arc<Kernel>,
    /// Calls applications.
    pub(crate) callers: Callers,
    /// What pairwise names of people are made with, once that is known.
    pub(crate) pairwise_key: OnceLock<Arc<Vec<u8>>>,
    /// What clients publish about themselves.
    pub(crate) documents: ClientDocuments,
    /// What the log is told of addresses that applications are not registered with.
    pub(crate) unregistered_log: UnregisteredLog,
    pub(crate) known_applications: KnownApplications,
    pub(crate) known_people: KnownPeople,
}

impl Oauth {
    pub(crate) fn rules(&self) -> &OauthRules {
        &self.kernel.settings.oauth.rules
    }
}
