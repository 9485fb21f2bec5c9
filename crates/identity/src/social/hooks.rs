//! What is kept of an account's sign-ins by providers, for an operator who exports it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, Work};

use crate::IdentityTables;

pub(crate) struct SocialHooks;

impl AccountHooks for SocialHooks {
    /// Without the providers' tokens.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let kept = work.unit.social_accounts().kept_of_account(account).await?.into_iter().map(|kept| {
                json!({
                    "provider": kept.provider,
                    "email": kept.email,
                    "display_name": kept.display_name,
                    "connected_at": kept.connected_at.iso_seconds(),
                    "last_used_at": kept.last_used_at.iso_seconds(),
                    "subject": kept.subject,
                    "disconnected_at": kept.disconnected_at.map(Timestamp::iso_seconds),
                    "blocked_at": kept.blocked_at.map(Timestamp::iso_seconds),
                })
            });
            Ok(Some(("social_accounts", kept.collect::<Vec<Value>>().into())))
        }
        .boxed()
    }
}
