//! Sessions of browsers, which live on as they are used.

use tidegate_database::{Result, execute};
use tidegate_domain::Timestamp;
use tidegate_domain::id::SessionId;

use super::sessions::Sessions;
use crate::KernelTables;

impl Sessions<'_> {
    /// Notes that a browser's session is in use, unless that was noted after `before`: it lives until `until`, and not longer than it
    /// was going to.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn visited(
        &mut self,
        id: SessionId,
        now: Timestamp,
        before: Timestamp,
        until: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update sessions set last_activity_at = $2,
                expires_at = case when ends_at < $4 then ends_at else $4 end
             where id = $1 and last_activity_at < $3 and revoked_at is null and expires_at > $2",
            id.0,
            now.micros(),
            before.micros(),
            until.micros(),
        )?;
        self.0.touch_session(id);
        Ok(())
    }
}
