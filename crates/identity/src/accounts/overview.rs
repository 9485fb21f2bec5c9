//! Everything an account may know of itself.

use std::sync::Arc;

use tidegate_domain::Permission;
use tidegate_domain::factor::FactorKind;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::tables::audit::SignInFilter;
use tidegate_kernel::{Actor, KernelTables};

use crate::{Identity, IdentityTables};

pub use crate::overview_cache::Overview;

impl Identity {
    /// The actor's account. Remembered for two seconds, or until anything about it changes.
    ///
    /// Source: RiverGen "me".
    ///
    /// # Errors
    /// Only faults; None when the account is gone.
    pub async fn overview(&self, actor: &Actor) -> Result<Option<Arc<Overview>>, Fault> {
        let grant = actor.authorize(Permission::ReadOwnAccount)?;
        let (id, now) = (grant.account(), self.kernel.now());
        let stamp = self.kernel.stamp(&[id.0]);
        if let Some(overview) = self.overviews.get(id, stamp, now) {
            return Ok(Some(overview));
        }
        let mut unit = self.kernel.store.read().await?;
        let Some(account) = unit.accounts().find(id).await? else {
            return Ok(None);
        };
        let held = unit.factors().of_account(id).await?;
        let is_held = |kind: &FactorKind| held.iter().any(|factor| factor.kind == *kind);
        let kinds: Vec<FactorKind> = FactorKind::ALL.into_iter().filter(is_held).collect();
        let overview = Arc::new(Overview {
            account,
            emails: unit.accounts().emails(id).await?,
            phones: unit.claims().phones(id).await?,
            organizations: unit.organizations().of_member(id).await?,
            workspaces: unit.organizations().workspaces_of_member(id).await?,
            sign_ins: unit.audit().count_sign_ins(id, SignInFilter::Any).await?,
            active_sessions: unit.sessions().counts(id, now).await?.0,
            factors: kinds,
            social: unit
                .social_accounts()
                .of_account(id)
                .await?
                .into_iter()
                .map(|known| known.provider)
                .collect(),
        });
        self.overviews.put(id, &overview, stamp, now);
        Ok(Some(overview))
    }
}
