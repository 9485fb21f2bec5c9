//! What crosses to and from other features.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_connect::{FileSource, SourceType};
use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, Grant, Work};

use crate::CatalogTables;
use crate::life::file::said_of_removed;
use crate::schemas::read::StoredTable;
use crate::sources::DataSource;
use crate::sources::access::Viewer;

pub use crate::schemas::called::{PlacedTable, RelationCard};
pub use crate::sources::card::SourceCard;

/// Whose files are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOwner {
    /// Files of this organization alone.
    pub organization: OrganizationId,
    /// Whether files of all its members count.
    pub organization_sees_all: bool,
    /// The member who asks; none for the organization itself, which asks for a file that one of its sources has.
    pub account: Option<AccountId>,
}

/// Files that data sources are made of: the storage keeps them, which this feature does not see (see `tidegate-bridge`).
pub trait SourceFiles: Send + Sync + 'static {
    /// Of each of some names, whether there is an object of it among its owner's files. One look-up finds all of them.
    fn exist<'f>(
        &'f self,
        unit: &'f mut Unit,
        files: &'f [(FileOwner, &'f str)],
    ) -> BoxFuture<'f, Result<Vec<bool>, Fault>>;

    /// A URL at which it can be fetched without a token until it expires; none where there is no such object.
    fn url<'f>(
        &'f self,
        unit: &'f mut Unit,
        owner: FileOwner,
        path: &'f str,
        expires: Duration,
    ) -> BoxFuture<'f, Result<Option<String>, Fault>>;

    /// The newest file of a member that was uploaded after the object of that name and called as that was; none where there is no such.
    fn newer<'f>(
        &'f self,
        unit: &'f mut Unit,
        owner: (OrganizationId, AccountId),
        path: &'f str,
    ) -> BoxFuture<'f, Result<Option<NewerFile>, Fault>>;

    /// Asks where the bytes are whether they are all there.
    fn kept<'f>(&'f self, owner: FileOwner, path: &'f str) -> BoxFuture<'f, Result<Kept, Fault>>;

    /// The object, to be read by a driver; none where there is no such object.
    fn open<'f>(
        &'f self,
        owner: FileOwner,
        path: &'f str,
    ) -> BoxFuture<'f, Result<Option<FileSource>, Fault>>;
}

/// A file that was uploaded after the one of a data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewerFile {
    /// What both were called when they were uploaded.
    pub name: String,
    /// What it is called in the storage.
    pub path: String,
    /// When it came.
    pub uploaded_at: Timestamp,
}

/// What the storage has of an object by now, whatever is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All that was uploaded.
    Whole,
    /// Another number of bytes.
    Otherwise {
        /// So many.
        size: u64,
        /// So many were uploaded.
        uploaded: u64,
    },
    /// Nothing, though nobody removed it there.
    Lost,
    /// There is no such object.
    NoFile,
}

/// Whether policies govern what a member sees of a data source: the policies know it, which this feature does not see (see
/// `tidegate-bridge`). Then nothing of it is given around what enforces them: neither its file, nor answers to a member's own test
/// queries, nor numbers of rows, nor names that the member may not see.
pub trait SourceGovernance: Send + Sync + 'static {
    /// Whether they do. `source` and `workspace` are the numbers of the data source and of its workspace.
    fn governs(
        &self,
        account: AccountId,
        organization: OrganizationId,
        source: i64,
        workspace: i64,
    ) -> BoxFuture<'_, Result<bool, Fault>>;

    /// Which tables and columns of a data source the member may know of; none where they may know of all.
    fn view(
        &self,
        account: AccountId,
        organization: OrganizationId,
        source: ViewedSource,
    ) -> BoxFuture<'_, Result<Option<Arc<dyn TableView>>, Fault>>;

    /// The policies of an organization, to be held against the tables of a data source; none where it has no policy.
    fn fit(
        &self,
        organization: OrganizationId,
        source: ViewedSource,
    ) -> BoxFuture<'_, Result<Option<Arc<dyn PolicyFit>>, Fault>>;
}

/// Policies that are held against tables.
pub trait PolicyFit: Send + Sync + 'static {
    /// What is to be told those who write policies of the ones that do not fit a table.
    fn misfits(&self, schema: &str, table: &StoredTable) -> Vec<String>;
}

/// A data source whose tables are looked at.
#[derive(Clone, Copy, Debug)]
pub struct ViewedSource {
    /// Its number.
    pub number: i64,
    /// The number of its workspace.
    pub workspace: i64,
    /// Whether a column holds values of its type alone.
    pub is_typed: bool,
}

impl From<&DataSource> for ViewedSource {
    fn from(source: &DataSource) -> Self {
        Self {
            number: source.number,
            workspace: source.workspace_number,
            // SQLite stores any value in any column.
            is_typed: source.kind != SourceType::Sqlite,
        }
    }
}

/// What somebody may know of tables.
pub trait TableView: Send + Sync + 'static {
    /// The table with the columns that they may know of; none where there is no such table for them.
    fn shown(&self, schema: &str, table: StoredTable) -> Option<StoredTable>;
}

/// The files of an organization that data sources are made of, each with the number of the first one that is: for the storage, which
/// names it beside the file.
///
/// # Errors
/// Only faults.
pub async fn sources_of_files(
    unit: &mut Unit,
    organization: OrganizationId,
) -> Result<Vec<(String, i64)>, Fault> {
    Ok(unit.data_sources().made_of_files(organization).await?)
}

/// Says of the data sources that are made of a file that they do not answer: the storage removes it, in the same unit of work. Answers
/// them, each with its name where the caller sees it.
///
/// # Errors
/// Only faults.
pub async fn file_removed(
    unit: &mut Unit,
    grant: &Grant,
    path: &str,
    now: Timestamp,
) -> Result<Vec<(i64, Option<String>)>, Fault> {
    let numbers =
        unit.data_sources().lose_file(grant.organization(), path, said_of_removed(path), now).await?;
    let mut sources = Vec::new();
    for number in numbers {
        let seen = if grant.allows(Permission::ReadDataSources) {
            unit.data_sources().seen(Viewer::of(grant), number).await?
        } else {
            None
        };
        sources.push((number, seen.map(|source| source.name)));
    }
    Ok(sources)
}

/// The data sources of an organization: for policies, which are assigned to them.
///
/// # Errors
/// Only faults.
pub async fn sources_of_organization(
    unit: &mut Unit,
    organization: OrganizationId,
) -> Result<Vec<SourceCard>, Fault> {
    Ok(unit.data_sources().cards(organization).await?)
}

/// The data sources that a caller sees: for questions, which are asked of them.
///
/// # Errors
/// Only faults.
pub async fn sources_seen(unit: &mut Unit, grant: &Grant) -> Result<Vec<DataSource>, Fault> {
    Ok(unit.data_sources().all_seen(Viewer::of(grant)).await?)
}

/// The discovered relations of an organization's data sources that are called so, whatever their schema; capitals do not count: for
/// policies, which are about them.
///
/// # Errors
/// Only faults.
pub async fn relations_of_organization(
    unit: &mut Unit,
    organization: OrganizationId,
    table: &str,
) -> Result<Vec<RelationCard>, Fault> {
    Ok(unit.data_schemas().called(organization, table).await?)
}

/// Names of the discovered relations of an organization's data sources, each once, of many the first: for policies, whose rules may have
/// one of them misspelled.
///
/// # Errors
/// Only faults.
pub async fn tables_of_organization(
    unit: &mut Unit,
    organization: OrganizationId,
) -> Result<Vec<String>, Fault> {
    Ok(unit.data_schemas().names(organization).await?)
}

/// The discovered tables of the data source or the schema of an organization that is called so: for policies, whose rules may name that in
/// place of a table. Of many the first, and whether these are all.
///
/// # Errors
/// Only faults.
pub async fn tables_placed(
    unit: &mut Unit,
    organization: OrganizationId,
    place: &str,
) -> Result<(Vec<PlacedTable>, bool), Fault> {
    Ok(unit.data_schemas().placed(organization, place).await?)
}

pub(crate) struct CatalogHooks;

impl AccountHooks for CatalogHooks {
    /// The data sources of organizations that end with it go for good. Those it made for others are theirs.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            for id in work.unit.data_sources().of_owner(account).await? {
                work.unit.data_sources().remove(id).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Which data sources it made.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let made = work.unit.data_sources().made_by(account).await?;
            if made.is_empty() {
                return Ok(None);
            }
            let made: Vec<Value> = made
                .into_iter()
                .map(|source| {
                    json!({
                        "id": source.number,
                        "name": source.name,
                        "type": source.kind.as_str(),
                        "created_at": source.created_at.iso_seconds(),
                    })
                })
                .collect();
            Ok(Some(("data_sources", json!(made))))
        }
        .boxed()
    }
}
