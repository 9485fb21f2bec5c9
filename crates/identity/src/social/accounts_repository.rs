//! Accounts at providers, in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::id::{AccountId, SocialAccountId};
use tidegate_domain::{EmailAddress, Timestamp};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// In place of a provider's tokens.
const FORGOTTEN: &[u8] = &[];

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
    /// What the issuer calls them, for good.
    pub subject: String,
    /// What the provider last called their address; empty where it said nothing.
    pub email: String,
    /// What the provider last called them; may be empty.
    pub display_name: String,
    /// When it first signed in.
    pub connected_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Timestamp,
    /// When a new password or a changed address ended it.
    pub disconnected_at: Option<Timestamp>,
    /// When the account's owner said that it is not theirs.
    pub blocked_at: Option<Timestamp>,
}

impl SocialAccount {
    /// Whether it signs in.
    pub const fn is_connected(&self) -> bool {
        self.disconnected_at.is_none() && self.blocked_at.is_none()
    }
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
    /// The address by which it is connected.
    pub connected_by: &'a str,
    /// Now.
    pub now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct SocialAccountRow {
    id: Uuid,
    account_id: Uuid,
    provider: String,
    subject: String,
    email: String,
    display_name: String,
    connected_at: i64,
    last_used_at: i64,
    disconnected_at: Option<i64>,
    blocked_at: Option<i64>,
}

/// The columns of [`SocialAccountRow`].
macro_rules! select_social_account {
    ($rest:literal) => {
        concat!(
            "select id, account_id, provider, subject, email, display_name, connected_at, last_used_at,
                disconnected_at, blocked_at
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
            subject: row.subject,
            email: row.email,
            display_name: row.display_name,
            connected_at: Timestamp::from_micros(row.connected_at),
            last_used_at: Timestamp::from_micros(row.last_used_at),
            disconnected_at: row.disconnected_at.map(Timestamp::from_micros),
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
            select_social_account!(
                "account_id = $1 and disconnected_at is null and blocked_at is null order by provider, number"
            ),
            account.0,
        )?;
        Ok(rows.into_iter().map(SocialAccount::from).collect())
    }

    /// All that are kept of the account, by provider: also those that were disconnected or blocked.
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

    /// Connects an account at a provider; answers false where it is connected or blocked. One that was disconnected is connected
    /// anew, whosever it was before: its row gets the new key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connect(&mut self, new: &NewSocialAccount<'_>) -> Result<bool> {
        let connected = execute!(
            self.0,
            "insert into social_accounts (id, account_id, provider, issuer, subject, email, display_name, tokens,
                connected_by, connected_at, last_used_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
             on conflict (provider, issuer, subject) do update set
                id = excluded.id, account_id = excluded.account_id, email = excluded.email,
                display_name = excluded.display_name, tokens = excluded.tokens, connected_by = excluded.connected_by,
                connected_at = excluded.connected_at, last_used_at = excluded.last_used_at, disconnected_at = null
             where social_accounts.disconnected_at is not null and social_accounts.blocked_at is null",
            new.id.0,
            new.account.0,
            new.provider,
            new.issuer,
            new.subject,
            new.details.email,
            new.details.display_name,
            new.details.tokens,
            new.connected_by,
            new.now.micros(),
        )?;
        self.0.touch_account(new.account);
        Ok(connected == 1)
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

    /// Disconnects those that sign in to the account, and forgets the providers' tokens. The rows stay: whoever comes back by one
    /// has to prove anew that the account is theirs.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn disconnect_all(&mut self, account: AccountId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update social_accounts set disconnected_at = $2, tokens = $3
             where account_id = $1 and disconnected_at is null and blocked_at is null",
            account.0,
            now.micros(),
            FORGOTTEN,
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// The same for those that were connected by an address which is the account's no longer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn disconnect_address(
        &mut self,
        account: AccountId,
        address: &EmailAddress,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update social_accounts set disconnected_at = $3, tokens = $4
             where account_id = $1 and connected_by = $2 and disconnected_at is null and blocked_at is null",
            account.0,
            address.as_str(),
            now.micros(),
            FORGOTTEN,
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Blocks those that were connected at `since` or later, and forgets the providers' tokens; answers their providers.
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
            "update social_accounts set blocked_at = $3, tokens = $4
             where account_id = $1 and connected_at >= $2 and blocked_at is null returning provider",
            account.0,
            since.micros(),
            now.micros(),
            FORGOTTEN,
        )?;
        self.0.touch_account(account);
        Ok(blocked.into_iter().map(|(provider,)| provider).collect())
    }

    /// Lifts the block of one subject of a provider, of whatever issuer: it is disconnected from then on, and comes back by a proof. Answers
    /// whether there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unblock(
        &mut self,
        account: AccountId,
        provider: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let lifted = execute!(
            self.0,
            "update social_accounts set blocked_at = null, disconnected_at = $4
             where account_id = $1 and provider = $2 and subject = $3 and blocked_at is not null",
            account.0,
            provider,
            subject,
            now.micros(),
        )?;
        Ok(lifted > 0)
    }
}
