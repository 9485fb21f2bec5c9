//! How many log lines refused requests may write: clients without an account can cause any number of them.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tidegate_domain::Timestamp;

use crate::wire::shares::Shares;

/// Lines a minute about the refused requests of one network.
const BY_NETWORK: usize = 60;
/// Lines a minute about the refused requests of all networks.
const ALL: usize = 1_200;
/// Lines that a network has however few are left.
const LEAST: usize = 2;
/// Seconds in which lines are counted.
const WINDOW: i64 = 60;

/// Counts the lines of this minute.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    refused: Mutex<Window>,
    failed: Mutex<Window>,
    inactive: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    number: i64,
    lines: usize,
    by_network: Shares,
    left_out: u64,
}

impl RefusalLog {
    /// Whether a line is written about a request of the client at `ip` that was answered with `status`. Requests that
    /// failed (5xx) have a share of their own, so that refused ones do not hide them.
    pub(crate) fn admits(&self, ip: IpAddr, status: u16, now: Timestamp) -> bool {
        let window = if status >= 500 { &self.failed } else { &self.refused };
        window.lock().unwrap_or_else(PoisonError::into_inner).admits(ip, now)
    }

    /// Whether a line is written about a token that an application at `ip` asks about and that is not active. Asking is ordinary traffic,
    /// and most of these tokens have only expired: they have a share of their own, and what is left out counts as no loss.
    pub(crate) fn admits_inactive(&self, ip: IpAddr, now: Timestamp) -> bool {
        self.inactive.lock().unwrap_or_else(PoisonError::into_inner).takes(ip, now)
    }
}

impl Window {
    /// Takes a line, or counts that it is left out.
    fn admits(&mut self, ip: IpAddr, now: Timestamp) -> bool {
        let fits = self.takes(ip, now);
        if !fits {
            self.left_out += 1;
            metrics::counter!("tidegate_log_lines_dropped_total", "reason" => "limit").increment(1);
        }
        fits
    }

    /// Takes a line, if there is one.
    fn takes(&mut self, ip: IpAddr, now: Timestamp) -> bool {
        let number = now.seconds().div_euclid(WINDOW);
        if number != self.number {
            if self.left_out > 0 {
                tracing::info!(lines = self.left_out, "lines about refused requests were left out");
            }
            self.by_network.clear();
            (self.number, self.lines, self.left_out) = (number, 0, 0);
        }
        let share = Shares::scarce(BY_NETWORK, LEAST, ALL.saturating_sub(self.lines), ALL);
        let fits = self.lines < ALL && self.by_network.take(ip, 1, share);
        if fits {
            self.lines += 1;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn one_network_has_so_many_lines_a_minute_and_others_have_theirs() {
        let log = RefusalLog::default();
        let (loud, quiet) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let written = (0..1_000).filter(|_| log.admits(loud, 404, at(30))).count();
        assert_eq!(written, BY_NETWORK);
        assert!(log.admits(quiet, 404, at(30)));
        assert!(log.admits(loud, 503, at(30)), "failed requests are counted apart");
        assert!(log.admits(loud, 404, at(61)));
    }

    #[test]
    fn tokens_that_are_not_active_take_no_line_of_refused_requests() {
        let log = RefusalLog::default();
        let gateway = "192.0.2.1".parse().unwrap();
        let written = (0..1_000).filter(|_| log.admits_inactive(gateway, at(30))).count();
        assert_eq!(written, BY_NETWORK);
        assert_eq!(log.inactive.lock().unwrap().left_out, 0, "it is no loss");
        let refused = (0..1_000).filter(|_| log.admits(gateway, 401, at(30))).count();
        assert_eq!(refused, BY_NETWORK);
        assert!(log.admits_inactive(gateway, at(61)));
    }

    #[test]
    fn many_loud_networks_leave_lines_for_others() {
        let log = RefusalLog::default();
        let network = |number: u32| IpAddr::from(number.to_be_bytes());
        let written = (0..100_000).filter(|n| log.admits(network(n % 100), 401, at(0))).count();
        assert!(written > ALL / 2 && written < ALL, "{written}");
        assert!((0..LEAST).all(|_| log.admits(network(1_000), 401, at(0))));
    }

    #[test]
    fn all_networks_together_have_a_limit() {
        let log = RefusalLog::default();
        let written =
            (0..10_000u32).filter(|n| log.admits(IpAddr::from(n.to_be_bytes()), 401, at(0))).count();
        assert_eq!(written, ALL);
    }
}
