//! What a server does between requests.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tidegate_identity::Identity;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::failure::Failure;

/// How often gauges are read and old observations folded.
const EVERY: Duration = Duration::from_secs(5);
/// Upper bounds of durations in seconds: from an answer out of memory to the deadline, past one password hash.
const DURATIONS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// The workers of a serving process.
pub(super) struct Background(JoinSet<()>);

impl Background {
    /// Starts them.
    pub(super) fn start(identity: &Arc<Identity>, metrics: PrometheusHandle) -> Self {
        let mut workers = JoinSet::new();
        let app = || Arc::clone(identity);
        let (mail, maintenance, exchange, measured) = (app(), app(), app(), app());
        workers.spawn(supervise("mail", async move || mail.mail_worker().await));
        workers.spawn(supervise("maintenance", async move || maintenance.maintenance_worker().await));
        workers.spawn(supervise("exchange", async move || exchange.exchange_worker().await));
        workers.spawn(supervise("measurement", async move || measure(&measured, &metrics).await));
        Self(workers)
    }

    /// Stops them. A mail in the middle of being sent is sent again by the next process: its lease runs out.
    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Works for as long as the process runs: after a panic, which is a defect, anew.
async fn supervise(name: &'static str, work: impl AsyncFn()) {
    loop {
        if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            tracing::error!(worker = name, "a worker panicked and starts anew");
        }
        sleep(EVERY).await;
    }
}

/// Begins to collect metrics.
///
/// # Errors
/// When something else collects them already.
pub(super) fn install_metrics() -> Result<PrometheusHandle, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::internal(format!("metrics cannot be collected: {error}"));
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), DURATIONS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| failed(&error))?;
    tidegate_http::describe_metrics();
    Ok(handle)
}

async fn measure(identity: &Identity, handle: &PrometheusHandle) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
        let waiting = u32::try_from(identity.hash_queue_depth()).unwrap_or(u32::MAX);
        metrics::gauge!("tidegate_password_hash_queue").set(f64::from(waiting));
        match identity.outbox_depth().await {
            Ok((pending, dead)) => {
                for (state, count) in [("pending", pending), ("dead", dead)] {
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    metrics::gauge!("tidegate_outbox_messages", "state" => state).set(f64::from(count));
                }
            }
            Err(fault) => tracing::warn!(error = %fault, "the outbox could not be counted"),
        }
    }
}
