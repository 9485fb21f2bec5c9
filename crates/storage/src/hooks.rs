//! What the feature does when something happens to an account in another one.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, KernelTables, Work};

use crate::StorageTables;
use crate::upkeep::settle;

/// Most files that are listed when an account is exported.
const MOST_EXPORTED: i64 = 10_000;

pub(crate) struct StorageHooks;

impl AccountHooks for StorageHooks {
    /// Its files go, in all organizations: nobody reaches them from now on, and a job removes them from the store.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            if work.unit.files().begin_removing_of(account, work.now).await? > 0 {
                let job = work.kernel.job(settle::REMOVE_NAME, &Value::Null)?;
                work.unit.jobs().enqueue(&job.once_for(settle::REMOVE_NAME)).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// What files it has. Their content its owner can download.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let files = work.unit.files().of_account(account, MOST_EXPORTED).await?;
            if files.is_empty() {
                return Ok(None);
            }
            let files: Vec<Value> = files
                .into_iter()
                .map(|file| {
                    json!({
                        "object_name": file.object_name,
                        "file_name": file.file_name,
                        "category": file.category.as_str(),
                        "content_type": file.content_type,
                        "size_bytes": file.size,
                        "uploaded_at": file.created_at.iso_seconds(),
                    })
                })
                .collect();
            Ok(Some(("files", json!(files))))
        }
        .boxed()
    }
}
