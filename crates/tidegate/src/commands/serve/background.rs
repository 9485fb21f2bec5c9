//! What a server does between requests.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tidegate_identity::Identity;
use tidegate_kernel::Kernel;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::failure::Failure;
use crate::logging;
use crate::wiring::Opened;

/// How often gauges are read and old observations folded.
const EVERY: Duration = Duration::from_secs(5);
/// How long a mail that is being sent may take once the process stops.
const LAST_MAIL: Duration = Duration::from_secs(10);
/// Upper bounds of durations in seconds: from an answer out of memory to the deadline, past one password hash.
const DURATIONS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// The workers of a serving process.
pub(super) struct Background {
    workers: JoinSet<()>,
    mail: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts them.
    pub(super) fn start(opened: &Opened, metrics: PrometheusHandle) -> Self {
        let mut workers = JoinSet::new();
        let (stop, stopping) = watch::channel(false);
        let kernel = || Arc::clone(&opened.kernel);
        let (sender, maintenance, exchange, measured) = (kernel(), kernel(), kernel(), kernel());
        let told = stopping.clone();
        let mail = tokio::spawn(supervise("mail", stopping.clone(), async move || {
            let mut stopping = told.clone();
            sender.delivery_worker(async move { drop(stopping.wait_for(|stop| *stop).await) }).await;
        }));
        workers.spawn(supervise("maintenance", stopping.clone(), async move || {
            maintenance.maintenance_worker().await
        }));
        workers
            .spawn(supervise("exchange", stopping.clone(), async move || exchange.exchange_worker().await));
        let schemes = Arc::clone(&opened.identity);
        workers.spawn(supervise("password schemes", stopping.clone(), async move || {
            schemes.password_schemes_worker().await
        }));
        let (brokerage, events) = (Arc::clone(&opened.brokerage), Arc::clone(&opened.brokerage));
        workers.spawn(supervise("brokerage", stopping.clone(), async move || {
            brokerage.brokerage_worker().await
        }));
        workers.spawn(supervise("broker events", stopping.clone(), async move || {
            events.broker_events_worker().await
        }));
        let identity = Arc::clone(&opened.identity);
        workers.spawn(supervise("measurement", stopping.clone(), async move || {
            measure(&measured, &identity, &metrics).await
        }));
        Self { workers, mail, stop }
    }

    /// Stops them. A mail in the middle of being sent gets some time, because sent again it would come twice; what is
    /// cut off all the same is sent by the next process, once its lease has run out.
    pub(super) async fn stop(mut self) {
        self.workers.shutdown().await;
        self.stop.send_replace(true);
        if timeout(LAST_MAIL, &mut self.mail).await.is_err() {
            self.mail.abort();
        }
    }
}

/// Works until the process stops. Restarts after a panic, which is a defect.
async fn supervise(name: &'static str, stopping: watch::Receiver<bool>, work: impl AsyncFn()) {
    loop {
        if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            tracing::error!(worker = name, "a worker panicked and is restarted");
        }
        if *stopping.borrow() {
            return;
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

async fn measure(kernel: &Kernel, identity: &Identity, handle: &PrometheusHandle) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
        logging::measure_dropped_lines();
        let waiting = u32::try_from(identity.hash_queue_depth()).unwrap_or(u32::MAX);
        metrics::gauge!("tidegate_password_hash_queue").set(f64::from(waiting));
        for (scheme, times) in identity.password_verifications() {
            metrics::counter!("tidegate_password_verifications_total", "scheme" => scheme).absolute(times);
        }
        match kernel.outbox_depth().await {
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
