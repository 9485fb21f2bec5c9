//! A caller who goes away, at whatever point, leaves whole work or none, and nobody waiting.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tidegate_database::{Change, ChangeListener, Result, Store};
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::{KernelTables, changes};
use tidegate_testkit::{Engine, concurrently, eventually, on_both_engines};

use crate::world::{NOW, World, insert_account};

/// Polls `work` that many times and then drops it wherever it stands, as a server does when its client hangs up.
async fn cut_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = Box::pin(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Two rows that belong together.
async fn insert_pair(store: Store, pair: [AccountId; 2]) -> Result<()> {
    let mut unit = store.begin().await?;
    for id in pair {
        insert_account(&mut unit, id).await?;
    }
    unit.commit().await
}

/// How many of the two rows there are, at one moment: what nobody waits for may be committed between two looks.
async fn found(world: &World, pair: [AccountId; 2]) -> i64 {
    let [one, two] = pair.map(|id| world.database.sql_uuid(id));
    world.database.sql_count(&format!("select count(*) from accounts where id in ({one}, {two})")).await
}

/// How many polls a unit takes at most; beyond, nothing is cut.
const POLLS: usize = 24;

on_both_engines! {
    async fn a_unit_cut_at_any_point_is_whole_or_nothing(world: World) {
        for polls in 0..POLLS {
            let pair = [world.key(), world.key()];
            let answer = cut_after(polls, insert_pair(world.store.clone(), pair)).await;
            // Whatever became of it, the next unit comes after it.
            let next = [world.key(), world.key()];
            insert_pair(world.store.clone(), next).await.unwrap();
            assert_eq!(found(&world, next).await, 2);
            let found = found(&world, pair).await;
            match answer {
                Some(committed) => assert_eq!((committed.unwrap(), found), ((), 2)),
                None => assert_ne!(found, 1, "cut after {polls} polls"),
            }
        }
    }

    async fn units_cut_among_others_harm_none_of_them(world: World) {
        let rounds: Vec<[AccountId; 2]> = (0..200).map(|_| [world.key(), world.key()]).collect();
        let answers = concurrently(rounds.len(), |number| {
            let work = insert_pair(world.store.clone(), rounds[number]);
            // Every second one hangs up, each at another point.
            let polls = if number % 2 == 0 { usize::MAX } else { number / 2 % POLLS };
            cut_after(polls, work)
        })
        .await;
        insert_pair(world.store.clone(), [world.key(), world.key()]).await.unwrap();
        for (pair, answer) in rounds.iter().zip(answers) {
            let found = found(&world, *pair).await;
            match answer {
                Some(committed) => assert_eq!((committed.unwrap(), found), ((), 2)),
                None => assert_ne!(found, 1),
            }
        }
    }

    async fn tasks_aborted_at_random_leave_the_store_working(world: World) {
        for _ in 0..20 {
            let tasks: Vec<_> = (0..8)
                .map(|_| tokio::spawn(insert_pair(world.store.clone(), [world.key(), world.key()])))
                .collect();
            tokio::task::yield_now().await;
            for task in &tasks {
                task.abort();
            }
            for task in tasks {
                drop(task.await);
            }
        }
        insert_pair(world.store.clone(), [world.key(), world.key()]).await.unwrap();
        eventually("every unit has ended", || async {
            let accounts = world.database.sql_count("select count(*) from accounts").await;
            (accounts % 2 == 0).then_some(())
        })
        .await;
    }

    async fn whoever_gives_up_waiting_for_the_writer_is_forgotten(world: World) {
        let store = world.database.open_with(|options| options.max_connections = 2).await;
        let pair = [world.key(), world.key()];
        // Everything there is to write with is taken.
        let mut held = vec![store.begin().await.unwrap()];
        if world.database.engine() == Engine::Postgres {
            held.push(store.begin().await.unwrap());
        }
        for _ in 0..3 {
            assert!(cut_after(1, store.begin()).await.is_none());
        }
        let waiting = tokio::spawn(insert_pair(store.clone(), pair));
        assert!(cut_after(1, store.begin()).await.is_none());
        drop(held);
        waiting.await.unwrap().unwrap();
        assert_eq!(found(&world, pair).await, 2);
    }

    async fn a_statement_that_is_cut_takes_its_unit_with_it(world: World) {
        for polls in 1..4 {
            let (before, during) = (world.key(), world.key());
            let mut unit = world.store.begin().await.unwrap();
            insert_account(&mut unit, before).await.unwrap();
            let cut = cut_after(polls, insert_account(&mut unit, during)).await;
            match cut {
                // It may have been run or not: the unit is good for nothing any more.
                None => assert!(unit.commit().await.is_err()),
                Some(_) => drop(unit),
            }
            insert_pair(world.store.clone(), [world.key(), world.key()]).await.unwrap();
            assert_eq!(found(&world, [before, during]).await, 0);
        }
    }

    // Once asked for, a commit happens, and the caches hear of it: somebody who signs out and hangs up is signed out.
    async fn a_commit_nobody_waits_for_happens_and_is_told(world: World) {
        let heard = Arc::new(Heard::default());
        world.store.listen(Arc::clone(&heard) as Arc<dyn ChangeListener>);
        let member = world.member("ada@example.com").await;
        for polls in 1..6 {
            let session = world.session(&member, 3_600).await;
            let mut unit = world.store.begin().await.unwrap();
            assert!(unit.sessions().end(session, EndReason::SignedOut, NOW).await.unwrap());
            drop(cut_after(polls, unit.commit()).await);
            eventually("the session has ended", || async {
                let record = read!(world.store, unit => unit.sessions().record(session)).unwrap();
                record.ended.then_some(())
            })
            .await;
            eventually("the caches were told", || async { heard.has(session).then_some(()) }).await;
        }
    }

    // SQLite would refuse every unit from then on. On PostgreSQL, what is done next on that connection would stay
    // unseen.
    async fn a_cut_begin_leaves_no_transaction_open(world: World) {
        for polls in 1..12 {
            drop(cut_after(polls, world.store.begin()).await);
            if world.database.engine() == Engine::Postgres {
                eventually("no connection is in a transaction", || async {
                    let open = "select count(*) from pg_stat_activity
                                where application_name = current_database() and state like 'idle in transaction%'";
                    (world.database.sql_count(open).await == 0).then_some(())
                })
                .await;
            }
        }
        insert_pair(world.store.clone(), [world.key(), world.key()]).await.unwrap();
    }
}

/// A cache that remembers what it was told.
#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl ChangeListener for Heard {
    fn changed(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }
}

impl Heard {
    fn has(&self, session: SessionId) -> bool {
        self.0.lock().unwrap().contains(&changes::session(session))
    }
}
