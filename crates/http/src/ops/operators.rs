//! Who may see the pages for operators: `/metrics`, and `/dev/outbox` where it exists.

use std::net::IpAddr;

use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_kernel::noted::{CredentialFault, refused};

use crate::wire::client::{is_forwarded, is_trusted_proxy, peer};
use crate::wire::not_found::not_found;
use crate::wire::state::App;

/// Whether a request comes straight from an allowed network, with the method and path of the page.
///
/// A request that a proxy forwards does not come straight from there: the proxy's own address would let all clients in. And
/// a page of another name, resolved to this address, is not let through: its scripts would read what is shown here (DNS
/// rebinding).
pub(crate) fn is_operator(app: &App, request: &Request) -> bool {
    why_refused(app, request).is_none()
}

/// The same. Of another request the log says why: its answer is that of a path at which nothing is served.
pub(super) fn admits_operator(app: &App, request: &Request) -> bool {
    let why = why_refused(app, request);
    if let Some(why) = why {
        refused(CredentialFault::Operators(why));
    }
    why.is_none()
}

/// What keeps a request from the page.
fn why_refused(app: &App, request: &Request) -> Option<&'static str> {
    let spelt = || (!is_asked_by_exact_path(request)).then_some("the path is spelt in another way");
    why_no_operators(app, request).or_else(spelt)
}

/// The same, however the path is spelt.
fn why_no_operators(app: &App, request: &Request) -> Option<&'static str> {
    let (peer, http) = (peer(request.extensions()), app.http());
    if !http.ops.allow.iter().any(|net| net.contains(&peer)) {
        Some("the network is not in ops.allow")
    } else if is_trusted_proxy(peer, http) {
        Some("the network is one of http.trusted_proxies")
    } else if is_forwarded(request.headers()) {
        Some("a header says that a proxy forwards the request")
    } else if !is_asked_by_known_host(request, &http.ops.hosts) {
        Some("the host is neither an IP address nor in ops.hosts")
    } else {
        None
    }
}

/// Lets operators through and answers all other callers with 404. An operator who wrote a slash at the end is sent to the page
/// without one.
pub(crate) async fn operators_only(State(app): State<App>, request: Request, next: Next) -> Response {
    if admits_operator(&app, &request) {
        return next.run(request).await;
    }
    match without_slash(&request).filter(|_| why_no_operators(&app, &request).is_none()) {
        Some(address) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, address)]).into_response(),
        None => not_found().await,
    }
}

/// The address of the page, of one with a slash at its end.
fn without_slash(request: &Request) -> Option<String> {
    let page = request.extensions().get::<MatchedPath>()?.as_str();
    let asked = request.extensions().get::<OriginalUri>()?;
    let query = asked.query().map(|query| format!("?{query}")).unwrap_or_default();
    (asked.path().strip_suffix('/') == Some(page)).then(|| format!("{page}{query}"))
}

/// Whether every name the request gives this server, in `Host` and in its address (HTTP/2 has only that), is an address,
/// `localhost`, or one that the operator has set.
fn is_asked_by_known_host(request: &Request, hosts: &[String]) -> bool {
    let in_headers = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().ok());
    let in_address = request.uri().authority().map(|authority| Some(authority.as_str()));
    in_headers.chain(in_address).all(|host| {
        let Some(name) = host.map(name_of) else { return false };
        name == "localhost"
            || name.parse::<IpAddr>().is_ok()
            || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// A host without its port and without the brackets of an IPv6 address.
fn name_of(host: &str) -> &str {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    name.trim_matches(['[', ']'])
}

/// Whether the path is spelt as it is known to proxies: `/metrics/` is not, though other routes ignore the slash.
fn is_asked_by_exact_path(request: &Request) -> bool {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let original = request.extensions().get::<OriginalUri>().map(|uri| uri.path());
    matched.is_some() && matched == original
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_known(uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(Body::empty()).unwrap();
        is_asked_by_known_host(&request, &["Tidegate.internal".to_owned()])
    }

    #[test]
    fn addresses_localhost_and_the_operators_names_are_known() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "localhost:1", "tidegate.internal:8080"] {
            assert!(is_known("/metrics", &[host]), "{host}");
            assert!(is_known(&format!("http://{host}/metrics"), &[]), "{host}");
        }
    }

    #[test]
    fn other_names_are_not_wherever_they_stand() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert!(!is_known("/metrics", &[host]), "{host}");
            assert!(!is_known(&format!("http://{host}/metrics"), &[]), "{host}");
            assert!(!is_known(&format!("http://{host}/metrics"), &["localhost"]), "{host}");
            assert!(!is_known("http://localhost/metrics", &[host]), "{host}");
        }
    }
}
