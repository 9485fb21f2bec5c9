//! Files of data sources, where no storage is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use tidegate_catalog::hooks::{FileOwner, Kept, NewerFile, SourceFiles};
use tidegate_connect::{FileContent, FileSource};
use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::Fault;

/// Objects by their names. One belongs to the organization that asks for it first.
#[derive(Debug, Default)]
pub struct TestFiles(Mutex<BTreeMap<String, (Option<OrganizationId>, PathBuf)>>, AtomicBool);

impl TestFiles {
    /// Adds the file as an object of that name.
    pub fn add(&self, name: &str, file: &Path) {
        self.0.lock().expect("a lock").insert(name.to_owned(), (None, file.to_owned()));
    }

    /// Removes the object of that name.
    pub fn remove(&self, name: &str) {
        self.0.lock().expect("a lock").remove(name);
    }

    /// Never answers from now on whether the bytes of an object are there.
    pub fn hang(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    fn find(&self, owner: FileOwner, name: &str) -> Option<PathBuf> {
        let mut files = self.0.lock().expect("a lock");
        let (owned_by, path) = files.get_mut(name)?;
        (*owned_by.get_or_insert(owner.organization) == owner.organization).then(|| path.clone())
    }
}

impl SourceFiles for TestFiles {
    fn exist<'f>(
        &'f self,
        _: &'f mut Unit,
        files: &'f [(FileOwner, &'f str)],
    ) -> BoxFuture<'f, Result<Vec<bool>, Fault>> {
        let found = files.iter().map(|(owner, path)| self.find(*owner, path).is_some());
        ready(Ok(found.collect())).boxed()
    }

    fn url<'f>(
        &'f self,
        _: &'f mut Unit,
        owner: FileOwner,
        path: &'f str,
        expires: Duration,
    ) -> BoxFuture<'f, Result<Option<String>, Fault>> {
        let found = self.find(owner, path);
        let url = found.map(|_| format!("https://files.example.com/{path}?expires={}", expires.as_secs()));
        ready(Ok(url)).boxed()
    }

    fn newer<'f>(
        &'f self,
        _: &'f mut Unit,
        _: (OrganizationId, AccountId),
        _: &'f str,
    ) -> BoxFuture<'f, Result<Option<NewerFile>, Fault>> {
        ready(Ok(None)).boxed()
    }

    fn kept<'f>(&'f self, owner: FileOwner, path: &'f str) -> BoxFuture<'f, Result<Kept, Fault>> {
        if self.1.load(Ordering::Relaxed) {
            return pending().boxed();
        }
        let kept = match self.find(owner, path) {
            Some(file) if file.exists() => Kept::Whole,
            Some(_) => Kept::Lost,
            None => Kept::NoFile,
        };
        ready(Ok(kept)).boxed()
    }

    fn open<'f>(
        &'f self,
        owner: FileOwner,
        path: &'f str,
    ) -> BoxFuture<'f, Result<Option<FileSource>, Fault>> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let found = self.find(owner, path);
        ready(Ok(found.map(|file| FileSource { name, content: FileContent::Local(file) }))).boxed()
    }
}
