//! Rate limits: every call counts, once, whoever makes it.

use tidegate_domain::Timestamp;
use tidegate_domain::limit::Limit;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::limits::Attempts;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at};

const LIMIT: Limit = Limit::new(5, 60);

on_both_engines! {
    async fn as_many_calls_pass_as_the_limit_says(world: World) {
        for call in 1..=7_u32 {
            let status =
                commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 1, at(i64::from(call))));
            assert_eq!((status.limit, status.remaining), (5, 5_u32.saturating_sub(call)));
            assert_eq!((status.exceeded, status.resets_at), (call > 5, at(61)));
        }
    }

    async fn calls_at_once_are_all_counted(world: World) {
        let limit = Limit::new(1_000, 60);
        let statuses = concurrently(50, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.limits().count(b"ada", limit, 1, NOW)) }
        })
        .await;
        // Each saw a number of its own.
        let mut remaining: Vec<u32> = statuses.iter().map(|status| status.remaining).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, (950..1_000).collect::<Vec<_>>());
    }

    async fn exactly_the_allowed_number_of_concurrent_calls_passes(world: World) {
        let statuses = concurrently(50, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.limits().count(b"ada", LIMIT, 1, NOW)) }
        })
        .await;
        assert_eq!(statuses.iter().filter(|status| !status.exceeded).count(), 5);
    }

    async fn a_window_begins_with_its_first_call_and_ends_at_its_last_instant(world: World) {
        let count =
            async |second| commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 1, at(second)));
        for _ in 0..6 {
            count(10).await;
        }
        assert!(count(69).await.exceeded);
        let fresh = count(70).await;
        assert_eq!((fresh.exceeded, fresh.remaining, fresh.resets_at), (false, 4, at(130)));
    }

    async fn buckets_do_not_mix(world: World) {
        for bucket in [&b"ada"[..], b"ADA", b"", b"\0", b"\xff\xfe"] {
            let status = commit!(world.store, unit => unit.limits().count(bucket, LIMIT, 1, NOW));
            assert_eq!(status.remaining, 4, "{bucket:?}");
        }
    }

    async fn many_calls_are_counted_at_once(world: World) {
        let status = commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 3, NOW));
        assert_eq!(status.remaining, 2);
        let status = commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 3, NOW));
        assert!(status.exceeded);
        // The first of a new window, many at once.
        let status = commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 4, at(60)));
        assert_eq!((status.remaining, status.resets_at), (1, at(120)));
    }

    async fn a_call_taken_back_does_not_count(world: World) {
        for _ in 0..2 {
            commit!(world.store, unit => unit.limits().count(&[1; 32], LIMIT, 1, NOW));
        }
        // More are taken back than were counted: nobody gets credit.
        for _ in 0..4 {
            commit!(world.store, unit => unit.limits().refund_all(&[[1; 32]]));
        }
        commit!(world.store, unit => unit.limits().refund_all(&[[2; 32]]));
        let status = commit!(world.store, unit => unit.limits().count(&[1; 32], LIMIT, 1, NOW));
        assert_eq!(status.remaining, 4);
    }

    async fn a_count_that_was_not_committed_is_none(world: World) {
        let mut unit = world.store.begin().await.unwrap();
        unit.limits().count(b"ada", LIMIT, 5, NOW).await.unwrap();
        drop(unit);
        let status = commit!(world.store, unit => unit.limits().count(b"ada", LIMIT, 1, NOW));
        assert_eq!(status.remaining, 4);
    }

    async fn only_windows_that_are_over_are_removed(world: World) {
        for old in [b"one", b"two", b"six"] {
            commit!(world.store, unit => unit.limits().count(old, LIMIT, 1, NOW));
        }
        commit!(world.store, unit => unit.limits().count(b"new", LIMIT, 1, at(1)));
        assert_eq!(commit!(world.store, unit => unit.limits().prune(at(59), 2)), 0);
        for expected in [2, 1, 0] {
            assert_eq!(commit!(world.store, unit => unit.limits().prune(at(60), 2)), expected);
        }
        let status = commit!(world.store, unit => unit.limits().count(b"new", LIMIT, 1, at(2)));
        assert_eq!(status.remaining, 3);
    }

    async fn a_window_without_end_and_a_clock_at_its_end_do_not_overflow(world: World) {
        let endless = Limit::new(5, u64::MAX);
        let end = Timestamp::from_micros(i64::MAX);
        for now in [NOW, end, Timestamp::from_micros(i64::MIN)] {
            commit!(world.store, unit => unit.limits().count(b"ada", endless, 1, now));
        }
        assert_eq!(world.database.sql_count("select max(resets_at) from rate_limit_buckets").await, i64::MAX);
    }

    async fn several_buckets_are_counted_by_one_statement_and_answered_in_their_order(world: World) {
        let attempts = |name: u8, attempts: u32, times| {
            Attempts { bucket: [name; 32], limit: Limit::new(attempts, 60), times }
        };
        // Neither sorted nor free of repeats.
        let all = [attempts(9, 5, 1), attempts(1, 2, 3), attempts(9, 4, 1), attempts(5, 5, 1)];
        let statuses = commit!(world.store, unit => unit.limits().count_all(&all, NOW));
        let seen: Vec<_> = statuses.iter().map(|status| (status.remaining, status.exceeded)).collect();
        assert_eq!(seen, [(3, false), (0, true), (2, false), (4, false)]);
        // The next window, for one that was not counted as well.
        let later = [attempts(2, 5, 1), attempts(1, 2, 1)];
        let statuses = commit!(world.store, unit => unit.limits().count_all(&later, at(60)));
        let seen: Vec<_> = statuses.iter().map(|status| (status.remaining, status.resets_at)).collect();
        assert_eq!(seen, [(4, at(120)), (1, at(120))]);
        assert!(commit!(world.store, unit => unit.limits().count_all(&[], NOW)).is_empty());
    }

    async fn more_buckets_than_a_statement_holds_are_counted_and_taken_back(world: World) {
        let buckets: Vec<[u8; 32]> = (0..50).rev().map(|name| [name; 32]).collect();
        let all: Vec<_> =
            buckets.iter().map(|bucket| Attempts { bucket: *bucket, limit: LIMIT, times: 2 }).collect();
        let statuses = commit!(world.store, unit => unit.limits().count_all(&all, NOW));
        assert!(statuses.len() == 50 && statuses.iter().all(|status| status.remaining == 3));
        commit!(world.store, unit => unit.limits().refund_all(&buckets));
        let sum = "select cast(sum(count) as bigint) from rate_limit_buckets";
        assert_eq!(world.database.sql_count(sum).await, 50);
        // More are taken back than were counted, and some that never were: no credit.
        for _ in 0..3 {
            commit!(world.store, unit => unit.limits().refund_all(&[[0; 32], [99; 32], [0; 32]]));
        }
        let status = commit!(world.store, unit => unit.limits().count(&[99; 32], LIMIT, 1, NOW));
        assert_eq!((status.remaining, status.resets_at), (4, at(60)));
        assert_eq!(commit!(world.store, unit => unit.limits().count(&[0; 32], LIMIT, 1, NOW)).remaining, 4);
    }

    /// Units lock rows in the order of their keys, in whatever order they name them.
    async fn units_that_count_the_same_buckets_do_not_wait_for_each_other_in_a_circle(world: World) {
        concurrently(40, |number| {
            let store = world.store.clone();
            async move {
                let mut buckets: Vec<[u8; 32]> = (0..8).map(|name| [name; 32]).collect();
                buckets.rotate_left(number % 8);
                let limit = Limit::new(1_000, 60);
                let all: Vec<_> =
                    buckets.iter().map(|bucket| Attempts { bucket: *bucket, limit, times: 1 }).collect();
                commit!(store, unit => unit.limits().count_all(&all, NOW));
                buckets.reverse();
                commit!(store, unit => unit.limits().refund_all(&buckets));
            }
        })
        .await;
        assert_eq!(world.database.sql_count("select max(count) from rate_limit_buckets").await, 0);
    }
}
