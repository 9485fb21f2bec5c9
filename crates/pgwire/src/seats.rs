//! How many connections each account has on this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_domain::id::AccountId;

/// Connections by account.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<AccountId, usize>>);

/// A connection of an account, until it is dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    account: AccountId,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more of an account; none where it has `most` already.
    pub(crate) fn take(self: &Arc<Self>, account: AccountId, most: usize) -> Option<Seat> {
        let mut taken = self.taken();
        let count = taken.entry(account).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { seats: Arc::clone(self), account })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(count) = taken.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
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
}
