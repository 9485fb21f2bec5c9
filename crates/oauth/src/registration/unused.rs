//! Applications that registered themselves and are not used.

use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_kernel::maintenance::AT_ONCE;
use tidegate_kernel::{Fault, Kernel};

use crate::OauthTables;

/// Removes at most so many, with what people allowed them. Their sessions are over: they have not refreshed for longer than those live.
pub(crate) async fn prune(kernel: &Kernel, unit: &mut Unit, now: Timestamp) -> Result<u64, Fault> {
    let rules = &kernel.settings.oauth.rules;
    let unused_for = rules.registration.unused_for.max(rules.refresh_token_lifetime);
    let unused = unit.applications().unused_since(now.minus(unused_for), AT_ONCE).await?;
    let mut removed = 0;
    for application in unused {
        unit.codes().delete_of_application(application.id).await?;
        unit.consents().delete_of_application(application.id).await?;
        unit.pushed_requests().delete_of_application(application.id).await?;
        removed += u64::from(unit.applications().delete(&application).await?);
    }
    Ok(removed)
}
