//! Faults of the store, as use cases have them.

use tidegate_kernel::Fault;
use tidegate_objects::ObjectsError;

/// A fault of the store, where there is no better answer.
pub(crate) fn store_fault(error: ObjectsError) -> Fault {
    match error {
        // A directory is there again when it was mounted or mended: clients may try later.
        ObjectsError::Unavailable(text) | ObjectsError::Unusable(text) | ObjectsError::Denied(text) => {
            Fault::Unavailable(format!("the file store: {text}"))
        }
        other => Fault::Internal(format!("the file store: {other}")),
    }
}
