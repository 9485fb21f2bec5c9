//! Connections whose clients have not signed in: they have room as long as nobody else needs it.
//!
//! Whoever connects and says nothing would keep a place of the listener until `sign_in_timeout`, and a few networks of them all of its places.
//! So where there is no room, the one that has waited longest is sent away, of the network that has most of them: a client whose network
//! has no other signs in meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// The network that a stranger counts for: an IPv4 address, or an IPv6 /48, which is what one customer of a provider has.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [one, two, three, ..] = ip.segments();
            Ipv6Addr::new(one, two, three, 0, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

/// Those that are connected now.
#[derive(Default)]
pub struct Strangers {
    known: Mutex<Known>,
    /// Told when one that was sent away had signed in meanwhile.
    stayed: Notify,
}

#[derive(Default)]
struct Known {
    /// The next one's number: who came first has the least.
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    network: IpAddr,
    _here: oneshot::Sender<()>,
}

/// One of them, until it is dropped.
pub struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
    gone: oneshot::Receiver<()>,
}

impl Strangers {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub fn enter(self: &Arc<Self>, ip: IpAddr) -> Stranger {
        let (here, gone) = oneshot::channel();
        let mut known = self.known();
        let number = known.next;
        known.next += 1;
        known.waiting.insert(number, Waiting { network: network(ip), _here: here });
        Stranger { strangers: Arc::clone(self), number, gone }
    }

    /// Sends one away, if there is one.
    pub fn send_one_away(&self) {
        let mut known = self.known();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for waiting in known.waiting.values() {
            *counts.entry(waiting.network).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let has_most = |waiting: &Waiting| counts.get(&waiting.network).is_some_and(|count| *count == most);
        let first = known.waiting.iter().find(|(_, waiting)| has_most(waiting)).map(|(number, _)| *number);
        if let Some(number) = first {
            known.waiting.remove(&number);
        }
    }

    /// Ends when one that was sent away stays, because it had signed in by then: whoever waits for its place has to send away another.
    pub async fn one_stayed(&self) {
        self.stayed.notified().await;
    }
}

impl Stranger {
    /// Is none any more: whoever has signed in stays.
    pub(crate) fn signed_in(self) {
        let is_sent_away = self.strangers.known().waiting.remove(&self.number).is_none();
        if is_sent_away {
            self.strangers.stayed.notify_one();
        }
    }

    /// Ends when it is sent away.
    pub(crate) async fn sent_away(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _ = (&mut self.gone).await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.known().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_gone(stranger: &mut Stranger) -> bool {
        stranger.gone.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn who_waits_longest_in_the_largest_crowd_goes_first() {
        let strangers = Arc::new(Strangers::default());
        let mut alone = strangers.enter(ip("198.51.100.7"));
        // Of one /48.
        let mut crowd: Vec<Stranger> =
            (0..3).map(|number| strangers.enter(ip(&format!("2001:db8:0:{number}::1")))).collect();
        strangers.send_one_away();
        assert!(is_gone(&mut crowd[0]) && !is_gone(&mut crowd[1]) && !is_gone(&mut alone));
        strangers.send_one_away();
        assert!(is_gone(&mut crowd[1]) && !is_gone(&mut crowd[2]) && !is_gone(&mut alone));
        // As many of each: the first to come.
        strangers.send_one_away();
        assert!(is_gone(&mut alone) && !is_gone(&mut crowd[2]));
        strangers.send_one_away();
        assert!(is_gone(&mut crowd[2]));
        strangers.send_one_away();
        assert!(strangers.known().waiting.is_empty());
    }

    #[test]
    fn who_signs_in_is_no_stranger_any_more() {
        let strangers = Arc::new(Strangers::default());
        let (one, mut other) = (strangers.enter(ip("192.0.2.1")), strangers.enter(ip("192.0.2.1")));
        one.signed_in();
        strangers.send_one_away();
        assert!(is_gone(&mut other));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(network(ip("2001:db8:1:2::3")), ip("2001:db8:1::"));
    }

    #[tokio::test]
    async fn who_signs_in_while_it_is_sent_away_stays_and_that_is_told() {
        let strangers = Arc::new(Strangers::default());
        let (one, mut other) = (strangers.enter(ip("192.0.2.1")), strangers.enter(ip("192.0.2.1")));
        strangers.send_one_away();
        one.signed_in();
        strangers.one_stayed().await;
        strangers.send_one_away();
        assert!(is_gone(&mut other));
        // Who is sent away and leaves gives its place back itself.
        drop(other);
        tokio::select! {
            biased;
            () = strangers.one_stayed() => panic!("nobody stayed"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn it_is_told_when_it_is_sent_away() {
        let strangers = Arc::new(Strangers::default());
        let mut stranger = strangers.enter(ip("192.0.2.1"));
        strangers.send_one_away();
        stranger.sent_away().await;
    }
}
