//! The embedded sandbox's accounts, kept in the store: sealed, because people's dates of birth are in them.

use std::fmt::Display;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_broker::sandbox::{Put, SandboxAccount, Shelf, ShelfFailed};
use tidegate_crypto::Vault;
use tidegate_database::Store;
use tidegate_domain::{Entropy, Timestamp};
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use crate::BrokerageTables;
use crate::tables::sandbox_accounts::SandboxRecord;

pub(crate) struct StoreShelf {
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What an account is sealed for.
fn context(id: Uuid) -> String {
    format!("sandbox account {id}")
}

impl StoreShelf {
    fn read(&self, id: Uuid, sealed: &[u8]) -> Result<SandboxAccount, Fault> {
        let plain = self.vault.open(&context(id), sealed)?;
        Ok(serde_json::from_slice(&plain)?)
    }

    async fn find_by_id(&self, id: Uuid) -> Result<Option<SandboxAccount>, Fault> {
        let found = self.store.read().await?.sandbox_accounts().find(id).await?;
        found.map(|sealed| self.read(id, &sealed)).transpose()
    }

    async fn find_by_email(&self, email: &str) -> Result<Option<SandboxAccount>, Fault> {
        let found = self.store.read().await?.sandbox_accounts().find_by_email(email).await?;
        found.map(|(id, sealed)| self.read(id, &sealed)).transpose()
    }

    async fn keep(&self, account: SandboxAccount) -> Result<Put, Fault> {
        let plain = serde_json::to_vec(&account)?;
        let sealed = self.vault.seal(&context(account.id()), &plain, self.entropy.as_ref())?;
        let record = SandboxRecord {
            id: account.id(),
            email: account.email(),
            revision: i64::try_from(account.revision()).unwrap_or(i64::MAX),
            last_step_at: account.last_step_at(),
            sealed: &sealed,
        };
        let mut unit = self.store.begin().await?;
        let mut accounts = unit.sandbox_accounts();
        let put = if account.revision() > 1 {
            if accounts.replace(record).await? { Put::Kept } else { Put::Overtaken }
        } else if accounts.insert(record).await? {
            Put::Kept
        } else if accounts.find(account.id()).await?.is_some() {
            Put::Overtaken
        } else {
            Put::EmailTaken
        };
        unit.commit().await?;
        Ok(put)
    }

    async fn find_changing(&self, since: Timestamp) -> Result<Vec<SandboxAccount>, Fault> {
        let found = self.store.read().await?.sandbox_accounts().changing_since(since).await?;
        found.iter().map(|(id, sealed)| self.read(*id, sealed)).collect()
    }
}

fn failed(error: impl Display) -> ShelfFailed {
    tracing::error!(%error, "the sandbox's records are out of reach");
    ShelfFailed
}

impl Shelf for StoreShelf {
    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<SandboxAccount>, ShelfFailed>> {
        self.find_by_id(id).map(|found| found.map_err(failed)).boxed()
    }

    fn find(&self, email: &str) -> BoxFuture<'_, Result<Option<SandboxAccount>, ShelfFailed>> {
        let email = email.to_owned();
        async move { self.find_by_email(&email).await.map_err(failed) }.boxed()
    }

    fn put(&self, account: SandboxAccount) -> BoxFuture<'_, Result<Put, ShelfFailed>> {
        self.keep(account).map(|put| put.map_err(failed)).boxed()
    }

    fn changing_since(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<SandboxAccount>, ShelfFailed>> {
        self.find_changing(since).map(|found| found.map_err(failed)).boxed()
    }
}
