//! A file's bytes.

use std::ops::Range;

use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_objects::{ObjectKey, ObjectsError, Reading};

use super::file::TrackedFile;
use super::signed_url::SignedUrlError;
use crate::Storage;
use crate::fault::store_fault;

impl Storage {
    /// How many bytes the store has of a file; none where it has lost it.
    ///
    /// # Errors
    /// Only faults, such as that the store does not answer.
    pub async fn size_in_store(&self, file: &TrackedFile) -> Result<Option<u64>, Fault> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else { return Ok(None) };
        let found = self.objects.find(&key).await.map_err(store_fault)?;
        Ok(found.map(|found| found.size))
    }

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
                tracing::error!(
                    file = file.number,
                    object = file.object_name.as_str(),
                    "the store has lost a file; it is answered with 404 until it is back"
                );
                refuse(SignedUrlError::NotFound)
            }
            Err(error) => Err(store_fault(error).into()),
        }
    }
}
