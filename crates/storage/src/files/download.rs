//! A file's bytes.

use std::ops::Range;

use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_objects::{ObjectKey, ObjectsError, Reading};

use super::file::TrackedFile;
use super::signed_url::SignedUrlError;
use crate::Storage;
use crate::fault::store_fault;

impl Storage {
    /// The bytes of a file, or a part of them, piece by piece. Who may read it, the caller has found out.
    ///
    /// # Errors
    /// [`SignedUrlError::NotFound`] when the store has lost it.
    pub async fn read_file(
        &self,
        file: &TrackedFile,
        range: Option<Range<u64>>,
    ) -> Outcome<Reading, SignedUrlError> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else {
            return refuse(SignedUrlError::NotFound);
        };
        match self.objects.read(&key, range).await {
            Ok(reading) => Ok(reading),
            Err(ObjectsError::NotFound) => {
                tracing::error!(file = file.number, "a file is tracked, and its object is missing");
                refuse(SignedUrlError::NotFound)
            }
            Err(error) => Err(store_fault(error).into()),
        }
    }
}
