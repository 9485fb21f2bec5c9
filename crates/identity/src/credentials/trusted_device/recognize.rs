//! A device is recognized by its network's class, its user agent and what its client sent of itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tidegate_crypto::PlainToken;
use tidegate_domain::factor::{ACTIVATION_LIFETIME, DeviceData, device_name};
use tidegate_domain::id::AccountId;
use tidegate_domain::{Secret, Timestamp};
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::credentials::trusted_device::repository::NewDevice;
use crate::work::Work;

/// Activation tokens are of this kind.
const ACTIVATION_PREFIX: &str = "tgd_";
/// What fingerprints are keyed for.
const DEVICE: &str = "trusted device";

/// A device that its owner may trust.
#[derive(Clone, Debug)]
pub struct OfferedDevice {
    /// As contracts show it.
    pub number: i64,
    /// What it is called.
    pub name: String,
    /// Activates it.
    pub activation_token: Secret,
    /// Until when.
    pub expires_at: Timestamp,
}

/// The class of a client's network: an IPv4 /24, an IPv6 /48. Addresses change within it, and a device that comes from elsewhere is
/// another one.
fn network_class(ip: Option<IpAddr>) -> String {
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => format!("{}/24", Ipv4Addr::from_bits(ip.to_bits() & !0xff)),
        Some(IpAddr::V6(ip)) => format!("{}/48", Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> 48))),
        None => "none".to_owned(),
    }
}

/// What is hashed of a device: as JSON, so that no two lists of parts are the same text.
fn described(account: AccountId, call: &Call, device: &DeviceData) -> Result<Vec<u8>, Fault> {
    let parts = [&account.to_string(), &network_class(call.ip), &call.user_agent, device.as_str()];
    Ok(serde_json::to_vec(&parts)?)
}

impl<G> Work<'_, G> {
    /// Whether the caller's device is one that the account's owner trusts. It is noted that it was used.
    pub(crate) async fn is_trusted(
        &mut self,
        account: AccountId,
        device: &DeviceData,
    ) -> Result<bool, Fault> {
        let described = described(account, self.call, device)?;
        let since = self.now.minus(self.app.kernel.settings.trusted_device_age);
        let active = self.unit.trusted_devices().active(account, since).await?;
        let vault = &self.app.kernel.vault;
        let found = active.iter().find(|known| vault.verify_mac(DEVICE, &described, &known.fingerprint));
        let Some(found) = found else { return Ok(false) };
        self.unit.trusted_devices().used(found.id, self.now).await?;
        Ok(true)
    }

    /// Records the caller's device after its second factor, to be trusted if its owner activates it.
    pub(crate) async fn offer_device(
        &mut self,
        account: AccountId,
        device: &DeviceData,
    ) -> Result<OfferedDevice, Fault> {
        let token = PlainToken::generate(ACTIVATION_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let fingerprint = self.app.kernel.vault.mac(DEVICE, &described(account, self.call, device)?);
        let name = device_name(&self.call.user_agent);
        let expires_at = self.now.plus(ACTIVATION_LIFETIME);
        let new = NewDevice {
            id: self.app.kernel.entropy.uuid(self.now).into(),
            account,
            name: &name,
            fingerprint: &fingerprint,
            ip: &self.call.ip_text(),
            user_agent: &self.call.user_agent,
            activation_hash: hash.as_bytes(),
            activation_expires_at: expires_at,
            created_at: self.now,
        };
        let number = self.unit.trusted_devices().insert(&new).await?;
        Ok(OfferedDevice { number, name, activation_token: Secret::new(token.expose()), expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_class_and_others_are_not() {
        let class = |text: &str| network_class(Some(text.parse().unwrap()));
        assert_eq!(class("198.51.100.7"), class("198.51.100.200"));
        assert_eq!(class("::ffff:198.51.100.7"), class("198.51.100.7"));
        assert_ne!(class("198.51.100.7"), class("198.51.101.7"));
        assert_eq!(class("2001:db8:1:2::1"), class("2001:db8:1:ffff::9"));
        assert_ne!(class("2001:db8:1::1"), class("2001:db8:2::1"));
    }
}
