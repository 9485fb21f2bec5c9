//! What policies decided is read.

use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Outcome;

use crate::records::PolicyRefusal;
use crate::records::find::found;
use crate::{Policies, PolicyTables};

/// Which of a policy's evaluations are listed.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationListing {
    /// Those of the account of that number.
    pub user: Option<i64>,
    /// Those of the saved query of that number.
    pub query: Option<i64>,
    /// Those then or later.
    pub from: Option<Timestamp>,
    /// Those then or earlier.
    pub until: Option<Timestamp>,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

impl EvaluationListing {
    pub(super) const fn skipped(&self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.page_size)
    }
}

/// What a policy decided about one relation of one query.
#[derive(Clone, Debug)]
pub struct StoredEvaluation {
    /// Its number.
    pub number: i64,
    /// The number of the policy; none had a part in it if absent.
    pub policy: Option<i64>,
    /// The version that it had.
    pub policy_version: Option<i64>,
    /// The number of its rule.
    pub rule: Option<i64>,
    /// The number of the account that asked.
    pub user: i64,
    /// The number of the saved query.
    pub query: Option<i64>,
    /// The number of the data source.
    pub data_source: i64,
    /// The number of the data set.
    pub dataset: Option<i64>,
    /// The relation, with its schema.
    pub relation: String,
    /// The contract's `evaluation_result`.
    pub result: String,
    /// The contract's `action_taken`.
    pub action: String,
    /// JSON.
    pub details: String,
    /// The address of the client.
    pub ip: String,
    /// JSON.
    pub metadata: String,
    /// When.
    pub evaluated_at: Timestamp,
}

/// A page of evaluations.
#[derive(Clone, Debug)]
pub struct EvaluationPage {
    /// The page, newest first.
    pub evaluations: Vec<StoredEvaluation>,
    /// How many there are in all.
    pub total: i64,
}

impl Policies {
    /// A page of what a policy of the caller's organization decided.
    ///
    /// Source: RiverGen "policies/{policy_id}/evaluations".
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`].
    pub async fn list_evaluations(
        &self,
        actor: &Actor,
        number: i64,
        listing: &EvaluationListing,
    ) -> Outcome<EvaluationPage, PolicyRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPolicies).await?;
        let policy = found(&mut unit, grant.organization(), number).await?;
        let evaluations = unit.policy_evaluations().page(policy.number, listing).await?;
        let total = unit.policy_evaluations().count(policy.number, listing).await?;
        Ok(EvaluationPage { evaluations, total })
    }
}
