//! Files that the database names and their store does not have, or has otherwise than they were uploaded.

use serde_json::{Value, json};
use tidegate_database::{Result, Store, Unit};
use tidegate_objects::{Amiss, Backend, Condition, Expected, Objects, ObjectsError};
use tidegate_storage::StorageTables;
use tokio::task::spawn_blocking;

/// How many files are looked for in a local directory: so many of the oldest, and of the newest.
const LOOKED_FOR: i64 = 500;
/// The same in a store over the network, which is asked for each.
const ASKED_FOR: i64 = 100;
/// How many files are named of each kind.
const NAMED: usize = 5;

/// Files that are not as they were uploaded: of each kind what to say of them, and how many there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Missed {
    /// Those that are not there.
    pub(in crate::commands) lost: Option<(String, usize)>,
    /// Those that have another size.
    pub(in crate::commands) changed: Option<(String, usize)>,
}

impl Missed {
    /// Whether all are as they were uploaded.
    pub(in crate::commands) const fn is_empty(&self) -> bool {
        self.lost.is_none() && self.changed.is_none()
    }

    /// How many there are, for programs.
    pub(in crate::commands) fn json(&self) -> Value {
        let mut counted = json!({});
        for (name, kind) in [("lost_files", &self.lost), ("changed_files", &self.changed)] {
            if let Some((_, count)) = kind {
                tidegate_domain::text::merge(&mut counted, &json!({ name: count }));
            }
        }
        counted
    }

    /// What to say of them, a line for each kind.
    pub(in crate::commands) fn text(&self) -> String {
        let told = [&self.lost, &self.changed].into_iter().flatten().map(|(text, _)| text.as_str());
        told.collect::<Vec<_>>().join("\n")
    }
}

/// The files that are looked for.
pub(in crate::commands) async fn looked_for(unit: &mut Unit, backend: Backend) -> Result<Vec<Expected>> {
    let of_each_end = if backend == Backend::Local { LOOKED_FOR } else { ASKED_FOR };
    let tracked = unit.files().tracked(of_each_end).await?;
    Ok(tracked.into_iter().map(|(key, size)| Expected { key, size: size.unsigned_abs() }).collect())
}

/// Which of them the local directory does not have as they were uploaded. Nothing is missed where a remote store keeps them.
pub(in crate::commands) fn missed(objects: &Objects, looked_for: &[Expected]) -> Missed {
    told(objects.find_amiss(looked_for).unwrap_or_default(), looked_for.len())
}

/// The same beside a server. A file that is removed meanwhile is not lost.
///
/// # Errors
/// Those of the database.
pub(in crate::commands) async fn missed_meanwhile(store: &Store, objects: &Objects) -> Result<Missed> {
    // An earlier version may have no table of files.
    if !objects.is_local() || store.pending_migrations().await? > 0 {
        return Ok(Missed::default());
    }
    let before = looked_for(&mut store.read().await?, Backend::Local).await?;
    let (asked, place) = (before.clone(), objects.clone());
    let looked = spawn_blocking(move || place.find_amiss(&asked).unwrap_or_default()).await;
    let mut amiss = looked.unwrap_or_default();
    if !amiss.is_empty() {
        let after = looked_for(&mut store.read().await?, Backend::Local).await?;
        amiss.retain(|one| after.contains(&one.file));
    }
    Ok(told(amiss, before.len()))
}

/// The same of a store over the network.
///
/// # Errors
/// The first of the store: what it does not answer is not lost.
pub(in crate::commands) async fn missed_remotely(
    objects: &Objects,
    looked_for: &[Expected],
) -> Result<Missed, ObjectsError> {
    Ok(told(objects.ask_for_amiss(looked_for).await?, looked_for.len()))
}

fn told(amiss: Vec<Amiss>, looked_for: usize) -> Missed {
    let (mut lost, mut changed) = (Vec::new(), Vec::new());
    for Amiss { file: Expected { key, size: uploaded }, condition } in amiss {
        match condition {
            Condition::Whole => {}
            Condition::Lost => lost.push(key),
            Condition::Changed { size } => changed.push(format!("{key} has {size} bytes and had {uploaded}")),
        }
    }
    let of_lost = |names: String| {
        format!("the store has lost {} of the {looked_for} files that were looked for ({names})", lost.len())
    };
    let of_changed = |names: String| {
        format!(
            "{} of the {looked_for} files that were looked for changed in the store ({names})",
            changed.len()
        )
    };
    Missed {
        lost: named(&lost).map(|names| (of_lost(names), lost.len())),
        changed: named(&changed).map(|names| (of_changed(names), changed.len())),
    }
}

/// The first of them; none where there are none.
fn named(files: &[String]) -> Option<String> {
    let mut names: Vec<String> = files.iter().take(NAMED).cloned().collect();
    if files.len() > NAMED {
        names.push(format!("{} more", files.len() - NAMED));
    }
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amiss(condition: Condition, numbers: std::ops::RangeInclusive<u32>) -> Vec<Amiss> {
        let one = |number| Amiss { file: Expected { key: format!("files/{number}"), size: 9 }, condition };
        numbers.map(one).collect()
    }

    #[test]
    fn of_many_lost_files_some_are_named() {
        assert_eq!(told(Vec::new(), 7), Missed::default());
        let (text, count) = told(amiss(Condition::Lost, 1..=2), 7).lost.unwrap();
        assert_eq!(text, "the store has lost 2 of the 7 files that were looked for (files/1, files/2)");
        assert_eq!(count, 2);
        let (text, _) = told(amiss(Condition::Lost, 1..=7), 7).lost.unwrap();
        assert!(text.ends_with("(files/1, files/2, files/3, files/4, files/5, 2 more)"), "{text}");
    }

    #[test]
    fn changed_files_are_told_apart_from_lost_ones() {
        let both = [amiss(Condition::Lost, 1..=1), amiss(Condition::Changed { size: 4 }, 2..=8)].concat();
        let missed = told(both, 9);
        assert!(!missed.is_empty());
        assert_eq!(missed.json(), json!({"lost_files": 1, "changed_files": 7}));
        let text = missed.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let begins = "7 of the 9 files that were looked for changed in the store (files/2 has 4 bytes and had 9, files/3";
        assert!(lines[1].starts_with(begins) && lines[1].ends_with(", 2 more)"), "{text}");
    }
}
