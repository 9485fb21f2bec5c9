//! Who is calling: address, program, contract.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use tidegate_domain::limit::LimitStatus;
use tidegate_kernel::Call;

use crate::wire::boundary::MeterReading;
use crate::wire::contract::ContractMarker;
use crate::wire::rejection::Rejection;
use crate::wire::safe::only_looks;
use crate::wire::state::{App, ForwardedHeader, HttpSettings};

/// Longest list of languages worth reading, in characters.
const MAX_ACCEPT_LANGUAGE: usize = 256;
/// Longest user agent worth storing, in characters.
const MAX_USER_AGENT: usize = 512;

/// The caller of an endpoint without authentication. Counts the request.
pub(crate) struct Caller<C>(Call, PhantomData<C>);

impl<C> Deref for Caller<C> {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.0
    }
}

impl<C: ContractMarker> FromRequestParts<App> for Caller<C> {
    type Rejection = C::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, C::Error> {
        let call = call::<C>(parts, app);
        if let Some(status) = app.kernel().meter_anonymous(&call) {
            read_meter(&parts.extensions, app, status)?;
        }
        Ok(Self(call, PhantomData))
    }
}

/// What is known of a request, uncounted.
pub(crate) fn call<C: ContractMarker>(parts: &Parts, app: &App) -> Call {
    let call = C::call(
        app.kernel().settings(),
        client_ip(&parts.headers, &parts.extensions, app.http()),
        user_agent(&parts.headers),
    )
    .accepting(accept_language(&parts.headers));
    if only_looks(parts) { call.looking() } else { call }
}

/// Stores the caller's limit status for the response's headers; refuses a caller over the limit.
pub(crate) fn read_meter(extensions: &Extensions, app: &App, status: LimitStatus) -> Result<(), Rejection> {
    check_limit(app, status)?;
    if let Some(reading) = extensions.get::<MeterReading>() {
        reading.note(status);
    }
    Ok(())
}

/// Refuses a caller over a limit.
pub(crate) fn check_limit(app: &App, status: LimitStatus) -> Result<(), Rejection> {
    if status.exceeded {
        return Err(Rejection::RateLimited { status, retry_after: status.retry_after(app.kernel().now()) });
    }
    Ok(())
}

pub(crate) fn user_agent(headers: &HeaderMap) -> String {
    let bytes = headers.get(header::USER_AGENT).map(|value| value.as_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= MAX_USER_AGENT && !text.contains(char::is_control) {
        return text.into_owned();
    }
    text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
}

/// The languages the client prefers, as it says; empty where it says nothing.
pub(crate) fn accept_language(headers: &HeaderMap) -> String {
    let text = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(MAX_ACCEPT_LANGUAGE).collect()
}

/// The address of the peer, or the client address that trusted proxies report.
///
/// Read from the right: each hop was written by the one to its right, and only as long as that one is trusted is what
/// it wrote believed. Anything a client puts in front is never reached.
pub(crate) fn client_ip(headers: &HeaderMap, extensions: &Extensions, settings: &HttpSettings) -> IpAddr {
    let peer = peer(extensions);
    let trusted = &settings.trusted_proxies;
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    for hop in forwarded_hops(headers, settings.forwarded_header).into_iter().rev() {
        match hop {
            Some(ip) => client = ip.to_canonical(),
            // An obfuscated or unreadable hop: the last address known for certain counts.
            None => break,
        }
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

pub(crate) fn peer(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical())
}

/// Headers in which proxies and content delivery networks name one client. None is read: nothing says which proxy on the way wrote it.
pub(crate) const SINGLE_ADDRESS_HEADERS: [&str; 9] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "x-azure-clientip",
    "cf-connecting-ip",
    "true-client-ip",
    "fastly-client-ip",
];

/// Other headers by which they say that they forward a request, besides `X-Forwarded-*`.
const FORWARDING_HEADERS: [&str; 5] = ["forwarded", "via", "x-original-host", "cf-ray", "cdn-loop"];

/// Whether a proxy says that it forwards this request for another client.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().map(axum::http::HeaderName::as_str).any(|name| {
        FORWARDING_HEADERS.contains(&name)
            || SINGLE_ADDRESS_HEADERS.contains(&name)
            || name.starts_with("x-forwarded-")
    })
}

/// Whether the peer is a proxy that forwards for others.
pub(crate) fn is_trusted_proxy(peer: IpAddr, settings: &HttpSettings) -> bool {
    settings.trusted_proxies.iter().any(|net| net.contains(&peer))
}

/// The addresses in the header that the proxies write, leftmost first.
pub(crate) fn forwarded_hops(headers: &HeaderMap, header: ForwardedHeader) -> Vec<Option<IpAddr>> {
    let list = |name: &str| -> Vec<String> {
        headers
            .get_all(name)
            .iter()
            .flat_map(|value| {
                String::from_utf8_lossy(value.as_bytes()).split(',').map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    };
    match header {
        ForwardedHeader::Forwarded => {
            list("forwarded").iter().map(|element| forwarded_for(element)).collect()
        }
        ForwardedHeader::XForwardedFor => list("x-forwarded-for").iter().map(|hop| address(hop)).collect(),
    }
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value))?
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`, any of them quoted.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut extensions = Extensions::new();
        let peer: SocketAddr = format!("{peer}:1234").parse().unwrap();
        extensions.insert(ConnectInfo(peer));
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let forwarded_header =
            if headers.contains_key(header::FORWARDED) && !headers.contains_key("x-forwarded-for") {
                ForwardedHeader::Forwarded
            } else {
                ForwardedHeader::XForwardedFor
            };
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let settings = HttpSettings { trusted_proxies, forwarded_header, ..HttpSettings::default() };
        client_ip(&headers, &extensions, &settings).to_string()
    }

    #[test]
    fn the_header_that_the_proxy_does_not_write_is_the_clients_own_and_not_read() {
        let headers = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=192.0.2.66")];
        assert_eq!(seen("10.0.0.1", &headers), "198.51.100.1");
    }

    #[test]
    fn headers_of_strangers_are_not_believed() {
        assert_eq!(seen("192.0.2.9", &[("x-forwarded-for", "198.51.100.1")]), "192.0.2.9");
    }

    #[test]
    fn a_trusted_proxy_names_its_client_and_the_client_cannot_add_to_it() {
        assert_eq!(
            seen("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.2")]),
            "198.51.100.1"
        );
        let forwarded = "for=1.1.1.1, for=\"[2001:db8::7]:4711\";proto=https, for=10.0.0.2";
        assert_eq!(seen("10.0.0.1", &[("forwarded", forwarded)]), "2001:db8::7");
    }

    #[test]
    fn a_hop_that_cannot_be_read_stops_the_search() {
        assert_eq!(seen("10.0.0.1", &[("forwarded", "for=1.1.1.1, for=_hidden, for=10.0.0.2")]), "10.0.0.2");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(value in "[ -~]{0,200}") {
            seen("10.0.0.1", &[("forwarded", &value)]);
            seen("10.0.0.1", &[("x-forwarded-for", &value)]);
        }
    }
}
