//! Whether an installation is reached at this machine alone.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// Whether both its address and the host that is asked for, if one is, are this machine.
pub(crate) fn is_reached_here(public_url: &str, headers: &HeaderMap) -> bool {
    let uri = public_url.parse::<Uri>().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    uri.authority().is_some_and(is_this_machine) && host.as_ref().is_none_or(is_this_machine)
}

/// Whether it is `localhost`, a name below it, or an address of the loopback.
fn is_this_machine(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for (host, is_here) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("app.localhost", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("id.example.com", false),
            ("notlocalhost", false),
            ("192.168.1.2:8080", false),
            ("[fd00::1]", false),
        ] {
            assert_eq!(is_this_machine(&host.parse().unwrap()), is_here, "{host}");
        }
    }
}
