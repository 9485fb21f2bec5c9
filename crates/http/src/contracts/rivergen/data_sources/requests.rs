//! Request bodies, and how they are read.

use std::time::Duration;

use serde::Deserialize;
use tidegate_catalog::sources::change::SourceChange;
use tidegate_catalog::sources::connection::{MAX_INTERVAL, MAX_POOL, MAX_RETRIES, MAX_TIMEOUT, MIN_INTERVAL};
use tidegate_catalog::sources::credentials::Credentials;
use tidegate_catalog::sources::source::{MAX_NAME, MAX_PATH};
use tidegate_catalog::sources::{Connection, CredentialChange, NewDataSource};
use tidegate_domain::Secret;
use tidegate_domain::text::line;
use tidegate_kernel::noted;
use utoipa::ToSchema;

use super::fields::{
    Nullable, connection_string, count, description, metadata, nullable, port, present, secret, tags, text,
    whole,
};
use super::places;
use super::responses::DataSourceData;
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::unknown::{Exact, Object, fields_of};

/// Longest key of a tunnel's server, in characters: more than any algorithm's.
const MAX_HOST_KEY: usize = 16_384;

/// A tag.
#[derive(ToSchema)]
#[schema(value_type = String, format = "tag", example = "sales")]
struct Tag(#[allow(dead_code, reason = "it is described, and read as text")] String);

macro_rules! credentials {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($own)*
            /// Who signs in.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            username: Field<String>,
            /// Password.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            password: Field<String>,
            /// Key of an API.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            api_key: Field<String>,
            /// Secret of the client `metadata.client_id`, which fetches tokens from `metadata.token_url`.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            client_secret: Field<String>,
            /// Token of OAuth.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            oauth_token: Field<String>,
            /// Private key of the tunnel.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            ssh_private_key: Field<String>,
            /// What that key is encrypted with.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            ssh_passphrase: Field<String>,
            /// Private key of the client's certificate, which is `metadata.ssl_cert`.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            ssl_key: Field<String>,
            /// Snowflake's warehouse.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            warehouse: Field<String>,
            /// The role to act in.
            #[schema(value_type = Option<String>, format = "source-secret")]
            #[serde(default)]
            role: Field<String>,
        }

        impl $name {
            fn secrets(self, check: &mut Check) -> Vec<(&'static str, Option<Secret>)> {
                let fields = [
                    ("username", self.username),
                    ("password", self.password),
                    ("api_key", self.api_key),
                    ("client_secret", self.client_secret),
                    ("oauth_token", self.oauth_token),
                    ("ssh_private_key", self.ssh_private_key),
                    ("ssh_passphrase", self.ssh_passphrase),
                    ("ssl_key", self.ssl_key),
                    ("warehouse", self.warehouse),
                    ("role", self.role),
                ];
                let read = fields.into_iter();
                read.filter_map(|(name, field)| Some((name, secret(check, name, field)?))).collect()
            }
        }
    };
}

credentials! {
    /// Secrets of a data source. They are in no answer.
    CredentialsBody {}
}

credentials! {
    /// PATCH .../credentials. What is left out stays; `null` removes one.
    ChangeCredentialsBody {
        /// Seals what is stored anew and closes connections that were made with it.
        #[schema(value_type = Option<bool>)]
        #[serde(default)]
        rotate_credentials: Field<bool>,
    }
}

impl Exact for ChangeCredentialsBody {
    fn place_of(name: &str) -> Option<String> {
        places::of_credentials(name)
    }
}

impl ChangeCredentialsBody {
    pub(super) fn read(mut self) -> Result<CredentialChange, Violations> {
        let mut check = Check::new();
        let rotate = check.optional("rotate_credentials", std::mem::take(&mut self.rotate_credentials));
        let secrets = self.secrets(&mut check);
        check.finish(Some(CredentialChange { secrets, rotate: rotate.unwrap_or(false) }))
    }
}

macro_rules! described {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($own)*
            /// For people.
            #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 2000)]
            #[serde(default)]
            description: Field<String>,
            /// Name or address of the server. With `connection_string`, host, port and database are not needed.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
            #[serde(default)]
            host: Field<String>,
            /// The type's usual one when left out.
            #[schema(value_type = Option<i64>, minimum = 1, maximum = 65535)]
            #[serde(default)]
            port: Field<i64>,
            /// Database.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
            #[serde(default)]
            database_name: Field<String>,
            /// The schema that is looked at first.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
            #[serde(default)]
            schema_name: Field<String>,
            /// In place of host, port and database. Answers show it with its password masked.
            #[schema(value_type = Option<String>, format = "connection-string")]
            #[serde(default)]
            connection_string: Field<String>,
            /// For types of files: the name of an object of the storage.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 1000)]
            #[serde(default)]
            file_path: Field<String>,
            /// Whether through an SSH tunnel.
            #[schema(value_type = bool)]
            #[serde(default)]
            use_ssh_tunnel: Field<bool>,
            /// Its server.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
            #[serde(default)]
            ssh_host: Field<String>,
            /// 22 when left out.
            #[schema(value_type = Option<i64>, minimum = 1, maximum = 65535)]
            #[serde(default)]
            ssh_port: Field<i64>,
            /// Who signs in there.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
            #[serde(default)]
            ssh_username: Field<String>,
            /// The tunnel's end at this server; a free port when left out, and where data sources may not be on this machine.
            #[schema(value_type = Option<i64>, minimum = 1, maximum = 65535)]
            #[serde(default)]
            ssh_local_port: Field<i64>,
            /// 5 when left out.
            #[schema(value_type = i64, minimum = 1, maximum = 100)]
            #[serde(default)]
            connection_pool_size: Field<i64>,
            /// Seconds; 30 when left out.
            #[schema(value_type = i64, minimum = 1, maximum = 86400)]
            #[serde(default)]
            connection_timeout: Field<i64>,
            /// Seconds; 300 when left out.
            #[schema(value_type = i64, minimum = 1, maximum = 86400)]
            #[serde(default)]
            query_timeout: Field<i64>,
            /// 3 when left out.
            #[schema(value_type = i64, minimum = 0, maximum = 10)]
            #[serde(default)]
            max_retries: Field<i64>,
            /// Whether its tables are discovered again and again; `true` when left out.
            #[schema(value_type = bool)]
            #[serde(default)]
            schema_auto_refresh: Field<bool>,
            /// Seconds between that; 3600 when left out.
            #[schema(value_type = i64, minimum = 60, maximum = 2592000)]
            #[serde(default)]
            schema_refresh_interval: Field<i64>,
            /// Options of the type, and what else the client wants to keep: an object of up to 16 KiB.
            #[schema(value_type = Object)]
            #[serde(default)]
            metadata: Field<ObjectText>,
            /// Up to 50.
            #[schema(value_type = Vec<Tag>, max_items = 50)]
            #[serde(default)]
            tags: Field<Vec<String>>,
        }

        impl $name {
            /// All fields that creating and changing have in common.
            fn common(&mut self, check: &mut Check) -> SourceChange {
                use std::mem::take;
                let name = take(&mut self.name);
                SourceChange {
                    name: present(check, "name", name)
                        .and_then(|name| check.parsed("name", line(&name, MAX_NAME))),
                    description: description(check, take(&mut self.description)),
                    host: text(check, "host", take(&mut self.host), 255),
                    port: port(check, "port", take(&mut self.port)),
                    database_name: text(check, "database_name", take(&mut self.database_name), 255),
                    schema_name: text(check, "schema_name", take(&mut self.schema_name), 255),
                    connection_string: connection_string(check, take(&mut self.connection_string)),
                    file_path: text(check, "file_path", take(&mut self.file_path), MAX_PATH),
                    use_ssh_tunnel: present(check, "use_ssh_tunnel", take(&mut self.use_ssh_tunnel)),
                    ssh_host: text(check, "ssh_host", take(&mut self.ssh_host), 255),
                    ssh_port: port(check, "ssh_port", take(&mut self.ssh_port)),
                    ssh_username: text(check, "ssh_username", take(&mut self.ssh_username), 255),
                    ssh_local_port: port(check, "ssh_local_port", take(&mut self.ssh_local_port)),
                    forgets_host_key: false,
                    pool_size: count(
                        check, "connection_pool_size", take(&mut self.connection_pool_size), 1, MAX_POOL,
                    ),
                    connection_timeout: count(
                        check, "connection_timeout", take(&mut self.connection_timeout), 1, MAX_TIMEOUT,
                    ),
                    query_timeout: count(check, "query_timeout", take(&mut self.query_timeout), 1, MAX_TIMEOUT),
                    max_retries: count(check, "max_retries", take(&mut self.max_retries), 0, MAX_RETRIES),
                    schema_auto_refresh: present(
                        check, "schema_auto_refresh", take(&mut self.schema_auto_refresh),
                    ),
                    schema_refresh_interval: count(
                        check,
                        "schema_refresh_interval",
                        take(&mut self.schema_refresh_interval),
                        MIN_INTERVAL,
                        MAX_INTERVAL,
                    ),
                    metadata: metadata(check, take(&mut self.metadata)),
                    tags: tags(check, take(&mut self.tags)),
                }
            }
        }
    };
}

described! {
    /// POST /api/v1/data-sources.
    CreateDataSourceBody {
        /// The number of its workspace; the caller's default one when left out.
        #[schema(value_type = Option<i64>)]
        #[serde(default)]
        workspace_id: Field<i64>,
        /// For people. What it is called in SQL is made of it.
        #[schema(required = true, value_type = String, format = "single-line", max_length = 255)]
        #[serde(default)]
        name: Field<String>,
        /// One of the types of docs/sources.md.
        #[schema(required = true, value_type = String, format = "data-source-type", example = "postgresql")]
        #[serde(default, rename = "type")]
        kind: Field<String>,
        /// Secrets. They are in no answer.
        #[schema(value_type = Option<CredentialsBody>)]
        #[serde(default)]
        credentials: Field<Object<CredentialsBody>>,
        /// Ignored; deprecated.
        #[schema(value_type = Option<i64>)]
        #[serde(default)]
        storage_file_id: Field<i64>,
    }
}

described! {
    /// PATCH /api/v1/data-sources/{data_source_id}. What is left out stays; `null` clears what may be empty.
    ChangeDataSourceBody {
        /// For people. What it is called in SQL follows it.
        #[schema(value_type = String, format = "single-line", max_length = 255)]
        #[serde(default)]
        name: Field<String>,
        /// An empty text forgets the key of the tunnel's server: the next one is pinned. What answers show of it, a key or `null`, is ignored.
        #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 16384)]
        #[serde(default)]
        ssh_host_key: Field<String>,
    }
}

impl Exact for CreateDataSourceBody {
    fn place_of(name: &str) -> Option<String> {
        places::of_new(name)
    }
}

impl Exact for ChangeDataSourceBody {
    fn sent_back() -> Vec<String> {
        fields_of::<DataSourceData>()
    }

    fn place_of(name: &str) -> Option<String> {
        places::of_change(name)
    }
}

/// What is left out, or `null`, is the default where something is made.
fn defaulted<T>(field: Field<T>) -> Field<T> {
    match field {
        Field::Null => Field::Missing,
        field => field,
    }
}

impl CreateDataSourceBody {
    pub(super) fn read(mut self) -> Result<NewDataSource, Violations> {
        let mut check = Check::new();
        check.optional("storage_file_id", std::mem::take(&mut self.storage_file_id));
        let workspace = check.optional("workspace_id", std::mem::take(&mut self.workspace_id));
        let kind = check.required("type", std::mem::take(&mut self.kind));
        let kind = kind.and_then(|name| check.parsed("type", name.parse()));
        let credentials = check.optional("credentials", std::mem::take(&mut self.credentials));
        let secrets = credentials.map(|sent| {
            let at = |name: &str| format!("credentials.{name}");
            let body = sent.all_placed(&mut check, at, places::of_credentials);
            body.secrets(&mut check)
        });
        let secrets = secrets.unwrap_or_default();
        self.without_nulls();
        let common = self.common(&mut check);
        if common.name.is_none() && !check.blames("name") {
            check.violated::<()>("name", "is required");
        }
        let mut credentials = Credentials::default();
        for (name, secret) in secrets {
            credentials.set(name, secret);
        }
        let connection = connection(&common);
        check.finish(common.name.zip(kind).map(|(name, kind)| NewDataSource {
            workspace,
            name,
            kind,
            description: common.description.flatten(),
            connection,
            connection_string: common.connection_string.flatten(),
            schema_auto_refresh: common.schema_auto_refresh.unwrap_or(true),
            schema_refresh_interval: common.schema_refresh_interval.unwrap_or(3_600),
            credentials,
            metadata: common.metadata.unwrap_or_default(),
            tags: common.tags.unwrap_or_default(),
        }))
    }

    fn without_nulls(&mut self) {
        use std::mem::take;
        self.use_ssh_tunnel = defaulted(take(&mut self.use_ssh_tunnel));
        self.connection_pool_size = defaulted(take(&mut self.connection_pool_size));
        self.connection_timeout = defaulted(take(&mut self.connection_timeout));
        self.query_timeout = defaulted(take(&mut self.query_timeout));
        self.max_retries = defaulted(take(&mut self.max_retries));
        self.schema_auto_refresh = defaulted(take(&mut self.schema_auto_refresh));
        self.schema_refresh_interval = defaulted(take(&mut self.schema_refresh_interval));
        self.metadata = defaulted(take(&mut self.metadata));
        self.tags = defaulted(take(&mut self.tags));
        self.name = defaulted(take(&mut self.name));
    }
}

fn connection(change: &SourceChange) -> Connection {
    fn given<T: Clone>(field: &Nullable<T>) -> Option<T> {
        field.clone().flatten()
    }
    let usual = Connection::default();
    Connection {
        host: given(&change.host),
        port: given(&change.port),
        database_name: given(&change.database_name),
        schema_name: given(&change.schema_name),
        file_path: given(&change.file_path),
        use_ssh_tunnel: change.use_ssh_tunnel.unwrap_or(usual.use_ssh_tunnel),
        ssh_host: given(&change.ssh_host),
        ssh_port: given(&change.ssh_port),
        ssh_username: given(&change.ssh_username),
        ssh_local_port: given(&change.ssh_local_port),
        pool_size: change.pool_size.unwrap_or(usual.pool_size),
        connection_timeout: change.connection_timeout.unwrap_or(usual.connection_timeout),
        query_timeout: change.query_timeout.unwrap_or(usual.query_timeout),
        max_retries: change.max_retries.unwrap_or(usual.max_retries),
    }
}

impl ChangeDataSourceBody {
    pub(super) fn read(mut self) -> Result<SourceChange, Violations> {
        let mut check = Check::new();
        let forgets_host_key = forgets_host_key(&mut check, std::mem::take(&mut self.ssh_host_key));
        let change = SourceChange { forgets_host_key, ..self.common(&mut check) };
        check.finish(Some(change))
    }
}

/// Whether the key of the tunnel's server is to be forgotten. A client that sends back what it was shown, which is `null` until there is a
/// key, does not mean it.
fn forgets_host_key(check: &mut Check, field: Field<String>) -> bool {
    match text(check, "ssh_host_key", defaulted(field), MAX_HOST_KEY) {
        Some(None) => true,
        Some(Some(_)) => {
            noted::ignored(vec!["ssh_host_key".to_owned()]);
            false
        }
        None => false,
    }
}

/// POST .../test.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestDataSourceBody {
    /// A query that reads; the type's own when left out.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 10000)]
    #[serde(default)]
    test_query: Field<String>,
    /// `connection_timeout` of the data source when left out, and the longest wait of the server at most.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 300)]
    #[serde(default)]
    timeout_seconds: Field<i64>,
}

impl Exact for TestDataSourceBody {}

impl TestDataSourceBody {
    pub(super) fn read(self) -> Result<(Option<String>, Option<Duration>), Violations> {
        let mut check = Check::new();
        let query = match nullable(&mut check, "test_query", self.test_query).flatten() {
            Some(text) if text.contains('\0') || text.chars().count() > 10_000 => {
                check.violated("test_query", "must be at most 10000 characters, none of them NUL")
            }
            query => query.filter(|text| !text.trim().is_empty()),
        };
        let seconds = nullable(&mut check, "timeout_seconds", self.timeout_seconds).flatten();
        let seconds = seconds.and_then(|sent| whole(&mut check, "timeout_seconds", sent, 1_u32, 300));
        check.finish(Some((query, seconds.map(|seconds| Duration::from_secs(seconds.into())))))
    }
}
