//! Where the sandbox keeps its accounts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_domain::Timestamp;
use uuid::Uuid;

use super::SandboxAccount;

/// The records cannot be read or written. The implementation logs why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's records are out of reach")]
pub struct SandboxStoreFailed;

/// The result of storing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Stored.
    Stored,
    /// Not stored: a concurrent change since it was read. Read it again.
    Conflict,
    /// Not stored: another account has the e-mail address.
    EmailTaken,
}

/// Keeps the sandbox's accounts: in a table with their id as key, their e-mail address unique and the rest as
/// JSON.
pub trait SandboxStore: Send + Sync + 'static {
    /// The account with this id.
    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>>;

    /// The account with this [e-mail address](SandboxAccount::email).
    fn find(&self, email: &str) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>>;

    /// Keeps `account`: a new one when its [revision](SandboxAccount::revision) is 1, else in place of the
    /// revision just before.
    fn put(&self, account: SandboxAccount) -> BoxFuture<'_, Result<PutOutcome, SandboxStoreFailed>>;

    /// The accounts whose [last status](SandboxAccount::last_step_at) begins at `since` or later.
    fn changing_since(
        &self,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<SandboxAccount>, SandboxStoreFailed>>;
}

/// Keeps accounts as long as the process lives.
#[derive(Default)]
pub struct MemorySandboxStore(Mutex<BTreeMap<Uuid, SandboxAccount>>);

impl MemorySandboxStore {
    /// A store that holds `accounts` already.
    pub fn holding(accounts: impl IntoIterator<Item = SandboxAccount>) -> Self {
        Self(Mutex::new(accounts.into_iter().map(|account| (account.id(), account)).collect()))
    }

    /// What it holds, to write down.
    pub fn accounts(&self) -> Vec<SandboxAccount> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, SandboxAccount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, account: SandboxAccount) -> PutOutcome {
        let mut accounts = self.lock();
        let is_namesake =
            |other: &SandboxAccount| other.id() != account.id() && other.email() == account.email();
        if accounts.values().any(is_namesake) {
            return PutOutcome::EmailTaken;
        }
        match accounts.entry(account.id()) {
            Entry::Vacant(place) if account.revision() == 1 => {
                place.insert(account);
                PutOutcome::Stored
            }
            Entry::Occupied(mut place) if place.get().revision() + 1 == account.revision() => {
                place.insert(account);
                PutOutcome::Stored
            }
            Entry::Vacant(_) | Entry::Occupied(_) => PutOutcome::Conflict,
        }
    }
}

impl fmt::Debug for MemorySandboxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySandboxStore").finish_non_exhaustive()
    }
}

impl SandboxStore for MemorySandboxStore {
    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        let found = self.lock().get(&id).cloned();
        async move { Ok(found) }.boxed()
    }

    fn find(&self, email: &str) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        let found = self.lock().values().find(|account| account.email() == email).cloned();
        async move { Ok(found) }.boxed()
    }

    fn put(&self, account: SandboxAccount) -> BoxFuture<'_, Result<PutOutcome, SandboxStoreFailed>> {
        async move { Ok(self.keep(account)) }.boxed()
    }

    fn changing_since(
        &self,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<SandboxAccount>, SandboxStoreFailed>> {
        let changing = move |account: &SandboxAccount| account.last_step_at() >= since;
        async move { Ok(self.accounts().into_iter().filter(changing).collect()) }.boxed()
    }
}
