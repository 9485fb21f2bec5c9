//! What runs on this node: how far it is, and how it is called off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::execution::PartStatus;
use super::repository::Progress;
use crate::Prompts;

/// Executions of this node.
pub(crate) struct Live {
    running: Mutex<HashMap<i64, Handle>>,
    places: Arc<Semaphore>,
}

/// A place of this node, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
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
        Self { running: Mutex::default(), places: Arc::new(Semaphore::new(places.max(1))) }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<i64, Handle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place now, or none.
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
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
    fn what_does_not_run_here_is_not_watched() {
        let live = Live::new(1);
        live.cancel(7);
        assert!(live.watch(7).is_none() && live.all().is_empty());
    }
}
