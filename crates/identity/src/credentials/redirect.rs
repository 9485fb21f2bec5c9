//! Links that lead to an application's own pages.

use tidegate_domain::{EmailAddress, Secret, Timestamp};
use url::Url;

use crate::Identity;

/// An address that links in mails may lead to.
pub(crate) struct RedirectUrl(Url);

/// Where a page leads back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTarget {
    /// The whole address.
    pub url: String,
    /// Its host, to be shown.
    pub host: String,
}

/// A link that would lead somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an https address on a host the operator allows: see redirect_hosts under [links] in the configuration"
)]
pub struct RedirectRefused;

impl Identity {
    /// The address a link names to return to, if links may lead there.
    pub fn return_target(&self, text: &str) -> Option<ReturnTarget> {
        let RedirectUrl(url) = self.redirect(text).ok()?;
        let host = url.host_str()?.to_owned();
        Some(ReturnTarget { url: url.into(), host })
    }

    /// Accepts an address on an allowed host, or on this installation's own. Anything else would let an attacker send
    /// people a mail of ours that leads to a site of theirs.
    pub(crate) fn redirect(&self, text: &str) -> Result<RedirectUrl, RedirectRefused> {
        let url = Url::parse(text).map_err(|_| RedirectRefused)?;
        let own = Url::parse(&self.kernel.settings.public_url).ok();
        let is_own = own.is_some_and(|own| own.origin() == url.origin());
        let authority = url.host_str().map(|host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let is_allowed = authority.is_some_and(|authority| {
            self.kernel.settings.redirect_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&authority))
        });
        // A code must not travel in the clear, except on a development machine.
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        let is_plain = url.username().is_empty() && url.password().is_none();
        if is_plain && (is_own || (is_allowed && is_safe)) {
            Ok(RedirectUrl(url))
        } else {
            Err(RedirectRefused)
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl RedirectUrl {
    /// The address with what a page there needs to set a password.
    pub(crate) fn with_code(&self, code: &str, email: &EmailAddress, expires_at: Timestamp) -> Secret {
        const OURS: [&str; 3] = ["code", "email", "code_expiration_timestamp"];
        let mut url = self.0.clone();
        let given: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        // The caller must not preset what only the mail may contain.
        let others = given.into_iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
        url.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("code", code)
            .append_pair("email", &email.to_string())
            .append_pair("code_expiration_timestamp", &expires_at.fractional_seconds().to_string());
        Secret::new(url.as_str())
    }
}
