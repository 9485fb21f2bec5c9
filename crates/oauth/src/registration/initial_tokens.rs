//! Tokens by which applications may register themselves: an operator makes them.

use std::time::Duration;

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::work::Subject;
use uuid::Uuid;

use super::tokens_repository::InitialToken;
use crate::{Oauth, OauthTables};

/// Prefix of these tokens, so that a leaked one is recognised for what it is.
pub const INITIAL_PREFIX: &str = "tgi_";
/// Most of them that are listed.
const MOST_LISTED: i64 = 1_000;

impl Oauth {
    /// Makes an initial access token for so many applications of an organization. It is shown once.
    ///
    /// Source: `tidegate client registration-token`; RFC 7591 section 3.
    ///
    /// # Errors
    /// Only faults.
    pub async fn create_initial_token(
        &self,
        call: &Call,
        organization: OrganizationId,
        uses: u32,
        lifetime: Duration,
    ) -> Result<(InitialToken, PlainToken), Fault> {
        let mut work = self.begin(call).await?;
        let token = PlainToken::generate(INITIAL_PREFIX, self.kernel.entropy.as_ref());
        let made = InitialToken {
            id: self.kernel.entropy.uuid(work.now),
            organization,
            uses_left: i64::from(uses),
            created_at: work.now,
            expires_at: work.now.plus(lifetime),
        };
        work.unit.registration_tokens().insert(&made, &token.hash()).await?;
        let subject = Subject { account: None, organization: Some(organization), session: None };
        let metadata = json!({ "registration_token": made.id, "uses": uses });
        work.audit(Action::ApplicationUpdated, subject, metadata).await?;
        work.commit().await?;
        Ok((made, token))
    }

    /// Those that can still be used.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_initial_tokens(&self) -> Result<Vec<InitialToken>, Fault> {
        let now = self.kernel.now();
        Ok(self.kernel.store.read().await?.registration_tokens().usable(now, MOST_LISTED).await?)
    }

    /// Removes one; false where there is none of that key.
    ///
    /// # Errors
    /// Only faults.
    pub async fn delete_initial_token(&self, call: &Call, id: Uuid) -> Result<bool, Fault> {
        let mut work = self.begin(call).await?;
        let is_removed = work.unit.registration_tokens().delete(id).await?;
        work.commit().await?;
        Ok(is_removed)
    }
}
