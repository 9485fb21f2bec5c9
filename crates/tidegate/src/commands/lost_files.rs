//! Files that the database names and their store does not have.

use tidegate_database::{Result, Store, Unit};
use tidegate_objects::{Backend, Objects, ObjectsError};
use tidegate_storage::StorageTables;

/// How many files are looked for in a local directory: so many of the oldest, and of the newest.
const LOOKED_FOR: i64 = 500;
/// The same in a store over the network, which is asked for each.
const ASKED_FOR: i64 = 100;
/// How many lost files are named.
const NAMED: usize = 5;

/// The keys of the files that are looked for.
pub(in crate::commands) async fn looked_for(unit: &mut Unit, backend: Backend) -> Result<Vec<String>> {
    let of_each_end = if backend == Backend::Local { LOOKED_FOR } else { ASKED_FOR };
    unit.files().tracked(of_each_end).await
}

/// How many of them are lost and which, for people, and how many for programs; none where all are there, or a remote store keeps them.
pub(in crate::commands) fn lost(objects: &Objects, looked_for: &[String]) -> Option<(String, usize)> {
    told(&objects.find_lost(looked_for)?, looked_for.len())
}

/// The same beside a server. A file that is removed meanwhile is not lost.
///
/// # Errors
/// Those of the database.
pub(in crate::commands) async fn lost_meanwhile(
    store: &Store,
    objects: &Objects,
) -> Result<Option<(String, usize)>> {
    // An earlier version may have no table of files.
    if !objects.is_local() || store.pending_migrations().await? > 0 {
        return Ok(None);
    }
    let before = looked_for(&mut store.read().await?, Backend::Local).await?;
    let mut lost = objects.find_lost(&before).unwrap_or_default();
    if !lost.is_empty() {
        let after = looked_for(&mut store.read().await?, Backend::Local).await?;
        lost.retain(|key| after.contains(key));
    }
    Ok(told(&lost, before.len()))
}

/// The same of a store over the network.
///
/// # Errors
/// The first of the store: what it does not answer is not lost.
pub(in crate::commands) async fn lost_remotely(
    objects: &Objects,
    looked_for: &[String],
) -> Result<Option<(String, usize)>, ObjectsError> {
    Ok(told(&objects.ask_for_lost(looked_for).await?, looked_for.len()))
}

fn told(lost: &[String], looked_for: usize) -> Option<(String, usize)> {
    let mut names: Vec<String> = lost.iter().take(NAMED).cloned().collect();
    if lost.len() > NAMED {
        names.push(format!("{} more", lost.len() - NAMED));
    }
    let names = names.join(", ");
    let text =
        format!("the store has lost {} of the {looked_for} files that were looked for ({names})", lost.len());
    (!lost.is_empty()).then_some((text, lost.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_lost_files_some_are_named() {
        let keys: Vec<String> = (1..=7).map(|number| format!("files/{number}")).collect();
        assert_eq!(told(&[], 7), None);
        let (text, count) = told(&keys[..2], 7).unwrap();
        assert_eq!(text, "the store has lost 2 of the 7 files that were looked for (files/1, files/2)");
        assert_eq!(count, 2);
        let (text, _) = told(&keys, 7).unwrap();
        assert!(text.ends_with("(files/1, files/2, files/3, files/4, files/5, 2 more)"), "{text}");
    }
}
