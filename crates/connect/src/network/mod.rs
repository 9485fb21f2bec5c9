//! Which addresses a source may be at, and the connection to one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpStream;

use crate::error::{SourceError, within};

pub(crate) mod dial;
pub(crate) mod tls;

/// The addresses that sources may be at. The default allows public ones only.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicy {
    /// Loopback and private networks too. Link-local addresses, among them that of cloud metadata, stay closed.
    pub allow_private: bool,
    /// Networks open whatever they are.
    pub allowed: Vec<IpNet>,
    /// Whether messages name the network that was refused, and how to open it: in development, where whoever asks is the operator.
    pub names_refused: bool,
}

impl NetworkPolicy {
    /// Whether a source may be at this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return true;
        }
        match kind(address) {
            Kind::Public => true,
            Kind::Private => self.allow_private,
            Kind::Closed => false,
        }
    }

    /// Looks a name up once and gives the allowed addresses, to which the connection is then made.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, SourceError> {
        let bare = bare_host(host)?;
        let found: Vec<SocketAddr> = match tokio::net::lookup_host((bare, port)).await {
            Ok(found) => found.collect(),
            Err(error) => return Err(self.out_of_bounds(format!("{bare} was not found: {error}"))),
        };
        let allowed: Vec<SocketAddr> =
            found.iter().copied().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() {
            return Err(self.out_of_bounds(refused(bare, &found)));
        }
        Ok(allowed)
    }

    /// Connects to the first allowed address that answers.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> Result<TcpStream, SourceError> {
        within(limit, "Connecting", async {
            let mut failure = SourceError::connection("The host has no address.");
            for address in self.resolve(host, port).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        let _ = stream.set_nodelay(true);
                        return Ok(stream);
                    }
                    Err(error) => {
                        failure = SourceError::connection("The server cannot be reached.").with_detail(error)
                    }
                }
            }
            Err(failure)
        })
        .await
    }

    /// There is no such host, or none where sources may be. The two are one answer: else a tenant would learn which names the operator's
    /// network has. The detail, which the operator's log shows, tells them apart.
    pub(crate) fn out_of_bounds(&self, detail: String) -> SourceError {
        let message = match self.names_refused {
            true => format!("{}.", detail.trim_end_matches('.')),
            false => "The host was not found, or is in a network that data sources may not be in.".to_owned(),
        };
        SourceError::connection(message).with_detail(detail)
    }
}

/// A host without the brackets of an address in a URL. What is no name and no address is refused: resolvers read what stands before a
/// blank as an address, and what follows a `%` as a part of one.
pub(crate) fn bare_host(host: &str) -> Result<&str, SourceError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '%');
    if bare.is_empty() || bare.len() > 255 || bare.contains(is_odd) {
        return Err(SourceError::connection("The host is not a name or an address."));
    }
    Ok(bare)
}

/// What the operator is told of a host that is where no source may be.
fn refused(host: &str, found: &[SocketAddr]) -> String {
    let Some(address) = found.first().map(|address| canonical(address.ip())) else {
        return format!("{host} has no address");
    };
    let place = match host.parse::<IpAddr>() {
        Ok(_) => format!("{address} is"),
        Err(_) => format!("{host} is at {address}, which is"),
    };
    let network = IpNet::from(address);
    match kind(address) {
        // Whoever opens this one opens the credentials of the machine: nothing that is advised.
        Kind::Closed => format!(
            "{place} link-local, the metadata address of a cloud, or one with another inside, where data sources may not be unless \
             data.allowed_networks names it"
        ),
        Kind::Public | Kind::Private => format!(
            "{place} in a network that data sources may not be in; add \"{network}\" to data.allowed_networks, and restart"
        ),
    }
}

enum Kind {
    Public,
    Private,
    Closed,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // "This" network, link-local (cloud metadata), multicast, reserved and broadcast; Alibaba's metadata address.
        (0 | 224..=255, ..) | (169, 254, _) => Kind::Closed,
        (100, 100, 100) => Kind::Closed,
        // Azure's platform, which answers its machines with their certificates at an address that looks public; Oracle's metadata.
        _ if matches!(address.octets(), [168, 63, 129, 16] | [192, 0, 0, 192]) => Kind::Closed,
        (127 | 10, ..) | (192, 168, _) | (172, 16..=31, _) => Kind::Private,
        // Carrier-grade NAT, IETF protocol assignments, documentation, benchmarks.
        (100, 64..=127, _) | (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            Kind::Private
        }
        _ => Kind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Kind {
    let [first, second, third, ..] = address.segments();
    // The metadata and credentials of Amazon's machines and containers, and of Google's, in networks that look private.
    if matches!((first, second), (0xfd00, 0xec2) | (0xfd20, 0xce)) || address.is_unspecified() {
        return Kind::Closed;
    }
    match first {
        0xfe80..=0xffff => Kind::Closed,
        0xfc00..=0xfdff => Kind::Private,
        _ if address.is_loopback() => Kind::Private,
        // NAT64 of a network's own and Teredo: an IPv4 address is inside, and where in it only that network knows. It may be a closed one.
        0x64 if second == 0xff9b && third == 1 => Kind::Closed,
        0x2001 if second == 0 => Kind::Closed,
        // Documentation: nothing a source is reached at from here.
        0x2001 if second == 0xdb8 => Kind::Private,
        // Outside of 2000::/3 nothing is assigned.
        0x2000..=0x3fff => Kind::Public,
        _ => Kind::Private,
    }
}

/// The IPv4 address inside an IPv6 one that leads to it: mapped, translated (RFC 2765), NAT64, 6to4.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) | (0, 0, 0, 0, 0xffff, 0) => v4(g, h),
        (0x2002, high, low, ..) => v4(high, low),
        // Deprecated "compatible" form; :: and ::1 are not of it.
        (0, 0, 0, 0, 0, 0) if g != 0 => v4(g, h),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_allowed_by_default() {
        let policy = NetworkPolicy::default();
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "::127.0.0.1",
            "4000::1",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "192.0.0.192",
        ] {
            assert!(!policy.allows(address.parse().unwrap()), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(policy.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn private_networks_can_be_opened_but_not_the_metadata_address() {
        let policy = NetworkPolicy { allow_private: true, ..NetworkPolicy::default() };
        for address in ["127.0.0.1", "10.1.2.3", "::1", "fc00::1"] {
            assert!(policy.allows(address.parse().unwrap()), "{address}");
        }
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "0.0.0.0",
            // The same inside of addresses that translators take.
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1::169.254.169.254",
            "2001:0:a9fe:a9fe::1",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!policy.allows(address.parse().unwrap()), "{address}");
        }
        let listed =
            NetworkPolicy { allowed: vec!["10.1.0.0/16".parse().unwrap()], ..NetworkPolicy::default() };
        assert!(listed.allows("10.1.2.3".parse().unwrap()));
        assert!(listed.allows("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!listed.allows("10.2.2.3".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let policy = NetworkPolicy::default();
        for host in ["localhost", "127.1", "0x7f.1", "[::1]", "2130706433"] {
            let refused = policy.connect(host, 5432, Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(refused.code, crate::ErrorCode::Connection, "{host}");
        }
        // A name that exists inside is answered like one that exists nowhere; the operator's log tells them apart.
        let inside = policy.resolve("localhost", 5432).await.unwrap_err();
        // Too long a label: no server is asked for it.
        let nowhere = policy.resolve(&format!("{}.example", "a".repeat(64)), 5432).await.unwrap_err();
        assert_eq!((inside.code, inside.message), (nowhere.code, nowhere.message));
        assert!(inside.detail.contains("127.0.0.1") || inside.detail.contains("::1"), "{}", inside.detail);
        assert!(nowhere.detail.contains("was not found"), "{}", nowhere.detail);
        for host in ["", "a b", "a/b", "a\nb", "127.0.0.1 x", "fe80::1%1", "::ffff:127.0.0.1%1"] {
            assert!(policy.resolve(host, 1).await.is_err());
        }
    }

    #[tokio::test]
    async fn the_operator_is_told_which_network_to_open_and_others_in_development_alone() {
        let said = "127.0.0.1 is in a network that data sources may not be in; \
                    add \"127.0.0.1/32\" to data.allowed_networks, and restart";
        let refused = NetworkPolicy::default().resolve("127.0.0.1", 5432).await.unwrap_err();
        assert_eq!(refused.detail, said);
        assert!(!refused.message.contains("127"), "{}", refused.message);
        let named = NetworkPolicy { names_refused: true, ..NetworkPolicy::default() };
        let refused = named.resolve("127.0.0.1", 5432).await.unwrap_err();
        assert_eq!((refused.message, refused.detail), (format!("{said}."), said.to_owned()));
        let by_name = named.resolve("localhost", 5432).await.unwrap_err();
        assert!(by_name.message.starts_with("localhost is at "), "{}", by_name.message);
        // Nobody is advised to open what holds the machine's own credentials.
        let closed = named.resolve("169.254.169.254", 80).await.unwrap_err();
        assert!(!closed.message.contains("add "), "{}", closed.message);
        // What is in an IPv6 address is what has to be opened.
        let mapped = named.resolve("::ffff:10.0.0.1", 80).await.unwrap_err();
        assert!(mapped.message.contains("\"10.0.0.1/32\""), "{}", mapped.message);
    }
}
