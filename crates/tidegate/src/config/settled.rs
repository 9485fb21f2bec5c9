//! The configuration as the rest of the program means it.

use std::time::Duration;

use super::Config;
use super::check::web_origin;

impl Config {
    /// What `0` lifts in the contracts, origins as browsers send them, and the public address without a slash at its end: paths
    /// are added to it, and verifiers compare it as the issuer of tokens.
    pub(super) fn settled(mut self) -> Self {
        for profile in self.contracts.iter_mut() {
            let sliding = &mut profile.session.sliding_up_to;
            *sliding = sliding.filter(|up_to| *up_to > Duration::ZERO);
            let recent = &mut profile.recent_sign_in;
            *recent = recent.filter(|recent| *recent > Duration::ZERO);
        }
        if let Some(url) = &mut self.public_url {
            url.truncate(url.trim_end_matches('/').len());
        }
        for origin in &mut self.http.cors_origins {
            if let Ok(canonical) = web_origin(origin) {
                *origin = canonical;
            }
        }
        self
    }
}
