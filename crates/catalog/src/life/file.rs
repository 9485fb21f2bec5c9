//! The file of a source: whether it is there, and what is said where it is not.

use std::time::Duration;

use serde_json::json;
use tidegate_connect::{ErrorCode, FileSource, SourceError};
use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_kernel::{Fault, Grant};
use tokio::time::timeout;

use crate::hooks::{FileOwner, Kept};
use crate::life::open::NotOpen;
use crate::sources::DataSource;
use crate::{Catalog, CatalogTables};

/// What to do where a file is gone, before the number of its data source and behind it.
const ADVICE: (&str, &str) = (
    "Upload it again, and send its new file_path with PATCH /api/v1/data-sources/",
    "; or delete the data source.",
);

/// How long the store is asked for a file that is open. What is left of a test's time is for the test.
const LOOKING: Duration = Duration::from_secs(2);

/// What a file is called in the storage, without its folders.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn removed(path: &str) -> String {
    format!("The file {} does not exist any more.", name(path))
}

/// What is said of the sources of a file that is removed, before the number of each and behind it.
pub(crate) fn said_of_removed(path: &str) -> (String, &'static str) {
    (format!("{} {}", removed(path), ADVICE.0), ADVICE.1)
}

fn gone(source: &DataSource, what: &str) -> SourceError {
    let (begin, end) = ADVICE;
    SourceError::new(ErrorCode::FileNotFound, format!("{what} {begin}{}{end}", source.number))
}

/// That the file of a source was removed.
pub(crate) fn no_file(source: &DataSource, path: &str) -> SourceError {
    gone(source, &removed(path))
}

fn lost(source: &DataSource, path: &str) -> SourceError {
    gone(
        source,
        &format!("The file {} was not removed here, and is not in the server's store any more.", name(path)),
    )
}

/// Why a source does not open: where its file was looked for, which one, and what to do.
pub(crate) fn of_file(source: &DataSource, error: SourceError) -> SourceError {
    match &source.connection.file_path {
        Some(path) if error.code == ErrorCode::FileNotFound => {
            SourceError { detail: error.detail, ..lost(source, path) }
        }
        _ => error,
    }
}

impl Catalog {
    /// The file of a source that has one. What is open is a copy of it, which ends with the file: it is looked for before each use, since
    /// any node may have removed it.
    pub(super) async fn present_file(&self, source: &DataSource) -> Result<Option<FileSource>, NotOpen> {
        let Some(path) = &source.connection.file_path else { return Ok(None) };
        if let Some(file) = self.files.open(owner_of(source), path).await? {
            return Ok(Some(file));
        }
        self.pools.drop_source(source.id).await;
        Err(no_file(source, path).into())
    }

    /// Looks whether the store has the file of a source as it was uploaded: what is open is a copy of it, which answers also where that is
    /// gone. A store that does not answer has lost nothing.
    pub(crate) async fn ensure_kept(&self, source: &DataSource) -> Result<(), NotOpen> {
        let Some(path) = &source.connection.file_path else { return Ok(()) };
        let asked = timeout(LOOKING, self.files.kept(owner_of(source), path)).await;
        let silent = || {
            Err(Fault::Unavailable(format!("the file store did not answer within {} s", LOOKING.as_secs())))
        };
        let kept = match asked.unwrap_or_else(|_elapsed| silent()) {
            Ok(kept) => kept,
            Err(error) => {
                let number = source.number;
                tracing::warn!(%error, data_source = number, "the file of a data source cannot be looked for");
                return Ok(());
            }
        };
        match kept {
            // Where there is none, opening it says so.
            Kept::Whole | Kept::NoFile => Ok(()),
            Kept::Lost => Err(lost(source, path).into()),
            Kept::Otherwise { size, uploaded } => {
                let what = format!(
                    "The file {} has {size} bytes in the server's store and had {uploaded} when it was uploaded: it was changed there.",
                    name(path)
                );
                Err(gone(source, &what).into())
            }
        }
    }

    /// What is said of a source to who has uploaded a file of the same name since, as one does each month: it reads the earlier one. Nothing
    /// where another source is made of the later one.
    pub(crate) async fn said_of_newer(
        &self,
        grant: &Grant,
        source: &DataSource,
    ) -> Result<Option<String>, Fault> {
        let Some(path) = &source.connection.file_path else { return Ok(None) };
        // A token that is not for files is told of none.
        if !grant.allows(Permission::ReadOwnFiles) {
            return Ok(None);
        }
        let mut unit = self.kernel.store.read().await?;
        let owner = (grant.organization(), grant.account());
        let Some(newer) = self.files.newer(&mut unit, owner, path).await? else { return Ok(None) };
        let made = unit.data_sources().made_of_files(grant.organization()).await?;
        let is_read = made.iter().any(|(read, _)| *read == newer.path);
        let change = json!({ "file_path": newer.path });
        Ok((!is_read).then(|| {
            format!(
                "It reads {}. A newer file {} was uploaded at {} and is not read: PATCH /api/v1/data-sources/{} with {change} has it read in its place.",
                name(path),
                newer.name,
                newer.uploaded_at.iso_seconds(),
                source.number,
            )
        }))
    }

    /// Of each of some sources, whether its file is still there; true for one that has none. All files are looked for at once.
    ///
    /// # Errors
    /// Only faults.
    pub async fn have_their_files(&self, sources: &[&DataSource]) -> Result<Vec<bool>, Fault> {
        let files: Vec<(FileOwner, &str)> = sources
            .iter()
            .filter_map(|source| Some((owner_of(source), source.connection.file_path.as_deref()?)))
            .collect();
        if files.is_empty() {
            return Ok(vec![true; sources.len()]);
        }
        let mut unit = self.kernel.store.read().await?;
        let mut there = self.files.exist(&mut unit, &files).await?.into_iter();
        let has_its =
            |source: &&DataSource| source.connection.file_path.is_none() || there.next().unwrap_or_default();
        Ok(sources.iter().map(has_its).collect())
    }

    /// Whether the file of a source is still there, in a unit of work.
    pub(crate) async fn has_file_in(&self, unit: &mut Unit, source: &DataSource) -> Result<bool, Fault> {
        let Some(path) = &source.connection.file_path else { return Ok(true) };
        let file = (owner_of(source), path.as_str());
        Ok(self.files.exist(unit, &[file]).await?.contains(&true))
    }
}

/// Who sees a source reads its file, whoever uploaded it.
fn owner_of(source: &DataSource) -> FileOwner {
    FileOwner { organization: source.organization, organization_sees_all: true, account: None }
}
