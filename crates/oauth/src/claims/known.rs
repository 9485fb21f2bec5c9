//! What the userinfo endpoint tells of people, as a node remembers it: as what is known of their sessions, until it changes, and for two
//! seconds at most.

use std::sync::Arc;

use tidegate_kernel::cache::MAX_AGE;
use tidegate_kernel::tables::sessions::SessionRecord;
use tidegate_kernel::{Fault, KernelTables};

use super::cache::KnownPerson;
use super::session_claims::SessionClaims;
use crate::Oauth;

/// Longest picture that is remembered, in bytes: one can be kept inside the profile.
const WORTH_REMEMBERING: usize = 4 * 1024;

impl Oauth {
    /// What is known of the person of a session.
    pub(super) async fn known_person(&self, session: &SessionRecord) -> Result<Arc<KnownPerson>, Fault> {
        let (id, account, now) = (session.id, session.account, self.kernel.now());
        let stamp = self.kernel.stamp(&[id.0, account.0]);
        if let Some(known) = self.known_people.0.get(&id, stamp, now, MAX_AGE) {
            return Ok(known);
        }
        let mut unit = self.kernel.store.read().await?;
        let asked = SessionClaims(&mut unit).of(id).await?.stored();
        let card = unit.account_cards().find(account).await?.ok_or(Fault::SessionEnded)?;
        drop(unit);
        let is_short = card.profile_image_url.as_ref().is_none_or(|url| url.len() <= WORTH_REMEMBERING);
        let known = Arc::new(KnownPerson { card, asked });
        if is_short {
            self.known_people.0.put(id, Arc::clone(&known), stamp, now);
        }
        Ok(known)
    }
}
