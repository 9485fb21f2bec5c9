//! Trusted devices in the store. A row is inactive until its owner activates it.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional, prune, put_off};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, TrustedDeviceId};
use uuid::Uuid;

/// Trusted devices of a unit of work.
pub struct TrustedDevices<'u>(pub(crate) &'u mut Unit);

/// A device.
#[derive(Clone, Debug)]
pub struct TrustedDevice {
    /// Key.
    pub id: TrustedDeviceId,
    /// As contracts show it.
    pub number: i64,
    /// What it is called.
    pub name: String,
    /// Keyed hash of what it is recognized by.
    pub fingerprint: Vec<u8>,
    /// Its address when the second factor was shown.
    pub ip: String,
    /// Its client then.
    pub user_agent: String,
    /// When that was.
    pub created_at: Timestamp,
    /// Until when it can be activated.
    pub activation_expires_at: Timestamp,
    /// When it last signed in without a second factor.
    pub last_used_at: Option<Timestamp>,
}

/// A device to be.
#[derive(Clone, Debug)]
pub struct NewDevice<'a> {
    /// Key.
    pub id: TrustedDeviceId,
    /// Whose.
    pub account: AccountId,
    /// What it is called.
    pub name: &'a str,
    /// Keyed hash of what it is recognized by.
    pub fingerprint: &'a [u8],
    /// Its address.
    pub ip: &'a str,
    /// Its client.
    pub user_agent: &'a str,
    /// SHA-256 of the activation token.
    pub activation_hash: &'a [u8],
    /// Until when it can be activated.
    pub activation_expires_at: Timestamp,
    /// Now.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DeviceRow {
    id: Uuid,
    number: i64,
    name: String,
    fingerprint: Vec<u8>,
    ip: String,
    user_agent: String,
    created_at: i64,
    activation_expires_at: i64,
    last_used_at: Option<i64>,
}

/// The columns of [`DeviceRow`].
macro_rules! select_device {
    ($rest:literal) => {
        concat!(
            "select id, number, name, fingerprint, ip, user_agent, created_at, activation_expires_at, last_used_at
             from trusted_devices where account_id = $1 and ",
            $rest
        )
    };
}

impl From<DeviceRow> for TrustedDevice {
    fn from(row: DeviceRow) -> Self {
        Self {
            id: row.id.into(),
            number: row.number,
            name: row.name,
            fingerprint: row.fingerprint,
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: Timestamp::from_micros(row.created_at),
            activation_expires_at: Timestamp::from_micros(row.activation_expires_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        }
    }
}

impl TrustedDevices<'_> {
    /// Adds a device that is not trusted yet; answers its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewDevice<'_>) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into trusted_devices (id, account_id, name, fingerprint, ip, user_agent, created_at, activation_hash,
                activation_expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning number",
            new.id.0,
            new.account.0,
            new.name,
            new.fingerprint,
            new.ip,
            new.user_agent,
            new.created_at.micros(),
            new.activation_hash,
            new.activation_expires_at.micros(),
        )?;
        Ok(number)
    }

    /// The account's devices that were trusted after `since`, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn active(&mut self, account: AccountId, since: Timestamp) -> Result<Vec<TrustedDevice>> {
        let rows = fetch_all!(
            self.0,
            DeviceRow,
            select_device!("activated_at > $2 order by activated_at desc, number desc"),
            account.0,
            since.micros(),
        )?;
        Ok(rows.into_iter().map(TrustedDevice::from).collect())
    }

    /// The account's device that waits to be activated with the token of that hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inactive(&mut self, account: AccountId, hash: &[u8]) -> Result<Option<TrustedDevice>> {
        let row = fetch_optional!(
            self.0,
            DeviceRow,
            select_device!("activation_hash = $2 and activated_at is null"),
            account.0,
            hash,
        )?;
        Ok(row.map(TrustedDevice::from))
    }

    /// Trusts a device from now on. False when that was done before, or it is gone: of any number of concurrent tries, one is true.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activate(&mut self, id: TrustedDeviceId, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update trusted_devices set activated_at = $2, activation_hash = null
             where id = $1 and activated_at is null",
            id.0,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Removes the account's other rows for the same device, and beyond `most` the devices that were trusted first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep_newest(&mut self, account: AccountId, device: &TrustedDevice, most: i64) -> Result<()> {
        execute!(
            self.0,
            "delete from trusted_devices where account_id = $1 and fingerprint = $2 and id <> $3",
            account.0,
            device.fingerprint.as_slice(),
            device.id.0,
        )?;
        execute!(
            self.0,
            "delete from trusted_devices where account_id = $1 and activated_at is not null and number not in
                (select number from trusted_devices where account_id = $1 and activated_at is not null
                 order by activated_at desc, number desc limit $2)",
            account.0,
            most,
        )?;
        Ok(())
    }

    /// Notes that a device signed in without a second factor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, id: TrustedDeviceId, now: Timestamp) -> Result<()> {
        put_off!(self.0, "update trusted_devices set last_used_at = $2 where id = $1", id.0, now.micros())
    }

    /// Removes a device. False when it is gone already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove(&mut self, id: TrustedDeviceId) -> Result<bool> {
        let removed = execute!(self.0, "delete from trusted_devices where id = $1", id.0)?;
        Ok(removed == 1)
    }

    /// Removes the account's active device of that number. False when it has none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_numbered(&mut self, account: AccountId, number: i64) -> Result<bool> {
        let removed = execute!(
            self.0,
            "delete from trusted_devices where account_id = $1 and number = $2 and activated_at is not null",
            account.0,
            number,
        )?;
        Ok(removed == 1)
    }

    /// Removes all devices of the account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from trusted_devices where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes devices that could be activated until before `before` and were not, and those trusted before `trusted`; answers how
    /// many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, trusted: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "trusted_devices",
            "number",
            "where (activated_at is null and activation_expires_at < $1) or activated_at < $2 order by number limit $3",
            before.micros(),
            trusted.micros(),
            at_most,
        )
    }
}
