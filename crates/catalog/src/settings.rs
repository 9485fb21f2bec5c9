//! What an operator decides about data sources, and about queries over them.

mod networks;
mod queries;

use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_connect::NetworkPolicy;
use tidegate_domain::time::seconds;

pub use networks::networks;
pub use queries::QuerySettings;

/// Who may read where no policy says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DefaultAccess {
    /// Members.
    #[default]
    Allow,
    /// Nobody.
    Deny,
}

/// Data sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Whether data sources may be at addresses that are not public: this machine, and networks of your own such as 10.0.0.0/8. With
    /// true, everybody who may create a data source can reach what this server reaches. Link-local addresses and the metadata
    /// addresses of clouds are refused all the same, unless allowed_networks has them.
    pub allow_private_networks: bool,
    /// Whether members may read the tables of their data sources unless a policy says otherwise (allow), or not unless a policy allows
    /// it (deny).
    pub default_access: DefaultAccess,
    /// Seconds for which it is kept what policies decided about queries.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub keep_evaluations: Duration,
    /// Networks in which data sources may be although their addresses are not public, such as "10.20.0.0/16" or "127.0.0.1/32".
    #[schemars(with = "Vec<String>")]
    #[serde(deserialize_with = "networks")]
    pub allowed_networks: Vec<IpNet>,
    /// Whether answers name the network that a data source may not be in. No key: it is so in development.
    #[serde(skip)]
    pub names_refused: bool,
    /// Seconds from one health check of a data source to the next.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(300))]
    pub health_interval: Duration,
    /// Seconds for which the results of tests and health checks are kept.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(7 * 24 * 3_600))]
    pub keep_checks: Duration,
    /// Seconds after which a deleted data source is removed for good.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub keep_deleted: Duration,
    /// Failed checks in a row after which a data source is inactive: it is no longer checked by itself. 0 means never.
    #[default(2_016)]
    pub give_up_after: u32,
    /// Failures in a row after which a data source is left alone for breaker_pause: its circuit breaker opens.
    #[default(5)]
    pub breaker_failures: u32,
    /// Seconds for which an open circuit breaker refuses work. Then one attempt is let through.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(60))]
    pub breaker_pause: Duration,
    /// Tests and discoveries that run at the same time on a node, of all organizations together.
    #[default(32)]
    pub at_once: usize,
    /// The same of one organization, while less than half of all are taken; then one that has any running gets no more.
    #[default(4)]
    pub at_once_per_organization: usize,
    /// Connections that the data sources of one organization may hold on a node, by their pool sizes.
    #[default(100)]
    pub connections_per_organization: u32,
    /// Seconds after which the connections of a data source that nobody uses are closed.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(300))]
    pub pool_idle: Duration,
    /// Bytes of disk that temporary files of data sources may have on a node: copies of files, and rows that are fetched from services without
    /// columns. They have no names, are below TMPDIR (/tmp), and end with the connections. Have them on a disk, not in memory (tmpfs).
    #[default(32 << 30)]
    pub temporary_bytes: u64,
    /// The same of one organization.
    #[default(8 << 30)]
    pub temporary_bytes_per_organization: u64,
    /// Longest time in seconds for which a request waits for a test or a discovery. Keep it below http.deadline. A discovery that
    /// takes longer goes on in the background.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(25))]
    pub longest_wait: Duration,
    /// What queries over data sources may use of a node. How many run at the same time is prompts.at_once, and for how long prompts.longest.
    /// Policies may allow a person less.
    pub queries: QuerySettings,
}

impl DataSettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Says which key it is, and why.
    pub fn check(&self) -> Result<(), String> {
        let durations = [
            ("health_interval", self.health_interval),
            ("breaker_pause", self.breaker_pause),
            ("pool_idle", self.pool_idle),
            ("longest_wait", self.longest_wait),
        ];
        if let Some((key, _)) = durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            return Err(format!("{key} must be at least 1 second"));
        }
        let counts = [("at_once", self.at_once), ("at_once_per_organization", self.at_once_per_organization)];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((key, _)) => Err(format!("{key} must be at least 1")),
            None => self.queries.check().map_err(|what| format!("queries.{what}")),
        }
    }

    /// Where drivers may connect to.
    pub fn network(&self) -> NetworkPolicy {
        NetworkPolicy {
            allow_private: self.allow_private_networks,
            allowed: self.allowed_networks.clone(),
            names_refused: self.names_refused,
        }
    }
}
