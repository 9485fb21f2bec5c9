//! Accounts, their identifiers and passwords.

use sqlx::types::Json;
use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional, put_off};
use tidegate_domain::account::{Account, AccountEmail, AccountKind, LoginName};
use tidegate_domain::id::{AccountId, IdentifierId};
use tidegate_domain::{Document, EmailAddress, LanguageTag, PhoneNumber, Timestamp};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

use super::password_schemes::scheme_of;

/// Accounts of a unit of work.
pub struct Accounts<'u>(pub(crate) &'u mut Unit);

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// Key.
    pub id: AccountId,
    /// Person or program.
    pub kind: AccountKind,
    /// Name shown to people.
    pub display_name: &'a str,
    /// Whether the terms were agreed to.
    pub agreed_to_terms: bool,
    /// Which version of them.
    pub terms_version: Option<&'a str>,
    /// The language its owner is written to in, where they asked for one.
    pub language: Option<&'a str>,
    /// Now.
    pub created_at: Timestamp,
}

/// What an account is to sign in as.
#[derive(Clone, Copy, Debug)]
pub struct NewIdentifier<'a> {
    /// Key.
    pub id: IdentifierId,
    /// Whose.
    pub account: AccountId,
    /// The address, number or name.
    pub login: &'a LoginName,
    /// Since when it is known to be theirs.
    pub verified_at: Option<Timestamp>,
    /// Whether it is the one of its kind that signs in, and that messages go to.
    pub is_primary: bool,
    /// Now.
    pub created_at: Timestamp,
}

/// What signing in needs to know.
#[derive(Clone, Debug)]
pub struct SignInRecord {
    /// The account.
    pub account: Account,
    /// Its password hash; none for one that signs in otherwise.
    pub password_hash: Option<String>,
    /// Since when the address is known to be theirs.
    pub verified_at: Option<Timestamp>,
    /// The language its owner is written to in, where one is known.
    pub language: Option<LanguageTag>,
}

/// The columns of [`AccountRow`].
macro_rules! account_columns {
    () => {
        "a.id, a.number, a.display_name, a.profile_image_url, a.profile, a.user_metadata, a.is_system_admin,
         a.disabled_at, a.created_at, a.updated_at"
    };
}

#[derive(sqlx::FromRow)]
pub(crate) struct AccountRow {
    id: Uuid,
    number: i64,
    display_name: String,
    profile_image_url: Option<String>,
    profile: Json<Document>,
    user_metadata: Json<Document>,
    is_system_admin: bool,
    disabled_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id.into(),
            number: row.number,
            display_name: row.display_name,
            profile_image_url: row.profile_image_url,
            profile: row.profile.0,
            user_metadata: row.user_metadata.0,
            is_system_admin: row.is_system_admin,
            disabled_at: row.disabled_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

#[derive(sqlx::FromRow)]
struct SignInRow {
    #[sqlx(flatten)]
    account: AccountRow,
    hash: Option<String>,
    verified_at: Option<i64>,
    language: Option<String>,
}

#[derive(sqlx::FromRow)]
struct EmailRow {
    value: String,
    verified_at: Option<i64>,
    is_primary: bool,
    created_at: i64,
}

impl Accounts<'_> {
    /// Adds an account; answers its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewAccount<'_>) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into accounts (id, kind, display_name, profile, user_metadata, is_system_admin,
                agreed_to_terms, terms_version, created_at, updated_at, language)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) returning number",
            new.id.0,
            new.kind.as_str(),
            new.display_name,
            Json(Document::default()),
            Json(Document::default()),
            false,
            new.agreed_to_terms,
            new.terms_version,
            new.created_at.micros(),
            new.language,
        )?;
        self.0.note_made(new.id.0);
        Ok(number)
    }

    /// Adds an address, number or name unless it is taken; returns whether it was added.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_identifier(&mut self, new: NewIdentifier<'_>) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (kind, value) do nothing",
            new.id.0,
            new.account.0,
            new.login.kind(),
            new.login.as_str(),
            new.verified_at.map(Timestamp::micros),
            new.is_primary,
            new.created_at.micros(),
        )?;
        self.0.touch_account(new.account);
        Ok(added == 1)
    }

    /// The account of that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, id: AccountId) -> Result<Option<Account>> {
        let row = fetch_optional!(
            self.0,
            AccountRow,
            concat!("select ", account_columns!(), " from accounts a where a.id = $1"),
            id.0,
        )?;
        Ok(row.map(Account::from))
    }

    /// The account whose **primary** address or name this is. A replaced address no longer signs in nor
    /// resets a password: its mailbox may be the reason for the change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_for_sign_in(&mut self, login: &LoginName) -> Result<Option<SignInRecord>> {
        let row = fetch_optional!(
            self.0,
            SignInRow,
            concat!(
                "select ",
                account_columns!(),
                ", p.hash, i.verified_at, a.language
                 from identifiers i join accounts a on a.id = i.account_id
                 left join passwords p on p.account_id = a.id
                 where i.kind = $1 and i.value = $2 and i.is_primary"
            ),
            login.kind(),
            login.as_str(),
        )?;
        Ok(row.map(|row| SignInRecord {
            language: row.language.as_deref().and_then(LanguageTag::parse),
            account: row.account.into(),
            password_hash: row.hash,
            verified_at: row.verified_at.map(Timestamp::from_micros),
        }))
    }

    /// Whose this address or name is, primary or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn owner_of(&mut self, login: &LoginName) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select account_id from identifiers where kind = $1 and value = $2",
            login.kind(),
            login.as_str(),
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// The account's addresses, the primary one first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn emails(&mut self, account: AccountId) -> Result<Vec<AccountEmail>> {
        let rows = fetch_all!(
            self.0,
            EmailRow,
            "select value, verified_at, is_primary, created_at from identifiers
             where account_id = $1 and kind = 'email' order by is_primary desc, created_at desc",
            account.0,
        )?;
        Ok(rows
            .into_iter()
            .map(|row| AccountEmail {
                email: EmailAddress::from_stored(row.value),
                verified_at: row.verified_at.map(Timestamp::from_micros),
                is_primary: row.is_primary,
                created_at: Timestamp::from_micros(row.created_at),
            })
            .collect())
    }

    /// The account's primary phone, if it has one that is known to be theirs.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn phone(&mut self, account: AccountId) -> Result<Option<PhoneNumber>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select value from identifiers
             where account_id = $1 and kind = 'phone' and is_primary and verified_at is not null",
            account.0,
        )?;
        Ok(row.map(|(value,)| PhoneNumber::from_stored(value)))
    }

    /// The account's first and last name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn names(&mut self, account: AccountId) -> Result<(String, String)> {
        fetch_one!(
            self.0,
            (String, String),
            "select first_name, last_name from accounts where id = $1",
            account.0,
        )
    }

    /// Calls a person what they are called. What is shown of them becomes both names together, unless it was chosen.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn name(&mut self, account: AccountId, first: &str, last: &str, now: Timestamp) -> Result<()> {
        let shown = format!("{first} {last}");
        execute!(
            self.0,
            "update accounts set first_name = $2, last_name = $3, updated_at = $5,
                display_name = case when display_name = '' then $4 else display_name end
             where id = $1",
            account.0,
            first,
            last,
            shown,
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Notes that the address is shown to be the account's; answers whether it was not known before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verify_email(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update identifiers set verified_at = $3
             where account_id = $1 and kind = 'email' and value = $2 and verified_at is null",
            account.0,
            email.as_str(),
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(changed == 1)
    }

    /// Makes the address the one mails go to, and no other. One that is not the account's changes nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn make_email_primary(&mut self, account: AccountId, email: &EmailAddress) -> Result<()> {
        execute!(
            self.0,
            "update identifiers set is_primary = false
             where account_id = $1 and kind = 'email' and value <> $2 and exists
                (select 1 from identifiers where account_id = $1 and kind = 'email' and value = $2)",
            account.0,
            email.as_str(),
        )?;
        execute!(
            self.0,
            "update identifiers set is_primary = true where account_id = $1 and kind = 'email' and value = $2",
            account.0,
            email.as_str(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// The account's password hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn password_hash(&mut self, account: AccountId) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select hash from passwords where account_id = $1",
            account.0,
        )?;
        Ok(row.map(|(hash,)| hash))
    }

    /// Gives the account a password, its first or another.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_password(&mut self, account: AccountId, hash: &str, now: Timestamp) -> Result<()> {
        put_off!(
            self.0,
            concat!(
                "insert into passwords (account_id, hash, changed_at, account_kind, scheme)
                 values ($1, $2, $3, (select kind from accounts where id = $1), ",
                scheme_of!("$2"),
                ") on conflict (account_id) do update set hash = excluded.hash, changed_at = excluded.changed_at,
                    scheme = excluded.scheme"
            ),
            account.0,
            hash,
            now.micros(),
        )
    }

    /// Makes sure that the hash a password was verified against is still the account's, until the unit ends: on
    /// PostgreSQL, a change of password waits for it. False when the password was changed meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim_password(&mut self, account: AccountId, hash: &str) -> Result<bool> {
        let claimed = execute!(
            self.0,
            "update passwords set hash = hash where account_id = $1 and hash = $2",
            account.0,
            hash,
        )?;
        Ok(claimed == 1)
    }

    /// Replaces a hash by a better one of the same password, unless the password was changed meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upgrade_password_hash(&mut self, account: AccountId, old: &str, new: &str) -> Result<()> {
        execute!(
            self.0,
            concat!(
                "update passwords set hash = $3, scheme = ",
                scheme_of!("$3"),
                " where account_id = $1 and hash = $2"
            ),
            account.0,
            old,
            new,
        )?;
        Ok(())
    }

    /// Replaces what the person may change of their account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn update_profile(&mut self, account: &Account, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update accounts set display_name = $2, profile_image_url = $3, profile = $4, updated_at = $5
             where id = $1",
            account.id.0,
            account.display_name.as_str(),
            account.profile_image_url.as_deref(),
            Json(&account.profile),
            now.micros(),
        )?;
        self.0.touch_account(account.id);
        Ok(())
    }

    /// Deletes an account: everything it is and has, but for the name it goes by in the records of what it did. An
    /// organization it founded loses what it was called. Its sessions are to be ended beside, and what features keep of it is to be deleted by them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete(&mut self, account: AccountId, tombstone: &str, now: Timestamp) -> Result<()> {
        let nothing = Document::default();
        execute!(
            self.0,
            "update accounts set display_name = '', first_name = '', last_name = '', profile_image_url = null,
                profile = $2, user_metadata = $2, metadata_bytes = $3, tombstone = $4, disabled_at = $5, updated_at = $5
             where id = $1",
            account.0,
            Json(&nothing),
            crate::organizations::quotas_repository::bytes(&nothing),
            tombstone,
            now.micros(),
        )?;
        execute!(
            self.0,
            "update organizations set name = '', domain = '', metadata = $2, metadata_bytes = $3 where id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
            Json(&nothing),
            crate::organizations::quotas_repository::bytes(&nothing),
        )?;
        // A phone's next owner is not to find what was sent.
        for statement in [
            "delete from challenges where address in
                (select value from identifiers where account_id = $1 and kind = 'phone')",
            "delete from outbox_messages where recipient in
                (select value from identifiers where account_id = $1 and kind = 'phone')",
            "delete from passwords where account_id = $1",
            "delete from identifiers where account_id = $1",
            "delete from access_tokens where account_id = $1",
            "delete from service_keys where account_id = $1",
            "delete from known_networks where account_id = $1",
            "delete from second_factors where account_id = $1",
            "delete from recovery_codes where account_id = $1",
            "delete from trusted_devices where account_id = $1",
            "delete from passkeys where account_id = $1",
            "delete from social_accounts where account_id = $1",
            "delete from challenges where account_id = $1",
            "delete from membership_workspaces where membership_id in
                (select id from memberships where account_id = $1)",
            "delete from memberships where account_id = $1",
        ] {
            execute!(self.0, statement, account.0)?;
        }
        self.0.touch_account(account);
        Ok(())
    }

    /// Forgets what accounts deleted before `before` were called; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_deleted(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        execute!(
            self.0,
            "update accounts set tombstone = null where id in
                (select id from accounts where tombstone is not null and disabled_at < $1 order by disabled_at limit $2)",
            before.micros(),
            at_most,
        )
    }
}
