//! What becomes of an organization's members with a second factor who sign in through a contract whose clients cannot ask for it.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;

use crate::{Identity, IdentityTables};

/// Why the rule stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecondFactorRuleError {
    /// No such organization.
    #[error("there is no such organization")]
    UnknownOrganization,
}

impl Identity {
    /// Sets whether an organization admits members without their second factor through contracts whose clients cannot ask for it.
    ///
    /// Source: ADR 11, `tidegate org second-factor`.
    ///
    /// # Errors
    /// [`SecondFactorRuleError`].
    pub async fn set_second_factor_rule(
        &self,
        call: &Call,
        organization: OrganizationId,
        admits: bool,
    ) -> Outcome<(), SecondFactorRuleError> {
        let mut work = self.begin(call).await?;
        if !work.unit.organizations().lock(organization).await? {
            return refuse(SecondFactorRuleError::UnknownOrganization);
        }
        work.unit.second_factor_rules().set(organization, admits, work.now).await?;
        let subject = Subject { organization: Some(organization), ..Subject::default() };
        let metadata = json!({ "admits_without": admits });
        work.audit(Action::SecondFactorRuleChanged, subject, metadata).await?;
        Ok(work.commit().await?)
    }
}
