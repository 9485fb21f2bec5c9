//! Data sources are read.

use tidegate_connect::SourceType;
use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Fault, Grant};

use super::access::Viewer;
use super::error::SourceRefusal;
use super::source::DataSource;
use super::status::SourceStatus;
use crate::{Catalog, CatalogTables};

/// What a list is sorted by (contract D1: any field of its items).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sorting {
    /// When they were made.
    #[default]
    CreatedAt,
    /// Their numbers, which is the order in which they were made.
    Id,
    /// Another field.
    Field(&'static str),
}

/// Fields that lists are sorted by, besides `created_at` and `id`.
const FIELDS: [&str; 20] = [
    "schema_discovered_at",
    "name",
    "type",
    "status",
    "description",
    "host",
    "port",
    "database_name",
    "schema_name",
    "file_path",
    "ssh_host",
    "ssh_port",
    "workspace_id",
    "updated_at",
    "last_tested_at",
    "last_successful_connection_at",
    "use_ssh_tunnel",
    "schema_auto_refresh",
    "tags",
    "slug",
];

impl Sorting {
    /// All names that there are.
    pub fn names() -> Vec<&'static str> {
        ["created_at", "id", "organization_id"].into_iter().chain(FIELDS).collect()
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "created_at" => Some(Self::CreatedAt),
            // All are the caller's own organization's.
            "id" | "organization_id" => Some(Self::Id),
            other => FIELDS.into_iter().find(|field| *field == other).map(Self::Field),
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Id => "id",
            Self::Field(name) => name,
        }
    }
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The largest first.
    #[default]
    Descending,
}

/// Which data sources are listed, and how.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Those of the workspace of that number.
    pub workspace: Option<i64>,
    /// Those of that type.
    pub kind: Option<SourceType>,
    /// Those in that state.
    pub status: Option<SourceStatus>,
    /// Those with that in their name or description.
    pub search: Option<String>,
    /// By what they are sorted.
    pub sorting: Sorting,
    /// In which direction.
    pub order: Order,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

impl Listing {
    pub(super) const fn skipped(&self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.page_size)
    }
}

/// A page of data sources.
#[derive(Clone, Debug)]
pub struct SourcePage {
    /// The page.
    pub sources: Vec<DataSource>,
    /// How many there are in all.
    pub total: i64,
}

impl Catalog {
    /// A page of the organization's data sources that the caller sees.
    ///
    /// Source: RiverGen "data-sources", list.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_data_sources(&self, actor: &Actor, listing: &Listing) -> Result<SourcePage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        let viewer = Viewer::of(grant);
        let sources = unit.data_sources().page(viewer, listing).await?;
        let total = unit.data_sources().count_seen(viewer, listing).await?;
        Ok(SourcePage { sources, total })
    }

    /// One of the organization's data sources.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn read_data_source(&self, actor: &Actor, number: i64) -> Outcome<DataSource, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        seen(&mut unit, grant, number).await
    }
}

/// The one of that number that the caller sees.
pub(crate) async fn seen(unit: &mut Unit, grant: &Grant, number: i64) -> Outcome<DataSource, SourceRefusal> {
    seen_by(unit, Viewer::of(grant), number).await
}

/// The one of that number that the viewer sees.
pub(crate) async fn seen_by(
    unit: &mut Unit,
    viewer: Viewer,
    number: i64,
) -> Outcome<DataSource, SourceRefusal> {
    match unit.data_sources().seen(viewer, number).await? {
        Some(source) => Ok(source),
        None => refuse(SourceRefusal::NotFound),
    }
}
