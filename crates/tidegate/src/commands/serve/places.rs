//! Places of a listener: how many connections there are at most, and which of them gives way where there is no place left.
//!
//! An idle connection keeps its place as long as nobody else needs it. Where all places are taken, the one that has been idle for longest is
//! closed, of the network that has most idle ones: a few networks that hold all places keep no client of another network out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_http::Shares;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep};

/// Where all places are held by connections that are busy: how soon an idle one is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Connections that a network may have however few places are left: as many as a browser opens, and some.
const LEAST_SHARE: usize = 8;

/// Whether a connection can be done without.
pub(super) trait Idle: Send + Sync {
    /// Since when nothing is done on it. None: something is.
    fn idle_since(&self) -> Option<Instant>;
}

/// One on which nothing is done from its beginning on, until it [stays](Guest::stays).
impl Idle for Instant {
    fn idle_since(&self) -> Option<Instant> {
        Some(*self)
    }
}

/// The places of one listener.
pub(super) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    /// What each network holds, whatever is done on it.
    shares: Mutex<Shares>,
    guests: Mutex<Guests>,
    /// Told when one that was sent away stays.
    stayed: Notify,
}

/// One place, until it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// Those who give way when they are idle.
#[derive(Default)]
struct Guests {
    /// The next one's number: who came first has the least.
    next: u64,
    present: HashMap<u64, Present>,
}

struct Present {
    /// None: of a trusted proxy, and so of many clients.
    client: Option<IpAddr>,
    idle: Arc<dyn Idle>,
    _here: oneshot::Sender<()>,
}

/// A connection that gives way, until it is dropped.
pub(super) struct Guest {
    places: Arc<Places>,
    number: u64,
}

/// Told to a guest when it is to go.
pub(super) struct SentAway(oneshot::Receiver<()>);

/// A connection's part of its network's share, until it is dropped.
pub(super) struct Share {
    places: Arc<Places>,
    client: IpAddr,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let most = most.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            shares: Mutex::default(),
            guests: Mutex::default(),
            stayed: Notify::new(),
        })
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of a client whose network may have `share`; none where it has as many already.
    pub(super) fn share(self: &Arc<Self>, client: IpAddr, share: usize) -> Option<Share> {
        let is_taken = self.shares().take(client, 1, share);
        is_taken.then(|| Share { places: Arc::clone(self), client })
    }

    /// What is left of a share of `whole` connections as places get scarce: all of it while half of the places are free, then less with each
    /// that is taken.
    pub(super) fn scarce(&self, whole: usize) -> usize {
        Shares::scarce(whole.min(self.most), LEAST_SHARE, self.free.available_permits(), self.most)
    }

    /// A place. One that is idle gives way if it has to; none where all are busy.
    pub(super) async fn take(&self) -> Option<Place> {
        loop {
            if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
                return Some(place);
            }
            if !self.send_one_away() {
                return None;
            }
            tokio::select! {
                place = Arc::clone(&self.free).acquire_owned() => return place.ok(),
                // Its place was not given back: another gives way.
                () = self.stayed.notified() => {}
            }
        }
    }

    /// A place, as soon as there is one or a connection that is idle.
    pub(super) async fn wait(&self) -> Place {
        loop {
            if let Some(place) = self.take().await {
                return place;
            }
            tokio::select! {
                Ok(place) = Arc::clone(&self.free).acquire_owned() => return place,
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// One more that gives way when it is idle. `client` is its address, unless it is that of a trusted proxy.
    pub(super) fn enter(self: &Arc<Self>, client: Option<IpAddr>, idle: Arc<dyn Idle>) -> (Guest, SentAway) {
        let (here, gone) = oneshot::channel();
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.present.insert(number, Present { client, idle, _here: here });
        (Guest { places: Arc::clone(self), number }, SentAway(gone))
    }

    /// Sends one away, if one is idle.
    fn send_one_away(&self) -> bool {
        let mut guests = self.guests();
        let (mut idle, mut held) = (Vec::new(), Shares::default());
        for (number, guest) in &guests.present {
            let Some(since) = guest.idle.idle_since() else { continue };
            if let Some(client) = guest.client {
                held.take(client, 1, usize::MAX);
            }
            idle.push((*number, guest.client, since));
        }
        // Those of a proxy go last: any client's request may be on its way on them.
        let first = idle.into_iter().max_by_key(|(number, client, since)| {
            (client.map(|client| held.crowding(client)), Reverse(*since), Reverse(*number))
        });
        first.is_some_and(|(number, ..)| guests.present.remove(&number).is_some())
    }
}

impl Guest {
    /// Gives way no more. If it was sent away already, whoever waits for its place sends away another.
    pub(super) fn stays(self) {
        let is_sent_away = self.places.guests().present.remove(&self.number).is_none();
        if is_sent_away {
            self.places.stayed.notify_one();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.places.guests().present.remove(&self.number);
    }
}

impl SentAway {
    /// Ends when the guest is sent away.
    pub(super) async fn told(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.places.shares().give_back(self.client, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// One that comes in and is idle.
    fn enter(places: &Arc<Places>, client: &str) -> (Guest, SentAway) {
        places.enter(Some(ip(client)), Arc::new(Instant::now()))
    }

    fn is_gone((_, gone): &mut (Guest, SentAway)) -> bool {
        gone.0.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn who_is_idle_for_longest_in_the_largest_crowd_goes_first() {
        let places = Places::new(0);
        let mut alone = enter(&places, "198.51.100.7");
        // Of one /56, whose two shares they are more than.
        let mut crowd: Vec<_> =
            (0..3).map(|number| enter(&places, &format!("2001:db8:0:{number}::1"))).collect();
        assert!(places.send_one_away());
        assert!(is_gone(&mut crowd[0]) && !is_gone(&mut crowd[1]) && !is_gone(&mut alone));
        // As many of each, by their shares: the first to come.
        assert!(places.send_one_away());
        assert!(is_gone(&mut alone) && !is_gone(&mut crowd[1]));
        assert!(places.send_one_away() && places.send_one_away());
        assert!(is_gone(&mut crowd[1]) && is_gone(&mut crowd[2]));
        assert!(!places.send_one_away(), "nobody is left");
    }

    #[test]
    fn many_links_of_one_site_are_a_crowd_and_a_proxys_connections_go_last() {
        let places = Places::new(0);
        let mut proxy = places.enter(None, Arc::new(Instant::now()));
        let mut pair = [enter(&places, "192.0.2.1"), enter(&places, "192.0.2.1")];
        // Each of another /56: nine are more than two shares of a /48, which has four.
        let mut site: Vec<_> =
            (1..=9).map(|number| enter(&places, &format!("2001:db8:0:{number}00::1"))).collect();
        assert!(places.send_one_away());
        assert!(is_gone(&mut site[0]) && !is_gone(&mut pair[0]) && !is_gone(&mut proxy));
        for _ in 0..10 {
            assert!(!is_gone(&mut proxy) && places.send_one_away());
        }
        assert!(places.send_one_away() && is_gone(&mut proxy));
    }

    struct Switch(AtomicBool, Instant);

    impl Idle for Switch {
        fn idle_since(&self) -> Option<Instant> {
            self.0.load(Ordering::Relaxed).then_some(self.1)
        }
    }

    #[tokio::test]
    async fn who_is_busy_is_never_sent_away() {
        let places = Places::new(1);
        let held = places.take().await.unwrap();
        let busy = Arc::new(Switch(AtomicBool::new(false), Instant::now()));
        let mut guest = places.enter(Some(ip("192.0.2.1")), Arc::clone(&busy) as Arc<dyn Idle>);
        assert!(places.take().await.is_none() && !is_gone(&mut guest));
        busy.0.store(true, Ordering::Relaxed);
        let leaves = async {
            guest.1.told().await;
            drop(held);
        };
        let ((), place) = tokio::join!(leaves, places.wait());
        drop(place);
        assert!(places.take().await.is_some());
    }

    #[tokio::test]
    async fn who_stays_while_it_is_sent_away_is_not_waited_for() {
        let places = Places::new(2);
        let (one, other) = (places.take().await.unwrap(), places.take().await.unwrap());
        let (mut first, mut second) = (enter(&places, "192.0.2.1"), enter(&places, "192.0.2.1"));
        let leave = async {
            first.1.told().await;
            first.0.stays();
            second.1.told().await;
            drop(other);
        };
        let ((), place) = tokio::join!(leave, places.take());
        assert!(place.is_some());
        drop((one, place));
        // Who stays gives way no more, and neither does who is gone.
        drop(second);
        assert!(!places.send_one_away());
    }

    #[tokio::test]
    async fn a_share_shrinks_as_places_get_scarce() {
        let places = Places::new(64);
        assert_eq!((places.scarce(32), places.scarce(4), places.scarce(1_000)), (32, 4, 64));
        let held = Arc::clone(&places.free).acquire_many_owned(32).await.unwrap();
        assert_eq!(places.scarce(32), 32, "half of the places are free");
        let more = Arc::clone(&places.free).acquire_many_owned(16).await.unwrap();
        assert_eq!((places.scarce(32), places.scarce(4)), (16, 4));
        let rest = Arc::clone(&places.free).acquire_many_owned(16).await.unwrap();
        assert_eq!((places.scarce(32), places.scarce(4)), (LEAST_SHARE, 4));
        drop((held, more, rest));
        assert_eq!(places.scarce(32), 32);
    }

    #[test]
    fn a_network_has_its_share_whatever_its_connections_do() {
        let places = Places::new(8);
        let (one, two) = (places.share(ip("192.0.2.1"), 2), places.share(ip("::ffff:192.0.2.1"), 2));
        assert!(one.is_some() && two.is_some());
        assert!(places.share(ip("192.0.2.1"), 2).is_none() && places.share(ip("192.0.2.2"), 2).is_some());
        drop(one);
        assert!(places.share(ip("192.0.2.1"), 2).is_some());
    }
}
