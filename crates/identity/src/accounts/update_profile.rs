//! Changes the profile of an account.

use serde_json::json;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Permission};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call, Refused};

use crate::accounts::metadata::{TooLarge, changed as changed_document};
use crate::{Identity, IdentityTables};

/// What to change; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// Another name.
    pub display_name: Option<String>,
    /// Another picture, or none any more.
    pub profile_image_url: Option<Option<String>>,
    /// Merged into the stored document (RFC 7396).
    pub profile: Option<Document>,
}

/// Why the profile was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateProfileError {
    /// The account is deleted or disabled.
    #[error("the account no longer exists")]
    AccountNotFound,
    /// The merged document would be too large.
    #[error("the profile would be larger than 64 KiB")]
    ProfileTooLarge,
}

impl Identity {
    /// Changes the actor's profile and answers the account as it is now.
    ///
    /// Source: RiverGen "me/profile".
    ///
    /// # Errors
    /// [`UpdateProfileError`].
    pub async fn update_profile(
        &self,
        call: &Call,
        actor: &Actor,
        change: ProfileChange,
    ) -> Outcome<Account, UpdateProfileError> {
        // The account is locked: two changes at once must both be merged, not one lost.
        let mut work = self.begin_as(call, actor, Permission::ChangeOwnProfile).await?;
        let found = work.unit.accounts().find(work.grant.account()).await?;
        let Some(mut account) = found.filter(|account| account.disabled_at.is_none()) else {
            return refuse(UpdateProfileError::AccountNotFound);
        };
        let mut changed = Vec::new();
        if let Some(display_name) = change.display_name {
            changed.push("display_name");
            account.display_name = display_name;
        }
        if let Some(url) = change.profile_image_url {
            changed.push("profile_image_url");
            account.profile_image_url = url;
        }
        if let Some(patch) = change.profile {
            changed.push("profile");
            account.profile =
                changed_document(&account.profile, &patch, false).map_err(|refused| match refused {
                    Refused::Rule(TooLarge) => Refused::Rule(UpdateProfileError::ProfileTooLarge),
                    Refused::Fault(fault) => Refused::Fault(fault),
                })?;
        }
        account.updated_at = work.now;
        work.unit.accounts().update_profile(&account, work.now).await?;
        work.audit(Action::ProfileUpdated, work.grant.subject(), json!({ "changed": changed })).await?;
        work.commit().await?;
        Ok(account)
    }
}
