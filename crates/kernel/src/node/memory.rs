//! What a node remembers of the store.

use std::sync::Arc;

use tidegate_database::{Change, ChangeListener};
use tidegate_domain::AccessClaims;
use tidegate_domain::id::{AccessTokenId, AccountId, SessionId};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::cache::{Changes, REMEMBERED, ReadCache};
use crate::changes;
use crate::node::shared_rows::SharedRows;
use crate::node::token_uses::TokenUses;
use crate::tables::sessions::SessionRecord;

/// What a remembered secret was presented as. What is known of a token is never known of a cookie, nor the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SecretKind {
    /// A token that says itself whose it is.
    Signed,
    /// A token that is looked up.
    Opaque,
    /// What a browser holds at the hosted pages.
    Cookie,
}

/// What a node caches of the store, and how it is notified of changes.
pub(crate) struct Memory {
    pub(crate) changes: Changes,
    /// By what a secret was presented as, and its hash.
    pub(crate) claims: ReadCache<(SecretKind, [u8; 32]), Arc<AccessClaims>>,
    pub(crate) sessions: ReadCache<SessionId, Arc<SessionRecord>>,
    /// Which personal access token has a hash, and whose it is.
    pub(crate) access_tokens: ReadCache<[u8; 32], (AccessTokenId, AccountId)>,
    pub(crate) token_uses: TokenUses,
    /// Audit rows that attempts share.
    pub(crate) shared_attempts: Arc<SharedRows>,
    pub(crate) mails: Notify,
    pub(crate) texts: Notify,
    pub(crate) jobs: Notify,
    pub(crate) keys: Notify,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            changes: Changes::new(),
            claims: ReadCache::new(REMEMBERED),
            sessions: ReadCache::new(REMEMBERED),
            access_tokens: ReadCache::new(REMEMBERED),
            token_uses: TokenUses::default(),
            shared_attempts: Arc::default(),
            mails: Notify::new(),
            texts: Notify::new(),
            jobs: Notify::new(),
            keys: Notify::new(),
        }
    }
}

/// The id of the key ring among the things that change.
pub(crate) const KEY_RING: Uuid = Uuid::nil();

impl ChangeListener for Memory {
    fn changed(&self, change: Change) {
        match change {
            Change::Row(_, id) => self.changes.note(id),
            changes::MAILS => self.mails.notify_one(),
            changes::TEXTS => self.texts.notify_one(),
            changes::JOBS => self.jobs.notify_one(),
            changes::SIGNING_KEYS => self.keys.notify_one(),
            // What this version does not know may be about anything.
            Change::Topic(_) | Change::Everything => {
                self.changes.note_everything();
                self.mails.notify_one();
                self.texts.notify_one();
                self.jobs.notify_one();
                self.keys.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_database::Topic;

    #[test]
    fn a_change_of_a_topic_this_version_does_not_know_forgets_everything() {
        let memory = Memory::new();
        let thing = Uuid::from_u128(1);
        let before = memory.changes.stamp(&[thing]);
        memory.changed(changes::MAILS);
        memory.changed(changes::TEXTS);
        memory.changed(changes::JOBS);
        assert_eq!(memory.changes.stamp(&[thing]), before);
        for change in [Change::Topic(Topic('z')), Change::Row(Topic('z'), thing), Change::Everything] {
            let before = memory.changes.stamp(&[thing]);
            memory.changed(change);
            assert_ne!(memory.changes.stamp(&[thing]), before, "{change:?}");
        }
    }
}
