//! What runs on this node: how far it is, and how it is called off.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_domain::id::{AccountId, OrganizationId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::execution::PartStatus;
use super::repository::Progress;
use crate::Prompts;
use crate::work::Person;

/// Executions of this node.
pub(crate) struct Live {
    running: Mutex<HashMap<i64, Handle>>,
    places: Arc<Semaphore>,
    downloads: Arc<Mutex<Downloads>>,
}

/// A place of this node, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// Downloads of this node: the store counts executions, and not these.
#[derive(Debug, Default)]
struct Downloads {
    of_organization: HashMap<OrganizationId, u32>,
    of_person: HashMap<(OrganizationId, AccountId), u32>,
}

/// One download of a person, until it is dropped.
#[derive(Debug)]
struct Share {
    downloads: Arc<Mutex<Downloads>>,
    person: Person,
}

/// Why a download has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The node has none.
    Full,
    /// The person or the organization has as many as they may.
    Own,
}

struct Handle {
    cancelled: watch::Sender<bool>,
    progress: watch::Sender<Option<Progress>>,
    draft: watch::Sender<Drafted>,
}

/// What a model explains of an answer that it is writing: shown to whoever follows the execution, and kept until that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drafted {
    /// Each answer is another one: what was said in the one before is void.
    pub(crate) attempt: u32,
    /// So far.
    pub(crate) text: String,
}

/// One execution of this node, seen from where it runs. It is forgotten when this is dropped, whatever became of it.
pub(crate) struct Running {
    prompts: Arc<Prompts>,
    pub(crate) number: i64,
    cancelled: watch::Receiver<bool>,
}

impl Live {
    pub(crate) fn new(places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.max(1)));
        Self { running: Mutex::default(), places, downloads: Arc::default() }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<i64, Handle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place now, or none.
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, _share: None })
    }

    /// A place for a download of a person, of which they and their organization have so many at most: without that, one person's downloads
    /// keep everybody's queries out.
    pub(crate) fn place_for_download(
        &self,
        person: Person,
        of_organization: u32,
        of_person: u32,
    ) -> Result<Place, NoPlace> {
        let share = Share::take(&self.downloads, person, of_organization, of_person).ok_or(NoPlace::Own)?;
        let place = self.place().ok_or(NoPlace::Full)?;
        Ok(Place { _share: Some(share), ..place })
    }

    /// Calls one off, if it runs here.
    pub(crate) fn cancel(&self, number: i64) {
        if let Some(handle) = self.map().get(&number) {
            handle.cancelled.send_replace(true);
        }
    }

    /// How far one is that runs here: the last value is none, when it is over.
    pub(crate) fn watch(&self, number: i64) -> Option<watch::Receiver<Option<Progress>>> {
        self.map().get(&number).map(|handle| handle.progress.subscribe())
    }

    /// What is explained of an answer while it is written, where the execution runs here.
    pub(crate) fn draft(&self, number: i64) -> Option<watch::Receiver<Drafted>> {
        self.map().get(&number).map(|handle| handle.draft.subscribe())
    }

    /// All that run here, with how far they are, and what is explained of their answers.
    pub(crate) fn all(&self) -> Vec<(i64, Progress, Drafted)> {
        let map = self.map();
        let told = map.iter().filter_map(|(number, handle)| {
            let progress = (*handle.progress.borrow())?;
            Some((*number, progress, handle.draft.borrow().clone()))
        });
        told.collect()
    }
}

impl Share {
    fn take(
        downloads: &Arc<Mutex<Downloads>>,
        person: Person,
        of_organization: u32,
        of_person: u32,
    ) -> Option<Self> {
        let mut counts = downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let Person { organization, account } = person;
        let all = counts.of_organization.get(&organization).copied().unwrap_or(0);
        let own = counts.of_person.get(&(organization, account)).copied().unwrap_or(0);
        if all >= of_organization || own >= of_person {
            return None;
        }
        counts.of_organization.insert(organization, all + 1);
        counts.of_person.insert((organization, account), own + 1);
        Some(Self { downloads: Arc::clone(downloads), person })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let Person { organization, account } = self.person;
        one_less(&mut counts.of_organization, &organization);
        one_less(&mut counts.of_person, &(organization, account));
    }
}

/// Who has none is forgotten.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Running {
    /// Notes an execution that begins here.
    pub(crate) fn begin(prompts: &Arc<Prompts>, number: i64, progress: Progress) -> Self {
        let (cancelled, seen) = watch::channel(false);
        let (progress, _) = watch::channel(Some(progress));
        let (draft, _) = watch::channel(Drafted::default());
        prompts.live.map().insert(number, Handle { cancelled, progress, draft });
        Self { prompts: Arc::clone(prompts), number, cancelled: seen }
    }

    /// Tells how far it is.
    pub(crate) fn at(&self, percent: i64, ai: PartStatus, query: Option<PartStatus>) {
        if let Some(handle) = self.prompts.live.map().get(&self.number) {
            handle.progress.send_replace(Some(Progress { percent, ai, query }));
        }
    }

    /// A model begins to write an answer.
    pub(crate) fn drafts_anew(&self) {
        if let Some(handle) = self.prompts.live.map().get(&self.number) {
            handle.draft.send_modify(|draft| {
                draft.attempt = draft.attempt.saturating_add(1);
                draft.text.clear();
            });
        }
    }

    /// Tells what it has explained so far.
    pub(crate) fn drafted(&self, text: &str) {
        if let Some(handle) = self.prompts.live.map().get(&self.number) {
            handle.draft.send_modify(|draft| text.clone_into(&mut draft.text));
        }
    }

    /// Ends when it is called off.
    pub(crate) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|is| *is).await.is_err() {
            // Nobody can call it off any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(handle) = self.prompts.live.map().remove(&self.number) {
            handle.progress.send_replace(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_node_has_so_many_places_and_no_more() {
        let live = Live::new(2);
        let held = (live.place().unwrap(), live.place().unwrap());
        assert!(live.place().is_none());
        drop(held);
        assert!(live.place().is_some());
    }

    #[test]
    fn downloads_have_shares() {
        let live = Live::new(4);
        let person = |organization: u128, account: u128| Person {
            organization: OrganizationId::from(Uuid::from_u128(organization)),
            account: AccountId::from(Uuid::from_u128(account)),
        };
        let place = |organization, account| live.place_for_download(person(organization, account), 3, 2);
        let ada = [place(1, 1).unwrap(), place(1, 1).unwrap()];
        assert_eq!(place(1, 1).unwrap_err(), NoPlace::Own, "she has two");
        let bob = place(1, 2).unwrap();
        assert_eq!(place(1, 3).unwrap_err(), NoPlace::Own, "her organization has three");
        let other = place(2, 1).unwrap();
        assert_eq!(place(2, 2).unwrap_err(), NoPlace::Full);
        drop(ada);
        // One that found no place has no share either.
        let again = [place(2, 2).unwrap(), place(2, 2).unwrap()];
        drop((again, bob, other));
        let counts = live.downloads.lock().unwrap();
        assert!(counts.of_organization.is_empty() && counts.of_person.is_empty());
    }

    #[test]
    fn what_does_not_run_here_is_not_watched() {
        let live = Live::new(1);
        live.cancel(7);
        assert!(live.watch(7).is_none() && live.all().is_empty());
    }
}
