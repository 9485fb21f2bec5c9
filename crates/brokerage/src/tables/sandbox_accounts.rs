//! What the embedded sandbox of a broker keeps: sealed, because it is about people all the same.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use uuid::Uuid;

/// The sandbox's accounts of a unit of work.
pub struct SandboxAccounts<'u>(pub(crate) &'u mut Unit);

/// An account to be kept.
#[derive(Clone, Copy, Debug)]
pub struct SandboxRecord<'a> {
    /// Key.
    pub id: Uuid,
    /// One account each.
    pub email: &'a str,
    /// How often it was written, beginning with 1.
    pub revision: i64,
    /// When its last status begins.
    pub last_step_at: Timestamp,
    /// The account.
    pub sealed: &'a [u8],
}

impl SandboxAccounts<'_> {
    /// The account of that key, sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, id: Uuid) -> Result<Option<Vec<u8>>> {
        let row =
            fetch_optional!(self.0, (Vec<u8>,), "select sealed from sandbox_accounts where id = $1", id)?;
        Ok(row.map(|(sealed,)| sealed))
    }

    /// The key and the account of that address, sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_email(&mut self, email: &str) -> Result<Option<(Uuid, Vec<u8>)>> {
        fetch_optional!(
            self.0,
            (Uuid, Vec<u8>),
            "select id, sealed from sandbox_accounts where email = $1",
            email,
        )
    }

    /// Adds an account unless one of its key or address is there; answers whether it was added.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, record: SandboxRecord<'_>) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into sandbox_accounts (id, email, revision, last_step_at, sealed) values ($1, $2, $3, $4, $5)
             on conflict do nothing",
            record.id,
            record.email,
            record.revision,
            record.last_step_at.micros(),
            record.sealed,
        )?;
        Ok(added == 1)
    }

    /// Replaces the revision just before; answers whether it was there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn replace(&mut self, record: SandboxRecord<'_>) -> Result<bool> {
        let replaced = execute!(
            self.0,
            "update sandbox_accounts set revision = $2, last_step_at = $3, sealed = $4
             where id = $1 and revision = $2 - 1",
            record.id,
            record.revision,
            record.last_step_at.micros(),
            record.sealed,
        )?;
        Ok(replaced == 1)
    }

    /// The accounts with a status that begins at `since` or later, sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn changing_since(&mut self, since: Timestamp) -> Result<Vec<(Uuid, Vec<u8>)>> {
        fetch_all!(
            self.0,
            (Uuid, Vec<u8>),
            "select id, sealed from sandbox_accounts where last_step_at >= $1 order by last_step_at, id",
            since.micros(),
        )
    }
}
