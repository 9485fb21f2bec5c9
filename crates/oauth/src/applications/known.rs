//! Applications as a node remembers them: every request of theirs asks for one.
//!
//! What changes of one is noted in the unit of work that changes it. This node forgets it when that commits, others when they hear of it,
//! and after two seconds at most: as they do sessions. Whatever a changed epoch ends does not live on by it: sessions and tokens are
//! compared with the store's.

use std::sync::Arc;

use tidegate_domain::PartyName;
use tidegate_domain::id::{ApplicationId, SessionId};
use tidegate_kernel::cache::MAX_AGE;
use tidegate_kernel::{Fault, KernelTables, changes};
use uuid::Uuid;

use super::application::Application;
use super::repository::Applications;
use crate::{Oauth, OauthTables};

impl Applications<'_> {
    /// Notes that an application changes with this unit, and what is known of its tokens in its own name.
    pub(super) fn changed(&mut self, application: &Application) {
        self.0.touch_session(SessionId(application.own_epoch));
        self.0.note(changes::application(application.id));
    }
}

impl Oauth {
    /// The one that tokens call so, as it was at most two seconds ago.
    pub(crate) async fn application_of_token(&self, name: &PartyName) -> Result<Option<Application>, Fault> {
        match name {
            PartyName::Key(key) => {
                let id = ApplicationId(*key);
                match self.remembered(id) {
                    Some(known) => Ok(Some(known)),
                    None => self.application_now(id).await,
                }
            }
            PartyName::Document(_) => Ok(self.kernel.store.read().await?.applications().called(name).await?),
        }
    }

    /// The application of that `client_id`, if it is remembered: one that was in use.
    pub(crate) fn remembered_client(&self, client_id: &str) -> Option<Application> {
        let id = Uuid::try_parse(client_id).ok()?;
        // One that a document describes has one name, its address.
        self.remembered(ApplicationId(id)).filter(|known| known.document.is_none())
    }

    /// The application of that key as the store has it. It is remembered from now on.
    pub(super) async fn application_now(&self, id: ApplicationId) -> Result<Option<Application>, Fault> {
        let (stamp, now) = (self.kernel.stamp(&[id.0]), self.kernel.now());
        let found = self.kernel.store.read().await?.applications().find(id).await?;
        // One that is not in use is read each time: nobody is refused because of what is remembered.
        if let Some(active) = found.as_ref().filter(|found| found.is_active()) {
            self.known_applications.0.put(id, Arc::new(active.clone()), stamp, now);
        }
        Ok(found)
    }

    fn remembered(&self, id: ApplicationId) -> Option<Application> {
        let stamp = self.kernel.stamp(&[id.0]);
        let known = self.known_applications.0.get(&id, stamp, self.kernel.now(), MAX_AGE)?;
        Some(Application::clone(&known))
    }
}
