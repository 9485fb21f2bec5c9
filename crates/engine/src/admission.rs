//! Who may run a query now. A place goes to the organization that has the fewest, and there to whoever came first; whose person or
//! organization has its places taken waits without holding up others. Room to wait is shared likewise: when there is none left, the
//! organization with the most waiting loses its newest to one that has fewer.

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
            let is_full = state.queue.len() >= self.limits.waiting;
            if own >= self.limits.waiting_of_person || is_full && !state.make_room_for(&person.organization) {
                return Err(too_many());
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
        called.await.map_err(|_| too_many())
    }

    fn place(&self, person: &Person) -> Place {
        Place { admission: self.clone(), person: person.clone() }
    }

    fn has_place(&self, state: &State, person: &Person) -> bool {
        state.running < self.limits.server
            && state.of_person.get(person).copied().unwrap_or(0) < self.limits.person
            && state.running_of(&person.organization) < self.limits.organization
    }

    /// Whose turn it is.
    fn next(&self, state: &State) -> Option<usize> {
        let waiting = state.queue.iter().enumerate();
        let could = waiting.filter(|(_, waiting)| self.has_place(state, &waiting.person));
        could
            .min_by_key(|(at, waiting)| (state.running_of(&waiting.person.organization), *at))
            .map(|(at, _)| at)
    }

    fn leave(&self, person: &Person) {
        let mut called = Vec::new();
        let mut told = Vec::new();
        {
            let mut state = self.state();
            state.give_back(person);
            while let Some(at) = self.next(&state) {
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

fn too_many() -> QueryError {
    QueryError::new(Code::LimitConcurrency, "Too many queries wait already. Try again later.")
}

impl State {
    fn running_of(&self, organization: &str) -> usize {
        self.of_organization.get(organization).copied().unwrap_or(0)
    }

    /// Sends the newest of the organization with the most waiting away, if it has more than that one would have then.
    fn make_room_for(&mut self, organization: &str) -> bool {
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        for one in &self.queue {
            *waiting.entry(&one.person.organization).or_default() += 1;
        }
        let own = waiting.get(organization).copied().unwrap_or(0) + 1;
        let most = waiting.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > own);
        let newest =
            most.and_then(|(most, _)| self.queue.iter().rposition(|one| one.person.organization == most));
        newest.and_then(|at| self.queue.remove(at)).is_some()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn person(organization: &str, number: usize) -> Person {
        Person { id: format!("{organization} {number}"), organization: organization.to_owned() }
    }

    fn admission() -> Admission {
        Admission::new(Concurrency {
            server: 2,
            organization: 2,
            person: 1,
            waiting: 4,
            waiting_of_person: 4,
        })
    }

    /// Waits for a place until it is polled again.
    macro_rules! waits {
        ($admission:expr, $person:expr) => {{
            let mut waiting = Box::pin($admission.enter($person, None));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            waiting
        }};
    }

    #[tokio::test]
    async fn a_place_goes_to_the_organization_that_has_fewest() {
        let admission = admission();
        let many: Vec<Person> = (0..4).map(|number| person("many", number)).collect();
        let (first, _second) =
            (admission.enter(&many[0], None).await.unwrap(), admission.enter(&many[1], None).await.unwrap());
        let late = person("few", 0);
        let (_third, few) = (waits!(admission, &many[2]), waits!(admission, &late));
        drop(first);
        assert!(few.await.is_ok(), "though it came later");
    }

    #[tokio::test]
    async fn nobody_uses_up_the_room_to_wait() {
        let admission = admission();
        let many: Vec<Person> = (0..7).map(|number| person("many", number)).collect();
        let _running =
            (admission.enter(&many[0], None).await.unwrap(), admission.enter(&many[1], None).await.unwrap());
        let mut waiting: Vec<_> = Vec::new();
        for one in &many[2..6] {
            waiting.push(waits!(admission, one));
        }
        let refused = admission.enter(&many[6], None).await.err().unwrap();
        assert_eq!(refused.code, Code::LimitConcurrency);
        let (few, other) = (person("few", 0), person("few", 1));
        let _few = waits!(admission, &few);
        let sent_away = waiting.pop().unwrap().await.err().unwrap();
        assert_eq!(sent_away.code, Code::LimitConcurrency, "the newest of those with the most");
        let _other = waits!(admission, &other);
        assert!(admission.enter(&person("few", 2), None).await.is_err(), "both have as many now");
    }
}
