//! What a server does between requests: the jobs of all features, and its own measurements.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tidegate_bridge::QueryEngine;
use tidegate_identity::Identity;
use tidegate_kernel::Kernel;
use tidegate_kernel::jobs::{Job, Runner, Schedule};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::logging;
use crate::wiring::Opened;

/// How often gauges are read and old observations folded.
const EVERY: Duration = Duration::from_secs(5);
/// Upper bounds of durations in seconds: from an answer out of memory to the deadline, past one password hash.
const DURATIONS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// What runs the jobs of a serving process.
pub(super) struct Background {
    running: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    _measured: Arc<Measured>,
}

impl Background {
    /// Starts it.
    pub(super) fn start(opened: &Opened, metrics: PrometheusHandle) -> Self {
        let (kernel, identity) = (Arc::clone(&opened.kernel), Arc::clone(&opened.identity));
        let engine = opened.engine.clone();
        let measured = Arc::new(Measured { kernel, identity, engine, metrics });
        opened.kernel.register_job(&measured, MEASUREMENT);
        let (stop, stopping) = oneshot::channel();
        let runner = Runner::new(&opened.kernel);
        let running = tokio::spawn(runner.run(async move { drop(stopping.await) }));
        Self { running, stop, _measured: measured }
    }

    /// Stops it. What is in the middle of being done gets some time: a mail sent again would come twice.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "background work ended before the server stopped");
        }
    }
}

/// What collects metrics, while it is made.
pub(in crate::commands) struct PreparedMetrics(
    io::Result<oneshot::Receiver<Result<PrometheusRecorder, BuildError>>>,
);

impl PreparedMetrics {
    /// Makes it beside what else begins: it compares the processor's clock with the system's for some 20 ms.
    pub(in crate::commands) fn begin() -> Self {
        let (made, making) = oneshot::channel();
        let builder = thread::Builder::new().name("metrics".to_owned());
        Self(builder.spawn(move || drop(made.send(recorder()))).map(|_| making))
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(durations, DURATIONS)?.build_recorder())
}

/// Begins to collect metrics.
///
/// # Errors
/// When something else collects them already.
pub(super) async fn install_metrics(prepared: PreparedMetrics) -> Result<PrometheusHandle, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::internal(format!("metrics cannot be collected: {error}"));
    let making = prepared.0.map_err(|error| failed(&error))?;
    let recorder = making.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    tidegate_http::describe_metrics();
    Ok(handle)
}

/// What is measured now and then.
struct Measured {
    kernel: Arc<Kernel>,
    identity: Arc<Identity>,
    engine: QueryEngine,
    metrics: PrometheusHandle,
}

/// A job of each node.
const MEASUREMENT: Job<Measured> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: true }),
    ..Job::new("measurement", |measured, _| async move { Ok(measured.measure().await?) }.boxed())
};

impl Measured {
    async fn measure(&self) -> Result<(), tidegate_kernel::Fault> {
        self.metrics.run_upkeep();
        logging::measure_dropped_lines();
        self.kernel.look_at_files();
        let waiting = u32::try_from(self.identity.hash_queue_depth()).unwrap_or(u32::MAX);
        metrics::gauge!("tidegate_password_hash_queue").set(f64::from(waiting));
        for (scheme, times) in self.identity.password_verifications() {
            metrics::counter!("tidegate_password_verifications_total", "scheme" => scheme).absolute(times);
        }
        self.measure_queries();
        let (pending, dead) = self.kernel.outbox_depth().await?;
        for (state, count) in [("pending", pending), ("dead", dead)] {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("tidegate_outbox_messages", "state" => state).set(f64::from(count));
        }
        self.kernel.measure_jobs().await
    }

    fn measure_queries(&self) {
        let load = self.engine.load();
        let gauge = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("tidegate_queries", "state" => "running").set(gauge(load.running));
        metrics::gauge!("tidegate_queries", "state" => "waiting").set(gauge(load.waiting));
        // In KiB it fits into 32 bits.
        metrics::gauge!("tidegate_query_memory_bytes").set(gauge(load.memory_bytes / 1_024) * 1_024.0);
        let spilled = u32::try_from(load.spilled_bytes / 1_024).unwrap_or(u32::MAX);
        metrics::gauge!("tidegate_query_spilled_bytes").set(f64::from(spilled) * 1_024.0);
    }
}
