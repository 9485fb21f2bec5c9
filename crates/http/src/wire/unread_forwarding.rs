//! Proxies whose word about their clients is not read, or that say none, named in the log: all clients of such a proxy count as one,
//! which nothing else says.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use crate::wire::client::{SINGLE_ADDRESS_HEADERS, forwarded_hops, is_trusted_proxy};
use crate::wire::state::{App, ForwardedHeader, HttpSettings};
use crate::wire::this_machine::is_reached_here;

/// Proxies that are named while the process runs.
const MOST: usize = 20;

/// Names each proxy once for each of both.
#[derive(Debug, Default)]
pub(crate) struct UnreadForwarding {
    unread: Named,
    silent: Named,
}

/// The proxies that were named.
#[derive(Debug, Default)]
struct Named(Mutex<HashSet<IpAddr>>);

/// Why a header is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// It comes from an address that is not trusted.
    Untrusted(&'static str),
    /// It is not the one that is configured, which is not sent.
    Other { sent: &'static str, read: &'static str },
    /// It is one that can be believed of no proxy, and the one that is configured is not sent.
    Single { sent: &'static str, read: &'static str },
    /// It comes from a trusted proxy, which writes no address into it.
    Nameless(&'static str),
}

impl UnreadForwarding {
    /// Writes a line about the first request of a proxy whose header is not read. Answers the peer where it may be one that sends none.
    pub(crate) fn note(
        &self,
        client: IpAddr,
        peer: IpAddr,
        headers: &HeaderMap,
        app: &App,
    ) -> Option<IpAddr> {
        let unread = unread(peer, headers, app.http());
        let Some(unread) = unread.or_else(|| nameless(client, peer, headers, app.http())) else {
            return silent_proxy(client, peer, headers, app.http(), &app.kernel().settings().public_url);
        };
        self.tell(peer, unread);
        None
    }

    fn tell(&self, peer: IpAddr, unread: Unread) {
        if !self.unread.is_first(peer) {
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
            Unread::Single { sent, read } => tracing::warn!(
                "{peer} is in http.trusted_proxies and sends the header {sent}, which is never read, and not {read}: all its clients \
                 count as one; have the proxy send {read} (docs/guides/reverse-proxy.md)"
            ),
            Unread::Nameless(read) => tracing::warn!(
                "{peer} is in http.trusted_proxies, and what it writes into the header {read} is no address, but \"unknown\" or the like: \
                 all its clients count as one; have it write the client's address (docs/guides/reverse-proxy.md)"
            ),
        }
    }

    /// Writes a line where a limit by address refuses what came through a proxy that says for whom it asks in no header: the limit
    /// is met by all its clients together.
    pub(crate) fn note_limited(&self, silent: Option<IpAddr>, limit: Option<&str>, settings: &HttpSettings) {
        let Some((proxy, limit)) = silent.zip(limit.filter(|limit| is_by_address(limit))) else { return };
        if self.silent.is_first(proxy) {
            let (read, _) = read_and_other(settings);
            let (why, trust) = if is_trusted_proxy(proxy, settings) {
                ("it is in http.trusted_proxies", "")
            } else if proxy.is_loopback() {
                (
                    "it is this machine, and people ask for another, or by https",
                    " and set http.trusted_proxies",
                )
            } else {
                ("public_url is https", " and set http.trusted_proxies")
            };
            tracing::warn!(
                "{limit} refuses requests of {proxy}, which come without {read}, while {why}: if this is a proxy, \
                 have it send {read}{trust}, or all people count as one address"
            );
        }
    }
}

impl Named {
    fn is_first(&self, peer: IpAddr) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.len() < MOST && named.insert(peer)
    }
}

/// What a trusted proxy sends in the header that is read, if that names nobody: then `client` is the peer.
fn nameless(client: IpAddr, peer: IpAddr, headers: &HeaderMap, settings: &HttpSettings) -> Option<Unread> {
    if client != peer || !is_trusted_proxy(peer, settings) {
        return None;
    }
    // What stands before it may be the client's own.
    let last = forwarded_hops(headers, settings.forwarded_header).pop()?;
    last.is_none().then(|| Unread::Nameless(read_and_other(settings).0))
}

/// The peer, if it may be a proxy that takes TLS off for the clients of an installation, or is known to be one, and names none of them: as
/// far as can be known, they are `client`, which is the peer.
fn silent_proxy(
    client: IpAddr,
    peer: IpAddr,
    headers: &HeaderMap,
    settings: &HttpSettings,
    public_url: &str,
) -> Option<IpAddr> {
    let may_be_proxy = is_trusted_proxy(peer, settings)
        || (is_private(peer) && public_url.starts_with("https:"))
        // Who asks at another address than that of this machine does not come from it.
        || (peer.is_loopback() && !is_reached_here(public_url, headers));
    if client != peer || !may_be_proxy {
        return None;
    }
    let mut naming = ["x-forwarded-for", "forwarded"].into_iter().chain(SINGLE_ADDRESS_HEADERS);
    let names_clients = naming.any(|name| headers.contains_key(name));
    (!names_clients).then_some(peer)
}

/// Whether a limit of that configuration key counts by the client's address.
fn is_by_address(key: &str) -> bool {
    ["by_ip", "by_network", "anonymous_requests"].iter().any(|end| key.ends_with(end))
}

/// The header that is read, and the one that could be read instead.
const fn read_and_other(settings: &HttpSettings) -> (&'static str, &'static str) {
    match settings.forwarded_header {
        ForwardedHeader::XForwardedFor => ("x-forwarded-for", "forwarded"),
        ForwardedHeader::Forwarded => ("forwarded", "x-forwarded-for"),
    }
}

/// Of peers that are not trusted, those alone that can be a proxy of the operator's: from the internet, anybody sends such headers.
fn unread(peer: IpAddr, headers: &HeaderMap, settings: &HttpSettings) -> Option<Unread> {
    let (read, other) = read_and_other(settings);
    let sends = |name: &&'static str| headers.contains_key(*name);
    let single = || SINGLE_ADDRESS_HEADERS.into_iter().find(sends);
    if is_trusted_proxy(peer, settings) {
        return match (sends(&read), sends(&other)) {
            (true, _) => None,
            (false, true) => Some(Unread::Other { sent: other, read }),
            (false, false) => single().map(|sent| Unread::Single { sent, read }),
        };
    }
    if !is_private(peer) {
        return None;
    }
    [read, other].into_iter().find(sends).or_else(single).map(Unread::Untrusted)
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
            assert_eq!(seen(peer, &["x-real-ip"], list), Some(Unread::Untrusted("x-real-ip")), "{peer}");
            assert_eq!(seen(peer, &["via"], list), None, "{peer}: it names no client");
        }
        for peer in ["198.51.100.7", "2001:db8::1"] {
            assert_eq!(seen(peer, &["x-forwarded-for", "forwarded", "x-real-ip"], list), None, "{peer}");
        }
        let other = Unread::Other { sent: "x-forwarded-for", read: "forwarded" };
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for"], standard), Some(other));
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for"], list), None);
        // What its client sent is passed on beside what the proxy writes.
        assert_eq!(seen("10.0.0.1", &["x-forwarded-for", "forwarded"], standard), None);
    }

    #[test]
    fn a_trusted_proxy_that_names_its_client_in_a_header_that_is_never_read_is_told() {
        for (setting, read) in
            [(ForwardedHeader::XForwardedFor, "x-forwarded-for"), (ForwardedHeader::Forwarded, "forwarded")]
        {
            for sent in ["x-real-ip", "cf-connecting-ip", "true-client-ip"] {
                assert_eq!(seen("10.0.0.1", &[sent], setting), Some(Unread::Single { sent, read }), "{sent}");
                assert_eq!(seen("10.0.0.1", &[sent, read], setting), None, "{sent}");
            }
            assert_eq!(seen("10.0.0.1", &["via", "x-forwarded-proto"], setting), None);
            assert_eq!(seen("10.0.0.1", &[], setting), None);
        }
        let other = Unread::Other { sent: "forwarded", read: "x-forwarded-for" };
        let sent = ["x-real-ip", "forwarded"];
        assert_eq!(seen("10.0.0.1", &sent, ForwardedHeader::XForwardedFor), Some(other));
    }

    #[test]
    fn a_proxy_that_names_nobody_is_told_from_clients() {
        let headers = |names: &[&'static str]| -> HeaderMap {
            names.iter().map(|name| (name.parse().unwrap(), "198.51.100.1".parse().unwrap())).collect()
        };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted_proxies = vec!["172.16.0.0/12".parse().unwrap()];
        let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
        let silent = |client: &str, peer: &str, names: &[&'static str], url: &str| {
            silent_proxy(ip(client), ip(peer), &headers(names), &settings, url)
        };
        let (here, url) = ("127.0.0.1", "https://id.example.com");
        assert_eq!(silent(here, here, &["x-forwarded-proto", "via"], url), Some(ip(here)));
        assert_eq!(silent("10.0.0.1", "10.0.0.1", &[], url), Some(ip("10.0.0.1")));
        assert_eq!(
            silent("198.51.100.1", here, &["x-forwarded-for"], url),
            None,
            "it is trusted and names one"
        );
        assert_eq!(silent(here, here, &["x-real-ip"], url), None, "that is told at once");
        assert_eq!(silent("198.51.100.1", "198.51.100.1", &[], url), None, "a client");
        assert_eq!(silent(here, here, &[], "http://127.0.0.1:8080"), None);
        let of_host = silent(here, here, &["host"], "http://127.0.0.1:8080");
        assert_eq!(of_host, Some(ip(here)), "198.51.100.1 is asked for");
        assert_eq!(silent(here, here, &[], "http://id.example.com"), Some(ip(here)));
        assert_eq!(silent("10.0.0.1", "10.0.0.1", &[], "http://id.example.com"), None, "a client nearby");
        let (trusted, plain) = ("172.17.0.1", "http://id.example.com");
        assert_eq!(silent(trusted, trusted, &[], plain), Some(ip(trusted)), "it is known to be a proxy");
        for (key, by_address) in [
            ("rivergen.limits.sign_in_by_ip", true),
            ("phone.limits.by_ip", true),
            ("failed_codes_by_network", true),
            ("ingestiq.limits.anonymous_requests", true),
            ("rivergen.limits.sign_in_by_email", false),
            ("failed_codes_by_account", false),
        ] {
            assert_eq!(is_by_address(key), by_address, "{key}");
        }
    }

    #[test]
    fn a_trusted_proxy_that_writes_no_address_is_told() {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
        let seen = |peer: &str, sent: &str| {
            let headers: HeaderMap =
                [("x-forwarded-for".parse().unwrap(), sent.parse().unwrap())].into_iter().collect();
            let peer = peer.parse().unwrap();
            nameless(peer, peer, &headers, &settings)
        };
        for sent in ["unknown", "", "198.51.100.1, unknown", "$remote_addr"] {
            assert_eq!(seen("10.0.0.1", sent), Some(Unread::Nameless("x-forwarded-for")), "{sent}");
            assert_eq!(seen("198.51.100.7", sent), None, "{sent}");
        }
        assert_eq!(seen("10.0.0.1", "unknown, 10.0.0.2"), None, "its client is another proxy");
    }

    #[test]
    fn each_is_named_once_and_not_more_than_so_many() {
        let named = Named::default();
        let proxy = |number: u8| IpAddr::from([127, 0, 0, number]);
        assert!(named.is_first(proxy(1)) && !named.is_first(proxy(1)));
        assert_eq!((0..=u8::MAX).filter(|number| named.is_first(proxy(*number))).count(), MOST - 1);
    }
}
