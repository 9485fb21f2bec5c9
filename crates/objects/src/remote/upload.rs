//! An upload in parts.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::http::{checked, generic, joined, text};
use super::interface::RemoteStore;
use super::protocol::Parts;

/// A file that is being uploaded part by part.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) store: RemoteStore,
    pub(super) path: Path,
    pub(super) upload: String,
    pub(super) next: usize,
    /// What the store said of each part so far.
    pub(super) tags: Arc<Mutex<Vec<Option<String>>>>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, path, tags, number) =
            (self.store.clone(), self.path.clone(), Arc::clone(&self.tags), self.next);
        self.next += 1;
        let draft = store.protocol.part(path.as_ref(), &self.upload, number, joined(data));
        async move {
            let response = checked(store.send(&draft).await?, &path).await?;
            let tag = store.protocol.tag(number, response.headers());
            let tag = tag.ok_or_else(|| generic("the store does not name a part"))?;
            let mut tags = tags.lock().unwrap_or_else(PoisonError::into_inner);
            let least = tags.len().max(number + 1);
            tags.resize(least, None);
            if let Some(place) = tags.get_mut(number) {
                *place = Some(tag);
            }
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tags: Option<Vec<String>> = tags.into_iter().collect();
        let tags = tags.filter(|tags| tags.len() == self.next).ok_or_else(|| generic("a part is missing"))?;
        let parts = Parts { upload: self.upload.clone(), tags };
        let draft = self.store.protocol.complete(self.path.as_ref(), &parts);
        let response = checked(self.store.send(&draft).await?, &self.path).await?;
        let e_tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        // S3 answers 200 before it knows, and then an error.
        let said = text(response).await?;
        if said.contains("<Error>") {
            return Err(generic("the store could not put the parts together"));
        }
        Ok(PutResult { e_tag, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        if let Some(draft) = self.store.protocol.abort(self.path.as_ref(), &self.upload) {
            checked(self.store.send(&draft).await?, &self.path).await?;
        }
        Ok(())
    }
}
