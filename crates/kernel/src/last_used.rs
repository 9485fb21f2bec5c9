//! Since when sessions that are never refreshed are idle.

use std::time::Duration;

use crate::tables::sessions::SessionRecord;
use crate::{Kernel, KernelTables};

/// How exactly it is known when a session without refresh tokens was last used.
const NOTED_EVERY: Duration = Duration::from_secs(600);
/// How exactly it is known when a browser was last used; where browsers are signed out sooner than in ten minutes, a tenth of that.
const VISIT_NOTED_EVERY: Duration = Duration::from_secs(60);

impl Kernel {
    /// Notes now and then that a session is in use, which is never refreshed.
    pub(crate) async fn note_use(&self, session: &SessionRecord) {
        let now = self.now();
        let before = now.minus(NOTED_EVERY);
        if session.last_activity_at >= before {
            return;
        }
        let noted = async {
            let mut unit = self.store.begin().await?;
            unit.sessions().used(session.id, now, before).await?;
            unit.commit().await
        };
        // Not a reason to refuse the request.
        if let Err(error) = noted.await {
            tracing::warn!(%error, "it could not be noted that a session is in use");
        }
    }

    /// Notes now and then that a browser is in use, which keeps it signed in.
    pub(crate) async fn note_visit(&self, session: &SessionRecord) {
        let now = self.now();
        let idle = self.settings.browser.session.lifetime;
        let before = now.minus(VISIT_NOTED_EVERY.min(idle / 10));
        if session.last_activity_at >= before {
            return;
        }
        let noted = async {
            let mut unit = self.store.begin().await?;
            unit.sessions().visited(session.id, now, before, now.plus(idle)).await?;
            unit.commit().await
        };
        // Not a reason to refuse the request.
        if let Err(error) = noted.await {
            tracing::warn!(%error, "it could not be noted that a browser is in use");
        }
    }
}
