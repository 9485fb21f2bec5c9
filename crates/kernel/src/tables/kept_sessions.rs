//! Sessions that are kept, also after their end.

use tidegate_database::{Result, fetch_all};
use tidegate_domain::Timestamp;
use tidegate_domain::account::Session;
use tidegate_domain::id::AccountId;

use super::sessions::{SessionRow, Sessions};

#[derive(sqlx::FromRow)]
struct EndedRow {
    #[sqlx(flatten)]
    session: SessionRow,
    revoked_reason: Option<String>,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id.into(),
            number: row.number,
            account: row.account_id.into(),
            organization: row.organization_id.into(),
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: Timestamp::from_micros(row.created_at),
            last_activity_at: Timestamp::from_micros(row.last_activity_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            ends_at: Timestamp::from_micros(row.ends_at),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        }
    }
}

impl Sessions<'_> {
    /// All of the account's sessions that are kept, the oldest first, each with the reason for which it was ended before its time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<(Session, Option<String>)>> {
        let rows = fetch_all!(
            self.0,
            EndedRow,
            "select id, number, account_id, organization_id, ip, user_agent, created_at, last_activity_at, expires_at,
                ends_at, revoked_at, revoked_reason
             from sessions where account_id = $1 order by number",
            account.0,
        )?;
        Ok(rows.into_iter().map(|row| (row.session.into(), row.revoked_reason)).collect())
    }
}
