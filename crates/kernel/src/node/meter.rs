//! Counts of requests in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tidegate_domain::Timestamp;
use tidegate_domain::limit::{Limit, LimitStatus};

/// Most callers counted at a time. Beyond, the ones whose window ends first are forgotten.
const MOST: usize = 100_000;

pub(crate) struct Meter {
    windows: Mutex<HashMap<String, Window>>,
}

struct Window {
    limit: Limit,
    resets_at: Timestamp,
    /// What the store knew at the last exchange.
    shared: i64,
    /// What was counted here since.
    own: i64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { windows: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn count(&self, caller: String, limit: Limit, now: Timestamp) -> LimitStatus {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MOST && !windows.contains_key(&caller) {
            make_room(&mut windows, now);
        }
        let fresh = || Window { limit, resets_at: now.plus(limit.window), shared: 0, own: 0 };
        let window = windows.entry(caller).or_insert_with(fresh);
        if window.resets_at <= now {
            *window = fresh();
        }
        window.own += 1;
        limit.judge(window.shared + window.own, window.resets_at)
    }

    pub(crate) fn take_own(&self, now: Timestamp) -> Vec<(String, Limit, i64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, window| window.resets_at > now);
        let mut own: Vec<_> = windows
            .iter_mut()
            .filter(|(_, window)| window.own > 0)
            .map(|(caller, window)| {
                window.shared += window.own;
                (caller.clone(), window.limit, std::mem::take(&mut window.own))
            })
            .collect();
        // Every node locks rows in the same order, so none waits for another in a circle.
        own.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        own
    }

    pub(crate) fn learn(&self, caller: &str, status: LimitStatus, count: i64) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(caller) {
            window.shared = count;
            window.resets_at = status.resets_at;
        }
    }
}

fn make_room(windows: &mut HashMap<String, Window>, now: Timestamp) {
    windows.retain(|_, window| window.resets_at > now);
    if windows.len() >= MOST {
        let mut ends: Vec<Timestamp> = windows.values().map(|window| window.resets_at).collect();
        let middle = ends.len() / 2;
        let (_, median, _) = ends.select_nth_unstable(middle);
        let median = *median;
        windows.retain(|_, window| window.resets_at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn the_hundred_and_first_request_of_a_minute_is_refused_and_the_next_minute_starts_anew() {
        let (meter, limit) = (Meter::new(), Limit::new(100, 60));
        let refused = (0..100).filter(|_| meter.count("a".into(), limit, at(0)).exceeded).count();
        assert_eq!(refused, 0);
        assert!(meter.count("a".into(), limit, at(59)).exceeded);
        assert!(!meter.count("b".into(), limit, at(59)).exceeded);
        assert!(!meter.count("a".into(), limit, at(60)).exceeded);
    }

    #[test]
    fn what_other_nodes_counted_is_added() {
        let (meter, limit) = (Meter::new(), Limit::new(100, 60));
        meter.count("a".into(), limit, at(0));
        assert_eq!(meter.take_own(at(1)), vec![("a".to_owned(), limit, 1)]);
        meter.learn("a", limit.judge(100, at(60)), 100);
        assert!(meter.count("a".into(), limit, at(2)).exceeded);
    }

    #[test]
    fn a_flood_of_callers_stays_within_bounds() {
        let (meter, limit) = (Meter::new(), Limit::new(100, 60));
        for caller in 0..MOST + 10 {
            meter.count(caller.to_string(), limit, at(i64::try_from(caller / 10_000).unwrap()));
        }
        assert!(meter.windows.lock().unwrap().len() <= MOST);
    }
}
