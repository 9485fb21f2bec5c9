//! Second factors in the store. A row is pending until its owner has shown that it works.

use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_optional, prune, put_off};
use tidegate_domain::Timestamp;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::{AccountId, FactorId};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// Second factors of a unit of work.
pub struct Factors<'u>(pub(crate) &'u mut Unit);

/// A second factor of an account.
#[derive(Clone, Debug)]
pub struct Factor {
    /// Key.
    pub id: FactorId,
    /// As contracts show it.
    pub number: i64,
    /// Which kind.
    pub kind: FactorKind,
    /// What its owner calls it; empty for codes that are sent.
    pub name: String,
    /// The sealed seed, where it has one.
    pub sealed: Option<Vec<u8>>,
    /// Whether clients offer it first.
    pub is_primary: bool,
    /// Made.
    pub created_at: Timestamp,
    /// When its owner last used it.
    pub last_used_at: Option<Timestamp>,
}

/// A factor to be set up.
#[derive(Clone, Debug)]
pub struct NewFactor<'a> {
    /// Key.
    pub id: FactorId,
    /// Whose.
    pub account: AccountId,
    /// Which kind.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: &'a str,
    /// What is needed to verify it, sealed.
    pub sealed: Option<&'a [u8]>,
    /// Now.
    pub created_at: Timestamp,
    /// Until when it can be verified.
    pub expires_at: Timestamp,
}

/// A factor whose owner has shown that it works.
#[derive(Clone, Debug)]
pub struct ConfirmedFactor<'a> {
    /// Key.
    pub id: FactorId,
    /// Whose.
    pub account: AccountId,
    /// The seed, sealed.
    pub sealed: Option<&'a [u8]>,
    /// The time step whose code was shown.
    pub step: i64,
    /// Whether it is the account's first one.
    pub is_primary: bool,
}

#[derive(sqlx::FromRow)]
struct FactorRow {
    id: Uuid,
    number: i64,
    kind: String,
    name: String,
    sealed: Option<Vec<u8>>,
    is_primary: bool,
    created_at: i64,
    last_used_at: Option<i64>,
}

/// The columns of [`FactorRow`].
macro_rules! select_factor {
    ($rest:literal) => {
        concat!(
            "select id, number, kind, name, sealed, is_primary, created_at, last_used_at from second_factors
             where account_id = $1 and ",
            $rest
        )
    };
}

impl FactorRow {
    fn read(self) -> Result<Factor> {
        Ok(Factor {
            id: self.id.into(),
            number: self.number,
            kind: FactorKind::from_name(&self.kind).ok_or(StoreError::Unreadable("second_factors.kind"))?,
            name: self.name,
            sealed: self.sealed,
            is_primary: self.is_primary,
            created_at: Timestamp::from_micros(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
        })
    }
}

impl Factors<'_> {
    /// Whether the account has a verified factor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn any(&mut self, account: AccountId) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from second_factors where account_id = $1 and verified_at is not null limit 1",
            account.0,
        )?;
        Ok(row.is_some())
    }

    /// The account's verified factors: the primary one first, then the newest.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<Factor>> {
        let rows = fetch_all!(
            self.0,
            FactorRow,
            select_factor!("verified_at is not null order by is_primary desc, created_at desc, number desc"),
            account.0,
        )?;
        rows.into_iter().map(FactorRow::read).collect()
    }

    /// The account's factors that were verified at `since` or later.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verified_since(&mut self, account: AccountId, since: Timestamp) -> Result<Vec<Factor>> {
        let rows = fetch_all!(
            self.0,
            FactorRow,
            select_factor!("verified_at >= $2 order by number"),
            account.0,
            since.micros(),
        )?;
        rows.into_iter().map(FactorRow::read).collect()
    }

    /// The account's factor of that kind that is being set up.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn pending(
        &mut self,
        account: AccountId,
        kind: FactorKind,
        now: Timestamp,
    ) -> Result<Option<Factor>> {
        let row = fetch_optional!(
            self.0,
            FactorRow,
            select_factor!(
                "kind = $2 and verified_at is null and expires_at > $3 order by number desc limit 1"
            ),
            account.0,
            kind.as_str(),
            now.micros(),
        )?;
        row.map(FactorRow::read).transpose()
    }

    /// Adds a factor that is to be verified. It takes the place of one of the same kind that was not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewFactor<'_>) -> Result<()> {
        self.remove_pending(new.account, new.kind).await?;
        execute!(
            self.0,
            "insert into second_factors (id, account_id, kind, name, sealed, last_step, is_primary, created_at, expires_at)
             values ($1, $2, $3, $4, $5, 0, false, $6, $7)",
            new.id.0,
            new.account.0,
            new.kind.as_str(),
            new.name,
            new.sealed,
            new.created_at.micros(),
            new.expires_at.micros(),
        )?;
        Ok(())
    }

    /// Takes a pending factor as verified. False when it was before, or is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn confirm(&mut self, confirmed: &ConfirmedFactor<'_>, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update second_factors set verified_at = $2, sealed = $3, last_step = $4, is_primary = $5, expires_at = null
             where id = $1 and verified_at is null",
            confirmed.id.0,
            now.micros(),
            confirmed.sealed,
            confirmed.step,
            confirmed.is_primary,
        )?;
        self.0.touch_account(confirmed.account);
        Ok(changed == 1)
    }

    /// Uses the code of a time step up. False when that step, or a later one, was used before: of any number of concurrent tries, one
    /// is true (RFC 6238 section 5.2).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn use_step(&mut self, id: FactorId, step: i64, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update second_factors set last_step = $2, last_used_at = $3
             where id = $1 and last_step < $2 and verified_at is not null",
            id.0,
            step,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Notes that a factor was used.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, id: FactorId, now: Timestamp) -> Result<()> {
        put_off!(self.0, "update second_factors set last_used_at = $2 where id = $1", id.0, now.micros())
    }

    /// Removes a verified factor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove(&mut self, account: AccountId, id: FactorId) -> Result<()> {
        execute!(
            self.0,
            "delete from second_factors where account_id = $1 and id = $2 and verified_at is not null",
            account.0,
            id.0,
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Makes the account's oldest factor the primary one, where none is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ensure_primary(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "update second_factors set is_primary = true
             where number = (select min(number) from second_factors where account_id = $1 and verified_at is not null)
                and not exists (select 1 from second_factors where account_id = $1 and is_primary)",
            account.0,
        )?;
        Ok(())
    }

    /// Removes what is being set up of that kind.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_pending(&mut self, account: AccountId, kind: FactorKind) -> Result<()> {
        execute!(
            self.0,
            "delete from second_factors where account_id = $1 and kind = $2 and verified_at is null",
            account.0,
            kind.as_str(),
        )?;
        Ok(())
    }

    /// Removes all that is being set up.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all_pending(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "delete from second_factors where account_id = $1 and verified_at is null",
            account.0,
        )?;
        Ok(())
    }

    /// Removes factors that can no longer be verified `now`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "second_factors",
            "number",
            "where verified_at is null and expires_at <= $1 order by expires_at limit $2",
            now.micros(),
            at_most,
        )
    }
}
