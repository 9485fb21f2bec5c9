//! How often sign-ins failed of late, by network, and how often they did not, by account. In memory: a token cannot be guessed, so this bounds
//! only what strangers cost, and how much one member writes into the audit log. What is counted durably, for passwords, is left alone:
//! whoever has a wrong token in a tool must keep nobody from signing in elsewhere.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_domain::Timestamp;

/// Failures of one network (an IPv4 address, an IPv6 /48) within a minute, after which nothing is looked at.
const MOST: u32 = 60;
/// Sign-ins of one account within a minute. Each is written down.
const MOST_OF_ACCOUNT: u32 = 300;
/// The minute.
const WINDOW: Duration = Duration::from_secs(60);
/// Networks, or accounts, that are remembered before old ones are looked for.
const NETWORKS: usize = 10_000;

/// The network that is meant: an IPv4 address, or an IPv6 /48, which is what one customer of a provider has.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [one, two, three, ..] = ip.segments();
            Ipv6Addr::new(one, two, three, 0, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    times: u32,
}

/// Failures by network, or sign-ins by account.
pub(crate) struct Counts {
    most: u32,
    counts: Mutex<HashMap<String, Count>>,
}

impl Counts {
    /// Of failures by network.
    pub(crate) fn of_failures() -> Self {
        Self { most: MOST, counts: Mutex::default() }
    }

    /// Of sign-ins by account.
    pub(crate) fn of_sign_ins() -> Self {
        Self { most: MOST_OF_ACCOUNT, counts: Mutex::default() }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there were so many that the next one is not looked at.
    pub(crate) fn are_too_many(&self, of: &str, now: Timestamp) -> bool {
        let counts = self.counts();
        counts.get(of).is_some_and(|count| now.since(count.since) < WINDOW && count.times >= self.most)
    }

    /// Counts one more.
    pub(crate) fn count(&self, of: String, now: Timestamp) {
        let mut counts = self.counts();
        if counts.len() >= NETWORKS {
            counts.retain(|_, count| now.since(count.since) < WINDOW);
        }
        let count = counts.entry(of).or_insert(Count { since: now, times: 0 });
        if now.since(count.since) >= WINDOW {
            *count = Count { since: now, times: 0 };
        }
        count.times = count.times.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_fails_too_often_is_not_looked_at_for_a_minute() {
        let failures = Counts::of_failures();
        let now = Timestamp::from_seconds(1_700_000_000);
        for _ in 0..MOST {
            assert!(!failures.are_too_many("192.0.2.1", now));
            failures.count("192.0.2.1".to_owned(), now);
        }
        assert!(failures.are_too_many("192.0.2.1", now));
        assert!(!failures.are_too_many("192.0.2.2", now));
        let later = now.plus(WINDOW);
        assert!(!failures.are_too_many("192.0.2.1", later));
        failures.count("192.0.2.1".to_owned(), later);
        assert!(!failures.are_too_many("192.0.2.1", later));
    }

    #[test]
    fn a_network_is_an_address_or_a_site() {
        let network = |ip: &str| network(ip.parse().unwrap()).to_string();
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2::3"), "2001:db8:1::");
    }

    #[test]
    fn an_account_signs_in_so_often_within_a_minute() {
        let sign_ins = Counts::of_sign_ins();
        let now = Timestamp::from_seconds(1_700_000_000);
        for _ in 0..MOST_OF_ACCOUNT {
            assert!(!sign_ins.are_too_many("ada", now));
            sign_ins.count("ada".to_owned(), now);
        }
        assert!(sign_ins.are_too_many("ada", now));
        assert!(!sign_ins.are_too_many("bob", now) && !sign_ins.are_too_many("ada", now.plus(WINDOW)));
    }
}
