//! The owner says whether a device is to be trusted.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::REPEATED_FOR;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::{Actor, Call, Refused};

use crate::credentials::trusted_device::repository::TrustedDevice;
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// Devices of one account; a further one replaces the one that was trusted first.
const MOST_DEVICES: i64 = 20;

/// Why a device is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivateDeviceError {
    /// Unknown, used, or another account's.
    #[error("the activation token is invalid or was already used")]
    InvalidToken,
    /// Too late.
    #[error("the activation token has expired; sign in again")]
    Expired,
}

impl Identity {
    /// Trusts the device that the token was given for. The same request sent again within a minute gets the same answer: see
    /// [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "devices/activate".
    ///
    /// # Errors
    /// [`ActivateDeviceError`].
    pub async fn activate_device(
        &self,
        call: &Call,
        actor: &Actor,
        token: &PlainToken,
    ) -> Outcome<TrustedDevice, ActivateDeviceError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let account = work.grant.account();
        let action = work.once_with("activate device", token);
        let found = work.unit.trusted_devices().inactive(account, token.hash().as_bytes()).await?;
        let Some(device) = found else {
            let known = work.device_activated_before(&action).await?;
            return known.ok_or(Refused::Rule(ActivateDeviceError::InvalidToken));
        };
        if device.activation_expires_at <= work.now {
            return refuse(ActivateDeviceError::Expired);
        }
        if !work.unit.trusted_devices().activate(device.id, work.now).await? {
            return refuse(ActivateDeviceError::InvalidToken);
        }
        work.unit.trusted_devices().keep_newest(account, &device, MOST_DEVICES).await?;
        work.audit(Action::DeviceActivated, work.grant.subject(), json!({ "device": device.number })).await?;
        let days = self.kernel.settings.trusted_device_age.as_secs() / (24 * 3_600);
        let values = json!({ "device": device.name, "days": days });
        work.security_notice(account, Template::NewDevice, values).await?;
        work.kernel().keep_answer(&action, &device.number).await?;
        work.commit().await?;
        Ok(device)
    }

    /// Does not trust it; the token is used up. The same request sent again within a minute gets the same answer.
    ///
    /// Source: RiverGen "devices/skip".
    ///
    /// # Errors
    /// [`ActivateDeviceError`].
    pub async fn skip_device(
        &self,
        call: &Call,
        actor: &Actor,
        token: &PlainToken,
    ) -> Outcome<(), ActivateDeviceError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        let account = work.grant.account();
        let action = work.once_with("skip device", token);
        let found = work.unit.trusted_devices().inactive(account, token.hash().as_bytes()).await?;
        let Some(device) = found else {
            let known = self.kernel.answered::<()>(&mut work.unit, &action).await?;
            return known.ok_or(Refused::Rule(ActivateDeviceError::InvalidToken));
        };
        if device.activation_expires_at <= work.now {
            return refuse(ActivateDeviceError::Expired);
        }
        if !work.unit.trusted_devices().remove(device.id).await? {
            return refuse(ActivateDeviceError::InvalidToken);
        }
        work.audit(Action::DeviceSkipped, work.grant.subject(), json!({ "device": device.number })).await?;
        work.kernel().keep_answer(&action, &()).await?;
        Ok(work.commit().await?)
    }
}

impl Acting<'_> {
    /// What the session's owner does with a token that works once.
    fn once_with(&self, name: &str, token: &PlainToken) -> OneTime {
        let proof = json!([self.grant.session().id.0, token.expose()]);
        self.app.kernel.one_time(self.call, name, &proof)
    }

    /// The device that an action trusted just now. None when it is trusted no more.
    async fn device_activated_before(&mut self, action: &OneTime) -> Result<Option<TrustedDevice>, Fault> {
        let Some(number) = self.app.kernel.answered::<i64>(&mut self.unit, action).await? else {
            return Ok(None);
        };
        let (account, since) = (self.grant.account(), self.now.minus(REPEATED_FOR));
        let recent = self.unit.trusted_devices().active(account, since).await?;
        Ok(recent.into_iter().find(|device| device.number == number))
    }
}
