//! People's accounts at a broker, and the openings of such that have no answer yet.

use std::time::Duration;

use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;
use uuid::Uuid;

/// Brokerage accounts of a unit of work.
pub struct BrokerageAccounts<'u>(pub(crate) &'u mut Unit);

/// What is known of a person's account at a broker.
#[derive(Clone, Debug)]
pub struct BrokerageRecord {
    /// Whose.
    pub account: AccountId,
    /// What the broker knows of the person, sealed; none before there is an account.
    pub person: Option<Vec<u8>>,
    /// The broker's key of it; none before there is one.
    pub broker_account: Option<Uuid>,
    /// Its status, in our words.
    pub status: String,
    /// The opening that has no answer yet.
    pub opening: Option<Opening>,
    /// How often the broker was asked since something last changed.
    pub checks: i64,
    /// Last changed.
    pub updated_at: Timestamp,
}

/// An account being opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Key: the same however often it is tried.
    pub id: Uuid,
    /// What it was asked with, sealed.
    pub sealed: Vec<u8>,
    /// Whether a task waits for the broker's answer, or waited without a result.
    pub state: OpeningState,
    /// When the broker was first asked.
    pub since: Timestamp,
    /// Until when its end is waited for.
    pub until: Timestamp,
}

/// How far an opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningState {
    /// The broker is being called. After the deadline the task is taken for lost.
    Asked,
    /// The broker's answer was lost: perhaps there is an account.
    Unknown,
}

impl OpeningState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    account_id: Uuid,
    person: Option<Vec<u8>>,
    broker_account_id: Option<Uuid>,
    status: String,
    opening_id: Option<Uuid>,
    opening: Option<Vec<u8>>,
    opening_state: Option<String>,
    opening_since: Option<i64>,
    opening_until: Option<i64>,
    checks: i64,
    updated_at: i64,
}

impl TryFrom<Row> for BrokerageRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let opening = match (row.opening_id, row.opening, row.opening_state, row.opening_since) {
            (Some(id), Some(sealed), Some(state), Some(since)) => Some(Opening {
                id,
                sealed,
                state: [OpeningState::Asked, OpeningState::Unknown]
                    .into_iter()
                    .find(|known| known.as_str() == state)
                    .ok_or(StoreError::Unreadable("brokerage_accounts.opening_state"))?,
                since: Timestamp::from_micros(since),
                until: Timestamp::from_micros(row.opening_until.unwrap_or(since)),
            }),
            _ => None,
        };
        Ok(Self {
            account: row.account_id.into(),
            person: row.person,
            broker_account: row.broker_account_id,
            status: row.status,
            opening,
            checks: row.checks,
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

/// The columns of [`Row`].
macro_rules! columns {
    () => {
        "account_id, person, broker_account_id, status, opening_id, opening, opening_state, opening_since, opening_until,
         checks, updated_at"
    };
}

impl BrokerageAccounts<'_> {
    /// The person's account at a broker, or its opening.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, account: AccountId, broker: &str) -> Result<Option<BrokerageRecord>> {
        let row = fetch_optional!(
            self.0,
            Row,
            concat!("select ", columns!(), " from brokerage_accounts where account_id = $1 and broker = $2"),
            account.0,
            broker,
        )?;
        row.map(BrokerageRecord::try_from).transpose()
    }

    /// Whose account of the broker's that is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn owner_of(&mut self, broker: &str, broker_account: Uuid) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select account_id from brokerage_accounts where broker = $1 and broker_account_id = $2",
            broker,
            broker_account,
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// Writes down that an account is about to be opened, in place of the opening `seen` or of none. False when there is an
    /// account, or another opening.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin_opening(
        &mut self,
        account: AccountId,
        broker: &str,
        opening: &Opening,
        seen: Option<&Opening>,
        now: Timestamp,
    ) -> Result<bool> {
        let begun = execute!(
            self.0,
            "insert into brokerage_accounts (account_id, broker, status, opening_id, opening, opening_state,
                opening_since, opening_until, check_at, checks, updated_at)
             values ($1, $2, 'new', $3, $4, $5, $6, $7, $7, 0, $8)
             on conflict (account_id, broker) do update set opening_id = excluded.opening_id,
                opening = excluded.opening, opening_state = excluded.opening_state,
                opening_since = excluded.opening_since, opening_until = excluded.opening_until,
                check_at = excluded.check_at, checks = 0
             where brokerage_accounts.broker_account_id is null
                and (brokerage_accounts.opening_id is null
                    or (brokerage_accounts.opening_id = $9 and brokerage_accounts.opening_until = $10))",
            account.0,
            broker,
            opening.id,
            opening.sealed.as_slice(),
            opening.state.as_str(),
            opening.since.micros(),
            opening.until.micros(),
            now.micros(),
            seen.map(|seen| seen.id),
            seen.map(|seen| seen.until.micros()),
        )?;
        Ok(begun == 1)
    }

    /// Marks an opening as unsettled: the broker is asked again at `check_at`, and until `until` nothing is
    /// concluded from its not finding anything.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn opening_unknown(
        &mut self,
        broker: &str,
        seen: &Opening,
        check_at: Timestamp,
        until: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update brokerage_accounts set opening_state = 'unknown', opening_until = $5, check_at = $4
             where broker = $1 and opening_id = $2 and opening_until = $3 and broker_account_id is null",
            broker,
            seen.id,
            seen.until.micros(),
            check_at.micros(),
            until.micros(),
        )?;
        Ok(())
    }

    /// Notes that an opening, as it was seen, led to no account. Of one that is being tried again nothing is noted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn opening_failed(&mut self, broker: &str, seen: &Opening) -> Result<()> {
        execute!(
            self.0,
            "update brokerage_accounts set opening_id = null, opening = null, opening_state = null,
                opening_since = null, opening_until = null, check_at = null
             where broker = $1 and opening_id = $2 and opening_until = $3 and broker_account_id is null",
            broker,
            seen.id,
            seen.until.micros(),
        )?;
        Ok(())
    }

    /// Notes which account a person has. False when one was noted before, or the person is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn opened(
        &mut self,
        account: AccountId,
        broker: &str,
        opened: Opened<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        let noted = execute!(
            self.0,
            "update brokerage_accounts set opening_id = null, opening = null, opening_state = null,
                opening_since = null, opening_until = null, person = $3, broker_account_id = $4, status = $5,
                check_at = $6, checks = 0, updated_at = $7
             where account_id = $1 and broker = $2 and broker_account_id is null",
            account.0,
            broker,
            opened.person,
            opened.broker_account,
            opened.status,
            opened.check_at.map(Timestamp::micros),
            now.micros(),
        )?;
        Ok(noted == 1)
    }

    /// Stores the status of an account, and when the broker is asked next. An unchanged status is not a change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn store_status(
        &mut self,
        account: AccountId,
        broker: &str,
        update: StatusUpdate<'_>,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update brokerage_accounts set check_at = $4, checks = $5,
                updated_at = case when status = $3 then updated_at else $6 end, status = $3
             where account_id = $1 and broker = $2 and broker_account_id is not null",
            account.0,
            broker,
            update.status,
            update.check_at.map(Timestamp::micros),
            update.checks,
            now.micros(),
        )?;
        Ok(())
    }

    /// Postpones when the broker is asked for the result of an opening.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn check_opening_at(&mut self, broker: &str, seen: &Opening, at: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update brokerage_accounts set check_at = $4
             where broker = $1 and opening_id = $2 and opening_until = $3 and broker_account_id is null",
            broker,
            seen.id,
            seen.until.micros(),
            at.micros(),
        )?;
        Ok(())
    }

    /// When the broker is next to be asked anything.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_check(&mut self, broker: &str) -> Result<Option<Timestamp>> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select check_at from brokerage_accounts where broker = $1 and check_at is not null
             order by check_at limit 1",
            broker,
        )?;
        Ok(row.map(|(at,)| Timestamp::from_micros(at)))
    }

    /// Whether any account exists at a broker.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn any(&mut self, broker: &str) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select updated_at from brokerage_accounts where broker = $1 and broker_account_id is not null limit 1",
            broker,
        )?;
        Ok(row.is_some())
    }

    /// Takes up to `at_most` accounts and openings of which it is time to ask the broker, openings first, for `lease`: no
    /// other worker gets them in that time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim_due(
        &mut self,
        broker: &str,
        now: Timestamp,
        lease: Duration,
        at_most: i64,
    ) -> Result<Vec<BrokerageRecord>> {
        let mut rows = fetch_all!(
            self.0,
            Row,
            concat!(
                "update brokerage_accounts set check_at = $3
                 where broker = $1 and check_at <= $2 and account_id in
                    (select account_id from brokerage_accounts where broker = $1 and check_at <= $2
                     order by case when opening_id is null then 1 else 0 end, check_at, account_id limit $4)
                 returning ",
                columns!()
            ),
            broker,
            now.micros(),
            now.plus(lease).micros(),
            at_most,
        )?;
        rows.sort_by_key(|row| row.opening_id.is_none());
        // One that cannot be read does not block the others.
        Ok(rows.into_iter().filter_map(|row| BrokerageRecord::try_from(row).ok()).collect())
    }

    /// Deletes what is kept of an account's person. The embedded sandbox keeps its data for no other account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_of(&mut self, account: AccountId) -> Result<()> {
        for statement in [
            "delete from sandbox_accounts where id in
                (select broker_account_id from brokerage_accounts where account_id = $1 and broker = 'sandbox')",
            "delete from brokerage_accounts where account_id = $1",
        ] {
            execute!(self.0, statement, account.0)?;
        }
        Ok(())
    }
}

/// The account an opening led to.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The broker's key of it.
    pub broker_account: Uuid,
    /// What the broker knows of the person, sealed.
    pub person: &'a [u8],
    /// Its status, in our words.
    pub status: &'a str,
    /// When the broker is asked for its status.
    pub check_at: Option<Timestamp>,
}

/// The status of an account.
#[derive(Clone, Copy, Debug)]
pub struct StatusUpdate<'a> {
    /// Our word for it.
    pub status: &'a str,
    /// When the broker is asked next; none when nothing can follow.
    pub check_at: Option<Timestamp>,
    /// How often it was asked since something last changed.
    pub checks: i64,
}
