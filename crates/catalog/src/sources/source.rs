//! What a data source is.

use tidegate_connect::SourceType;
use tidegate_domain::id::{DataSourceId, OrganizationId, WorkspaceId};
use tidegate_domain::{Document, Secret, Timestamp};

use super::connection::Connection;
use super::sealed::Credentials;
use super::status::SourceStatus;

/// Longest name, in characters.
pub const MAX_NAME: usize = 255;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// Longest path of a file, and longest other text, in characters.
pub const MAX_PATH: usize = 1_000;
/// Longest secret, in characters: a private key of 16,384 bits fits.
pub const MAX_SECRET: usize = 16 * 1024;
/// Most tags.
pub const MAX_TAGS: usize = 50;
/// Longest tag, in characters.
pub const MAX_TAG: usize = 64;
/// Most bytes of metadata.
pub const MAX_METADATA: usize = 16 * 1024;

/// The names of all types, as they are sent.
pub fn type_names() -> Vec<&'static str> {
    tidegate_connect::types().iter().map(|info| info.kind.as_str()).collect()
}

/// Whether the metadata of some type have an option of that name.
pub fn is_option(name: &str) -> bool {
    tidegate_connect::types().iter().any(|info| info.options().any(|option| option == name))
}

/// A data source, without its secrets.
#[derive(Clone, Debug)]
pub struct DataSource {
    /// Key.
    pub id: DataSourceId,
    /// The integer that is shown.
    pub number: i64,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The organization's number.
    pub organization_number: i64,
    /// Where it is.
    pub workspace: WorkspaceId,
    /// The workspace's number.
    pub workspace_number: i64,
    /// For people.
    pub name: String,
    /// What it is called in SQL; unique in its workspace.
    pub slug: String,
    /// What it is of.
    pub kind: SourceType,
    /// For people.
    pub description: Option<String>,
    /// How it is reached.
    pub connection: Connection,
    /// Its connection string, with what is secret masked.
    pub connection_string: Option<String>,
    /// The key that the server of its tunnel showed first; another one is refused.
    pub ssh_host_key: Option<String>,
    /// Whether its tables are discovered again and again.
    pub schema_auto_refresh: bool,
    /// Seconds between that.
    pub schema_refresh_interval: u32,
    /// The client's own.
    pub metadata: Document,
    /// The client's own.
    pub tags: Vec<String>,
    /// What state it is in.
    pub status: SourceStatus,
    /// Last tested.
    pub last_tested_at: Option<Timestamp>,
    /// Last answered.
    pub last_success_at: Option<Timestamp>,
    /// Last did not.
    pub last_failure_at: Option<Timestamp>,
    /// Failures in a row.
    pub failure_count: i64,
    /// Why it failed last; none when it answered since.
    pub failure_reason: Option<String>,
    /// Its tables were discovered.
    pub schema_discovered_at: Option<Timestamp>,
    /// The number of the account that made it.
    pub created_by: i64,
    /// Made.
    pub created_at: Timestamp,
    /// Changed.
    pub updated_at: Timestamp,
    /// The number of the account that changed it last.
    pub updated_by: Option<i64>,
    /// What it was tested and asked for: succeeded, failed, and how long that took in all.
    pub queries: Queries,
    pub(crate) version: i64,
    pub(crate) sealed: Sealed,
}

impl DataSource {
    /// Whether anything is stored that is in no answer.
    pub(crate) fn has_secrets(&self) -> bool {
        self.sealed.credentials.is_some() || self.sealed.connection_string.is_some()
    }
}

/// What a source was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// How often it answered.
    pub succeeded: i64,
    /// How often it did not.
    pub failed: i64,
    /// How long it took to answer, in microseconds, in all.
    pub micros: i64,
}

/// The sealed parts of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) connection_string: Option<Vec<u8>>,
    pub(crate) credentials: Option<Vec<u8>>,
}

/// A data source to be made.
#[derive(Clone, Debug)]
pub struct NewDataSource {
    /// The number of its workspace; the caller's default one when none is given.
    pub workspace: Option<i64>,
    /// For people.
    pub name: String,
    /// What it is of.
    pub kind: SourceType,
    /// For people.
    pub description: Option<String>,
    /// How it is reached.
    pub connection: Connection,
    /// In place of host, port and database.
    pub connection_string: Option<Secret>,
    /// Whether its tables are discovered again and again.
    pub schema_auto_refresh: bool,
    /// Seconds between that.
    pub schema_refresh_interval: u32,
    /// Its secrets.
    pub credentials: Credentials,
    /// The client's own.
    pub metadata: Document,
    /// The client's own.
    pub tags: Vec<String>,
}
