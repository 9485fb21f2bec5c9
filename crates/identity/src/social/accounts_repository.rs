//! Accounts at providers, in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, SocialAccountId};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// Accounts at providers, of a unit of work.
pub struct SocialAccounts<'u>(pub(crate) &'u mut Unit);

/// An account at a provider, which signs in to an account here.
#[derive(Clone, Debug)]
pub struct SocialAccount {
    /// Key.
    pub id: SocialAccountId,
    /// Whose it is here.
    pub account: AccountId,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What the provider last called their address; empty where it said nothing.
    pub email: String,
    /// What the provider last called them; may be empty.
    pub display_name: String,
    /// When it first signed in.
    pub connected_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Timestamp,
    /// When the account's owner said that it is not theirs.
    pub blocked_at: Option<Timestamp>,
}

/// What a provider says now.
#[derive(Clone, Copy, Debug)]
pub struct SocialDetails<'a> {
    /// The address; empty where it says nothing.
    pub email: &'a str,
    /// The name; may be empty.
    pub display_name: &'a str,
    /// The provider's tokens, sealed.
    pub tokens: &'a [u8],
}

/// One to be.
#[derive(Clone, Copy, Debug)]
pub struct NewSocialAccount<'a> {
    /// Key.
    pub id: SocialAccountId,
    /// Whose it is here.
    pub account: AccountId,
    /// The provider's name.
    pub provider: &'a str,
    /// Who issued the subject.
    pub issuer: &'a str,
    /// What the issuer calls the person.
    pub subject: &'a str,
    /// What the provider says.
    pub details: SocialDetails<'a>,
    /// Now.
    pub now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct SocialAccountRow {
    id: Uuid,
    account_id: Uuid,
    provider: String,
    email: String,
    display_name: String,
    connected_at: i64,
    last_used_at: i64,
    blocked_at: Option<i64>,
}

/// The columns of [`SocialAccountRow`].
macro_rules! select_social_account {
    ($rest:literal) => {
        concat!(
            "select id, account_id, provider, email, display_name, connected_at, last_used_at, blocked_at
             from social_accounts where ",
            $rest
        )
    };
}

impl From<SocialAccountRow> for SocialAccount {
    fn from(row: SocialAccountRow) -> Self {
        Self {
            id: row.id.into(),
            account: row.account_id.into(),
            provider: row.provider,
            email: row.email,
            display_name: row.display_name,
            connected_at: Timestamp::from_micros(row.connected_at),
            last_used_at: Timestamp::from_micros(row.last_used_at),
            blocked_at: row.blocked_at.map(Timestamp::from_micros),
        }
    }
}

impl SocialAccounts<'_> {
    /// The account of that subject.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(
        &mut self,
        provider: &str,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<SocialAccount>> {
        let row = fetch_optional!(
            self.0,
            SocialAccountRow,
            select_social_account!("provider = $1 and issuer = $2 and subject = $3"),
            provider,
            issuer,
            subject,
        )?;
        Ok(row.map(SocialAccount::from))
    }

    /// Those that sign in to the account, by provider.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<SocialAccount>> {
        let rows = fetch_all!(
            self.0,
            SocialAccountRow,
            select_social_account!("account_id = $1 and blocked_at is null order by provider, number"),
            account.0,
        )?;
        Ok(rows.into_iter().map(SocialAccount::from).collect())
    }

    /// All that are kept of the account, blocked ones included, by provider.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn kept_of_account(&mut self, account: AccountId) -> Result<Vec<SocialAccount>> {
        let rows = fetch_all!(
            self.0,
            SocialAccountRow,
            select_social_account!("account_id = $1 order by provider, number"),
            account.0,
        )?;
        Ok(rows.into_iter().map(SocialAccount::from).collect())
    }

    /// Connects an account at a provider, unless it is connected; answers whether it was added.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewSocialAccount<'_>) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into social_accounts (id, account_id, provider, issuer, subject, email, display_name, tokens,
                connected_at, last_used_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) on conflict (provider, issuer, subject) do nothing",
            new.id.0,
            new.account.0,
            new.provider,
            new.issuer,
            new.subject,
            new.details.email,
            new.details.display_name,
            new.details.tokens,
            new.now.micros(),
        )?;
        self.0.touch_account(new.account);
        Ok(added == 1)
    }

    /// Notes that it signed in, and what the provider says now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(
        &mut self,
        id: SocialAccountId,
        details: SocialDetails<'_>,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update social_accounts set email = $2, display_name = $3, tokens = $4, last_used_at = $5 where id = $1",
            id.0,
            details.email,
            details.display_name,
            details.tokens,
            now.micros(),
        )?;
        Ok(())
    }

    /// Removes those that sign in to the account; blocked ones stay blocked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "delete from social_accounts where account_id = $1 and blocked_at is null",
            account.0,
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Blocks those that were connected at `since` or later; answers their providers.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn block_since(
        &mut self,
        account: AccountId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let blocked = fetch_all!(
            self.0,
            (String,),
            "update social_accounts set blocked_at = $3
             where account_id = $1 and connected_at >= $2 and blocked_at is null returning provider",
            account.0,
            since.micros(),
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(blocked.into_iter().map(|(provider,)| provider).collect())
    }

    /// Forgets that accounts at providers were blocked, so that they can be connected again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unblock(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "delete from social_accounts where account_id = $1 and blocked_at is not null",
            account.0,
        )?;
        Ok(())
    }
}
