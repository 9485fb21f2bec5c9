//! How many requests there are of each kind, and how long they take.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// Counts requests by route, method and status. A metric is looked up by its name and all of its labels, which takes longer than the rest
/// of counting; so it is done once for each, and what is found is kept. Neither routes nor methods are the client's words: there are
/// not many.
#[derive(Default)]
pub(crate) struct RequestMetrics(RwLock<HashMap<String, Vec<Kept>>>);

/// The metrics of one route, method and status.
struct Kept {
    method: &'static str,
    status: u16,
    requests: Counter,
    durations: Histogram,
}

impl Kept {
    fn of(route: &str, method: &'static str, status: u16) -> Self {
        let labels = [("method", method.to_owned()), ("route", route.to_owned())];
        let durations = histogram!("tidegate_http_request_duration_seconds", &labels);
        let [method_label, route] = labels;
        let labels = [method_label, route, ("status", status.to_string())];
        let requests = counter!("tidegate_http_requests_total", &labels);
        Self { method, status, requests, durations }
    }

    fn count(&self, took: Duration) {
        self.requests.increment(1);
        self.durations.record(took.as_secs_f64());
    }
}

impl RequestMetrics {
    /// Counts a request that was answered.
    pub(crate) fn count(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.get(route).map(Vec::as_slice).unwrap_or_default();
        if let Some(kept) = of_route.iter().find(|kept| kept.status == status && kept.method == method) {
            kept.count(took);
            return;
        }
        drop(known);
        let made = Kept::of(route, method, status);
        made.count(took);
        // Two tasks may both add one: they are of the same metrics.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(route.to_owned()).or_default().push(made);
    }
}
