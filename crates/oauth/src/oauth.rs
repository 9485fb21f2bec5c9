//! The feature.

use std::sync::Arc;

use tidegate_domain::OauthRules;
use tidegate_kernel::Kernel;

/// The use cases of OAuth 2 and OpenID Connect.
pub struct Oauth {
    pub(crate) kernel: Arc<Kernel>,
}

impl Oauth {
    pub(crate) fn rules(&self) -> &OauthRules {
        &self.kernel.settings.oauth.rules
    }
}
