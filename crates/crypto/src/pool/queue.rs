//! The order in which passwords are hashed: one turn for each party before a second turn for any.

use std::collections::{HashMap, VecDeque};

use super::Requester;

/// A keyed hash of a network or an account.
type PartyKey = [u8; 32];

/// How many jobs of the priority lane are taken before a job of the ordinary lane that waits.
const PRIORITY_IN_A_ROW: usize = 3;
/// The part of the queue that the priority lane cannot take from the ordinary one: a quarter.
const ORDINARY_SHARE: usize = 4;

/// Which lane a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// For networks with a recent successful sign-in.
    Priority,
    /// For all others.
    Ordinary,
}

/// A bounded queue that its parties share.
///
/// Each party has a line, and the lines of a lane are served round robin: a party with one job waits for one job of each
/// other party, however many those have. A full queue drops the newest job of the longest line, so that a party that asks
/// for much displaces its own jobs and not those of a party that asks for little.
pub(super) struct FairQueue<T> {
    capacity: usize,
    arrivals: u64,
    priority: Lines<T>,
    ordinary: Lines<T>,
    /// Jobs taken from the priority lane since the ordinary lane had its turn.
    priority_in_a_row: usize,
    /// Waiting jobs by network and by account, whichever line they are in.
    waiting: HashMap<PartyKey, usize>,
}

/// The lines of one lane.
struct Lines<T> {
    lines: HashMap<PartyKey, VecDeque<Waiting<T>>>,
    /// The lines with jobs, the next to be served first.
    turns: VecDeque<PartyKey>,
    length: usize,
}

struct Waiting<T> {
    arrival: u64,
    requester: Requester,
    job: T,
}

impl<T> FairQueue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            arrivals: 0,
            priority: Lines::new(),
            ordinary: Lines::new(),
            priority_in_a_row: 0,
            waiting: HashMap::new(),
        }
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.priority.length + self.ordinary.length
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Adds a job. Answers the job that is dropped for it when the queue is full, which may be the new one.
    pub(super) fn push(&mut self, requester: Requester, lane: Lane, job: T) -> Option<T> {
        self.arrivals += 1;
        let line = self.line_of(&requester);
        for key in requester.parties() {
            *self.waiting.entry(key).or_default() += 1;
        }
        let waiting = Waiting { arrival: self.arrivals, requester, job };
        self.lane(lane).push(line, waiting);
        if self.len() <= self.capacity {
            return None;
        }
        let crowded = self.crowded_lane();
        let dropped = self.lane(crowded).drop_newest_of_longest()?;
        Some(self.left(dropped))
    }

    /// Takes the job whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let ordinary_is_due = self.priority_in_a_row >= PRIORITY_IN_A_ROW && self.ordinary.length > 0;
        let taken = if self.priority.length == 0 || ordinary_is_due {
            self.priority_in_a_row = 0;
            self.ordinary.pop()
        } else {
            self.priority_in_a_row += 1;
            self.priority.pop()
        }?;
        Some(self.left(taken))
    }

    /// Removes the jobs that `is_wanted` denies.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&T) -> bool) {
        for lane in [&mut self.priority, &mut self.ordinary] {
            for gone in lane.remove(|job| !is_wanted(job)) {
                leave(&mut self.waiting, &gone);
            }
        }
    }

    /// The line of whichever of its parties has more jobs waiting: neither one account on many networks nor one network
    /// with many accounts is many parties.
    fn line_of(&self, requester: &Requester) -> PartyKey {
        let waiting = |key: &PartyKey| self.waiting.get(key).copied().unwrap_or(0);
        match requester.account {
            Some(account) if waiting(&account) >= waiting(&requester.network) => account,
            _ => requester.network,
        }
    }

    /// The lane with the longest line. Of two equal ones the ordinary lane, unless it has no more than its share.
    fn crowded_lane(&self) -> Lane {
        let (priority, ordinary) = (self.priority.longest(), self.ordinary.longest());
        let ordinary_has_more = self.ordinary.length > self.capacity / ORDINARY_SHARE;
        if ordinary > priority || (ordinary == priority && ordinary_has_more) {
            Lane::Ordinary
        } else {
            Lane::Priority
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Lines<T> {
        match lane {
            Lane::Priority => &mut self.priority,
            Lane::Ordinary => &mut self.ordinary,
        }
    }

    fn left(&mut self, gone: Waiting<T>) -> T {
        leave(&mut self.waiting, &gone);
        gone.job
    }
}

fn leave<T>(waiting: &mut HashMap<PartyKey, usize>, gone: &Waiting<T>) {
    for key in gone.requester.parties() {
        if let Some(count) = waiting.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&key);
            }
        }
    }
}

impl<T> Lines<T> {
    fn new() -> Self {
        Self { lines: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }

    fn push(&mut self, key: PartyKey, waiting: Waiting<T>) {
        let line = self.lines.entry(key).or_default();
        if line.is_empty() {
            self.turns.push_back(key);
        }
        line.push_back(waiting);
        self.length += 1;
    }

    fn pop(&mut self) -> Option<Waiting<T>> {
        let key = self.turns.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let taken = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        self.length -= 1;
        Some(taken)
    }

    /// Jobs in the longest line.
    fn longest(&self) -> usize {
        self.lines.values().map(VecDeque::len).max().unwrap_or(0)
    }

    /// Of several longest lines, the one whose last job is the newest.
    fn drop_newest_of_longest(&mut self) -> Option<Waiting<T>> {
        let newest = |line: &VecDeque<Waiting<T>>| line.back().map_or(0, |waiting| waiting.arrival);
        let (key, line) = self.lines.iter_mut().max_by_key(|(_, line)| (line.len(), newest(line)))?;
        let (key, dropped) = (*key, line.pop_back()?);
        if line.is_empty() {
            self.lines.remove(&key);
            self.turns.retain(|turn| *turn != key);
        }
        self.length -= 1;
        Some(dropped)
    }

    fn remove(&mut self, is_unwanted: impl Fn(&T) -> bool) -> Vec<Waiting<T>> {
        let mut removed = Vec::new();
        for line in self.lines.values_mut() {
            let (gone, kept) =
                std::mem::take(line).into_iter().partition(|waiting| is_unwanted(&waiting.job));
            *line = kept;
            removed.extend::<VecDeque<_>>(gone);
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|turn| self.lines.contains_key(turn));
        self.length -= removed.len();
        removed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_domain::Timestamp;

    use super::*;

    fn key(number: u8) -> PartyKey {
        [number; 32]
    }

    fn network(number: u8) -> Requester {
        Requester { network: key(number), account: None, at: Timestamp::from_seconds(0) }
    }

    fn acting(account: u8, network: u8) -> Requester {
        Requester { account: Some(key(account)), ..self::network(network) }
    }

    fn drain<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_newcomer_waits_for_one_job_of_each_other_party() {
        let mut queue = FairQueue::new(100);
        for number in 0..40 {
            assert_eq!(queue.push(network(1), Lane::Ordinary, ("flood", number)), None);
        }
        queue.push(network(2), Lane::Ordinary, ("newcomer", 0));
        queue.push(network(2), Lane::Ordinary, ("newcomer", 1));
        let order: Vec<_> = (0..5).filter_map(|_| queue.pop()).collect();
        assert_eq!(
            order,
            [("flood", 0), ("newcomer", 0), ("flood", 1), ("newcomer", 1), ("flood", 2)],
            "in turns"
        );
    }

    #[test]
    fn a_full_queue_drops_the_newest_job_of_the_longest_line() {
        let mut queue = FairQueue::new(4);
        for number in 0..4 {
            queue.push(network(1), Lane::Ordinary, ("flood", number));
        }
        assert_eq!(queue.push(network(2), Lane::Ordinary, ("newcomer", 0)), Some(("flood", 3)));
        assert_eq!(queue.push(network(1), Lane::Ordinary, ("flood", 4)), Some(("flood", 4)));
        assert_eq!(queue.push(network(3), Lane::Ordinary, ("newcomer", 1)), Some(("flood", 2)));
        assert_eq!(drain(&mut queue), [("flood", 0), ("newcomer", 0), ("newcomer", 1), ("flood", 1)]);
    }

    #[test]
    fn where_no_party_has_more_than_another_the_newcomer_is_refused() {
        let mut queue = FairQueue::new(3);
        for number in 1..=3 {
            queue.push(network(number), Lane::Ordinary, number);
        }
        assert_eq!(queue.push(network(4), Lane::Ordinary, 4), Some(4));
        assert_eq!(drain(&mut queue), [1, 2, 3]);
    }

    // One account that sets its own program's password over 40 connections.
    #[test]
    fn one_account_is_one_party_whichever_networks_it_comes_from() {
        let mut queue = FairQueue::new(32);
        let mut dropped = 0;
        for number in 0..40 {
            dropped += usize::from(queue.push(acting(200, number), Lane::Ordinary, "flood").is_some());
        }
        assert_eq!(dropped, 8);
        for victim in 100..110 {
            assert_eq!(queue.push(network(victim), Lane::Ordinary, "victim"), Some("flood"));
        }
        let order: Vec<_> = (0..11).filter_map(|_| queue.pop()).collect();
        assert_eq!(order.iter().filter(|job| **job == "victim").count(), 10, "{order:?}");
    }

    #[test]
    fn one_network_with_many_accounts_is_two_parties_at_most() {
        let mut queue = FairQueue::new(32);
        for account in 0..32 {
            queue.push(acting(100 + account, 1), Lane::Ordinary, "flood");
        }
        assert_eq!(queue.push(network(2), Lane::Ordinary, "victim"), Some("flood"));
        let order: Vec<_> = (0..3).filter_map(|_| queue.pop()).collect();
        assert!(order.contains(&"victim"), "{order:?}");
    }

    // Wrong sign-ins from six addresses.
    #[test]
    fn six_networks_that_flood_leave_a_seventh_its_seventh() {
        let mut queue = FairQueue::new(32);
        for round in 0..10 {
            for attacker in 0..6 {
                queue.push(network(attacker), Lane::Ordinary, ("attacker", round));
            }
        }
        assert!(queue.is_full());
        for number in 0..4 {
            assert_ne!(queue.push(network(99), Lane::Ordinary, ("victim", number)), Some(("victim", number)));
        }
        let order: Vec<_> = (0..28).filter_map(|_| queue.pop()).collect();
        assert_eq!(order.iter().filter(|(who, _)| *who == "victim").count(), 4, "{order:?}");
    }

    #[test]
    fn the_priority_lane_goes_first_and_the_ordinary_lane_has_every_fourth_turn() {
        let mut queue = FairQueue::new(100);
        for number in 0..8 {
            queue.push(network(number), Lane::Ordinary, "ordinary");
        }
        for number in 10..20 {
            queue.push(network(number), Lane::Priority, "priority");
        }
        let order = drain(&mut queue);
        assert_eq!(order[..3], ["priority"; 3]);
        for turns in order[..12].chunks(4) {
            assert_eq!(turns, ["priority", "priority", "priority", "ordinary"]);
        }
    }

    #[test]
    fn the_priority_lane_displaces_the_ordinary_lane_but_not_from_its_quarter_of_the_queue() {
        let mut queue = FairQueue::new(8);
        for number in 0..8 {
            queue.push(network(number), Lane::Ordinary, "ordinary");
        }
        for number in 10..16 {
            assert_eq!(queue.push(network(number), Lane::Priority, "priority"), Some("ordinary"));
        }
        assert_eq!(queue.push(network(16), Lane::Priority, "priority"), Some("priority"));
        assert_eq!((queue.priority.length, queue.ordinary.length), (6, 2));
        // A long line is cut first, in whichever lane it is.
        for _ in 0..3 {
            queue.push(network(10), Lane::Priority, "priority");
        }
        assert_eq!((queue.priority.length, queue.ordinary.length), (6, 2));
    }

    #[test]
    fn jobs_that_are_no_longer_wanted_make_room() {
        let mut queue = FairQueue::new(4);
        for number in 0..4 {
            queue.push(acting(100, 1), Lane::Ordinary, number);
        }
        queue.retain(|number| number % 2 == 0);
        assert_eq!((queue.len(), queue.is_full()), (2, false));
        assert_eq!(queue.push(network(2), Lane::Ordinary, 9), None);
        assert_eq!(drain(&mut queue), [0, 9, 2]);
        assert!(queue.waiting.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_left_behind(
            steps in prop::collection::vec((0_u8..5, prop::option::of(0_u8..5), any::<bool>(), 0_u8..4), 1..200),
        ) {
            let mut queue = FairQueue::new(7);
            let (mut left, mut pushed) = (Vec::new(), 0);
            for (from, account, is_known, step) in steps {
                let lane = if is_known { Lane::Priority } else { Lane::Ordinary };
                match step {
                    0 => left.extend(queue.pop()),
                    _ => {
                        let account = account.map(|account| key(100 + account));
                        let requester = Requester { account, ..network(from) };
                        left.extend(queue.push(requester, lane, pushed));
                        pushed += 1;
                    }
                }
                prop_assert!(queue.len() <= 7);
                prop_assert_eq!(queue.priority.turns.len(), queue.priority.lines.len());
                prop_assert_eq!(queue.ordinary.turns.len(), queue.ordinary.lines.len());
            }
            left.extend(drain(&mut queue));
            left.sort_unstable();
            prop_assert_eq!(left, (0..pushed).collect::<Vec<_>>());
            prop_assert!(queue.waiting.is_empty());
        }
    }
}
