//! Response bodies.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_catalog::life::health::{Check, Health};
use tidegate_catalog::life::metrics::{BreakerState, Metrics};
use tidegate_catalog::life::testing::TestReport;
use tidegate_catalog::schemas::discover::Discovery;
use tidegate_catalog::sources::find::{Listing, SourcePage};
use tidegate_catalog::sources::{DataSource, SourceStatus};
use tidegate_domain::Timestamp;
use utoipa::ToSchema;

fn at(instant: Option<Timestamp>) -> Option<String> {
    instant.map(Timestamp::iso_seconds)
}

/// A data source in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedDataSourceData {
    id: i64,
    organization_id: i64,
    workspace_id: i64,
    name: String,
    r#type: &'static str,
    description: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database_name: Option<String>,
    schema_name: Option<String>,
    file_path: Option<String>,
    use_ssh_tunnel: bool,
    ssh_host: Option<String>,
    ssh_port: Option<u16>,
    /// `active`, `inactive`, `testing`, `failed` or `maintenance`.
    status: &'static str,
    last_tested_at: Option<String>,
    last_successful_connection_at: Option<String>,
    schema_discovered_at: Option<String>,
    schema_auto_refresh: bool,
    tags: Vec<String>,
    created_at: String,
    updated_at: String,
    /// What it is called in SQL: `slug.schema.table`.
    slug: String,
}

impl From<&DataSource> for ListedDataSourceData {
    fn from(source: &DataSource) -> Self {
        let connection = source.connection.clone();
        Self {
            id: source.number,
            organization_id: source.organization_number,
            workspace_id: source.workspace_number,
            name: source.name.clone(),
            r#type: source.kind.as_str(),
            description: source.description.clone(),
            host: connection.host,
            port: connection.port,
            database_name: connection.database_name,
            schema_name: connection.schema_name,
            file_path: connection.file_path,
            use_ssh_tunnel: connection.use_ssh_tunnel,
            ssh_host: connection.ssh_host,
            ssh_port: connection.ssh_port,
            status: source.status.as_str(),
            last_tested_at: at(source.last_tested_at),
            last_successful_connection_at: at(source.last_success_at),
            schema_discovered_at: at(source.schema_discovered_at),
            schema_auto_refresh: source.schema_auto_refresh,
            tags: source.tags.clone(),
            created_at: source.created_at.iso_seconds(),
            updated_at: source.updated_at.iso_seconds(),
            slug: source.slug.clone(),
        }
    }
}

/// A data source, without its credentials.
#[derive(Serialize, ToSchema)]
pub(super) struct DataSourceData {
    #[serde(flatten)]
    listed: ListedDataSourceData,
    /// With its password masked.
    connection_string: Option<String>,
    ssh_username: Option<String>,
    /// Always `null`: keys of tunnels are credentials.
    ssh_key_id: Option<i64>,
    ssh_local_port: Option<u16>,
    /// The key that the tunnel's server showed first. Another one is refused until the tunnel is changed, or an empty text is sent as this field.
    ssh_host_key: Option<String>,
    connection_pool_size: u32,
    /// Seconds.
    connection_timeout: u32,
    /// Seconds.
    query_timeout: u32,
    max_retries: u32,
    last_failed_connection_at: Option<String>,
    /// In a row.
    failure_count: i64,
    failure_reason: Option<String>,
    /// Seconds.
    schema_refresh_interval: u32,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    created_by_user_id: i64,
    updated_by_user_id: Option<i64>,
}

impl From<&DataSource> for DataSourceData {
    fn from(source: &DataSource) -> Self {
        let connection = &source.connection;
        Self {
            listed: source.into(),
            connection_string: source.connection_string.clone(),
            ssh_username: connection.ssh_username.clone(),
            ssh_key_id: None,
            ssh_local_port: connection.ssh_local_port,
            ssh_host_key: source.ssh_host_key.clone(),
            connection_pool_size: connection.pool_size,
            connection_timeout: connection.connection_timeout,
            query_timeout: connection.query_timeout,
            max_retries: connection.max_retries,
            last_failed_connection_at: at(source.last_failure_at),
            failure_count: source.failure_count,
            failure_reason: source.failure_reason.clone(),
            schema_refresh_interval: source.schema_refresh_interval,
            metadata: RawValue::from_string(source.metadata.as_str().to_owned())
                .unwrap_or_else(|_| RawValue::NULL.to_owned()),
            created_by_user_id: source.created_by,
            updated_by_user_id: source.updated_by,
        }
    }
}

/// Which page of a list it is.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SourcePagination {
    page: i64,
    page_size: i64,
    total_items: i64,
    total_pages: i64,
    has_next: bool,
    has_previous: bool,
}

/// A page of data sources.
#[derive(Serialize, ToSchema)]
pub(super) struct DataSourcesData {
    items: Vec<ListedDataSourceData>,
    pagination: SourcePagination,
}

impl SourcePagination {
    pub(in super::super) fn of(page: i64, page_size: i64, total: i64) -> Self {
        let total_pages = (total + page_size - 1) / page_size;
        Self {
            page,
            page_size,
            total_items: total,
            total_pages,
            has_next: page < total_pages,
            has_previous: page > 1 && total_pages > 0,
        }
    }
}

impl DataSourcesData {
    pub(super) fn new(found: &SourcePage, listing: &Listing) -> Self {
        Self {
            items: found.sources.iter().map(ListedDataSourceData::from).collect(),
            pagination: SourcePagination::of(listing.page, listing.page_size, found.total),
        }
    }
}

/// A data source was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedDataSourceData {
    pub(super) data_source_id: i64,
    pub(super) deleted_at: String,
}

/// Credentials were changed.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangedCredentialsData {
    pub(super) data_source_id: i64,
    pub(super) credentials_updated_at: String,
}

/// What a test found.
#[derive(Serialize, ToSchema)]
pub(super) struct TestedData {
    data_source_id: i64,
    /// `active` or `failed`.
    status: &'static str,
    connection_successful: bool,
    response_time_ms: Option<i64>,
    /// The first value of the query's first row.
    test_query_result: Option<String>,
    tested_at: String,
    ssh_tunnel_established: bool,
    database_version: Option<String>,
    error_message: Option<String>,
    /// `CONNECTION_ERROR`, `AUTHENTICATION_ERROR`, `TIMEOUT_ERROR`, `SSH_TUNNEL_ERROR`, `QUERY_ERROR`, `FILE_NOT_FOUND`,
    /// `UNSUPPORTED_TYPE`, or `LOCAL_DISK`: this server has no room for a copy.
    error_code: Option<&'static str>,
    /// What looks well and is not, such as a data source in which no table was found: not there where nothing does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<TestReport> for TestedData {
    fn from(report: TestReport) -> Self {
        let (data_source_id, tested_at) = (report.number, report.tested_at.iso_seconds());
        match report.outcome {
            Ok(tested) => Self {
                data_source_id,
                status: SourceStatus::Active.as_str(),
                connection_successful: true,
                response_time_ms: Some(i64::try_from(tested.elapsed.as_millis()).unwrap_or(i64::MAX)),
                test_query_result: tested.result,
                tested_at,
                ssh_tunnel_established: tested.tunnel,
                database_version: tested.version,
                error_message: None,
                error_code: None,
                warnings: report.warnings,
            },
            Err(error) => Self {
                data_source_id,
                status: SourceStatus::Failed.as_str(),
                connection_successful: false,
                response_time_ms: None,
                test_query_result: None,
                tested_at,
                ssh_tunnel_established: false,
                database_version: None,
                error_code: Some(error.code.as_str()),
                error_message: Some(error.message),
                warnings: report.warnings,
            },
        }
    }
}

/// A schema that was discovered.
#[derive(Serialize, ToSchema)]
pub(super) struct DiscoveredSchemaData {
    schema_name: String,
    tables_count: i64,
    views_count: i64,
}

/// What was discovered.
#[derive(Serialize, ToSchema)]
pub(super) struct DiscoveryData {
    data_source_id: i64,
    schemas_discovered: Vec<DiscoveredSchemaData>,
    /// Without views.
    total_tables: i64,
    total_columns: i64,
    discovered_at: String,
    discovery_duration_ms: i64,
    /// That no table was found, which are gone since the last discovery, or that the caller uploaded a newer file of the same name; and, for those who write policies, which policies do not fit the tables: not there where none of it is so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<Discovery> for DiscoveryData {
    fn from(discovery: Discovery) -> Self {
        let (total_tables, total_columns) = (discovery.tables(), discovery.columns());
        let schemas = discovery.schemas.into_iter();
        Self {
            data_source_id: discovery.number,
            schemas_discovered: schemas
                .map(|schema| DiscoveredSchemaData {
                    schema_name: schema.name,
                    tables_count: schema.tables,
                    views_count: schema.views,
                })
                .collect(),
            total_tables,
            total_columns,
            discovered_at: discovery.discovered_at.iso_seconds(),
            discovery_duration_ms: discovery.duration_ms,
            warnings: discovery.warnings,
        }
    }
}

/// A check of a data source.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthCheckData {
    /// `active` or `failed`.
    status: &'static str,
    response_time_ms: Option<i64>,
    checked_at: String,
}

impl From<&Check> for HealthCheckData {
    fn from(check: &Check) -> Self {
        let status = if check.answered { SourceStatus::Active } else { SourceStatus::Failed };
        Self {
            status: status.as_str(),
            response_time_ms: check.response_time_ms,
            checked_at: check.checked_at.iso_seconds(),
        }
    }
}

/// How a data source did.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthData {
    data_source_id: i64,
    current_status: &'static str,
    last_health_check: Option<HealthCheckData>,
    /// Newest first.
    health_history: Vec<HealthCheckData>,
    /// Of all checks that are kept.
    uptime_percentage: f64,
    /// Of the history; `null` when it holds no answer.
    avg_response_time_ms: Option<f64>,
    min_response_time_ms: Option<i64>,
    max_response_time_ms: Option<i64>,
    failure_count_24h: i64,
    last_failure_at: Option<String>,
    /// Why the data source does not answer; not there where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
}

impl From<Health> for HealthData {
    fn from(health: Health) -> Self {
        Self {
            data_source_id: health.number,
            current_status: health.status.as_str(),
            last_health_check: health.history.first().map(HealthCheckData::from),
            health_history: health.history.iter().map(HealthCheckData::from).collect(),
            uptime_percentage: health.uptime_percentage,
            avg_response_time_ms: health.times.map(|times| times.average),
            min_response_time_ms: health.times.map(|times| times.shortest),
            max_response_time_ms: health.times.map(|times| times.longest),
            failure_count_24h: health.failed_lately,
            last_failure_at: at(health.last_failure_at),
            failure_reason: health.failure_reason,
        }
    }
}

/// Connections.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionCounts {
    active: u32,
    idle: u32,
    total: u32,
}

/// Tests and discoveries, and how long an answer took.
#[derive(Serialize, ToSchema)]
pub(super) struct QueryCounts {
    total_executed: i64,
    successful: i64,
    failed: i64,
    avg_execution_time_ms: f64,
}

/// Connections of a type.
#[derive(Serialize, ToSchema)]
pub(super) struct PoolCounts {
    size: u32,
    active: u32,
    idle: u32,
}

/// Tunnels.
#[derive(Serialize, ToSchema)]
pub(super) struct TunnelCounts {
    active: u64,
    total: u64,
}

/// Sources that are open.
#[derive(Serialize, ToSchema)]
pub(super) struct CacheCounts {
    connection_managers: u64,
    cache_hits: u64,
    cache_misses: u64,
}

/// How many connections there may be.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionLimits {
    max_connections: u32,
    current_connections: u32,
    available: u32,
}

/// A circuit breaker.
#[derive(Serialize, ToSchema)]
pub(super) struct BreakerData {
    /// `closed`, `open` or `half_open`.
    state: &'static str,
    failure_count: i64,
    last_failure: Option<String>,
}

/// What the data sources of an organization hold and did.
#[derive(Serialize, ToSchema)]
pub(super) struct MetricsData {
    connections: ConnectionCounts,
    queries: QueryCounts,
    /// By type.
    pools: BTreeMap<String, PoolCounts>,
    ssh_tunnels: TunnelCounts,
    cache: CacheCounts,
    connection_limits: ConnectionLimits,
    /// By type and slug: `postgresql_sales`.
    circuit_breakers: BTreeMap<String, BreakerData>,
}

impl From<Metrics> for MetricsData {
    fn from(metrics: Metrics) -> Self {
        let all = metrics.connections;
        let current = all.active.saturating_add(all.idle);
        Self {
            connections: ConnectionCounts { active: all.active, idle: all.idle, total: current },
            queries: QueryCounts {
                total_executed: metrics.queries.succeeded + metrics.queries.failed,
                successful: metrics.queries.succeeded,
                failed: metrics.queries.failed,
                avg_execution_time_ms: metrics.average_ms(),
            },
            ssh_tunnels: TunnelCounts { active: metrics.open_tunnels, total: metrics.tunnels },
            cache: CacheCounts {
                connection_managers: metrics.open_sources,
                cache_hits: metrics.cache_hits,
                cache_misses: metrics.cache_misses,
            },
            connection_limits: ConnectionLimits {
                max_connections: metrics.most_connections,
                current_connections: current,
                available: metrics.most_connections.saturating_sub(current),
            },
            pools: metrics
                .pools
                .into_iter()
                .map(|(kind, pool)| {
                    (kind.to_owned(), PoolCounts { size: pool.size, active: pool.active, idle: pool.idle })
                })
                .collect(),
            circuit_breakers: metrics
                .breakers
                .into_iter()
                .map(|(key, BreakerState { breaker, failure_count, last_failure })| {
                    let state = breaker.as_str();
                    (key, BreakerData { state, failure_count, last_failure: at(last_failure) })
                })
                .collect(),
        }
    }
}

/// Where a file can be fetched.
#[derive(Serialize, ToSchema)]
pub(super) struct FileUrlData {
    pub(super) url: String,
    pub(super) expires_in_seconds: u32,
}
