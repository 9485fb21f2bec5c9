//! Signing keys, sealed.

use tidegate_database::{Result, Unit, execute, fetch_all};
use tidegate_domain::Timestamp;

use crate::changes;

/// Signing keys of a unit of work.
pub struct Keys<'u>(pub(crate) &'u mut Unit);

/// A stored signing key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredKey {
    /// Its name in token headers: its RFC 7638 thumbprint.
    pub kid: String,
    /// JWS algorithm (RFC 7518 section 3.1).
    pub algorithm: String,
    /// The key pair, sealed.
    pub sealed: Vec<u8>,
    /// When it was made, in microseconds since the epoch.
    pub created_at: i64,
    /// When it stopped signing; it verifies until the last token made with it has expired.
    pub retired_at: Option<i64>,
}

impl Keys<'_> {
    /// All keys, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all(&mut self) -> Result<Vec<StoredKey>> {
        fetch_all!(
            self.0,
            StoredKey,
            "select kid, algorithm, sealed, created_at, retired_at from signing_keys order by created_at desc, kid",
        )
    }

    /// Adds a key that signs from now on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, key: &StoredKey) -> Result<()> {
        execute!(
            self.0,
            "insert into signing_keys (kid, algorithm, sealed, created_at) values ($1, $2, $3, $4)",
            key.kid.as_str(),
            key.algorithm.as_str(),
            key.sealed.as_slice(),
            key.created_at,
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Stops all keys but `kid` from signing: those of RSA, or those of other kinds.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retire_others(&mut self, kid: &str, is_rsa: bool, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update signing_keys set retired_at = $2
             where kid <> $1 and retired_at is null and case when algorithm = 'RS256' then 1 else 0 end = $3",
            kid,
            now.micros(),
            i32::from(is_rsa),
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Removes the RSA keys but `kid`, or with `is_rsa` not set all keys but that one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_others(&mut self, kid: &str, is_rsa: bool) -> Result<()> {
        execute!(
            self.0,
            "delete from signing_keys where kid <> $1 and (algorithm = 'RS256' or $2 = 0)",
            kid,
            i32::from(is_rsa),
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Removes keys that were retired before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp) -> Result<u64> {
        let pruned = execute!(self.0, "delete from signing_keys where retired_at < $1", before.micros())?;
        if pruned > 0 {
            self.0.note(changes::SIGNING_KEYS);
        }
        Ok(pruned)
    }
}
