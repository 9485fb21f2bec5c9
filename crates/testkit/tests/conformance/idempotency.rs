//! Answers kept for repeated requests: the first one stays.

use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::idempotency::Record;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at};

fn record(response: &[u8]) -> Record {
    Record { fingerprint: b"fingerprint".to_vec(), response: response.to_vec() }
}

on_both_engines! {
    async fn an_answer_is_kept_until_it_is_too_old(world: World) {
        assert!(read!(world.store, unit => unit.idempotency().find(b"key", NOW)).is_none());
        assert!(
            commit!(world.store, unit => unit.idempotency().insert(b"key", &record(b"one"), NOW, at(60)))
        );
        let found = read!(world.store, unit => unit.idempotency().find(b"key", at(59))).unwrap();
        assert_eq!((&found.fingerprint[..], &found.response[..]), (&b"fingerprint"[..], &b"one"[..]));
        assert!(read!(world.store, unit => unit.idempotency().find(b"key", at(60))).is_none());
        assert!(read!(world.store, unit => unit.idempotency().find(b"other", NOW)).is_none());
    }

    async fn the_first_answer_stays_until_it_is_too_old(world: World) {
        assert!(
            commit!(world.store, unit => unit.idempotency().insert(b"key", &record(b"one"), NOW, at(60)))
        );
        assert!(
            !commit!(world.store, unit => unit.idempotency().insert(b"key", &record(b"two"), at(59), at(120)))
        );
        let found = read!(world.store, unit => unit.idempotency().find(b"key", at(59))).unwrap();
        assert_eq!(found.response, b"one");
        assert!(
            commit!(world.store, unit => unit.idempotency().insert(b"key", &record(b"three"), at(60), at(120)))
        );
        let found = read!(world.store, unit => unit.idempotency().find(b"key", at(60))).unwrap();
        assert_eq!(found.response, b"three");
    }

    async fn of_fifty_answers_at_once_one_is_kept(world: World) {
        let kept = concurrently(50, |number| {
            let store = world.store.clone();
            async move {
                let record = record(&[u8::try_from(number).unwrap()]);
                let mut unit = store.begin().await.unwrap();
                let kept = unit.idempotency().insert(b"key", &record, NOW, at(60)).await.unwrap();
                unit.commit().await.unwrap();
                kept.then_some(record.response)
            }
        })
        .await;
        let kept: Vec<Vec<u8>> = kept.into_iter().flatten().collect();
        let found = read!(world.store, unit => unit.idempotency().find(b"key", NOW)).unwrap();
        assert_eq!(kept, [found.response]);
    }

    async fn of_fifty_answers_that_replace_an_old_one_at_once_one_does(world: World) {
        commit!(world.store, unit => unit.idempotency().insert(b"key", &record(b"old"), NOW, at(60)));
        let kept = concurrently(50, |_| {
            let store = world.store.clone();
            async move {
                commit!(store, unit => unit.idempotency().insert(b"key", &record(b"new"), at(60), at(120)))
            }
        })
        .await;
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 1);
    }

    // Whoever is first fails: the next one is first then.
    async fn an_answer_that_was_not_committed_blocks_nobody(world: World) {
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.idempotency().insert(b"key", &record(b"lost"), NOW, at(60)).await.unwrap());
        let waiting = tokio::spawn({
            let store = world.store.clone();
            async move { commit!(store, unit => unit.idempotency().insert(b"key", &record(b"kept"), NOW, at(60))) }
        });
        tokio::task::yield_now().await;
        drop(unit);
        assert!(waiting.await.unwrap());
    }

    async fn answers_that_are_too_old_are_removed(world: World) {
        commit!(world.store, unit => unit.idempotency().insert(b"old", &record(b""), NOW, at(60)));
        commit!(world.store, unit => unit.idempotency().insert(b"new", &record(b""), NOW, at(61)));
        assert_eq!(commit!(world.store, unit => unit.idempotency().prune(at(59), 100)), 0);
        assert_eq!(commit!(world.store, unit => unit.idempotency().prune(at(60), 100)), 1);
        assert!(read!(world.store, unit => unit.idempotency().find(b"new", at(60))).is_some());
    }
}
