//! What requests are called: in the log, and towards the client.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_domain::Timestamp;
use uuid::{Builder, Uuid};

/// Makes ids of requests. They are sorted by time like row keys, and differ between nodes and between starts of one. They protect nothing,
/// so each is made of a number instead of random bytes of its own, which would be a fiftieth of the work of a small request. Neither the
/// number nor the node shows: a client would see how many requests others send, how many nodes there are, and when one was restarted.
pub(crate) struct RequestIds {
    /// Random.
    secret: Uuid,
    made: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(secret: Uuid) -> Self {
        Self { secret, made: AtomicU64::new(0) }
    }

    /// The next one, in 32 hexadecimal digits.
    pub(crate) fn next(&self, now: Timestamp) -> String {
        let mut hidden = DefaultHasher::new();
        (self.secret, self.made.fetch_add(1, Ordering::Relaxed)).hash(&mut hidden);
        // An id has room for some more bits than the hash has. Those of the secret would be the same in all ids of a node.
        let hidden = u128::from(hidden.finish());
        let [_, _, _, _, _, _, unique @ ..] = ((hidden << 64) | hidden).to_be_bytes();
        let id = Builder::from_unix_timestamp_millis(now.millis(), &unique).into_uuid();
        id.simple().encode_lower(&mut Uuid::encode_buffer()).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_within_a_millisecond_and_between_nodes_and_sort_by_time() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let nodes = [1, 2].map(|secret| RequestIds::new(Uuid::from_u128(secret)));
        let ids: HashSet<String> =
            nodes.iter().flat_map(|node| (0..10_000).map(move |_| node.next(now))).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().all(|id| id.len() == 32));
        let later = nodes[0].next(Timestamp::from_seconds(1_700_000_001));
        assert!(ids.iter().all(|id| *id < later));
    }

    #[test]
    fn neither_the_number_nor_the_node_can_be_read_from_an_id() {
        let node = RequestIds::new(Uuid::from_u128(u128::MAX));
        let ids: Vec<Uuid> = (0..64)
            .map(|_| Uuid::parse_str(&node.next(Timestamp::from_seconds(1_700_000_000))).unwrap())
            .collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(!ids.is_sorted(), "in the order of their numbers");
        // Of all bits but those of the time, the version and the variant, none is the same in all of them.
        let free = !(u128::MAX << 80) & !(0xf_u128 << 76) & !(0b11_u128 << 62);
        let differing = |so_far: u128, id: &Uuid| so_far | (id.as_u128() ^ ids[0].as_u128());
        assert_eq!(ids.iter().fold(0, differing) & free, free);
    }
}
