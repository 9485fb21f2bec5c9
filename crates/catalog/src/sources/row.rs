//! A row of the table of data sources.

use tidegate_connect::SourceType;
use tidegate_database::{Result, StoreError};
use tidegate_domain::Timestamp;
use uuid::Uuid;

use super::connection::Connection;
use super::source::{DataSource, Queries, Sealed};
use super::status::SourceStatus;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    number: i64,
    id: Uuid,
    organization_id: Uuid,
    organization_number: i64,
    workspace_id: Uuid,
    workspace_number: i64,
    name: String,
    slug: String,
    kind: String,
    description: Option<String>,
    host: Option<String>,
    port: Option<i64>,
    database_name: Option<String>,
    schema_name: Option<String>,
    connection_string: Option<Vec<u8>>,
    connection_string_shown: Option<String>,
    file_path: Option<String>,
    use_ssh_tunnel: bool,
    ssh_host: Option<String>,
    ssh_port: Option<i64>,
    ssh_username: Option<String>,
    ssh_local_port: Option<i64>,
    ssh_host_key: Option<String>,
    pool_size: i64,
    connection_timeout: i64,
    query_timeout: i64,
    max_retries: i64,
    schema_auto_refresh: bool,
    schema_refresh_interval: i64,
    metadata: String,
    tags: String,
    credentials: Option<Vec<u8>>,
    version: i64,
    status: String,
    last_tested_at: Option<i64>,
    last_success_at: Option<i64>,
    last_failure_at: Option<i64>,
    failure_count: i64,
    failure_reason: Option<String>,
    schema_discovered_at: Option<i64>,
    queries_succeeded: i64,
    queries_failed: i64,
    query_micros: i64,
    created_by: i64,
    updated_by: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// Selects whole rows.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select s.number, s.id, s.organization_id, o.number as organization_number, s.workspace_id,
                w.number as workspace_number, s.name, s.slug, s.kind, s.description, s.host, s.port, s.database_name,
                s.schema_name, s.connection_string, s.connection_string_shown, s.file_path, s.use_ssh_tunnel, s.ssh_host,
                s.ssh_port, s.ssh_username, s.ssh_local_port, s.ssh_host_key, s.pool_size, s.connection_timeout, s.query_timeout,
                s.max_retries, s.schema_auto_refresh, s.schema_refresh_interval, s.metadata, s.tags, s.credentials,
                s.version, s.status, s.last_tested_at, s.last_success_at, s.last_failure_at, s.failure_count,
                s.failure_reason, s.schema_discovered_at, s.queries_succeeded, s.queries_failed, s.query_micros,
                s.created_by, s.updated_by, s.created_at, s.updated_at
             from data_sources s join organizations o on o.id = s.organization_id
                join workspaces w on w.id = s.workspace_id ",
            $rest
        )
    };
}
pub(super) use select;

/// The condition under which a caller sees a source: `$1` is the organization, `$2` whether they see all of its workspaces, `$3` their
/// account.
macro_rules! seen {
    () => {
        " s.organization_id = $1 and s.deleted_at is null and ($2 or s.workspace_id in
            (select mw.workspace_id from membership_workspaces mw join memberships m on m.id = mw.membership_id
             where m.account_id = $3 and m.organization_id = $1)) "
    };
}
pub(super) use seen;

impl Row {
    pub(super) fn read(self) -> Result<DataSource> {
        let at = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        Ok(DataSource {
            id: self.id.into(),
            number: self.number,
            organization: self.organization_id.into(),
            organization_number: self.organization_number,
            workspace: self.workspace_id.into(),
            workspace_number: self.workspace_number,
            name: self.name,
            slug: self.slug,
            kind: self.kind.parse::<SourceType>().map_err(|_| StoreError::Unreadable("data_sources.kind"))?,
            description: self.description,
            connection: Connection {
                host: self.host,
                port: port(self.port)?,
                database_name: self.database_name,
                schema_name: self.schema_name,
                file_path: self.file_path,
                use_ssh_tunnel: self.use_ssh_tunnel,
                ssh_host: self.ssh_host,
                ssh_port: port(self.ssh_port)?,
                ssh_username: self.ssh_username,
                ssh_local_port: port(self.ssh_local_port)?,
                pool_size: small(self.pool_size)?,
                connection_timeout: small(self.connection_timeout)?,
                query_timeout: small(self.query_timeout)?,
                max_retries: small(self.max_retries)?,
            },
            connection_string: self.connection_string_shown,
            ssh_host_key: self.ssh_host_key,
            schema_auto_refresh: self.schema_auto_refresh,
            schema_refresh_interval: small(self.schema_refresh_interval)?,
            metadata: serde_json::from_str(&self.metadata)
                .map_err(|_| StoreError::Unreadable("data_sources.metadata"))?,
            tags: serde_json::from_str(&self.tags)
                .map_err(|_| StoreError::Unreadable("data_sources.tags"))?,
            status: SourceStatus::from_name(&self.status)
                .ok_or(StoreError::Unreadable("data_sources.status"))?,
            last_tested_at: at(self.last_tested_at),
            last_success_at: at(self.last_success_at),
            last_failure_at: at(self.last_failure_at),
            failure_count: self.failure_count,
            failure_reason: self.failure_reason,
            schema_discovered_at: at(self.schema_discovered_at),
            created_by: self.created_by,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
            updated_by: self.updated_by,
            queries: Queries {
                succeeded: self.queries_succeeded,
                failed: self.queries_failed,
                micros: self.query_micros,
            },
            version: self.version,
            sealed: Sealed { connection_string: self.connection_string, credentials: self.credentials },
        })
    }
}

fn port(stored: Option<i64>) -> Result<Option<u16>> {
    let port = stored.map(u16::try_from).transpose();
    port.map_err(|_| StoreError::Unreadable("data_sources.port"))
}

fn small(stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(|_| StoreError::Unreadable("data_sources"))
}
