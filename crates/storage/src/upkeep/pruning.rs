//! What is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::StorageTables;

/// How long it is known that there was a file.
const KEEP_REMOVED: Duration = Duration::from_secs(90 * 24 * 3_600);

pub(crate) const REMOVED_FILES: Pruning = Pruning {
    name: "rows of removed files",
    prune: |_, unit, now| {
        async move { Ok(unit.files().prune(now.minus(KEEP_REMOVED), AT_ONCE).await?) }.boxed()
    },
};
