//! Lists the accounts at providers that sign in to an account.

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Fault;

use crate::social::accounts_repository::SocialAccount;
use crate::{Identity, IdentityTables};

impl Identity {
    /// The actor's accounts at providers, by provider.
    ///
    /// Source: RiverGen "social-accounts".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_social_accounts(&self, actor: &Actor) -> Result<Vec<SocialAccount>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFactors).await?;
        Ok(unit.social_accounts().of_account(grant.account()).await?)
    }
}
