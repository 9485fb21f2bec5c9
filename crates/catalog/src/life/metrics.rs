//! What an organization's sources hold and did.

use std::collections::BTreeMap;

use tidegate_connect::Connections;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::{Actor, Fault};

use crate::life::breaker::Breaker;
use crate::life::health::ratio;
use crate::sources::access::Viewer;
use crate::sources::source::Queries;
use crate::{Catalog, CatalogTables};

/// Connections and queries of the sources that a caller sees. What is open is what this node has open.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Connections of all.
    pub connections: Connections,
    /// What they were asked for, since they were made, on all nodes.
    pub queries: Queries,
    /// Connections by type.
    pub pools: BTreeMap<&'static str, Connections>,
    /// Tunnels that are open.
    pub open_tunnels: u64,
    /// Sources that have one.
    pub tunnels: u64,
    /// Sources that are open.
    pub open_sources: u64,
    /// How often one was found open.
    pub cache_hits: u64,
    /// How often one was opened.
    pub cache_misses: u64,
    /// Connections that the organization may hold.
    pub most_connections: u32,
    /// By type and slug.
    pub breakers: BTreeMap<String, BreakerState>,
}

/// A circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerState {
    /// What it lets through.
    pub breaker: Breaker,
    /// Failures in a row.
    pub failure_count: i64,
    /// When it last failed.
    pub last_failure: Option<Timestamp>,
}

impl Metrics {
    /// How long an answer took on average, in milliseconds.
    pub fn average_ms(&self) -> f64 {
        let Queries { succeeded, micros, .. } = self.queries;
        if succeeded == 0 { 0.0 } else { (ratio(micros, succeeded) / 10.0).round() / 100.0 }
    }
}

impl Catalog {
    /// What the organization's data sources hold and did, as far as the caller sees them.
    ///
    /// Source: RiverGen "data-sources/metrics".
    ///
    /// # Errors
    /// Only faults.
    pub async fn data_source_metrics(&self, actor: &Actor) -> Result<Metrics, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        let viewer = Viewer::of(grant);
        let sources = unit.data_sources().all_seen(viewer).await?;
        drop(unit);
        let now = self.kernel.now();
        let mut metrics = Metrics { most_connections: self.pools.most(), ..Metrics::default() };
        for source in &sources {
            metrics.queries.succeeded += source.queries.succeeded;
            metrics.queries.failed += source.queries.failed;
            metrics.queries.micros += source.queries.micros;
            metrics.tunnels += u64::from(source.connection.use_ssh_tunnel);
            let state = BreakerState {
                breaker: Breaker::of(source, &self.settings, now),
                failure_count: source.failure_count,
                last_failure: source.last_failure_at,
            };
            // Slugs are unique in a workspace, and there may be several.
            let mut key = format!("{}_{}", source.kind.as_str(), source.slug);
            if metrics.breakers.contains_key(&key) {
                key = format!("{key}_{}", source.number);
            }
            metrics.breakers.insert(key, state);
        }
        let (open, lookups) = self.pools.of(viewer.organization);
        (metrics.cache_hits, metrics.cache_misses) = (lookups.hits, lookups.misses);
        for open in open {
            metrics.open_sources += 1;
            metrics.open_tunnels += u64::from(open.tunnel);
            add(&mut metrics.connections, open.connections);
            add(metrics.pools.entry(open.kind.as_str()).or_default(), open.connections);
        }
        Ok(metrics)
    }
}

fn add(all: &mut Connections, one: Connections) {
    all.active = all.active.saturating_add(one.active);
    all.idle = all.idle.saturating_add(one.idle);
    all.size = all.size.saturating_add(one.size);
}
