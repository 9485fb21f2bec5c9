//! Proxies whose word about their clients is not read, named in the log: all clients of such a proxy count as one, which nothing else
//! says.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use crate::wire::client::is_trusted_proxy;
use crate::wire::state::{ForwardedHeader, HttpSettings};

/// Proxies that are named while the process runs.
const MOST: usize = 20;

/// Names each proxy once.
#[derive(Debug, Default)]
pub(crate) struct UnreadForwarding(Mutex<HashSet<IpAddr>>);

/// Why a header is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// It comes from an address that is not trusted.
    Untrusted(&'static str),
    /// It is not the one that is configured, which is not sent.
    Other { sent: &'static str, read: &'static str },
}

impl UnreadForwarding {
    /// Writes a line about the first request of a proxy whose header is not read.
    pub(crate) fn note(&self, peer: IpAddr, headers: &HeaderMap, settings: &HttpSettings) {
        let Some(unread) = unread(peer, headers, settings) else { return };
        if !self.is_first(peer) {
            return;
        }
        match unread {
            Unread::Untrusted(sent) => tracing::warn!(
                "{peer} sends the header {sent} and is not in http.trusted_proxies: it is not read, and if this is a proxy, all its \
                 clients count as one"
            ),
            Unread::Other { sent, read } => tracing::warn!(
                "{peer} sends the header {sent}, and http.forwarded_header is \"{read}\", which it does not send: all its clients count \
                 as one"
            ),
        }
    }

    fn is_first(&self, peer: IpAddr) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.len() < MOST && named.insert(peer)
    }
}

/// Of peers that are not trusted, those alone that can be a proxy of the operator's: from the internet, anybody sends such headers.
fn unread(peer: IpAddr, headers: &HeaderMap, settings: &HttpSettings) -> Option<Unread> {
    let (read, other) = match settings.forwarded_header {
        ForwardedHeader::XForwardedFor => ("x-forwarded-for", "forwarded"),
        ForwardedHeader::Forwarded => ("forwarded", "x-forwarded-for"),
    };
    let (has_read, has_other) = (headers.contains_key(read), headers.contains_key(other));
    if is_trusted_proxy(peer, settings) {
        return (has_other && !has_read).then_some(Unread::Other { sent: other, read });
    }
    let sent = if has_read { read } else { other };
    ((has_read || has_other) && is_private(peer)).then_some(Unread::Untrusted(sent))
}

/// Whether it is an address of this machine or of a private network.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[&'static str], forwarded_header: ForwardedHeader) -> Option<Unread> {
        let headers: HeaderMap =
            headers.iter().map(|name| (name.parse().unwrap(), "198.51.100.1".parse().unwrap())).collect();
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let settings = HttpSettings { trusted_proxies, forwarded_header, ..HttpSettings::default() };
        unread(peer.parse().unwrap(), &headers, &settings)
    }

    #[test]
    fn a_proxy_of_the_operators_is_told_from_a_stranger() {
        let (list, standard) = (ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded);
        for peer in ["127.0.0.1", "192.168.1.2", "172.17.0.1", "::1", "fd00::1"] {
            let untrusted = seen(peer, &["x-forwarded-for"], list);
            assert_eq!(untrusted, Some(Unread::Untrusted("x-forwarded-for")), "{peer}");
            assert_eq!(seen(peer, &["forwarded"], list), Some(Unread::Untrusted("forwarded")), "{peer}");
            assert_eq!(seen(peer, &["x-real-ip"], list), None, "{peer}");
        }
        for peer in ["198.51.100.7", "2001:db8::1"] {
            assert_eq!(seen(peer, &["x-forwarded-for", "forwarded"], list), None, "{peer}");
        }
        let other = Unread::Other { sent: "x-forwarded-for", read: "forwarded" };
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for"], standard), Some(other));
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for"], list), None);
        // What its client sent is passed on beside what the proxy writes.
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for", "forwarded"], standard), None);
    }

    #[test]
    fn each_is_named_once_and_not_more_than_so_many() {
        let named = UnreadForwarding::default();
        let proxy = |number: u8| IpAddr::from([127, 0, 0, number]);
        assert!(named.is_first(proxy(1)) && !named.is_first(proxy(1)));
        assert_eq!((0..=u8::MAX).filter(|number| named.is_first(proxy(*number))).count(), MOST - 1);
    }
}
