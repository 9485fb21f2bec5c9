//! Passkeys in the store.

use tidegate_crypto::webauthn::{StoredPasskey, VerifiedAssertion};
use tidegate_database::{Result, StoreError, Unit, fetch_all, fetch_one, fetch_optional, put_off};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, PasskeyId};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// Passkeys of a unit of work.
pub struct Passkeys<'u>(pub(crate) &'u mut Unit);

/// A passkey of an account.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// Key.
    pub id: PasskeyId,
    /// As contracts show it.
    pub number: i64,
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// What its authenticator calls it.
    pub credential_id: Vec<u8>,
    /// The public key and what was said at the registration, JSON.
    pub credential: String,
    /// The signature counter of its last use.
    pub sign_count: u32,
    /// Whether it may be synchronized to other devices.
    pub backup_eligible: bool,
    /// Whether it was at its last use.
    pub backed_up: bool,
    /// The model of the authenticator, as it says itself.
    pub aaguid: Uuid,
    /// The ways to the authenticator; empty where the client named none.
    pub transports: Vec<String>,
    /// Registered.
    pub created_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Option<Timestamp>,
    /// How often it signed in.
    pub use_count: i64,
}

impl Passkey {
    /// What an assertion is verified against.
    pub(crate) fn stored(&self) -> StoredPasskey<'_> {
        StoredPasskey {
            credential: &self.credential,
            sign_count: self.sign_count,
            backup_eligible: self.backup_eligible,
            backed_up: self.backed_up,
        }
    }
}

/// A passkey to be.
#[derive(Clone, Debug)]
pub struct NewPasskey<'a> {
    /// Key.
    pub id: PasskeyId,
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: &'a str,
    /// What its authenticator calls it.
    pub credential_id: &'a [u8],
    /// The public key and what was said at the registration, JSON.
    pub credential: &'a str,
    /// The signature counter.
    pub sign_count: u32,
    /// Whether it may be synchronized to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// The model of the authenticator, as it says itself.
    pub aaguid: Uuid,
    /// The ways to the authenticator.
    pub transports: &'a [String],
    /// Now.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct PasskeyRow {
    id: Uuid,
    number: i64,
    account_id: Uuid,
    name: String,
    credential_id: Vec<u8>,
    credential: String,
    sign_count: i64,
    backup_eligible: bool,
    backed_up: bool,
    aaguid: Uuid,
    transports: String,
    created_at: i64,
    last_used_at: Option<i64>,
    use_count: i64,
}

/// The columns of [`PasskeyRow`].
macro_rules! select_passkey {
    ($rest:literal) => {
        concat!(
            "select id, number, account_id, name, credential_id, credential, sign_count, backup_eligible, backed_up,
                aaguid, transports, created_at, last_used_at, use_count
             from passkeys where ",
            $rest
        )
    };
}

impl PasskeyRow {
    fn read(self) -> Result<Passkey> {
        Ok(Passkey {
            id: self.id.into(),
            number: self.number,
            account: self.account_id.into(),
            name: self.name,
            credential_id: self.credential_id,
            credential: self.credential,
            sign_count: u32::try_from(self.sign_count)
                .map_err(|_| StoreError::Unreadable("passkeys.sign_count"))?,
            backup_eligible: self.backup_eligible,
            backed_up: self.backed_up,
            aaguid: self.aaguid,
            transports: self.transports.split_ascii_whitespace().map(str::to_owned).collect(),
            created_at: Timestamp::from_micros(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
            use_count: self.use_count,
        })
    }
}

impl Passkeys<'_> {
    /// Adds a passkey; answers its number. None where its credential is registered already, of whichever account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewPasskey<'_>) -> Result<Option<i64>> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "insert into passkeys (id, account_id, name, credential_id, credential, sign_count, backup_eligible,
                backed_up, aaguid, transports, created_at, use_count)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)
             on conflict (credential_id) do nothing returning number",
            new.id.0,
            new.account.0,
            new.name,
            new.credential_id,
            new.credential,
            i64::from(new.sign_count),
            new.backup_eligible,
            new.backed_up,
            new.aaguid,
            new.transports.join(" "),
            new.created_at.micros(),
        )?;
        self.0.touch_account(new.account);
        Ok(row.map(|(number,)| number))
    }

    /// The account's passkeys, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<Passkey>> {
        let rows = fetch_all!(
            self.0,
            PasskeyRow,
            select_passkey!("account_id = $1 order by created_at desc, number desc"),
            account.0,
        )?;
        rows.into_iter().map(PasskeyRow::read).collect()
    }

    /// How many the account has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&mut self, account: AccountId) -> Result<i64> {
        let (count,) =
            fetch_one!(self.0, (i64,), "select count(*) from passkeys where account_id = $1", account.0,)?;
        Ok(count)
    }

    /// The passkey that authenticators call that.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, credential_id: &[u8]) -> Result<Option<Passkey>> {
        let row = fetch_optional!(self.0, PasskeyRow, select_passkey!("credential_id = $1"), credential_id,)?;
        row.map(PasskeyRow::read).transpose()
    }

    /// Notes that a passkey signed in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, id: PasskeyId, verified: &VerifiedAssertion, now: Timestamp) -> Result<()> {
        put_off!(
            self.0,
            "update passkeys set sign_count = $2, backup_eligible = $3, backed_up = $4, last_used_at = $5,
                use_count = use_count + 1
             where id = $1",
            id.0,
            i64::from(verified.sign_count),
            verified.backup_eligible,
            verified.backed_up,
            now.micros(),
        )
    }

    /// Removes the account's passkey of that number; answers what it was called.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_numbered(&mut self, account: AccountId, number: i64) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "delete from passkeys where account_id = $1 and number = $2 returning name",
            account.0,
            number,
        )?;
        self.0.touch_account(account);
        Ok(row.map(|(name,)| name))
    }

    /// Removes the account's passkeys that were registered at `since` or later; answers what they were called.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_since(&mut self, account: AccountId, since: Timestamp) -> Result<Vec<String>> {
        let removed = fetch_all!(
            self.0,
            (String,),
            "delete from passkeys where account_id = $1 and created_at >= $2 returning name",
            account.0,
            since.micros(),
        )?;
        self.0.touch_account(account);
        Ok(removed.into_iter().map(|(name,)| name).collect())
    }
}
