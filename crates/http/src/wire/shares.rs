//! Shares of what all clients use together, so that one client cannot take all of it.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// IPv6 networks in which a client's use is counted, and how many shares each has: one client has a /64, and may easily
/// have a /56 or a /48.
const IPV6_LEVELS: &[(u8, usize)] = &[(64, 1), (56, 2), (48, 4)];
/// The most shares of these.
const MOST_SHARES: usize = 4;
/// An IPv4 client is one address.
const IPV4_LEVELS: &[(u8, usize)] = &[(32, 1)];

/// What each network holds at the moment.
#[derive(Debug, Default)]
pub struct Shares {
    held: HashMap<IpNet, usize>,
}

impl Shares {
    /// Takes `amount` more for the client at `ip`, unless one of its networks would then hold more than its shares of
    /// `share` each.
    pub fn take(&mut self, ip: IpAddr, amount: usize, share: usize) -> bool {
        let holds = |network: &IpNet| self.held.get(network).copied().unwrap_or_default();
        let fits = networks(ip)
            .all(|(network, shares)| holds(&network).saturating_add(amount) <= share.saturating_mul(shares));
        if fits {
            for (network, _) in networks(ip) {
                *self.held.entry(network).or_default() += amount;
            }
        }
        fits
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, ip: IpAddr, amount: usize) {
        for (network, _) in networks(ip) {
            if let Some(held) = self.held.get_mut(&network) {
                *held = held.saturating_sub(amount);
                if *held == 0 {
                    self.held.remove(&network);
                }
            }
        }
    }

    /// How much the narrowest network of the client at `ip` holds.
    pub fn held_by(&self, ip: IpAddr) -> usize {
        networks(ip).next().and_then(|(network, _)| self.held.get(&network).copied()).unwrap_or_default()
    }

    /// What is left of a share of `whole` where `free` of `most` are: all of it while half of them are, then less with each that is taken, down
    /// to `least`. So many have to come from different networks to take all.
    pub fn scarce(whole: usize, least: usize, free: usize, most: usize) -> usize {
        let left = whole.saturating_mul(free).saturating_mul(2).checked_div(most).unwrap_or_default();
        whole.min(left.max(least))
    }

    /// How crowded the client at `ip` is: what the one of its networks holds that has most of it for its shares. To be compared with others.
    pub fn crowding(&self, ip: IpAddr) -> usize {
        let holds = |network: &IpNet| self.held.get(network).copied().unwrap_or_default();
        let of_all =
            networks(ip).map(|(network, shares)| holds(&network).saturating_mul(MOST_SHARES / shares.max(1)));
        of_all.max().unwrap_or_default()
    }

    /// Forgets everything that was taken.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

/// The networks of the client at `ip`, the narrowest first, each with its number of shares.
fn networks(ip: IpAddr) -> impl Iterator<Item = (IpNet, usize)> {
    let ip = ip.to_canonical();
    let levels = if ip.is_ipv4() { IPV4_LEVELS } else { IPV6_LEVELS };
    levels.iter().filter_map(move |(prefix, shares)| Some((IpNet::new(ip, *prefix).ok()?.trunc(), *shares)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv4_address_has_one_share_and_gives_back_what_it_took() {
        let mut shares = Shares::default();
        assert!(shares.take(ip("192.0.2.1"), 3, 4));
        assert!(!shares.take(ip("192.0.2.1"), 2, 4));
        assert!(!shares.take(ip("::ffff:192.0.2.1"), 2, 4), "a mapped address is the same client");
        assert!(shares.take(ip("192.0.2.2"), 4, 4));
        shares.give_back(ip("192.0.2.1"), 3);
        assert_eq!(shares.held_by(ip("192.0.2.1")), 0);
        assert!(shares.take(ip("192.0.2.1"), 4, 4));
    }

    #[test]
    fn an_ipv6_client_is_counted_in_all_its_networks() {
        let mut shares = Shares::default();
        assert!(shares.take(ip("2001:db8:0:0::1"), 4, 4));
        assert!(!shares.take(ip("2001:db8:0:0:ffff::2"), 1, 4), "the same /64");
        assert!(shares.take(ip("2001:db8:0:1::1"), 4, 4));
        assert!(!shares.take(ip("2001:db8:0:2::1"), 1, 4), "the /56 has two shares");
        assert!(shares.take(ip("2001:db8:0:100::1"), 4, 4));
        assert!(shares.take(ip("2001:db8:0:200::1"), 4, 4));
        assert!(!shares.take(ip("2001:db8:0:300::1"), 1, 4), "the /48 has four shares");
        assert!(shares.take(ip("2001:db8:1::1"), 4, 4));
    }

    #[test]
    fn a_crowd_is_what_a_network_holds_for_its_shares() {
        let mut shares = Shares::default();
        assert_eq!(shares.crowding(ip("192.0.2.1")), 0);
        assert!(
            IPV6_LEVELS.iter().chain(IPV4_LEVELS).all(|(_, of_level)| MOST_SHARES.is_multiple_of(*of_level))
        );
        for _ in 0..3 {
            shares.take(ip("192.0.2.1"), 1, usize::MAX);
        }
        // As many in a /64, in its /56, and in its /48.
        for client in ["2001:db8:0:0::1", "2001:db8:0:0::2", "2001:db8:0:0::3"] {
            shares.take(ip(client), 1, usize::MAX);
        }
        assert_eq!(shares.crowding(ip("2001:db8::4")), shares.crowding(ip("192.0.2.1")));
        // Others of the /56, each in a /64 of its own, count half.
        for client in ["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db8:0:4::1"] {
            shares.take(ip(client), 1, usize::MAX);
        }
        assert_eq!(shares.crowding(ip("2001:db8:0:1::1")), 14);
        assert_eq!(shares.crowding(ip("2001:db8:0:100::1")), 7, "the /48");
    }
}
