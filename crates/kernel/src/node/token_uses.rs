//! When personal access tokens were used, until it is written to the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tidegate_domain::Timestamp;
use tidegate_domain::id::AccessTokenId;

/// Tokens whose use a node notes between two writes. Beyond, the use of further ones is not noted.
const MOST: usize = 65_536;

/// The last use of each token that is to be written.
#[derive(Default)]
pub(crate) struct TokenUses(Mutex<HashMap<AccessTokenId, Timestamp>>);

impl TokenUses {
    pub(crate) fn note(&self, token: AccessTokenId, now: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MOST || uses.contains_key(&token) {
            let last = uses.entry(token).or_insert(now);
            *last = now.max(*last);
        }
    }

    /// All of them, which are forgotten here.
    pub(crate) fn take(&self) -> Vec<(AccessTokenId, Timestamp)> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = uses.into_iter().collect();
        // All nodes write in one order, so that none waits for another in a circle.
        uses.sort_unstable_by_key(|(token, _)| *token);
        uses
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_last_use_of_each_token_is_taken_once_and_in_order() {
        let uses = TokenUses::default();
        let token = |number| AccessTokenId(Uuid::from_u128(number));
        for (number, second) in [(2, 5), (1, 7), (2, 9), (2, 8)] {
            uses.note(token(number), Timestamp::from_seconds(second));
        }
        let taken = uses.take();
        assert_eq!(taken, [(token(1), Timestamp::from_seconds(7)), (token(2), Timestamp::from_seconds(9))]);
        assert!(uses.take().is_empty());
    }
}
