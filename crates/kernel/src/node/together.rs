//! Work that comes while other work of its kind is under way, and is then done together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_database::{Result, StoreError};
use tokio::sync::oneshot;

/// Most requests served at once.
const MOST: usize = 64;

/// What names those who would wait for one another.
type Key = [u8; 32];

/// Requests of one kind, by what they would wait for each other for.
pub struct Together<W, R> {
    /// There is an entry while somebody is served under the key; in it those who came meanwhile.
    waiting: Mutex<HashMap<Key, Vec<Waiting<W, R>>>>,
}

type Waiting<W, R> = (W, AnswerSender<R>);
type AnswerSender<R> = oneshot::Sender<Result<R>>;

/// Serves those of one key until nobody waits.
struct Serving<W, R> {
    together: Arc<Together<W, R>>,
    key: Key,
    is_over: bool,
}

impl<W, R> Together<W, R> {
    /// Nobody is served yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::new(HashMap::new()) })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, Vec<Waiting<W, R>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines up; answers whether somebody has to be found who serves.
    fn line_up(&self, key: Key, waiting: Waiting<W, R>) -> bool {
        match self.waiting().entry(key) {
            Entry::Occupied(mut served) => {
                served.get_mut().push(waiting);
                false
            }
            Entry::Vacant(vacant) => {
                vacant.insert(vec![waiting]);
                true
            }
        }
    }
}

impl<W: Send + 'static, R: Send + 'static> Together<W, R> {
    /// Has `what` done by `serve`, with what others ask for under that key in the meantime. `serve` gives as many answers as it is asked
    /// for, in their order. It is run in a task of its own: a caller who goes away keeps no other one from being served, and an answer
    /// that nobody takes is dropped.
    ///
    /// # Errors
    /// Those of `serve`.
    pub async fn ask<S, F>(self: &Arc<Self>, key: Key, what: W, serve: S) -> Result<R>
    where
        S: Fn(Vec<W>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<Result<R>>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        if self.line_up(key, (what, answer)) {
            let mut serving = Serving { together: Arc::clone(self), key, is_over: false };
            tokio::spawn(async move {
                while let Some((asked, answers)) = serving.take_turn() {
                    let served = serve(asked).await;
                    for (answer, result) in answers.into_iter().zip(served) {
                        drop(answer.send(result));
                    }
                }
            });
        }
        let gone = |_| Err(StoreError::Unavailable("what was asked for was not done".into()));
        answered.await.unwrap_or_else(gone)
    }
}

impl<W, R> Serving<W, R> {
    /// Those who wait now, if there are any.
    fn take_turn(&mut self) -> Option<(Vec<W>, Vec<AnswerSender<R>>)> {
        let mut waiting = self.together.waiting();
        let served = waiting.get_mut(&self.key).map(|all| {
            let later = all.split_off(all.len().min(MOST));
            std::mem::replace(all, later)
        });
        match served {
            Some(served) if !served.is_empty() => Some(served.into_iter().unzip()),
            _ => {
                waiting.remove(&self.key);
                self.is_over = true;
                None
            }
        }
    }
}

impl<W, R> Drop for Serving<W, R> {
    fn drop(&mut self) {
        // It was cut off: those who wait hear of it, and the next one who comes is served again.
        if !self.is_over {
            let left = self.together.waiting().remove(&self.key);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn those_who_come_while_one_is_served_are_served_together_in_their_order() {
        let together = Together::new();
        let (turns, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let ask = |number: usize| {
            let (turns, open) = (Arc::clone(&turns), Arc::clone(&open));
            together.ask([0; 32], number, move |asked: Vec<usize>| {
                let (turns, open) = (Arc::clone(&turns), Arc::clone(&open));
                async move {
                    let turn = turns.fetch_add(1, Ordering::SeqCst);
                    drop(open.acquire().await.unwrap());
                    asked.into_iter().map(|number| Ok((turn, number))).collect()
                }
            })
        };
        // All have asked before the first one is answered.
        let opened = async { open.add_permits(1) };
        let (answers, ()) = tokio::join!(join_all((0..100).map(ask)), opened);
        let answers: Vec<(usize, usize)> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().enumerate().all(|(number, answer)| answer.1 == number));
        let turns = turns.load(Ordering::SeqCst);
        assert!((2..=3).contains(&turns), "{turns} turns for a hundred");
        assert!(together.waiting().is_empty());
    }

    #[tokio::test]
    async fn who_serves_and_is_cut_off_leaves_nobody_waiting() {
        let together = Together::<(), ()>::new();
        let cut_off = together.ask([0; 32], (), |_| async { Vec::new() }).await;
        assert!(matches!(cut_off, Err(StoreError::Unavailable(_))));
        let panics =
            |asked: Vec<()>| async move { asked.first().map(|()| panic!("cut off")).into_iter().collect() };
        assert!(together.ask([0; 32], (), panics).await.is_err());
        let served =
            together.ask([0; 32], (), |asked| async move { asked.iter().map(|()| Ok(())).collect() });
        assert!(served.await.is_ok());
    }
}
