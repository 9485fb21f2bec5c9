//! Which addresses a provider may be at: a discovery document names further addresses, and must not have this server call
//! machines that only it can reach (server-side request forgery).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On the internet: https, at public addresses.
    Internet,
    /// On the operator's own network, too: https.
    PrivateNetwork,
    /// On this machine, for development and tests: also without https.
    ThisMachine,
}

impl Reach {
    /// Of a provider that the operator configured at `url`.
    pub(crate) fn of(url: &Url, is_private: bool) -> Self {
        match url.host() {
            Some(Host::Domain("localhost")) => Self::ThisMachine,
            Some(Host::Ipv4(ip)) if ip.is_loopback() => Self::ThisMachine,
            Some(Host::Ipv6(ip)) if ip.is_loopback() => Self::ThisMachine,
            _ if is_private => Self::PrivateNetwork,
            _ => Self::Internet,
        }
    }

    /// Whether a request may be sent to `url`, as far as that can be told without looking its name up.
    pub(crate) fn admits(self, url: &Url) -> bool {
        let is_encrypted = url.scheme() == "https" || (url.scheme() == "http" && self == Self::ThisMachine);
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_fit = match url.host() {
            Some(Host::Domain(name)) => (name == "localhost") == (self == Self::ThisMachine),
            Some(Host::Ipv4(ip)) => self.admits_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.admits_address(ip.into()),
            None => false,
        };
        is_encrypted && is_bare && is_fit
    }

    pub(crate) fn admits_address(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self {
            Self::ThisMachine => ip.is_loopback(),
            Self::Internet => is_public(ip),
            // Not what clouds answer their machines' credentials at.
            Self::PrivateNetwork => is_public(ip) || is_private(ip),
        }
    }
}

/// Looks names up, and leaves out addresses that are not to be called. The connection is made to what was checked: a name that
/// is looked up again could have another address by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver(pub(crate) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> = found.filter(|found| reach.admits_address(found.ip())).collect();
            if admitted.is_empty() {
                let text = "the name leads to no address that may be called";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

const fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback(),
    }
}

/// RFC 6598.
const fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

/// Whether everybody can reach it (IANA special-purpose address registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || is_shared(ip)
        || a == 0
        || a >= 240
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18);
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, .., g, h] = ip.segments();
    let embedded = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match (a, b) {
        // NAT64 (RFC 6052) leads to an IPv4 address; that of a network's own (RFC 8215) to wherever the network likes.
        (0x64, 0xff9b) => c == 0 && is_public_v4(embedded),
        // 6to4, Teredo and the rest of 2001::/23, documentation.
        (0x2002, _) | (0x2001, 0..=0x1ff) | (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // Global unicast.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_provider_on_the_internet_is_called_at_public_addresses_over_https() {
        for fine in ["https://accounts.example.com/token", "https://8.8.8.8", "https://[2606:4700::1]/x"] {
            assert!(Reach::Internet.admits(&url(fine)), "{fine}");
        }
        for wrong in [
            "http://accounts.example.com",
            "https://localhost",
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://10.0.0.1",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1",
            "https://192.168.0.1",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[64:ff9b::a00:1]",
            "https://[64:ff9b:1::808:808]",
            "https://[2002:a00:1::]",
            "https://user:password@accounts.example.com",
            "ftp://accounts.example.com",
        ] {
            assert!(!Reach::Internet.admits(&url(wrong)), "{wrong}");
        }
    }

    #[test]
    fn a_private_network_is_the_operators_choice_and_has_no_metadata_service() {
        for fine in ["https://10.0.0.1", "https://[fd00::1]", "https://sso.corp.example"] {
            assert!(Reach::PrivateNetwork.admits(&url(fine)), "{fine}");
        }
        for wrong in ["http://10.0.0.1", "https://169.254.169.254", "https://[fe80::1]", "https://localhost"]
        {
            assert!(!Reach::PrivateNetwork.admits(&url(wrong)), "{wrong}");
        }
    }

    #[test]
    fn only_a_provider_configured_on_this_machine_is_called_there() {
        assert_eq!(Reach::of(&url("http://127.0.0.1:4000"), false), Reach::ThisMachine);
        assert_eq!(Reach::of(&url("https://id.example.com"), false), Reach::Internet);
        assert_eq!(Reach::of(&url("https://id.example.com"), true), Reach::PrivateNetwork);
        assert!(Reach::ThisMachine.admits(&url("http://127.0.0.1:4000/token")));
        assert!(!Reach::ThisMachine.admits(&url("https://accounts.example.com")));
    }
}
