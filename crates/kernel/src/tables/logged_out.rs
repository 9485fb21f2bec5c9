//! A person signs out of a browser.

use tidegate_database::{Result, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_domain::session::EndReason;
use uuid::Uuid;

use super::ended_sessions::EndedRow;
use super::sessions::Sessions;

/// Whether a session of an application may go on without its owner (OpenID Connect Core section 11). Delegated sessions always have scopes.
macro_rules! without_offline_access {
    () => {
        "(scope is null or ' ' || scope || ' ' not like '% offline_access %')"
    };
}

impl Sessions<'_> {
    /// Ends a browser's session with the sessions of applications that it gave access; answers whether it was active. Those with the scope
    /// `offline_access` go on, and their applications are told all the same (Back-Channel Logout 1.0, section 2.7).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn log_out(&mut self, id: SessionId, now: Timestamp) -> Result<bool> {
        let reason = EndReason::LoggedOut;
        if !self.end(id, reason, now).await? {
            return Ok(false);
        }
        let ended = fetch_all!(
            self.0,
            EndedRow,
            concat!(
                "update sessions set revoked_at = $2, revoked_reason = $3 where approved_by = $1 and revoked_at is null and ",
                without_offline_access!(),
                " returning id, coalesce(subject_id, account_id) as subject, application_id"
            ),
            id.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.ended(&ended, reason, now)?;
        let kept = fetch_all!(
            self.0,
            EndedRow,
            "select id, coalesce(subject_id, account_id) as subject, application_id from sessions
             where approved_by = $1 and revoked_at is null and expires_at > $2",
            id.0,
            now.micros(),
        )?;
        self.notify_applications(&kept, now)?;
        Ok(true)
    }

    /// Ends the account's session that an application named, unless it goes on without its owner: then the application is told.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn log_out_of_application(
        &mut self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<()> {
        let reason = EndReason::LoggedOut;
        let ended = fetch_all!(
            self.0,
            EndedRow,
            concat!(
                "update sessions set revoked_at = $3, revoked_reason = $4, ends_at = $3
                 where id = $1 and account_id = $2 and application_id is not null and revoked_at is null and ",
                without_offline_access!(),
                " returning id, coalesce(subject_id, account_id) as subject, application_id"
            ),
            id.0,
            account.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.ended(&ended, reason, now)
    }

    /// Whose session it is or was, and the application's that it was opened for. None where it is not kept.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn owner(&mut self, id: SessionId) -> Result<Option<(AccountId, Option<ApplicationId>)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Option<Uuid>),
            "select account_id, application_id from sessions where id = $1",
            id.0,
        )?;
        Ok(row.map(|(account, application)| (account.into(), application.map(Into::into))))
    }
}
