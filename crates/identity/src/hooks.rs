//! What identity does when something happens in another feature.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_database::Unit;
use tidegate_delivery::Template;
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::hooks::{
    AccountHooks, AllowedApplication, ApplicationMaker, ApplicationNews, ContactDetails,
};
use tidegate_kernel::{CountedMessage, Fault, Work};

use crate::IdentityTables;
use crate::accounts::add_email::offer_email;
use crate::credentials::owner_notice::{Credential, tell_owner};
use crate::credentials::security_notice::security_notice;

pub(crate) struct IdentityHooks;

impl AccountHooks for IdentityHooks {
    /// Second factors, passkeys and trusted devices, without seeds, codes, keys and fingerprints.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let factors = work.unit.factors().of_account(account).await?.into_iter().map(|factor| {
                json!({
                    "kind": factor.kind.as_str(),
                    "name": factor.name,
                    "created_at": factor.created_at.iso_seconds(),
                    "last_used_at": factor.last_used_at.map(Timestamp::iso_seconds),
                })
            });
            let factors: Vec<Value> = factors.collect();
            let codes = work.unit.recovery_codes().count(account).await?;
            let since = work.now.minus(work.kernel.settings.trusted_device_age);
            let devices =
                work.unit.trusted_devices().active(account, since).await?.into_iter().map(|device| {
                    json!({
                        "name": device.name,
                        "ip": device.ip,
                        "user_agent": device.user_agent,
                        "created_at": device.created_at.iso_seconds(),
                        "last_used_at": device.last_used_at.map(Timestamp::iso_seconds),
                    })
                });
            let devices: Vec<Value> = devices.collect();
            let passkeys = work.unit.passkeys().of_account(account).await?.into_iter().map(|passkey| {
                json!({
                    "name": passkey.name,
                    "aaguid": passkey.aaguid,
                    "backed_up": passkey.backed_up,
                    "created_at": passkey.created_at.iso_seconds(),
                    "last_used_at": passkey.last_used_at.map(Timestamp::iso_seconds),
                    "use_count": passkey.use_count,
                })
            });
            let passkeys: Vec<Value> = passkeys.collect();
            let kept = json!({
                "passkeys": passkeys,
                "factors": factors,
                "backup_codes_remaining": codes.remaining,
                "trusted_devices": devices,
            });
            Ok(Some(("second_factors", kept)))
        }
        .boxed()
    }

    fn has_second_factor<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        // An account that the unit made has none.
        async move { Ok(!work.unit.has_made(account.0) && work.unit.factors().any(account).await?) }.boxed()
    }

    fn admits_without_second_factor<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        organization: OrganizationId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        async move { Ok(work.unit.second_factor_rules().admits_without(organization).await?) }.boxed()
    }

    fn refuses_without_second_factor<'w>(
        &'w self,
        unit: &'w mut Unit,
        account: AccountId,
        organization: OrganizationId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        async move {
            let refuses = unit.second_factor_rules().decided(organization).await? == Some(false);
            Ok(refuses && unit.factors().any(account).await?)
        }
        .boxed()
    }

    /// Its owner is mailed, with the link that ends all sessions: whoever has a session of theirs could have done it.
    fn application_allowed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
        application: AllowedApplication<'w>,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            let organization = match application.made_by {
                ApplicationMaker::Organization(organization) => {
                    work.unit.claims().label(*organization).await?.to_string()
                }
                // The operator's organization, with which it is kept, says nothing for it.
                ApplicationMaker::Itself(origin) => origin.clone(),
            };
            let values = json!({
                "application": application.name,
                "organization": organization,
                "scopes": application.scopes.to_string(),
            });
            security_notice(work, account, Template::ApplicationAllowed, values).await
        }
        .boxed()
    }

    /// The organization's owner is mailed: what an application gets outlives a change of the password.
    fn application_changed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        organization: OrganizationId,
        name: &'w str,
        news: ApplicationNews,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            let made = match news {
                ApplicationNews::Made => Credential::Application,
                ApplicationNews::Changed => Credential::ChangedApplication,
            };
            tell_owner(work, organization, made, name).await
        }
        .boxed()
    }

    /// The account is called what its person is called, and may get their address once they show that it is theirs.
    fn contact_learned<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
        details: ContactDetails<'w>,
        message: &'w mut Option<CountedMessage>,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            if let (Some(first), Some(last)) = (details.first_name, details.last_name) {
                work.unit.accounts().name(account, first, last, work.now).await?;
            }
            match message.take() {
                Some(message) => offer_email(work, account, details.email, message).await,
                None => Ok(()),
            }
        }
        .boxed()
    }
}
