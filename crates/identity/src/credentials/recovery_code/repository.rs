//! Backup codes: keyed hashes only.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one};
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// Backup codes of a unit of work.
pub struct RecoveryCodes<'u>(pub(crate) &'u mut Unit);

/// How many backup codes an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryCodeCount {
    /// In its set.
    pub total: i64,
    /// Of these, not used yet.
    pub remaining: i64,
    /// When the set was made; none where there is none.
    pub made_at: Option<Timestamp>,
}

impl RecoveryCodes<'_> {
    /// Adds a code.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, id: Uuid, account: AccountId, mac: &[u8], now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "insert into recovery_codes (id, account_id, code_mac, created_at) values ($1, $2, $3, $4)",
            id,
            account.0,
            mac,
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// The account's codes that were not used: keys and keyed hashes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unused(&mut self, account: AccountId) -> Result<Vec<(Uuid, Vec<u8>)>> {
        fetch_all!(
            self.0,
            (Uuid, Vec<u8>),
            "select id, code_mac from recovery_codes where account_id = $1 and used_at is null",
            account.0,
        )
    }

    /// Uses a code up. False when it was used before: of any number of concurrent tries, one is true.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn spend(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let spent = execute!(
            self.0,
            "update recovery_codes set used_at = $2 where id = $1 and used_at is null",
            id,
            now.micros(),
        )?;
        Ok(spent == 1)
    }

    /// How many there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&mut self, account: AccountId) -> Result<RecoveryCodeCount> {
        let (total, remaining, made_at) = fetch_one!(
            self.0,
            (i64, i64, Option<i64>),
            "select count(*), count(case when used_at is null then 1 end), max(created_at)
             from recovery_codes where account_id = $1",
            account.0,
        )?;
        Ok(RecoveryCodeCount { total, remaining, made_at: made_at.map(Timestamp::from_micros) })
    }

    /// Removes all of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from recovery_codes where account_id = $1", account.0)?;
        self.0.touch_account(account);
        Ok(())
    }
}
