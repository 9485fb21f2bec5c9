//! What a node has heard of changes.

use std::future::ready;

use tidegate_database::{Change, Store, Topic};
use uuid::Uuid;

use crate::{Engine, TestApp, eventually};

/// A topic that no version has: a node notes what it does not know, too.
const NOBODYS: Topic = Topic('z');

/// Things that do not exist. The change of a real one may be noted in the place of one of them; hardly in both.
const THINGS: [Uuid; 2] = [Uuid::from_u128(0x0a11), Uuid::from_u128(0x1bad)];

impl TestApp {
    /// Waits until the node has heard of everything that was committed so far. On PostgreSQL a node hears of its own commits once more, in
    /// its turn, and forgets what it has read again since. A story of what it still remembers calls this before the node reads it.
    ///
    /// # Panics
    /// When the database is gone, or the node does not hear.
    pub async fn catch_up(&self) {
        // SQLite has no news but what a node tells itself, before its commit is answered.
        if self.database.engine() == Engine::Sqlite {
            return;
        }
        let beside = self.database.open().await;
        while !self.hears(&beside).await {}
        beside.close().await;
    }

    /// Whether the node has heard what is announced now, and with it all that was announced before: news arrive in the order of the commits.
    /// Not if it forgot everything meanwhile, as one does that begins to listen: what was announced before is lost.
    async fn hears(&self, beside: &Store) -> bool {
        let stamps = || THINGS.map(|thing| self.kernel().stamp(&[thing]));
        let (before, nothing_lost) = (stamps(), self.kernel().stamp(&[]));
        announce(beside, THINGS).await;
        eventually("the node hears of a change", || {
            let is_heard = stamps().iter().zip(&before).all(|(now, before)| now != before);
            // After the look at the things: who forgets everything notes a change of each.
            let is_lost = self.kernel().stamp(&[]) != nothing_lost;
            ready((is_heard || is_lost).then_some(!is_lost))
        })
        .await
    }
}

/// Tells all nodes that these things changed, as another node does.
async fn announce(beside: &Store, things: impl IntoIterator<Item = Uuid>) {
    let mut unit = beside.begin().await.expect("a unit of work");
    for thing in things {
        unit.note(Change::Row(NOBODYS, thing));
    }
    unit.commit().await.expect("an announcement");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on_one_engine;

    on_one_engine! { Engine::Postgres;
        async fn a_node_that_has_caught_up_has_heard_what_was_committed_before(app: TestApp) {
            let beside = app.database.open().await;
            // What it forgets when it begins to listen is no news.
            app.catch_up().await;
            for number in 0..50 {
                let thing = Uuid::from_u128(number);
                let before = app.kernel().stamp(&[thing]);
                announce(&beside, [thing]).await;
                app.catch_up().await;
                assert_ne!(app.kernel().stamp(&[thing]), before, "{number}");
            }
        }
    }
}
