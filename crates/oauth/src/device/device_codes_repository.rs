//! Devices that wait for a person, in the store: hashes only.

use tidegate_crypto::TokenHash;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_optional, prune};
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_domain::{Scopes, Timestamp};
use uuid::Uuid;

use crate::applications::Application;

/// Devices that wait for a person, of a unit of work.
pub struct DeviceCodes<'u>(pub(crate) &'u mut Unit);

/// What became of a device's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceStatus {
    /// Nobody answered yet.
    Pending,
    /// A person allows it.
    Approved,
    /// A person refused.
    Denied,
}

impl DeviceStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Approved, Self::Denied];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// A request to be added.
pub(crate) struct NewDeviceCode<'a> {
    pub(crate) id: Uuid,
    pub(crate) hash: TokenHash,
    pub(crate) user_code_mac: &'a [u8; 32],
    pub(crate) application: &'a Application,
    pub(crate) scopes: &'a Scopes,
    pub(crate) audience: Option<&'a str>,
    pub(crate) ip: &'a str,
    pub(crate) interval: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A request of a device.
#[derive(Clone, Debug)]
pub(crate) struct DeviceCode {
    pub(crate) id: Uuid,
    pub(crate) application: ApplicationId,
    pub(crate) application_epoch: Uuid,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Option<String>,
    /// The address that asked.
    pub(crate) ip: String,
    pub(crate) status: DeviceStatus,
    /// Seconds between two polls.
    pub(crate) interval: i64,
    pub(crate) polled_at: Option<Timestamp>,
    /// Who answered, with which session, and when.
    pub(crate) answered: Option<(AccountId, SessionId, Timestamp)>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Whether it was exchanged.
    pub(crate) is_used: bool,
}

/// Who answers a device's request, with which session.
#[derive(Clone, Copy)]
pub(crate) struct Answering {
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    application_id: Uuid,
    application_epoch: Uuid,
    scope: String,
    audience: Option<String>,
    ip: String,
    status: String,
    interval_seconds: i64,
    polled_at: Option<i64>,
    account_id: Option<Uuid>,
    session_id: Option<Uuid>,
    decided_at: Option<i64>,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, application_id, application_epoch, scope, audience, ip, status, interval_seconds, polled_at, account_id,
                session_id, decided_at, created_at, expires_at, used_at
             from oauth_device_codes ",
            $rest
        )
    };
}

impl Row {
    fn read(self) -> Result<DeviceCode> {
        let status = DeviceStatus::from_name(&self.status);
        let answered = self.account_id.zip(self.session_id).zip(self.decided_at);
        Ok(DeviceCode {
            id: self.id,
            application: self.application_id.into(),
            application_epoch: self.application_epoch,
            scopes: Scopes::from_stored(&self.scope),
            audience: self.audience,
            ip: self.ip,
            status: status.ok_or(StoreError::Unreadable("oauth_device_codes.status"))?,
            interval: self.interval_seconds,
            polled_at: self.polled_at.map(Timestamp::from_micros),
            answered: answered.map(|((account, session), at)| {
                (account.into(), SessionId(session), Timestamp::from_micros(at))
            }),
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            is_used: self.used_at.is_some(),
        })
    }
}

impl DeviceCodes<'_> {
    /// Adds a request. False where one of its codes is taken.
    pub(crate) async fn insert(&mut self, new: &NewDeviceCode<'_>) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into oauth_device_codes (id, device_code_hash, user_code_mac, application_id, application_epoch, scope, audience,
                ip, status, interval_seconds, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $11) on conflict do nothing",
            new.id,
            new.hash.as_bytes().to_vec(),
            new.user_code_mac.to_vec(),
            new.application.id.0,
            new.application.epoch,
            new.scopes.to_string(),
            new.audience,
            new.ip,
            new.interval,
            new.created_at.micros(),
            new.expires_at.micros(),
        )?;
        Ok(added == 1)
    }

    /// The request of the device that polls with what has that hash.
    pub(crate) async fn find(&mut self, hash: &TokenHash) -> Result<Option<DeviceCode>> {
        let row =
            fetch_optional!(self.0, Row, select!("where device_code_hash = $1"), hash.as_bytes().to_vec())?;
        row.map(Row::read).transpose()
    }

    /// The request whose code a person typed.
    pub(crate) async fn find_typed(&mut self, user_code_mac: &[u8; 32]) -> Result<Option<DeviceCode>> {
        let row = fetch_optional!(self.0, Row, select!("where user_code_mac = $1"), user_code_mac.to_vec())?;
        row.map(Row::read).transpose()
    }

    /// Notes a person's answer. False where there is one already, or the time is over.
    pub(crate) async fn decide(
        &mut self,
        id: Uuid,
        status: DeviceStatus,
        Answering { account, session, now }: Answering,
    ) -> Result<bool> {
        let decided = execute!(
            self.0,
            "update oauth_device_codes set status = $2, account_id = $3, session_id = $4, decided_at = $5
             where id = $1 and status = 'pending' and expires_at > $5",
            id,
            status.as_str(),
            account.0,
            session.0,
            now.micros(),
        )?;
        Ok(decided == 1)
    }

    /// Notes a poll, and how long the device has to wait before the next one. False where another poll was noted meanwhile.
    pub(crate) async fn polled(&mut self, code: &DeviceCode, interval: i64, now: Timestamp) -> Result<bool> {
        let noted = execute!(
            self.0,
            "update oauth_device_codes set polled_at = $2, interval_seconds = $3
             where id = $1 and interval_seconds = $4 and coalesce(polled_at, 0) = $5",
            code.id,
            now.micros(),
            interval,
            code.interval,
            code.polled_at.map_or(0, Timestamp::micros),
        )?;
        Ok(noted == 1)
    }

    /// Uses an approved request up: of any number who do so at once, one does. False for the others, and where the account has taken access
    /// back: one that was being approved at that moment was not there to be removed.
    pub(crate) async fn use_up(&mut self, id: Uuid, opened: SessionId, now: Timestamp) -> Result<bool> {
        let used = execute!(
            self.0,
            "update oauth_device_codes set used_at = $2, opened_session_id = $3
             where id = $1 and status = 'approved' and used_at is null and exists
                (select 1 from oauth_consents c where c.account_id = oauth_device_codes.account_id
                    and c.application_id = oauth_device_codes.application_id)",
            id,
            now.micros(),
            opened.0,
        )?;
        Ok(used == 1)
    }

    /// Removes what an account answered.
    pub(crate) async fn delete_of_account(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from oauth_device_codes where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes what an account answered to an application.
    pub(crate) async fn delete(&mut self, account: AccountId, application: ApplicationId) -> Result<()> {
        execute!(
            self.0,
            "delete from oauth_device_codes where account_id = $1 and application_id = $2",
            account.0,
            application.0,
        )?;
        Ok(())
    }

    /// Removes the requests of an application.
    pub(crate) async fn delete_of_application(&mut self, application: ApplicationId) -> Result<()> {
        execute!(self.0, "delete from oauth_device_codes where application_id = $1", application.0)?;
        Ok(())
    }

    /// Removes requests that expired before `before`; answers how many.
    pub(crate) async fn prune(&mut self, before: Timestamp, at_once: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_device_codes",
            "id",
            "where expires_at < $1 order by expires_at limit $2",
            before.micros(),
            at_once,
        )
    }
}
