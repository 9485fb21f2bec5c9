//! A data source is changed.

use serde_json::json;
use tidegate_connect::{TypeInfo, mask_password};
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Permission, Secret};
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use super::connection::{Connection, check_options};
use super::error::SourceRefusal;
use super::find::seen;
use super::sealed::{open_credentials, seal_string};
use super::slug;
use super::source::DataSource;
use super::status::SourceStatus;
use crate::life::test_job;
use crate::work::Acting;
use crate::{Catalog, CatalogTables};

/// What is to be changed of a data source; what is none stays. An inner `None` clears what may be empty.
#[derive(Clone, Debug, Default)]
pub struct SourceChange {
    /// For people. What it is called in SQL follows it.
    pub name: Option<String>,
    /// For people.
    pub description: Option<Option<String>>,
    /// Name or address.
    pub host: Option<Option<String>>,
    /// Port.
    pub port: Option<Option<u16>>,
    /// Database.
    pub database_name: Option<Option<String>>,
    /// Schema.
    pub schema_name: Option<Option<String>>,
    /// In place of host, port and database.
    pub connection_string: Option<Option<Secret>>,
    /// Name of an object of the storage.
    pub file_path: Option<Option<String>>,
    /// Whether through a tunnel.
    pub use_ssh_tunnel: Option<bool>,
    /// Its server.
    pub ssh_host: Option<Option<String>>,
    /// Its port.
    pub ssh_port: Option<Option<u16>>,
    /// Who signs in there.
    pub ssh_username: Option<Option<String>>,
    /// The tunnel's end here.
    pub ssh_local_port: Option<Option<u16>>,
    /// Whether the key of the tunnel's server is forgotten, so that the next one is pinned.
    pub forgets_host_key: bool,
    /// Connections.
    pub pool_size: Option<u32>,
    /// Seconds.
    pub connection_timeout: Option<u32>,
    /// Seconds.
    pub query_timeout: Option<u32>,
    /// How often an attempt is repeated.
    pub max_retries: Option<u32>,
    /// Whether its tables are discovered again and again.
    pub schema_auto_refresh: Option<bool>,
    /// Seconds between that.
    pub schema_refresh_interval: Option<u32>,
    /// The client's own.
    pub metadata: Option<Document>,
    /// The client's own.
    pub tags: Option<Vec<String>>,
}

impl Catalog {
    /// Changes a data source of the caller's organization. When it is reached in another way then, its connections are closed, what was
    /// discovered is forgotten, and it is tested.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}", update.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], [`SourceRefusal::Elsewhere`], [`SourceRefusal::GovernedChange`], and those of
    /// [`Catalog::create_data_source`].
    pub async fn change_data_source(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: SourceChange,
    ) -> Outcome<DataSource, SourceRefusal> {
        let governed = self.governs_caller(actor, number).await?;
        let mut work = self.begin_as(call, actor, Permission::ManageDataSources).await?;
        let before = work.source_to_change(number).await?;
        let after = work.changed(&before, change).await?;
        let account = work.grant.session().account_number;
        let is_trusted = before.created_by == account || work.viewer().sees_all;
        if !is_trusted && before.has_secrets() && leads_elsewhere(&before, &after) {
            return refuse(SourceRefusal::Elsewhere);
        }
        if !is_trusted && governed && reads_otherwise(&before, &after) {
            return refuse(SourceRefusal::GovernedChange);
        }
        let reconnects = reaches_otherwise(&before, &after);
        let after = if reconnects { untested(after) } else { after };
        work.unit.data_sources().change(&after, account, reconnects, work.now).await?;
        if reconnects {
            work.unit.data_schemas().forget(after.id, work.now).await?;
            let job = test_job::of(&self.kernel, after.id)?;
            work.unit.jobs().enqueue(&job).await?;
        }
        let forgets_host_key = before.ssh_host_key.is_some() && after.ssh_host_key.is_none();
        let metadata = if forgets_host_key {
            json!({ "data_source": number, "reconnects": reconnects, "forgets_host_key": true })
        } else {
            json!({ "data_source": number, "reconnects": reconnects })
        };
        let subject = work.grant.subject();
        work.audit(Action::DataSourceUpdated, subject, metadata).await?;
        let changed = work.unit.data_sources().find(after.id).await?;
        work.commit().await?;
        if reconnects {
            self.pools.drop_source(after.id).await;
        }
        changed.map_or_else(|| refuse(SourceRefusal::NotFound), Ok)
    }

    /// Whether policies govern what the caller sees of a data source of that number. Before the unit that acts: policies are read in
    /// units of their own, which may make a key.
    async fn governs_caller(&self, actor: &Actor, number: i64) -> Outcome<bool, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ManageDataSources).await?;
        let source = seen(&mut unit, grant, number).await?;
        drop(unit);
        Ok(self.governs(grant, &source).await?)
    }
}

/// Whether connections of before are of no use.
fn reaches_otherwise(before: &DataSource, after: &DataSource) -> bool {
    before.connection != after.connection
        || before.ssh_host_key != after.ssh_host_key
        || before.sealed.connection_string != after.sealed.connection_string
        // Options of the driver are in it.
        || before.metadata.as_str() != after.metadata.as_str()
}

/// Options of drivers that say where a source is, how sure it is that it is the one, and whether a password is sent as it is; and where
/// Athena puts what it read.
const PLACES: [&str; 16] = [
    "url",
    "token_url",
    "endpoint",
    "tls",
    "ssl_mode",
    "ssl_ca",
    "ssl_server_name",
    // Db2: the database behind its service, which is given the password.
    "api",
    "db_host",
    "db_port",
    "db_tls",
    "deployment_id",
    "profile",
    // `PLAIN` tells the password to whoever listens.
    "sasl_mechanism",
    "output_location",
    "workgroup",
];

/// Whether what is stored of its secrets would be sent to another server, or be seen on the way. Credentials are in no answer; who could
/// have them sent to a server of their own would have them all the same.
fn leads_elsewhere(before: &DataSource, after: &DataSource) -> bool {
    let place = |source: &DataSource| {
        let Connection { host, port, use_ssh_tunnel, ssh_host, ssh_port, .. } = source.connection.clone();
        let metadata = source.metadata.to_value().unwrap_or_default();
        let options = PLACES.map(|name| metadata.get(name).cloned());
        (host, port, use_ssh_tunnel, ssh_host, ssh_port, options)
    };
    place(before) != place(after)
        // Whoever is in the place of the tunnel's server would be given them.
        || before.ssh_host_key != after.ssh_host_key
        || before.sealed.connection_string != after.sealed.connection_string
}

/// Whether other rows, or the same under other names of tables and columns, may be read of it: rules of policies are about names, and whom they
/// govern does not choose these.
fn reads_otherwise(before: &DataSource, after: &DataSource) -> bool {
    let reading = |source: &DataSource| Connection {
        pool_size: 0,
        connection_timeout: 0,
        query_timeout: 0,
        max_retries: 0,
        ..source.connection.clone()
    };
    let (old, new) =
        (before.metadata.to_value().unwrap_or_default(), after.metadata.to_value().unwrap_or_default());
    reading(before) != reading(after)
        || before.ssh_host_key != after.ssh_host_key
        || before.sealed.connection_string != after.sealed.connection_string
        || TypeInfo::of(after.kind).options().any(|option| old.get(option) != new.get(option))
}

/// As after a change of how it is reached: what was found out before is of something else.
pub(super) fn untested(source: DataSource) -> DataSource {
    let status = match source.status {
        SourceStatus::Maintenance => SourceStatus::Maintenance,
        _ => SourceStatus::Testing,
    };
    DataSource { status, failure_count: 0, failure_reason: None, schema_discovered_at: None, ..source }
}

impl Acting<'_> {
    /// The organization's data source of that number, to be changed: others wait until the unit ends.
    pub(super) async fn source_to_change(&mut self, number: i64) -> Outcome<DataSource, SourceRefusal> {
        let viewer = self.viewer();
        self.unit.data_sources().lock(viewer.organization).await?;
        match self.unit.data_sources().seen(viewer, number).await? {
            Some(source) => Ok(source),
            None => refuse(SourceRefusal::NotFound),
        }
    }

    async fn changed(
        &mut self,
        before: &DataSource,
        change: SourceChange,
    ) -> Outcome<DataSource, SourceRefusal> {
        let kernel = &self.app.kernel;
        let mut after = before.clone();
        let is_renamed =
            change.name.as_ref().is_some_and(|name| slug::slug(name) != slug::slug(&before.name));
        // A client that sends back what it was shown does not mean it.
        match change.connection_string.clone() {
            Some(Some(text)) if before.connection_string.as_deref() != Some(text.expose()) => {
                after.connection_string = Some(mask_password(text.expose()));
                after.sealed.connection_string = Some(seal_string(kernel, before.id, &text)?);
            }
            Some(None) => {
                after.connection_string = None;
                after.sealed.connection_string = None;
            }
            _ => {}
        }
        let info = TypeInfo::of(after.kind);
        // What was stored before, by whatever version, keeps nobody from changing something else.
        let sent = change.metadata.as_ref().map(|sent| sent.to_value().unwrap_or_default());
        let string = change.connection_string.as_ref().and_then(Option::as_ref);
        let string = string.filter(|text| before.connection_string.as_deref() != Some(text.expose()));
        check_options(info, sent.as_ref(), string).map_err(Refused::Rule)?;
        let forgets_host_key = change.forgets_host_key;
        apply(&mut after, change);
        let has_string = after.sealed.connection_string.is_some();
        after.connection = after.connection.with_usual_port(info, has_string);
        let credentials = open_credentials(kernel, after.id, after.sealed.credentials.as_deref())?;
        let metadata = after.metadata.to_value().unwrap_or_default();
        after.connection.check(info, has_string, &credentials, &metadata).map_err(Refused::Rule)?;
        after.connection.check_hosts(Some(&before.connection)).map_err(Refused::Rule)?;
        if after.connection.file_path != before.connection.file_path
            && let Some(path) = after.connection.file_path.clone()
        {
            self.require_file(&path).await?;
        }
        let tunnel = |source: &DataSource| {
            let connection = &source.connection;
            (connection.use_ssh_tunnel, connection.ssh_host.clone(), connection.ssh_port)
        };
        if forgets_host_key || tunnel(&after) != tunnel(before) {
            after.ssh_host_key = None;
        }
        if is_renamed {
            let name = slug::slug(&after.name);
            let taken = self.unit.data_sources().slugs(after.workspace, &name).await?;
            after.slug = slug::free(&name, &taken);
        }
        Ok(after)
    }
}

fn apply(source: &mut DataSource, change: SourceChange) {
    fn set<T>(field: &mut T, change: Option<T>) {
        if let Some(value) = change {
            *field = value;
        }
    }
    set(&mut source.name, change.name);
    set(&mut source.description, change.description);
    set(&mut source.schema_auto_refresh, change.schema_auto_refresh);
    set(&mut source.schema_refresh_interval, change.schema_refresh_interval);
    set(&mut source.metadata, change.metadata);
    set(&mut source.tags, change.tags);
    let connection: &mut Connection = &mut source.connection;
    set(&mut connection.host, change.host);
    set(&mut connection.port, change.port);
    set(&mut connection.database_name, change.database_name);
    set(&mut connection.schema_name, change.schema_name);
    set(&mut connection.file_path, change.file_path);
    set(&mut connection.use_ssh_tunnel, change.use_ssh_tunnel);
    set(&mut connection.ssh_host, change.ssh_host);
    set(&mut connection.ssh_port, change.ssh_port);
    set(&mut connection.ssh_username, change.ssh_username);
    set(&mut connection.ssh_local_port, change.ssh_local_port);
    set(&mut connection.pool_size, change.pool_size);
    set(&mut connection.connection_timeout, change.connection_timeout);
    set(&mut connection.query_timeout, change.query_timeout);
    set(&mut connection.max_retries, change.max_retries);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options that decide what is asked and how answers are read, but not who is given a secret.
    const HARMLESS: [&str; 48] = [
        "account",
        "allow_dead_letter_policy",
        "api_key_header",
        "audience",
        "auth_source",
        "body",
        "cache_seconds",
        "catalog",
        "client_auth",
        "client_id",
        "cursor_path",
        "cursor_variable",
        "delimiter",
        "encoding",
        "end_offset",
        "end_time",
        "fine_times",
        "first_page",
        "format",
        "header",
        "location",
        "max_records",
        "max_seconds",
        "maximum_bytes_billed",
        "method",
        "page_info_path",
        "page_parameter",
        "paging",
        "path",
        "prefix",
        "project",
        "query",
        "quote",
        "region",
        "row_tag",
        "rows_path",
        "sample_files",
        "sample_size",
        "scope",
        "sheet",
        "ssl_cert",
        "start_offset",
        "start_time",
        "table_name",
        "token_type",
        "unfit_values",
        "value_format",
        "variables",
    ];

    // A new option of a driver is of one kind or the other; which, is decided here.
    #[test]
    fn of_every_option_it_is_known_whether_secrets_follow_it() {
        for info in tidegate_connect::types() {
            for option in info.options() {
                assert_ne!(PLACES.contains(&option), HARMLESS.contains(&option), "{option} of {}", info.kind);
            }
        }
    }
}
