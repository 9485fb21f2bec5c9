//! A policy is deleted.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::Outcome;
use tidegate_kernel::{Actor, Call};

use super::error::PolicyRefusal;
use super::policy::MAX_DELETED;
use crate::{Policies, PolicyTables};

impl Policies {
    /// Deletes a policy of the caller's organization; answers when. It holds no longer, at once. What it decided can still be seen by
    /// operators for a while.
    ///
    /// Source: RiverGen "policies/{policy_id}", delete.
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`].
    pub async fn delete_policy(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Timestamp, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        let policy = work.policy_to_change(number).await?;
        let account = work.grant.session().account_number;
        work.unit.policies().delete(&policy, account, work.now).await?;
        // Whoever makes and deletes without end keeps no more than others.
        work.unit.policies().remove_deleted(policy.organization, MAX_DELETED).await?;
        let subject = work.grant.subject();
        work.audit(Action::PolicyDeleted, subject, json!({ "policy": number })).await?;
        let now = work.now;
        work.commit().await?;
        Ok(now)
    }
}
