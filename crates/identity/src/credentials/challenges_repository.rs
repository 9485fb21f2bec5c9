//! Challenges: codes and links sent out, to be sent back once.

use sqlx::types::Json;
use tidegate_database::{
    Result, StoreError, Unit, execute, fetch_optional, prune, put_off, put_off_together,
};
use tidegate_domain::challenge::{Challenge, Continuation, MAX_LINK_USES, Purpose};
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::{ContractId, Timestamp};
use uuid::Uuid;

/// Challenges of a unit of work.
pub struct Challenges<'u>(pub(crate) &'u mut Unit);

/// A new challenge.
#[derive(Clone, Debug)]
pub struct NewChallenge<'a> {
    /// Key.
    pub id: ChallengeId,
    /// The account; none for an unknown address.
    pub account: Option<AccountId>,
    /// What for.
    pub purpose: Purpose,
    /// Where it is sent.
    pub address: &'a str,
    /// SHA-256 of the temporary token the caller holds.
    pub handle_hash: Option<&'a [u8]>,
    /// SHA-256 of the token in the link.
    pub link_hash: Option<&'a [u8]>,
    /// Keyed hash of the code.
    pub code_mac: Option<&'a [u8]>,
    /// The contract that asked for it.
    pub contract: ContractId,
    /// What to continue with.
    pub continuation: &'a Continuation,
    /// Now.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ChallengeRow {
    id: Uuid,
    account_id: Option<Uuid>,
    address: String,
    code_mac: Option<Vec<u8>>,
    attempts: i64,
    dialect: String,
    continuation: Json<Continuation>,
    created_at: i64,
    expires_at: i64,
    consumed_at: Option<i64>,
}

/// The columns of [`ChallengeRow`].
macro_rules! select_challenge {
    ($rest:literal) => {
        concat!(
            "select id, account_id, address, code_mac, attempts, dialect, continuation, created_at, expires_at,
                consumed_at
             from challenges where purpose = $1 and ",
            $rest
        )
    };
}

/// Adds a challenge: `$run!` is given the unit, what it runs before, the statement, and its values.
macro_rules! insert {
    ($run:ident, $unit:expr, $new:ident $(, $before:tt)?) => {
        $run!(
            $unit,
            $($before,)?
            "insert into challenges (id, account_id, purpose, address, handle_hash, link_hash, code_mac, attempts,
                link_uses, dialect, continuation, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, $11)",
            $new.id.0,
            $new.account.map(Uuid::from),
            $new.purpose.as_str(),
            $new.address,
            $new.handle_hash,
            $new.link_hash,
            $new.code_mac,
            $new.contract.as_str(),
            Json($new.continuation),
            $new.created_at.micros(),
            $new.expires_at.micros(),
        )
    };
}

impl ChallengeRow {
    fn read(self, purpose: Purpose) -> Result<Challenge> {
        Ok(Challenge {
            id: self.id.into(),
            account: self.account_id.map(AccountId),
            purpose,
            address: self.address,
            code_mac: self.code_mac,
            attempts: i32::try_from(self.attempts).unwrap_or(i32::MAX),
            contract: ContractId::parse(&self.dialect)
                .map_err(|_| StoreError::Unreadable("challenges.dialect"))?,
            continuation: self.continuation.0,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            consumed_at: self.consumed_at.map(Timestamp::from_micros),
        })
    }
}

impl Challenges<'_> {
    /// Whether the password of the challenge's account was changed after the challenge was sent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn precedes_password(&mut self, id: ChallengeId) -> Result<bool> {
        let found = fetch_optional!(
            self.0,
            (i64,),
            "select p.changed_at from challenges c join passwords p on p.account_id = c.account_id
             where c.id = $1 and p.changed_at > c.created_at",
            id.0,
        )?;
        Ok(found.is_some())
    }

    /// Adds a challenge.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewChallenge<'_>) -> Result<()> {
        insert!(put_off, self.0, new)
    }

    /// The challenge whose temporary token has that hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_handle(&mut self, purpose: Purpose, hash: &[u8]) -> Result<Option<Challenge>> {
        let row = fetch_optional!(
            self.0,
            ChallengeRow,
            select_challenge!("handle_hash = $2"),
            purpose.as_str(),
            hash
        )?;
        row.map(|row| row.read(purpose)).transpose()
    }

    /// The challenge whose link has that hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_link(&mut self, purpose: Purpose, hash: &[u8]) -> Result<Option<Challenge>> {
        let row = fetch_optional!(
            self.0,
            ChallengeRow,
            select_challenge!("link_hash = $2"),
            purpose.as_str(),
            hash
        )?;
        row.map(|row| row.read(purpose)).transpose()
    }

    /// The challenge of that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, purpose: Purpose, id: ChallengeId) -> Result<Option<Challenge>> {
        let row =
            fetch_optional!(self.0, ChallengeRow, select_challenge!("id = $2"), purpose.as_str(), id.0,)?;
        row.map(|row| row.read(purpose)).transpose()
    }

    /// The challenge of that key, whatever it is for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_any(&mut self, id: ChallengeId) -> Result<Option<Challenge>> {
        let found = fetch_optional!(self.0, (String,), "select purpose from challenges where id = $1", id.0)?;
        let Some((name,)) = found else { return Ok(None) };
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == name);
        self.find(purpose.ok_or(StoreError::Unreadable("challenges.purpose"))?, id).await
    }

    /// The account's latest challenge of that purpose.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest(&mut self, purpose: Purpose, account: AccountId) -> Result<Option<Challenge>> {
        let row = fetch_optional!(
            self.0,
            ChallengeRow,
            select_challenge!("account_id = $2 order by created_at desc, id desc limit 1"),
            purpose.as_str(),
            account.0,
        )?;
        row.map(|row| row.read(purpose)).transpose()
    }

    /// The newest challenge of that purpose that was sent to an address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest_to(&mut self, purpose: Purpose, address: &str) -> Result<Option<Challenge>> {
        let row = fetch_optional!(
            self.0,
            ChallengeRow,
            select_challenge!("address = $2 order by created_at desc, id desc limit 1"),
            purpose.as_str(),
            address,
        )?;
        row.map(|row| row.read(purpose)).transpose()
    }

    /// Counts a try of at most `most`. False when none is left or the challenge was answered meanwhile: of any number of concurrent
    /// tries, no more than allowed are counted, and on PostgreSQL each waits here for the one before it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_attempt(&mut self, id: ChallengeId, most: i32) -> Result<bool> {
        let counted = execute!(
            self.0,
            "update challenges set attempts = attempts + 1
             where id = $1 and attempts < $2 and consumed_at is null",
            id.0,
            i64::from(most),
        )?;
        Ok(counted == 1)
    }

    /// Counts a try of at most `most` that has the right code, and marks the challenge as answered. False when no try is left, when the
    /// code was taken back or replaced, and when a concurrent request answered it: exactly one succeeds.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take(
        &mut self,
        id: ChallengeId,
        code_mac: &[u8],
        most: i32,
        now: Timestamp,
    ) -> Result<bool> {
        let taken = execute!(
            self.0,
            "update challenges set attempts = attempts + 1, consumed_at = $4
             where id = $1 and attempts < $2 and consumed_at is null and code_mac = $3",
            id.0,
            i64::from(most),
            code_mac,
            now.micros(),
        )?;
        Ok(taken == 1)
    }

    /// Marks the challenge as answered. False when a concurrent request did: exactly one succeeds.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn consume(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool> {
        let consumed = execute!(
            self.0,
            "update challenges set consumed_at = $2 where id = $1 and consumed_at is null",
            id.0,
            now.micros(),
        )?;
        Ok(consumed == 1)
    }

    /// Forgets what a challenge was to continue with: that was done, or never will be.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_continuation(&mut self, id: ChallengeId) -> Result<()> {
        put_off!(
            self.0,
            "update challenges set continuation = $2 where id = $1",
            id.0,
            Json(&Continuation::NOTHING),
        )
    }

    /// Takes the challenge as answered by its link, also when it was before. False when it was withdrawn meanwhile, or
    /// its link was used too often.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool> {
        let claimed = execute!(
            self.0,
            "update challenges set consumed_at = coalesce(consumed_at, $2), link_uses = link_uses + 1
             where id = $1 and link_uses < $3",
            id.0,
            now.micros(),
            i64::from(MAX_LINK_USES),
        )?;
        Ok(claimed == 1)
    }

    /// Takes every challenge of the account for that purpose as answered.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn consume_all(&mut self, purpose: Purpose, account: AccountId, now: Timestamp) -> Result<()> {
        put_off!(
            self.0,
            "update challenges set consumed_at = $3
             where purpose = $1 and account_id = $2 and consumed_at is null",
            purpose.as_str(),
            account.0,
            now.micros(),
        )
    }

    /// Takes back the code and the temporary token of the account's challenges; a link already sent keeps working.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn withdraw_codes(&mut self, purpose: Purpose, account: AccountId) -> Result<()> {
        put_off!(
            self.0,
            "update challenges set handle_hash = null, code_mac = null where purpose = $1 and account_id = $2",
            purpose.as_str(),
            account.0,
        )
    }

    /// Adds a challenge in the place of those of its purpose that were sent to its address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn replace(&mut self, new: &NewChallenge<'_>) -> Result<()> {
        insert!(put_off_together, self.0, new, ["delete from challenges where purpose = $3 and address = $4"])
    }

    /// Removes the account's challenges of that purpose that were sent through one contract.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn withdraw(
        &mut self,
        purpose: Purpose,
        account: AccountId,
        contract: ContractId,
    ) -> Result<()> {
        put_off!(
            self.0,
            "delete from challenges where purpose = $1 and account_id = $2 and dialect = $3",
            purpose.as_str(),
            account.0,
            contract.as_str(),
        )
    }

    /// Removes the account's challenges of that purpose.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove(&mut self, purpose: Purpose, account: AccountId) -> Result<()> {
        put_off!(
            self.0,
            "delete from challenges where purpose = $1 and account_id = $2",
            purpose.as_str(),
            account.0,
        )
    }

    /// Removes the account's challenges of either purpose.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_both(&mut self, [one, other]: [Purpose; 2], account: AccountId) -> Result<()> {
        put_off!(
            self.0,
            "delete from challenges where purpose in ($1, $2) and account_id = $3",
            one.as_str(),
            other.as_str(),
            account.0,
        )
    }

    /// Removes challenges that expired before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "challenges",
            "id",
            "where expires_at < $1 order by expires_at limit $2",
            before.micros(),
            at_most,
        )
    }
}
