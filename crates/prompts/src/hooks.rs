//! What crosses from other features.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, Work};

use crate::PromptTables;
use crate::removal::remove_account;
use crate::work::Person;

/// The place of a query that began at `began` among those that the person began after `since`, on all nodes together: questions, queries,
/// and results of them that were read in full. For limits of policies: of those that begin at once, as many are let through as may be.
///
/// # Errors
/// Those of the store.
pub async fn place_since(
    unit: &mut Unit,
    organization: OrganizationId,
    account: AccountId,
    since: Timestamp,
    began: Timestamp,
) -> Result<i64, Fault> {
    Ok(unit.prompt_executions().began_between(Person { organization, account }, since, began).await?)
}

/// When a person may ask again who may begin `most` queries within `span`, and began more, the last one at `began`.
///
/// # Errors
/// Those of the store.
pub async fn free_again(
    unit: &mut Unit,
    organization: OrganizationId,
    account: AccountId,
    (most, span): (u64, Duration),
    began: Timestamp,
) -> Result<Timestamp, Fault> {
    let person = Person { organization, account };
    let later = i64::try_from(most.saturating_sub(1)).unwrap_or(i64::MAX);
    let earliest = unit.prompt_executions().began_before(person, began.minus(span), began, later).await?;
    Ok(earliest.unwrap_or(began).plus(span))
}

pub(crate) struct PromptHooks;

impl AccountHooks for PromptHooks {
    /// Its questions and what became of them go, with all of the organizations that end with it. Templates that it shared with others
    /// stay theirs.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move { Ok(remove_account(work.unit, account, work.now).await?) }.boxed()
    }

    /// What it asked and saved.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let saved = work.unit.prompts().exported(account).await?;
            if saved.is_empty() {
                return Ok(None);
            }
            let saved: Vec<Value> = saved
                .into_iter()
                .map(|(number, name, text, created_at)| {
                    json!({
                        "id": number,
                        "name": name,
                        "prompt_text": text,
                        "created_at": Timestamp::from_micros(created_at).iso_seconds(),
                    })
                })
                .collect();
            Ok(Some(("prompts", json!(saved))))
        }
        .boxed()
    }
}
