//! Files that the database names and their store does not have.

use tidegate_database::{Result, Unit};
use tidegate_objects::{Backend, Objects, ObjectsError};
use tidegate_storage::StorageTables;

/// How many files are looked for in a local directory: so many of the oldest, and of the newest.
const LOOKED_FOR: i64 = 500;
/// The same in a store over the network, which is asked for each.
const ASKED_FOR: i64 = 100;

/// The keys of the files that are looked for.
pub(in crate::commands) async fn looked_for(unit: &mut Unit, backend: Backend) -> Result<Vec<String>> {
    let of_each_end = if backend == Backend::Local { LOOKED_FOR } else { ASKED_FOR };
    unit.files().tracked(of_each_end).await
}

/// How many of them are lost, for people and for programs; none where all are there, or a remote store keeps them.
pub(in crate::commands) fn lost(objects: &Objects, looked_for: &[String]) -> Option<(String, usize)> {
    told(objects.count_lost(looked_for)?, looked_for)
}

/// The same of a store over the network.
///
/// # Errors
/// The first of the store: what it does not answer is not lost.
pub(in crate::commands) async fn lost_remotely(
    objects: &Objects,
    looked_for: &[String],
) -> Result<Option<(String, usize)>, ObjectsError> {
    Ok(told(objects.ask_for_lost(looked_for).await?, looked_for))
}

fn told(lost: usize, looked_for: &[String]) -> Option<(String, usize)> {
    let text = format!("the store has lost {lost} of the {} files that were looked for", looked_for.len());
    (lost > 0).then_some((text, lost))
}
