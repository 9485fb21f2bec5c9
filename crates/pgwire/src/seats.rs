//! How many connections each account has on this node, and what they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_domain::id::AccountId;
use tokio::sync::Semaphore;

use crate::listing::HELD_BY_ACCOUNT;

/// Connections by account.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<AccountId, Taken>>);

/// What an account has, as long as it has a connection.
struct Taken {
    count: usize,
    turn: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

/// A connection of an account, until it is dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    account: AccountId,
    /// The account's connections take turns with statements about catalogs: of the few places for those, others have theirs.
    pub(crate) turn: Arc<Semaphore>,
    /// Room for the account's answers about catalogs that wait for their clients.
    pub(crate) room: Arc<Semaphore>,
}

impl Taken {
    fn new() -> Self {
        Self { count: 0, turn: Arc::new(Semaphore::new(1)), room: Arc::new(Semaphore::new(HELD_BY_ACCOUNT)) }
    }
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, HashMap<AccountId, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more of an account; none where it has `most` already.
    pub(crate) fn take(self: &Arc<Self>, account: AccountId, most: usize) -> Option<Seat> {
        let mut taken = self.taken();
        let own = taken.entry(account).or_insert_with(Taken::new);
        if own.count >= most {
            return None;
        }
        own.count += 1;
        let (turn, room) = (Arc::clone(&own.turn), Arc::clone(&own.room));
        Some(Seat { seats: Arc::clone(self), account, turn, room })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.account) {
            own.count = own.count.saturating_sub(1);
            if own.count == 0 {
                taken.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_account_has_so_many_connections_and_no_more() {
        let seats = Arc::new(Seats::default());
        let (ada, bob) = (AccountId::from(Uuid::from_u128(1)), AccountId::from(Uuid::from_u128(2)));
        let one = seats.take(ada, 2).unwrap();
        let two = seats.take(ada, 2).unwrap();
        assert!(seats.take(ada, 2).is_none());
        assert!(seats.take(bob, 2).is_some());
        drop(one);
        assert!(seats.take(ada, 2).is_some());
        drop(two);
        assert!(seats.taken().is_empty());
    }

    #[test]
    fn the_connections_of_an_account_take_turns() {
        let seats = Arc::new(Seats::default());
        let (ada, bob) = (AccountId::from(Uuid::from_u128(1)), AccountId::from(Uuid::from_u128(2)));
        let (one, two) = (seats.take(ada, 2).unwrap(), seats.take(ada, 2).unwrap());
        let other = seats.take(bob, 2).unwrap();
        let turn = one.turn.try_acquire().unwrap();
        assert!(two.turn.try_acquire().is_err());
        assert!(other.turn.try_acquire().is_ok());
        drop(turn);
        assert!(two.turn.try_acquire().is_ok());
        let most = u32::try_from(HELD_BY_ACCOUNT).unwrap();
        let _held = one.room.try_acquire_many(most).unwrap();
        assert!(two.room.try_acquire().is_err());
        assert!(other.room.try_acquire().is_ok());
    }
}
