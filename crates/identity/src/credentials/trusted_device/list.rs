//! The owner looks at trusted devices, and trusts one no more.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::credentials::trusted_device::repository::TrustedDevice;
use crate::{Identity, IdentityTables};

/// Why a device was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeDeviceError {
    /// No such device of theirs; another account's looks the same.
    #[error("the device does not exist")]
    NotFound,
}

impl Identity {
    /// The actor's trusted devices, the newest first.
    ///
    /// Source: RiverGen "devices".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_devices(&self, actor: &Actor) -> Result<Vec<TrustedDevice>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFactors).await?;
        let since = self.kernel.now().minus(self.kernel.settings.trusted_device_age);
        Ok(unit.trusted_devices().active(grant.account(), since).await?)
    }

    /// Trusts the device of that number no more. Sessions stay.
    ///
    /// Source: RiverGen "devices/{device_id}".
    ///
    /// # Errors
    /// [`RevokeDeviceError`].
    pub async fn revoke_device(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<(), RevokeDeviceError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let account = work.grant.account();
        if !work.unit.trusted_devices().remove_numbered(account, number).await? {
            return refuse(RevokeDeviceError::NotFound);
        }
        work.audit(Action::DeviceRevoked, work.grant.subject(), json!({ "device": number })).await?;
        Ok(work.commit().await?)
    }
}
