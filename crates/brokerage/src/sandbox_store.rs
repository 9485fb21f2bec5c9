//! The embedded sandbox's accounts, kept in the store: sealed, because people's dates of birth are in them.

use std::fmt::Display;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_broker::sandbox::{PutOutcome, SandboxAccount, SandboxStore, SandboxStoreFailed};
use tidegate_crypto::Vault;
use tidegate_database::Store;
use tidegate_domain::{Entropy, Timestamp};
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use crate::BrokerageTables;
use crate::tables::sandbox_accounts::SandboxRecord;

pub(crate) struct DatabaseSandboxStore {
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What an account is sealed for.
fn context(id: Uuid) -> String {
    format!("sandbox account {id}")
}

impl DatabaseSandboxStore {
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

    async fn keep(&self, account: SandboxAccount) -> Result<PutOutcome, Fault> {
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
            if accounts.replace(record).await? { PutOutcome::Stored } else { PutOutcome::Conflict }
        } else if accounts.insert(record).await? {
            PutOutcome::Stored
        } else if accounts.find(account.id()).await?.is_some() {
            PutOutcome::Conflict
        } else {
            PutOutcome::EmailTaken
        };
        unit.commit().await?;
        Ok(put)
    }

    async fn find_changing(&self, since: Timestamp) -> Result<Vec<SandboxAccount>, Fault> {
        let found = self.store.read().await?.sandbox_accounts().changing_since(since).await?;
        found.iter().map(|(id, sealed)| self.read(*id, sealed)).collect()
    }
}

fn failed(error: impl Display) -> SandboxStoreFailed {
    tracing::error!(%error, "the sandbox's records are out of reach");
    SandboxStoreFailed
}

impl SandboxStore for DatabaseSandboxStore {
    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        self.find_by_id(id).map(|found| found.map_err(failed)).boxed()
    }

    fn find(&self, email: &str) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        let email = email.to_owned();
        async move { self.find_by_email(&email).await.map_err(failed) }.boxed()
    }

    fn put(&self, account: SandboxAccount) -> BoxFuture<'_, Result<PutOutcome, SandboxStoreFailed>> {
        self.keep(account).map(|put| put.map_err(failed)).boxed()
    }

    fn changing_since(
        &self,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<SandboxAccount>, SandboxStoreFailed>> {
        self.find_changing(since).map(|found| found.map_err(failed)).boxed()
    }
}
