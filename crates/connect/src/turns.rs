//! Those who want the same thing wait for one of them to get it, and for nobody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// One turn at a time for each thing. What nobody waits for is forgotten.
pub(crate) struct Turns<K>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>);

/// Lasts until it is dropped, also where whoever had it went away.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits for the turn of a thing.
    pub(crate) async fn of(&self, key: K) -> Turn {
        let turn = self.known(key);
        turn.lock_owned().await
    }

    fn known(&self, key: K) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_those_who_want_the_same_wait_for_one_another() {
        let turns = Turns::default();
        let first = turns.of("a").await;
        let mut second = Box::pin(turns.of("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.of("b").now_or_never().is_some());
        drop(first);
        let second = second.await;
        assert!(turns.of("a").now_or_never().is_none());
        drop(second);
        assert!(turns.of("a").now_or_never().is_some());
        drop(turns.of("c").await);
        assert_eq!(turns.0.lock().unwrap().len(), 1, "what nobody waits for is forgotten");
    }
}
