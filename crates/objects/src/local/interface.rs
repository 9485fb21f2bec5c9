//! The directory as an object store.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::LocalObjects;
use super::staged::read_at;
use crate::error::as_store_error;
use crate::{ObjectKey, ObjectsError};

/// Bytes that are read at once.
const CHUNK: u64 = 256 * 1024;

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory of files")
    }
}

/// The key of a path; paths that are none name nothing.
fn key_of(path: &Path) -> Result<ObjectKey> {
    ObjectKey::parse(path.as_ref()).map_err(|_| as_store_error(ObjectsError::NotFound, path))
}

fn reads_only() -> Error {
    Error::NotSupported { source: "files are written by uploading them".into() }
}

#[async_trait]
impl ObjectStore for LocalObjects {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(reads_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(reads_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (file, meta) =
            self.find(&key_of(location)?).await.map_err(|error| as_store_error(error, location))?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range
                .as_range(meta.size)
                .map_err(|error| Error::Generic { store: "files", source: Box::new(error) })?,
            None => 0..meta.size,
        };
        let to_read = if options.head { range.start..range.start } else { range.clone() };
        let payload = GetResultPayload::Stream(chunks(file, to_read, location.clone()));
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        locations
            .and_then(move |location| {
                let objects = objects.clone();
                async move {
                    let removed = objects.remove(&key_of(&location)?).await;
                    match removed.map_err(|error| as_store_error(error, &location))? {
                        true => Ok(location),
                        false => Err(as_store_error(ObjectsError::NotFound, &location)),
                    }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let shown = prefix.cloned().unwrap_or_default();
        self.below(prefix).map_err(move |error| as_store_error(error, &shown)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let within = self.within(prefix).await;
        let (objects, common_prefixes) =
            within.map_err(|error| as_store_error(error, &prefix.cloned().unwrap_or_default()))?;
        Ok(ListResult { common_prefixes, objects })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(reads_only())
    }
}

/// A part of a file, piece by piece. A file that turns out shorter than it was is an error, not an early end.
fn chunks(file: File, range: Range<u64>, location: Path) -> BoxStream<'static, Result<Bytes>> {
    let file = Arc::new(file);
    stream::try_unfold(range.start, move |offset| {
        let (file, location, end) = (Arc::clone(&file), location.clone(), range.end);
        async move {
            let length = end.saturating_sub(offset).min(CHUNK);
            if length == 0 {
                return Ok(None);
            }
            let wanted = usize::try_from(length).unwrap_or(usize::MAX);
            let reading = tokio::task::spawn_blocking(move || read_at(&file, offset, wanted));
            let read = reading.await.map_err(ObjectsError::from).and_then(|read| Ok(read?));
            let read = read.map_err(|error| as_store_error(error, &location))?;
            if read.len() < wanted {
                let cut = ObjectsError::Unavailable("a file is shorter than it was".to_owned());
                return Err(as_store_error(cut, &location));
            }
            Ok(Some((Bytes::from(read), offset + length)))
        }
    })
    .boxed()
}
