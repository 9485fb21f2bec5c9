//! Everything an account may know of itself.

use std::sync::Arc;

use tidegate_domain::Permission;
use tidegate_domain::account::{Account, AccountEmail, MemberOrganization, Workspace};
use tidegate_kernel::cache::MAX_AGE;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::tables::audit::SignInFilter;
use tidegate_kernel::{Actor, KernelTables};

use crate::{Identity, IdentityTables};

/// An account with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The account.
    pub account: Account,
    /// Its addresses, the primary one first.
    pub emails: Vec<AccountEmail>,
    /// Where it is a member.
    pub organizations: Vec<MemberOrganization>,
    /// What it may enter.
    pub workspaces: Vec<Workspace>,
    /// Sign-ins recorded, failed ones included.
    pub sign_ins: i64,
    /// Sessions neither ended nor expired.
    pub active_sessions: i64,
}

/// Most bytes of a picture and documents that are remembered: thousands of megabyte pictures would be all of a node's
/// memory.
const WORTH_REMEMBERING: usize = 4 * 1024;

impl Overview {
    /// Bytes of what people can make large.
    fn weight(&self) -> usize {
        let account = &self.account;
        account.profile_image_url.as_ref().map_or(0, String::len)
            + account.profile.as_str().len()
            + account.user_metadata.as_str().len()
    }
}

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
        if let Some(overview) = self.overviews.get(&id, stamp, now, MAX_AGE) {
            return Ok(Some(overview));
        }
        let mut unit = self.kernel.store.read().await?;
        let Some(account) = unit.accounts().find(id).await? else {
            return Ok(None);
        };
        let overview = Arc::new(Overview {
            account,
            emails: unit.accounts().emails(id).await?,
            organizations: unit.organizations().of_member(id).await?,
            workspaces: unit.organizations().workspaces_of_member(id).await?,
            sign_ins: unit.audit().count_sign_ins(id, SignInFilter::Any).await?,
            active_sessions: unit.sessions().counts(id, now).await?.0,
        });
        if overview.weight() <= WORTH_REMEMBERING {
            self.overviews.put(id, Arc::clone(&overview), stamp, now);
        }
        Ok(Some(overview))
    }
}
