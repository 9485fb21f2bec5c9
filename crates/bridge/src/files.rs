//! Data sources of stored files.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use tidegate_catalog::hooks::{FileOwner, Kept, NewerFile, SourceFiles};
use tidegate_connect::{FileBytes, FileContent, FileSource};
use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::{Fault, Refused};
use tidegate_storage::files::file::TrackedFile;
use tidegate_storage::files::reach::Whose;
use tidegate_storage::files::signed_url::SignedUrlError;
use tidegate_storage::{Condition, Storage};

/// Files of the storage.
pub(crate) struct StoredFiles(pub(crate) Arc<Storage>);

/// Whose files count: those of all members, or of one.
fn whose(owner: FileOwner) -> Whose {
    match owner.account {
        Some(account) if !owner.organization_sees_all => Whose::Member(owner.organization, account),
        _ => Whose::Organization(owner.organization),
    }
}

impl SourceFiles for StoredFiles {
    fn exist<'f>(
        &'f self,
        unit: &'f mut Unit,
        files: &'f [(FileOwner, &'f str)],
    ) -> BoxFuture<'f, Result<Vec<bool>, Fault>> {
        async move {
            let files: Vec<(Whose, &str)> =
                files.iter().map(|(owner, path)| (whose(*owner), *path)).collect();
            self.0.has_files(unit, &files).await
        }
        .boxed()
    }

    fn url<'f>(
        &'f self,
        unit: &'f mut Unit,
        owner: FileOwner,
        path: &'f str,
        expires: Duration,
    ) -> BoxFuture<'f, Result<Option<String>, Fault>> {
        async move {
            let file = self.0.reach_file(unit, whose(owner), path).await?;
            Ok(file.map(|file| self.0.url_of(&file, expires)))
        }
        .boxed()
    }

    fn newer<'f>(
        &'f self,
        unit: &'f mut Unit,
        owner: (OrganizationId, AccountId),
        path: &'f str,
    ) -> BoxFuture<'f, Result<Option<NewerFile>, Fault>> {
        async move {
            let newer = self.0.newer_file(unit, owner, path).await?;
            Ok(newer.map(|file| NewerFile {
                name: file.file_name,
                path: file.object_name,
                uploaded_at: file.created_at,
            }))
        }
        .boxed()
    }

    fn kept<'f>(&'f self, owner: FileOwner, path: &'f str) -> BoxFuture<'f, Result<Kept, Fault>> {
        async move {
            let Some(file) = self.0.reach_file_now(whose(owner), path).await? else {
                return Ok(Kept::NoFile);
            };
            Ok(match self.0.condition(&file).await? {
                Condition::Whole => Kept::Whole,
                Condition::Changed { size } => Kept::Otherwise { size, uploaded: file.size },
                Condition::Lost => Kept::Lost,
            })
        }
        .boxed()
    }

    fn open<'f>(
        &'f self,
        owner: FileOwner,
        path: &'f str,
    ) -> BoxFuture<'f, Result<Option<FileSource>, Fault>> {
        async move {
            let file = self.0.reach_file_now(whose(owner), path).await?;
            Ok(file.map(|file| FileSource {
                name: file.file_name.clone(),
                content: FileContent::Remote(Arc::new(StoredBytes { storage: Arc::clone(&self.0), file })),
            }))
        }
        .boxed()
    }
}

/// The bytes of a stored file, wherever it is kept. A driver copies them, so that it never holds a file that is removed meanwhile, and
/// writes nothing beside one.
struct StoredBytes {
    storage: Arc<Storage>,
    file: TrackedFile,
}

#[async_trait::async_trait]
impl FileBytes for StoredBytes {
    async fn size(&self) -> io::Result<u64> {
        Ok(self.file.size)
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let range = range.start..range.end.min(self.file.size);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        // At once: grown by doubling, it would take twice as much.
        let mut read = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        let opened = self.storage.read_file(&self.file, Some(range)).await;
        let mut content = opened.map_err(unread)?.content;
        while let Some(piece) =
            content.try_next().await.map_err(|error| io::Error::other(error.to_string()))?
        {
            read.extend_from_slice(&piece);
        }
        Ok(read)
    }
}

fn unread(refused: Refused<SignedUrlError>) -> io::Error {
    match refused {
        Refused::Rule(missing) => io::Error::new(io::ErrorKind::NotFound, missing),
        Refused::Fault(fault) => io::Error::other(fault.to_string()),
    }
}
