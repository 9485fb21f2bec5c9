//! Sessions that are kept, also after their end.

use tidegate_database::{Result, fetch_all};
use tidegate_domain::account::Session;
use tidegate_domain::id::{AccountId, ApplicationId};
use tidegate_domain::{Scopes, Timestamp};
use uuid::Uuid;

use super::sessions::{SessionRow, Sessions, scopes};

#[derive(sqlx::FromRow)]
struct EndedRow {
    #[sqlx(flatten)]
    session: SessionRow,
    revoked_reason: Option<String>,
    scope: Option<String>,
    application_id: Option<Uuid>,
}

/// A session that is kept.
#[derive(Clone, Debug)]
pub struct KeptSession {
    /// The session.
    pub session: Session,
    /// Why it was ended before its time.
    pub end_reason: Option<String>,
    /// What its tokens may do at most.
    pub scopes: Scopes,
    /// The application that it was opened for.
    pub application: Option<ApplicationId>,
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
    /// All of the account's sessions that are kept, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<KeptSession>> {
        let rows = fetch_all!(
            self.0,
            EndedRow,
            "select id, number, account_id, organization_id, ip, user_agent, created_at, last_activity_at, expires_at,
                ends_at, revoked_at, revoked_reason, scope, application_id
             from sessions where account_id = $1 order by number",
            account.0,
        )?;
        let kept = |row: EndedRow| KeptSession {
            session: row.session.into(),
            end_reason: row.revoked_reason,
            scopes: scopes(row.scope.as_deref()),
            application: row.application_id.map(Into::into),
        };
        Ok(rows.into_iter().map(kept).collect())
    }
}
