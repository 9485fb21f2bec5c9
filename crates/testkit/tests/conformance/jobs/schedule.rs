//! Jobs that run by themselves.

use tidegate_kernel::KernelTables;
use tidegate_testkit::{concurrently, on_both_engines};

use super::shop::{Next, PACK, SWEEP, Story};

const YEAR: u64 = 365 * 24 * 3_600;

on_both_engines! {
    async fn it_runs_once_in_an_interval_on_one_of_the_nodes(story: Story) {
        let (_node, other) = story.another().await;
        let ran = || story.shop.ran().len() + other.ran().len();
        for interval in 1..=3 {
            let shops = [story.shop.clone(), other.clone()];
            concurrently(8, |number| {
                let shop = shops[number % 2].clone();
                async move { shop.work(SWEEP).await }
            })
            .await;
            assert_eq!(ran(), interval);
            story.advance(59);
            story.shop.work(SWEEP).await;
            other.work(SWEEP).await;
            assert_eq!(ran(), interval, "before its time");
            // Its time, and the most that chance adds.
            story.advance(6);
        }
        assert_eq!(story.shop.row().await.state, "pending");
    }

    async fn one_that_fails_is_tried_again_and_never_dead(story: Story) {
        let shop = &story.shop;
        shop.next(Next::Fail);
        for attempt in 1..=6 {
            assert_eq!(shop.work(SWEEP).await.len(), 1, "{attempt}");
            let row = shop.row().await;
            assert_eq!((row.state.as_str(), row.attempts), ("pending", attempt));
            story.advance(3_600);
        }
        shop.next(Next::Succeed);
        assert_eq!(shop.work(SWEEP).await, [Ok(())]);
        let row = shop.row().await;
        assert_eq!((row.attempts, row.last_error), (0, None));
    }

    // A node whose clock is a year ahead has run it, and says when it is due next.
    async fn what_a_clock_that_is_ahead_has_put_off_runs_within_a_period(story: Story) {
        let shop = &story.shop;
        for after_failure in [false, true] {
            shop.next(if after_failure { Next::Fail } else { Next::Succeed });
            let ran = shop.ran().len();
            story.advance(YEAR);
            shop.work(SWEEP).await;
            story.rewind(YEAR);
            shop.work(SWEEP).await;
            assert_eq!(shop.ran().len(), ran + 1, "it is not run at once by every node");
            // Its period with the most that chance adds; its longest delay after a failure.
            story.advance(if after_failure { 3_600 } else { 65 });
            shop.next(Next::Succeed);
            assert_eq!(shop.work(SWEEP).await, [Ok(())]);
            story.advance(65);
        }
    }

    // That node has died while it held the job.
    async fn a_lease_of_a_clock_that_is_ahead_ends_in_time(story: Story) {
        story.advance(YEAR);
        let shop = &story.shop;
        shop.enqueue(PACK, serde_json::json!(1)).await;
        let mut unit = shop.kernel.store.begin().await.unwrap();
        let claimed = unit.jobs().claim(PACK, story.app.now(), std::time::Duration::from_secs(30), 1).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(claimed.len(), 1);
        story.rewind(YEAR);
        // It was enqueued by that clock as well.
        story.app.sql("update jobs set run_at = 0 where name = 'pack'").await;
        assert!(shop.work(PACK).await.is_empty(), "the lease is brought forward, and still holds");
        story.advance(89);
        assert!(shop.work(PACK).await.is_empty());
        story.advance(1);
        assert_eq!(shop.work(PACK).await, [Ok(())]);
    }

    async fn one_that_stops_with_its_node_has_not_failed(story: Story) {
        let shop = &story.shop;
        shop.next(Next::Stop);
        for _ in 0..5 {
            assert_eq!(shop.work(SWEEP).await, [Err("its node stopped".to_owned())]);
            let row = shop.row().await;
            assert_eq!((row.state.as_str(), row.attempts, row.last_error), ("pending", 0, None));
        }
        shop.next(Next::Succeed);
        assert_eq!(shop.work(SWEEP).await, [Ok(())], "at once");
    }

    async fn one_with_nothing_to_do_is_not_even_claimed(story: Story) {
        let shop = &story.shop;
        shop.want(false);
        assert!(shop.work(SWEEP).await.is_empty());
        assert_eq!(shop.row().await.claim().0, 0);
        shop.want(true);
        assert_eq!(shop.work(SWEEP).await, [Ok(())]);
    }
}
