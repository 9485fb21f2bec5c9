//! Files that the database names and the local directory does not have.

use tidegate_database::{Result, Unit};
use tidegate_objects::Objects;
use tidegate_storage::StorageTables;

/// How many files are looked for: the first ones of the database.
const LOOKED_FOR: i64 = 1_000;

/// The keys of the files that are looked for.
pub(in crate::commands) async fn looked_for(unit: &mut Unit) -> Result<Vec<String>> {
    unit.files().tracked(LOOKED_FOR).await
}

/// How many of them are lost, for people and for programs; none where all are there, or a remote store keeps them.
pub(in crate::commands) fn lost(objects: &Objects, looked_for: &[String]) -> Option<(String, usize)> {
    let lost = objects.count_lost(looked_for).filter(|lost| *lost > 0)?;
    let text = format!("the store has lost {lost} of the {} files that were looked for", looked_for.len());
    Some((text, lost))
}
