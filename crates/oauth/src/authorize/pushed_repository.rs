//! Authorization requests that were pushed, in the store.

use tidegate_crypto::TokenHash;
use tidegate_database::{Result, Unit, execute, fetch_optional, prune};
use tidegate_domain::Timestamp;
use tidegate_domain::id::ApplicationId;
use uuid::Uuid;

/// Pushed authorization requests of a unit of work.
pub struct PushedRequests<'u>(pub(crate) &'u mut Unit);

/// A request to be kept.
pub(crate) struct NewPushedRequest<'a> {
    pub(crate) hash: TokenHash,
    pub(crate) application: ApplicationId,
    /// Sealed.
    pub(crate) parameters: &'a [u8],
    pub(crate) is_signed: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Whether a browser has brought it already.
    pub(crate) is_opened: bool,
}

/// A request that is kept.
#[derive(Clone, Debug)]
pub(crate) struct PushedRequest {
    pub(crate) application: ApplicationId,
    /// Sealed.
    pub(crate) parameters: Vec<u8>,
    pub(crate) is_signed: bool,
    pub(crate) expires_at: Timestamp,
    pub(crate) is_opened: bool,
    pub(crate) is_used: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    application_id: Uuid,
    parameters: Vec<u8>,
    signed: bool,
    expires_at: i64,
    opened_at: Option<i64>,
    used_at: Option<i64>,
}

impl PushedRequests<'_> {
    /// Keeps a request, unless it is kept already.
    pub(crate) async fn insert(&mut self, new: &NewPushedRequest<'_>) -> Result<()> {
        execute!(
            self.0,
            "insert into oauth_pushed_requests (hash, application_id, parameters, signed, created_at, expires_at, opened_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            new.hash.as_bytes().to_vec(),
            new.application.0,
            new.parameters.to_vec(),
            new.is_signed,
            new.created_at.micros(),
            new.expires_at.micros(),
            new.is_opened.then(|| new.created_at.micros()),
        )?;
        Ok(())
    }

    /// The request of that hash.
    pub(crate) async fn find(&mut self, hash: &TokenHash) -> Result<Option<PushedRequest>> {
        let row = fetch_optional!(
            self.0,
            Row,
            "select application_id, parameters, signed, expires_at, opened_at, used_at from oauth_pushed_requests where hash = $1",
            hash.as_bytes().to_vec(),
        )?;
        Ok(row.map(|row| PushedRequest {
            application: row.application_id.into(),
            parameters: row.parameters,
            is_signed: row.signed,
            expires_at: Timestamp::from_micros(row.expires_at),
            is_opened: row.opened_at.is_some(),
            is_used: row.used_at.is_some(),
        }))
    }

    /// Notes that it was brought for the first time; it lives until `until` then.
    pub(crate) async fn open(&mut self, hash: &TokenHash, now: Timestamp, until: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update oauth_pushed_requests set opened_at = $2, expires_at = $3 where hash = $1 and opened_at is null",
            hash.as_bytes().to_vec(),
            now.micros(),
            until.micros(),
        )?;
        Ok(())
    }

    /// Notes that it was answered: of any number who do so at once, one does. False for the others.
    pub(crate) async fn use_up(&mut self, hash: &TokenHash, now: Timestamp) -> Result<bool> {
        let used = execute!(
            self.0,
            "update oauth_pushed_requests set used_at = $2 where hash = $1 and used_at is null and expires_at > $2",
            hash.as_bytes().to_vec(),
            now.micros(),
        )?;
        Ok(used == 1)
    }

    /// How many of an application are kept that were not answered yet.
    pub(crate) async fn waiting(&mut self, application: ApplicationId, now: Timestamp) -> Result<i64> {
        let (count,) = tidegate_database::fetch_one!(
            self.0,
            (i64,),
            "select count(*) from oauth_pushed_requests where application_id = $1 and used_at is null and expires_at > $2",
            application.0,
            now.micros(),
        )?;
        Ok(count)
    }

    /// Forgets the one of an application that has waited longest to be answered.
    pub(crate) async fn forget_oldest(&mut self, application: ApplicationId, now: Timestamp) -> Result<u64> {
        prune!(
            self.0,
            "oauth_pushed_requests",
            "hash",
            "where application_id = $1 and used_at is null and expires_at > $2 order by created_at, hash limit 1",
            application.0,
            now.micros(),
        )
    }

    /// Removes those of an application.
    pub(crate) async fn delete_of_application(&mut self, application: ApplicationId) -> Result<()> {
        execute!(self.0, "delete from oauth_pushed_requests where application_id = $1", application.0)?;
        Ok(())
    }

    /// Removes at most so many that have expired.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_pushed_requests",
            "hash",
            "where expires_at < $1 order by expires_at, hash limit $2",
            now.micros(),
            at_most,
        )
    }
}
