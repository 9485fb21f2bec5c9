//! Proofs of possession that were shown.

use tidegate_database::{Result, Unit, execute, prune};
use tidegate_domain::Timestamp;

/// Proofs of possession of a unit of work.
pub struct DpopProofs<'u>(pub(crate) &'u mut Unit);

impl DpopProofs<'_> {
    /// Remembers a proof. False when it was shown before: of any number who show one at once, one does first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, id: &[u8; 32], expires_at: Timestamp) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into dpop_proofs (id, expires_at) values ($1, $2) on conflict do nothing",
            id.to_vec(),
            expires_at.micros(),
        )?;
        Ok(added == 1)
    }

    /// Removes proofs whose time is over; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "dpop_proofs",
            "id",
            "where expires_at < $1 order by expires_at limit $2",
            now.micros(),
            at_most,
        )
    }
}
