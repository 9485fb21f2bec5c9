//! Who may run a query now. Places are given in the order of arrival, but for those whose person or organization has its places
//! taken: they wait without holding up others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Code, QueryError};
use crate::options::Concurrency;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The account.
    pub id: String,
    /// Its organization.
    pub organization: String,
}

/// Where a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits; so many queries are before it.
    Waiting {
        /// Queries that came before it and wait, too.
        before: usize,
    },
    /// It is planned.
    Planning,
    /// Rows are computed.
    Running,
}

/// Told where a query is.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

#[derive(Default)]
struct State {
    running: usize,
    of_person: HashMap<Person, usize>,
    of_organization: HashMap<String, usize>,
    queue: VecDeque<Waiting>,
}

struct Waiting {
    person: Person,
    /// Given the place, which goes back if nobody takes it.
    call: oneshot::Sender<Place>,
    progress: Option<OnProgress>,
    /// What it was told last.
    before: usize,
}

/// The queue of a server.
#[derive(Clone)]
pub(crate) struct Admission {
    state: Arc<Mutex<State>>,
    limits: Concurrency,
}

/// A place among running queries; given back when dropped.
pub(crate) struct Place {
    admission: Admission,
    person: Person,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave(&self.person);
    }
}

impl Admission {
    pub(crate) fn new(limits: Concurrency) -> Self {
        Self { state: Arc::default(), limits }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place. Who stops waiting loses nothing and holds up nobody.
    pub(crate) async fn enter(
        &self,
        person: &Person,
        progress: Option<OnProgress>,
    ) -> Result<Place, QueryError> {
        let called = {
            let mut state = self.state();
            // Whoever gave up waiting is out.
            state.queue.retain(|waiting| !waiting.call.is_closed());
            let anybody_before = state.queue.iter().any(|waiting| self.has_place(&state, &waiting.person));
            if !anybody_before && self.has_place(&state, person) {
                state.take(person);
                return Ok(self.place(person));
            }
            let own = state.queue.iter().filter(|waiting| waiting.person == *person).count();
            if state.queue.len() >= self.limits.waiting || own >= self.limits.waiting_of_person {
                return Err(QueryError::new(
                    Code::LimitConcurrency,
                    "Too many queries wait already. Try again later.",
                ));
            }
            let (call, called) = oneshot::channel();
            let before = state.queue.len();
            state.queue.push_back(Waiting {
                person: person.clone(),
                call,
                progress: progress.clone(),
                before,
            });
            drop(state);
            if let Some(progress) = progress {
                progress(Progress::Waiting { before });
            }
            called
        };
        called.await.map_err(|_| QueryError::cancelled())
    }

    fn place(&self, person: &Person) -> Place {
        Place { admission: self.clone(), person: person.clone() }
    }

    fn has_place(&self, state: &State, person: &Person) -> bool {
        state.running < self.limits.server
            && state.of_person.get(person).copied().unwrap_or(0) < self.limits.person
            && state.of_organization.get(&person.organization).copied().unwrap_or(0)
                < self.limits.organization
    }

    fn leave(&self, person: &Person) {
        let mut called = Vec::new();
        let mut told = Vec::new();
        {
            let mut state = self.state();
            state.give_back(person);
            while let Some(at) =
                state.queue.iter().position(|waiting| self.has_place(&state, &waiting.person))
            {
                let Some(next) = state.queue.remove(at) else { break };
                if next.call.is_closed() {
                    continue;
                }
                state.take(&next.person);
                called.push(next);
            }
            for (before, waiting) in state.queue.iter_mut().enumerate() {
                if std::mem::replace(&mut waiting.before, before) == before {
                    continue;
                }
                if let Some(progress) = &waiting.progress {
                    told.push((Arc::clone(progress), before));
                }
            }
        }
        // Outside of the lock: a place that nobody takes comes back here.
        for next in called {
            let place = self.place(&next.person);
            drop(next.call.send(place));
        }
        for (progress, before) in told {
            progress(Progress::Waiting { before });
        }
    }

    /// Queries that run, and that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.running, state.queue.iter().filter(|waiting| !waiting.call.is_closed()).count())
    }
}

impl State {
    fn take(&mut self, person: &Person) {
        self.running += 1;
        *self.of_person.entry(person.clone()).or_default() += 1;
        *self.of_organization.entry(person.organization.clone()).or_default() += 1;
    }

    fn give_back(&mut self, person: &Person) {
        self.running = self.running.saturating_sub(1);
        if let Some(count) = self.of_person.get_mut(person) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_person.remove(person);
            }
        }
        if let Some(count) = self.of_organization.get_mut(&person.organization) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_organization.remove(&person.organization);
            }
        }
    }
}
