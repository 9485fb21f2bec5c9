//! Who is calling, from where, and under which rules.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_domain::{ContractProfile, Origin};

use crate::Settings;

/// What is known of a call, whatever it comes from.
///
/// Each origin has a constructor of its own and there is no other way to make one: nothing that is not a contract's
/// endpoint can say that it is.
#[derive(Clone, Debug)]
pub struct Call {
    origin: Origin,
    /// The rules in force: password rule, lifetimes, limits. A contract's own for its endpoints; elsewhere those that the
    /// caller states.
    pub profile: Arc<ContractProfile>,
    /// The client's address, behind trusted proxies. None where there is no client: the command line and workers.
    pub ip: Option<IpAddr>,
    /// The client's program, cut to a length worth storing.
    pub user_agent: String,
}

impl Call {
    /// A request to an endpoint of the profile's contract.
    pub fn to_contract(profile: Arc<ContractProfile>, ip: IpAddr, user_agent: String) -> Self {
        Self { origin: Origin::Contract(profile.contract), profile, ip: Some(ip), user_agent }
    }

    /// A request to a hosted page, under the installation's rules until it is known which contract's link it brings: see
    /// [`Call::under`].
    pub fn to_page(settings: &Settings, ip: IpAddr, user_agent: String) -> Self {
        let profile = Arc::new(settings.contracts.of_installation());
        Self { origin: Origin::Page, profile, ip: Some(ip), user_agent }
    }

    /// A command of the operator's, under the rules that the command states.
    pub fn from_cli(profile: ContractProfile) -> Self {
        let user_agent = "tidegate-cli".to_owned();
        Self { origin: Origin::Cli, profile: Arc::new(profile), ip: None, user_agent }
    }

    /// What a worker does on its own, under the rules of the contract whose data it works on.
    pub fn from_worker(profile: Arc<ContractProfile>) -> Self {
        Self { origin: Origin::Worker, profile, ip: None, user_agent: "tidegate".to_owned() }
    }

    /// Where it comes from.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The same call under other rules: those of the contract that sent what it answers. Its origin stays what it is.
    #[must_use]
    pub fn under(&self, profile: &Arc<ContractProfile>) -> Self {
        Self { profile: Arc::clone(profile), ..self.clone() }
    }

    /// The client's address as it is stored and shown; empty where there is no client.
    pub fn ip_text(&self) -> String {
        self.ip.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// The part of the address that one client controls: IPv6 networks hand out a /64 each. Calls without a client share
    /// one.
    pub fn network(&self) -> String {
        self.ip.map_or_else(|| "none".to_owned(), network)
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
