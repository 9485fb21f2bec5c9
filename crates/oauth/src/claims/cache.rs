//! The people whom a node remembers for the userinfo endpoint.

use std::sync::Arc;

use tidegate_domain::id::SessionId;
use tidegate_kernel::cache::ReadCache;
use tidegate_kernel::tables::account_cards::AccountCard;

/// Most sessions whose people are remembered.
const REMEMBERED: usize = 4_096;

/// What is known of the person of a session.
pub(crate) struct KnownPerson {
    pub(super) card: AccountCard,
    /// Single claims that the userinfo endpoint was asked to tell when the session was opened, as they are stored.
    pub(super) asked: Option<String>,
}

/// The people read lately, by their sessions.
pub(crate) struct KnownPeople(pub(super) ReadCache<SessionId, Arc<KnownPerson>>);

impl KnownPeople {
    pub(crate) fn new() -> Self {
        Self(ReadCache::new(REMEMBERED))
    }
}
