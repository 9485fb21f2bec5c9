//! Who is calling, from where, and under which rules.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{ContractId, ContractProfile, LanguageTag, Languages, Origin};

use crate::caller::actor::Actor;
use crate::{Fault, Settings};

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
    /// The client's `Accept-Language`, cut to a length worth reading; empty where there is none.
    pub accept_language: String,
    /// Who is signed in; none for a request without a valid access token. It grants nothing: it is for counting.
    pub causer: Option<Causer>,
    /// Whether it came by a method that is to have no effects.
    is_look: bool,
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
        let grant = actor.grant();
        Self { account: grant.account(), organization: grant.organization() }
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
/// to a home and a /48 to a site (RFC 6177); the holder of the wider one is still one client.
const PREFIXES: [(u32, u32); 3] = [(64, 1), (56, 4), (48, 16)];

impl Call {
    fn new(origin: Origin, profile: Arc<ContractProfile>, ip: Option<IpAddr>, user_agent: String) -> Self {
        Self { origin, profile, ip, user_agent, accept_language: String::new(), causer: None, is_look: false }
    }

    /// The same call of a client that prefers these languages.
    #[must_use]
    pub fn accepting(self, accept_language: String) -> Self {
        Self { accept_language, ..self }
    }

    /// The same call by a method that is to have no effects (RFC 9110 section 9.2.1): it begins no unit of work that writes.
    #[must_use]
    pub fn looking(self) -> Self {
        Self { is_look: true, ..self }
    }

    /// Refuses a call that only looks where a use case is about to act.
    ///
    /// # Errors
    /// [`Fault::Internal`]: an endpoint that acts for a safe method without saying so is a defect.
    pub fn ensure_may_act(&self) -> Result<(), Fault> {
        if self.is_look {
            let text = "a request by a safe method reached a use case that acts; its endpoint does not say that it acts";
            return Err(Fault::Internal(text.to_owned()));
        }
        Ok(())
    }

    /// The language the client asks for; none where it asks for none that there is.
    pub fn language<'l>(&self, languages: &'l Languages) -> Option<&'l LanguageTag> {
        languages.preferred(&self.accept_language)
    }

    /// A request to an endpoint of the profile's contract.
    pub fn to_contract(profile: Arc<ContractProfile>, ip: IpAddr, user_agent: String) -> Self {
        Self::new(Origin::Contract(profile.contract), profile, Some(ip), user_agent)
    }

    /// A request to a hosted page, under the installation's rules until it is known which contract's link it brings: see
    /// [`Call::under`].
    pub fn to_page(settings: &Settings, ip: IpAddr, user_agent: String) -> Self {
        let profile = Arc::new(settings.contracts.of_installation());
        Self::new(Origin::Page, profile, Some(ip), user_agent)
    }

    /// A request of a browser to the hosted sign-in, under the rules for that.
    pub fn from_browser(settings: &Settings, ip: IpAddr, user_agent: String) -> Self {
        Self::new(Origin::Page, Arc::clone(&settings.browser), Some(ip), user_agent)
    }

    /// A request to the OAuth endpoints.
    pub fn to_oauth(settings: &Settings, ip: IpAddr, user_agent: String) -> Self {
        Self::new(Origin::OAuth, Arc::clone(&settings.oauth.profile), Some(ip), user_agent)
    }

    /// A connection that speaks PostgreSQL's protocol, under the rules of the contract that governed data belong to.
    pub fn to_postgres(settings: &Settings, ip: IpAddr, program: String) -> Self {
        let profile = settings.profile(ContractId::RIVERGEN).clone();
        Self::new(Origin::Postgres, profile, Some(ip), program)
    }

    /// A command of the operator's, under the rules that the command states.
    pub fn from_cli(profile: ContractProfile) -> Self {
        Self::new(Origin::Cli, Arc::new(profile), None, "tidegate-cli".to_owned())
    }

    /// What a worker does on its own, under the rules of the contract whose data it works on.
    pub fn from_worker(profile: Arc<ContractProfile>) -> Self {
        Self::new(Origin::Worker, profile, None, "tidegate".to_owned())
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

    /// The same call as a client at that address would make it: to name what is counted of that client, not to act in its name.
    #[must_use]
    pub(crate) fn as_from(&self, ip: IpAddr) -> Self {
        Self { ip: Some(ip), ..self.clone() }
    }

    /// The same call, counted for the signed-in account besides.
    #[must_use]
    pub fn caused_by(self, causer: Causer) -> Self {
        Self { causer: Some(causer), ..self }
    }

    /// The client's address as it is stored and shown; empty where there is no client.
    pub fn ip_text(&self) -> String {
        self.ip.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// The narrowest network that one client controls: an IPv4 address, or an IPv6 /64. Limits count
    /// [more](Self::networks) than that one. Calls without a client share one.
    pub fn network(&self) -> String {
        self.ip.map_or_else(|| "none".to_owned(), network)
    }

    /// The widest network that the client is counted by: an IPv4 address, or an IPv6 /48. None where there is no client.
    pub fn widest_network(&self) -> Option<String> {
        self.networks().pop().map(|network| network.name)
    }

    /// Every network the client is counted by, narrowest first; none where this program acts on its own.
    pub(crate) fn networks(&self) -> Vec<CountedNetwork> {
        self.ip.map(networks).unwrap_or_default()
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
