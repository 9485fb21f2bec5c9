//! What was read lately, and whether it still holds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tidegate_domain::Timestamp;
use uuid::Uuid;

/// How long something read may be answered from memory. Nodes notify each other of changes at once; this bounds the harm
/// of a message that was lost, and of commands run beside the server.
pub const MAX_AGE: Duration = Duration::from_secs(2);

/// Values of one kind remembered by a node; a few KiB each at most.
pub const REMEMBERED: usize = 16_384;

const SLOTS: usize = 8_192;
const SHARDS: usize = 64;

/// Counts changes, so that a reader can tell whether an entry changed since it was read.
///
/// Many things share a slot: a change of one then makes others be read again, never the reverse.
pub(crate) struct Changes {
    slots: Box<[AtomicU64]>,
    everything: AtomicU64,
}

/// The count when something was about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64);

impl Changes {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), everything: AtomicU64::new(0) }
    }

    /// Take it **before** reading: then a change that happens while reading shows.
    pub(crate) fn stamp(&self, things: &[Uuid]) -> Stamp {
        // Each count only grows, so equal sums mean that none has changed.
        let sum = things
            .iter()
            .filter_map(|thing| self.slot(*thing))
            .fold(self.everything.load(Ordering::Acquire), |sum, slot| {
                sum.wrapping_add(slot.load(Ordering::Acquire))
            });
        Stamp(sum)
    }

    pub(crate) fn note(&self, thing: Uuid) {
        if let Some(slot) = self.slot(thing) {
            slot.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn note_everything(&self) {
        self.everything.fetch_add(1, Ordering::AcqRel);
    }

    fn slot(&self, thing: Uuid) -> Option<&AtomicU64> {
        // The last bits of a row's key are random: they need no hash.
        let place = usize::try_from(thing.as_u128() % SLOTS as u128).unwrap_or(0);
        self.slots.get(place)
    }
}

/// A bounded map of what was read lately: the least recently used entry is evicted first.
pub struct ReadCache<K, V> {
    shards: Box<[Shard<K, V>]>,
}

type Shard<K, V> = Mutex<LruCache<K, Entry<V>>>;

struct Entry<V> {
    value: V,
    stamp: Stamp,
    read_at: Timestamp,
}

impl<K: Hash + Eq, V: Clone> ReadCache<K, V> {
    /// Holds about `capacity` values.
    pub fn new(capacity: usize) -> Self {
        let each = NonZeroUsize::new(capacity / SHARDS).unwrap_or(NonZeroUsize::MIN);
        Self { shards: (0..SHARDS).map(|_| Mutex::new(LruCache::sparse(each))).collect() }
    }

    /// The value, if it was read less than `max_age` ago and nothing it depends on changed since.
    pub fn get(&self, key: &K, stamp: Stamp, now: Timestamp, max_age: Duration) -> Option<V> {
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.get(key)?;
        (entry.stamp == stamp && now.since(entry.read_at) < max_age).then(|| entry.value.clone())
    }

    /// Keeps a value that was read `now` after taking `stamp`.
    pub fn put(&self, key: K, value: V, stamp: Stamp, now: Timestamp) {
        if let Some(shard) = self.shard(&key) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.put(key, Entry { value, stamp, read_at: now });
        }
    }

    fn shard(&self, key: &K) -> Option<&Shard<K, V>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.shards.get(usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn a_value_is_forgotten_when_it_changes_or_ages() {
        let (changes, cache) = (Changes::new(), ReadCache::new(1_000));
        let thing = Uuid::from_u128(1);
        cache.put(thing, "old", changes.stamp(&[thing]), at(0));
        assert_eq!(cache.get(&thing, changes.stamp(&[thing]), at(1), MAX_AGE), Some("old"));
        assert_eq!(cache.get(&thing, changes.stamp(&[thing]), at(2), MAX_AGE), None);
        changes.note(thing);
        assert_eq!(cache.get(&thing, changes.stamp(&[thing]), at(1), MAX_AGE), None);
    }

    #[test]
    fn what_was_read_before_a_change_and_kept_after_it_is_not_believed() {
        let (changes, cache) = (Changes::new(), ReadCache::new(1_000));
        let thing = Uuid::from_u128(1);
        let before_reading = changes.stamp(&[thing]);
        changes.note(thing); // A concurrent commit while we read.
        cache.put(thing, "stale", before_reading, at(0));
        assert_eq!(cache.get(&thing, changes.stamp(&[thing]), at(0), MAX_AGE), None);
    }

    #[test]
    fn losing_the_other_nodes_messages_forgets_everything() {
        let (changes, cache) = (Changes::new(), ReadCache::new(1_000));
        let thing = Uuid::from_u128(1);
        cache.put(thing, "old", changes.stamp(&[thing]), at(0));
        changes.note_everything();
        assert_eq!(cache.get(&thing, changes.stamp(&[thing]), at(0), MAX_AGE), None);
    }
}
