//! What the feature does when something happens to an account in another one.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::work::Subject;
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
            work.unit.device_codes().delete_of_account(account).await?;
            work.unit.consents().delete_of_account(account).await?;
            for application in work.unit.applications().of_owner(account).await? {
                remove(work, &application).await?;
                let subject =
                    Subject { account: None, organization: Some(application.organization), session: None };
                let metadata = json!({ "client_id": application.id, "name": application.name });
                work.audit(Action::ApplicationDeleted, subject, metadata).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Codes that were not exchanged, and consents: an attacker may have allowed an application of their own, which would be let in
    /// without a question when the owner comes by.
    fn footholds_removed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            work.unit.codes().delete_of_account(account).await?;
            work.unit.device_codes().delete_of_account(account).await?;
            Ok(work.unit.consents().delete_of_account(account).await?)
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
            if consents.is_empty() {
                return Ok(None);
            }
            let consents: Vec<Value> = consents
                .into_iter()
                .map(|consent| {
                    json!({
                        "application": consent.name,
                        "client_id": consent.application,
                        "given_through": consent.given_through,
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
