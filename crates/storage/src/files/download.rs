//! A file's bytes.

use std::ops::Range;

use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_objects::{Condition, ObjectKey, ObjectsError, Reading};

use super::file::TrackedFile;
use super::signed_url::SignedUrlError;
use crate::Storage;
use crate::fault::store_fault;

impl Storage {
    /// Whether the store has a file as it was uploaded.
    ///
    /// # Errors
    /// Only faults, such as that the store does not answer.
    pub async fn condition(&self, file: &TrackedFile) -> Result<Condition, Fault> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else { return Ok(Condition::Lost) };
        let found = self.objects.find(&key).await.map_err(store_fault)?;
        Ok(Condition::of(found.map(|found| found.size), file.size))
    }

    /// The bytes of a file, or a part of them, piece by piece. Who may read it, the caller has found out.
    ///
    /// # Errors
    /// [`SignedUrlError::NotFound`] when the store has lost it, or has another number of bytes than were uploaded.
    pub async fn read_file(
        &self,
        file: &TrackedFile,
        range: Option<Range<u64>>,
    ) -> Outcome<Reading, SignedUrlError> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else {
            return refuse(SignedUrlError::NotFound);
        };
        let is_part = range.is_some();
        match self.objects.read(&key, range).await {
            Ok(reading) => {
                if let Condition::Changed { size } = Condition::of(Some(reading.file.size), file.size) {
                    return refuse_changed(file, size);
                }
                Ok(reading)
            }
            Err(ObjectsError::NotFound) => {
                tracing::error!(
                    file = file.number,
                    object = file.object_name.as_str(),
                    "the store has lost a file; it is answered with 404 until it is back"
                );
                refuse(SignedUrlError::NotFound)
            }
            // A part behind the end of a file that became shorter is an error of the store.
            Err(error) if is_part => match self.condition(file).await {
                Ok(Condition::Changed { size }) => refuse_changed(file, size),
                _ => Err(store_fault(error).into()),
            },
            Err(error) => Err(store_fault(error).into()),
        }
    }
}

/// Refuses a file that has `size` bytes in the store by now: they are of another content.
fn refuse_changed<T>(file: &TrackedFile, size: u64) -> Outcome<T, SignedUrlError> {
    tracing::error!(
        file = file.number,
        object = file.object_name.as_str(),
        size,
        uploaded = file.size,
        "a file was changed in the store; it is answered with 404 until it has the size again that was uploaded"
    );
    refuse(SignedUrlError::NotFound)
}
