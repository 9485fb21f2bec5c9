//! What organizations decided about second factors, in the store.

use tidegate_database::{Result, Unit, execute, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;

/// Rules of organizations, of a unit of work.
pub struct SecondFactorRules<'u>(pub(crate) &'u mut Unit);

impl SecondFactorRules<'_> {
    /// Whether the organization admits members without their second factor where it cannot be asked for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn admits_without(&mut self, organization: OrganizationId) -> Result<bool> {
        Ok(self.decided(organization).await?.unwrap_or_default())
    }

    /// The same; none where the organization decided nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn decided(&mut self, organization: OrganizationId) -> Result<Option<bool>> {
        let row = fetch_optional!(
            self.0,
            (bool,),
            "select admits_without from second_factor_rules where organization_id = $1",
            organization.0,
        )?;
        Ok(row.map(|(admits,)| admits))
    }

    /// Sets the organization's rule.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set(&mut self, organization: OrganizationId, admits: bool, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "insert into second_factor_rules (organization_id, admits_without, changed_at) values ($1, $2, $3)
             on conflict (organization_id) do update set
                admits_without = excluded.admits_without, changed_at = excluded.changed_at",
            organization.0,
            admits,
            now.micros(),
        )?;
        Ok(())
    }
}
