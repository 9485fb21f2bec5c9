//! Who is calling, and through which contract.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_domain::ContractProfile;

/// What is known of a request whoever makes it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The contract it came through.
    pub profile: Arc<ContractProfile>,
    /// The client's address, behind trusted proxies.
    pub ip: IpAddr,
    /// The client's program, cut to a length worth storing.
    pub user_agent: String,
}

impl Call {
    /// The part of the address that one client controls: IPv6 networks hand out a /64 each.
    pub fn network(&self) -> String {
        network(self.ip)
    }
}

pub(crate) fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
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
}
