//! What the feature does when something happens to an account in another one.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, Work};

use crate::OauthTables;
use crate::applications::remove::remove;

pub(crate) struct OauthHooks;

impl AccountHooks for OauthHooks {
    /// Its codes and consents go, and the applications of organizations that end with it.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            work.unit.codes().delete_of_account(account).await?;
            work.unit.consents().delete_of_account(account).await?;
            for application in work.unit.applications().of_owner(account).await? {
                remove(work, &application).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// What it has allowed which application.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let consents = work.unit.consents().of_account(account).await?;
            let consents: Vec<Value> = consents
                .into_iter()
                .map(|consent| {
                    json!({
                        "application": consent.name,
                        "client_id": consent.application,
                        "scopes": consent.scopes.to_string(),
                        "created_at": consent.created_at.iso_seconds(),
                        "updated_at": consent.updated_at.iso_seconds(),
                    })
                })
                .collect();
            Ok(Some(("applications", json!(consents))))
        }
        .boxed()
    }
}
