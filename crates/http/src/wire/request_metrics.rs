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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn each_route_method_and_status_is_counted_by_itself() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let requests = RequestMetrics::default();
        metrics::with_local_recorder(&recorder, || {
            for (route, method, status) in [
                ("/a", "GET", 200),
                ("/a", "GET", 200),
                ("/a", "GET", 404),
                ("/a", "POST", 200),
                ("/b", "GET", 200),
            ] {
                requests.count(route, method, status, Duration::from_millis(5));
            }
        });
        let text = handle.render();
        for line in [
            "tidegate_http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 2",
            "tidegate_http_requests_total{method=\"GET\",route=\"/a\",status=\"404\"} 1",
            "tidegate_http_requests_total{method=\"POST\",route=\"/a\",status=\"200\"} 1",
            "tidegate_http_requests_total{method=\"GET\",route=\"/b\",status=\"200\"} 1",
            "tidegate_http_request_duration_seconds_count{method=\"GET\",route=\"/a\"} 3",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
