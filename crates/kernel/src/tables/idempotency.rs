//! Answers kept for requests that may be repeated.

use tidegate_database::{Result, Unit, execute, fetch_optional, prune, put_off};
use tidegate_domain::Timestamp;

/// Idempotency records of a unit of work.
pub struct Idempotency<'u>(pub(crate) &'u mut Unit);

/// An answer given before.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Record {
    /// Keyed hash of the request that got it.
    pub fingerprint: Vec<u8>,
    /// The answer, sealed.
    pub response: Vec<u8>,
}

/// Runs the statement that keeps an answer.
macro_rules! keep {
    ($run:ident, $unit:expr, $key_mac:ident, $record:ident, $now:ident, $expires_at:ident) => {
        $run!(
            $unit,
            "insert into idempotency_records (key_mac, fingerprint, response, created_at, expires_at)
             values ($1, $2, $3, $4, $5)
             on conflict (key_mac) do update set fingerprint = excluded.fingerprint, response = excluded.response,
                created_at = excluded.created_at, expires_at = excluded.expires_at
             where idempotency_records.expires_at <= $4",
            $key_mac,
            $record.fingerprint.as_slice(),
            $record.response.as_slice(),
            $now.micros(),
            $expires_at.micros(),
        )
    };
}

impl Idempotency<'_> {
    /// The answer kept under a key, unless it is too old.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, key_mac: &[u8], now: Timestamp) -> Result<Option<Record>> {
        fetch_optional!(
            self.0,
            Record,
            "select fingerprint, response from idempotency_records where key_mac = $1 and expires_at > $2",
            key_mac,
            now.micros(),
        )
    }

    /// Keeps an answer. False when one that is not too old is kept under that key: of any number, one is first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(
        &mut self,
        key_mac: &[u8],
        record: &Record,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        Ok(keep!(execute, self.0, key_mac, record, now, expires_at)? == 1)
    }

    /// Keeps an answer, unless one that is not too old is kept under that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep(
        &mut self,
        key_mac: &[u8],
        record: &Record,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()> {
        keep!(put_off, self.0, key_mac, record, now, expires_at)
    }

    /// Removes the answer that is kept under a key for another request.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_other(&mut self, key_mac: &[u8], fingerprint: &[u8]) -> Result<()> {
        execute!(
            self.0,
            "delete from idempotency_records where key_mac = $1 and fingerprint <> $2",
            key_mac,
            fingerprint,
        )?;
        Ok(())
    }

    /// Removes answers that are too old; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "idempotency_records",
            "key_mac",
            "where expires_at <= $1 order by expires_at, key_mac limit $2",
            now.micros(),
            at_most,
        )
    }
}
