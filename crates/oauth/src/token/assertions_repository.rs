//! Assertions that were accepted, in the store: hashes only.

use tidegate_database::{Result, Unit, execute, prune};
use tidegate_domain::Timestamp;

/// Assertions that were accepted, of a unit of work.
pub struct UsedAssertions<'u>(pub(crate) &'u mut Unit);

impl UsedAssertions<'_> {
    /// Notes that an assertion was accepted, until it expires. Of any number who bring it at once, one does so: false for the others.
    pub(crate) async fn use_up(&mut self, fingerprint: &[u8; 32], expires_at: Timestamp) -> Result<bool> {
        let used = execute!(
            self.0,
            "insert into oauth_used_assertions (fingerprint, expires_at) values ($1, $2) on conflict do nothing",
            fingerprint.to_vec(),
            expires_at.micros(),
        )?;
        Ok(used == 1)
    }

    /// Forgets at most so many that have expired.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_used_assertions",
            "fingerprint",
            "where expires_at < $1 order by expires_at, fingerprint limit $2",
            now.micros(),
            at_most,
        )
    }
}
