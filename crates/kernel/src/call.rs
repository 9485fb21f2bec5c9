//! Who is calling, and through which contract.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_domain::ContractProfile;
use tidegate_domain::id::{AccountId, OrganizationId};

use crate::Actor;

/// What is known of a request whoever makes it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The contract it came through.
    pub profile: Arc<ContractProfile>,
    /// The client's address, behind trusted proxies; unspecified (`0.0.0.0`) where this program acts on its own.
    pub ip: IpAddr,
    /// The client's program, cut to a length worth storing.
    pub user_agent: String,
    /// Who is signed in; none for a request without a valid access token. It grants nothing: it is for counting.
    pub causer: Option<Causer>,
}

/// Whom the messages and audit events of a request are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causer {
    /// The account.
    pub account: AccountId,
    /// The organization it is signed in to.
    pub organization: OrganizationId,
}

impl From<&Actor> for Causer {
    fn from(actor: &Actor) -> Self {
        Self { account: actor.session.account, organization: actor.session.organization }
    }
}

/// A network that is counted, and how many times the limit of one client it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CountedNetwork {
    /// In its usual spelling.
    pub name: String,
    /// Factor on the limit.
    pub times: u32,
}

/// How an IPv6 client is counted: length of the prefix, and factor on the limit. Providers hand out a /64 to a link, a /56
/// to a home and a /48 to a site (RFC 6177); whoever holds the wider one is still one client.
const PREFIXES: [(u32, u32); 3] = [(64, 1), (56, 4), (48, 16)];

impl Call {
    /// The narrowest network that one client controls: an IPv4 address, or an IPv6 /64. Limits count
    /// [more](Self::networks) than that one.
    pub fn network(&self) -> String {
        network(self.ip)
    }

    /// Every network the client is counted by, narrowest first; none where this program acts on its own.
    pub(crate) fn networks(&self) -> Vec<CountedNetwork> {
        networks(self.ip)
    }
}

pub(crate) fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => prefix(ip.to_bits(), 64),
    }
}

fn networks(ip: IpAddr) -> Vec<CountedNetwork> {
    match ip.to_canonical() {
        ip if ip.is_unspecified() => Vec::new(),
        IpAddr::V4(ip) => vec![CountedNetwork { name: ip.to_string(), times: 1 }],
        IpAddr::V6(ip) => PREFIXES
            .map(|(length, times)| CountedNetwork { name: prefix(ip.to_bits(), length), times })
            .to_vec(),
    }
}

fn prefix(bits: u128, length: u32) -> String {
    let base = bits & !(u128::MAX >> length);
    format!("{}/{length}", std::net::Ipv6Addr::from_bits(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_client_and_mapped_addresses_are_ipv4() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn an_ipv6_client_is_counted_by_the_networks_around_it_too() {
        let of = |text: &str| networks(text.parse().unwrap());
        let named = |name: &str, times| CountedNetwork { name: name.to_owned(), times };
        assert_eq!(
            of("2001:db8:1:2ff::9"),
            [named("2001:db8:1:2ff::/64", 1), named("2001:db8:1:200::/56", 4), named("2001:db8:1::/48", 16)]
        );
        assert_eq!(of("192.0.2.1"), [named("192.0.2.1", 1)]);
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("0.0.0.0"), []);
    }
}
