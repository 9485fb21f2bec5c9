//! Jobs that run by themselves.

use tidegate_testkit::{concurrently, on_both_engines};

use super::shop::{Next, SWEEP, Story};

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

    async fn one_with_nothing_to_do_is_not_even_claimed(story: Story) {
        let shop = &story.shop;
        shop.want(false);
        assert!(shop.work(SWEEP).await.is_empty());
        assert_eq!(shop.row().await.claim().0, 0);
        shop.want(true);
        assert_eq!(shop.work(SWEEP).await, [Ok(())]);
    }
}
