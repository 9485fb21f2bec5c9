//! Accounts as features see them that do not own them: to be read, and to be locked.

use tidegate_database::{Result, Unit, fetch_all, fetch_one, fetch_optional, lock_row};
use tidegate_domain::account::AccountEmail;
use tidegate_domain::id::AccountId;
use tidegate_domain::{EmailAddress, LanguageTag, PhoneNumber, Timestamp};

/// Cards of a unit of work.
pub struct AccountCards<'u>(pub(crate) &'u mut Unit);

/// What is shown of an account beside a feature's own data.
#[derive(Clone, Debug)]
pub struct AccountCard {
    /// Its number.
    pub number: i64,
    /// First name; empty when not known.
    pub first_name: String,
    /// Last name; empty when not known.
    pub last_name: String,
    /// `http(s)` URL or `data:` URI.
    pub profile_image_url: Option<String>,
    /// Its primary phone, if it has one that is known to be theirs.
    pub phone: Option<PhoneNumber>,
    /// Its addresses, the primary one first.
    pub emails: Vec<AccountEmail>,
    /// Made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct CardRow {
    number: i64,
    first_name: String,
    last_name: String,
    profile_image_url: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct IdentifierRow {
    kind: String,
    value: String,
    verified_at: Option<i64>,
    is_primary: bool,
    created_at: i64,
}

impl From<IdentifierRow> for AccountEmail {
    fn from(row: IdentifierRow) -> Self {
        Self {
            email: EmailAddress::from_stored(row.value),
            verified_at: row.verified_at.map(Timestamp::from_micros),
            is_primary: row.is_primary,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

impl AccountCards<'_> {
    /// The account's card.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, account: AccountId) -> Result<Option<AccountCard>> {
        let row = fetch_optional!(
            self.0,
            CardRow,
            "select number, first_name, last_name, profile_image_url, created_at, updated_at
             from accounts where id = $1",
            account.0,
        )?;
        let Some(row) = row else { return Ok(None) };
        let identifiers = self.identifiers(account).await?;
        let mut card = AccountCard {
            number: row.number,
            first_name: row.first_name,
            last_name: row.last_name,
            profile_image_url: row.profile_image_url,
            phone: None,
            emails: Vec::new(),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        };
        for row in identifiers {
            match row.kind.as_str() {
                "email" => card.emails.push(row.into()),
                "phone" if row.is_primary && row.verified_at.is_some() => {
                    card.phone = Some(PhoneNumber::from_stored(row.value));
                }
                _ => {}
            }
        }
        Ok(Some(card))
    }

    /// Whether there is any account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn any(&mut self) -> Result<bool> {
        let first = fetch_optional!(self.0, (i64,), "select number from accounts limit 1")?;
        Ok(first.is_some())
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&mut self) -> Result<i64> {
        let (count,) = fetch_one!(self.0, (i64,), "select count(*) from accounts")?;
        Ok(count)
    }

    /// The account's addresses, the primary one first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn emails(&mut self, account: AccountId) -> Result<Vec<AccountEmail>> {
        let identifiers = self.identifiers(account).await?.into_iter();
        Ok(identifiers.filter(|row| row.kind == "email").map(AccountEmail::from).collect())
    }

    async fn identifiers(&mut self, account: AccountId) -> Result<Vec<IdentifierRow>> {
        fetch_all!(
            self.0,
            IdentifierRow,
            "select kind, value, verified_at, is_primary, created_at from identifiers
             where account_id = $1 order by is_primary desc, created_at desc",
            account.0,
        )
    }

    /// The language of the account that an address or phone belongs to; none where there is no account or no language is known.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn language_of(&mut self, kind: &str, value: &str) -> Result<Option<LanguageTag>> {
        let row = fetch_optional!(
            self.0,
            (Option<String>,),
            "select a.language from identifiers i join accounts a on a.id = i.account_id
             where i.kind = $1 and i.value = $2",
            kind,
            value,
        )?;
        Ok(row.and_then(|(language,)| LanguageTag::parse(&language?)))
    }

    /// Locks the account's row for the rest of the unit, so that two changes of one account follow one another. Once is enough.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock(&mut self, account: AccountId) -> Result<()> {
        if self.0.note_locked(account.0) {
            return Ok(());
        }
        lock_row!(self.0, "accounts", account.0)
    }
}
