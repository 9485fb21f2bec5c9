//! A job that fails is tried again, for so long.

use serde_json::json;
use tidegate_testkit::on_both_engines;

use super::shop::{Next, PACK, Story};

const DAY: u64 = 24 * 3_600;

impl Story {
    /// A job that failed three times.
    async fn dead(&self) -> i64 {
        self.shop.next(Next::Fail);
        self.shop.enqueue(PACK, json!(1)).await;
        for seconds in [0, 10, 20] {
            self.advance(seconds);
            assert_eq!(self.shop.work(PACK).await, [Err("no boxes".to_owned())]);
        }
        let row = self.shop.row().await;
        assert_eq!((row.state.as_str(), row.attempts), ("dead", 3));
        row.number
    }
}

on_both_engines! {
    async fn one_that_stops_with_its_node_costs_no_attempt(story: Story) {
        let shop = &story.shop;
        shop.next(Next::Stop);
        shop.enqueue(PACK, serde_json::json!(1)).await;
        for _ in 0..5 {
            assert_eq!(shop.work(PACK).await, [Err("its node stopped".to_owned())]);
        }
        assert_eq!(shop.row().await.attempts, 0);
        shop.next(Next::Succeed);
        assert_eq!(shop.work(PACK).await, [Ok(())]);
        assert!(shop.rows().await.is_empty());
    }

    async fn it_is_tried_again_later_and_later(story: Story) {
        let shop = &story.shop;
        shop.next(Next::Fail);
        shop.enqueue(PACK, json!(1)).await;
        for (attempt, wait) in [(1, 10), (2, 20)] {
            assert_eq!(shop.work(PACK).await, [Err("no boxes".to_owned())]);
            let row = shop.row().await;
            assert_eq!((row.state.as_str(), row.attempts), ("pending", attempt));
            assert_eq!(row.last_error.as_deref(), Some("no boxes"));
            story.advance(wait - 1);
            assert!(shop.work(PACK).await.is_empty(), "too early");
            story.advance(1);
        }
        shop.next(Next::Succeed);
        assert_eq!(shop.work(PACK).await, [Ok(())]);
        assert_eq!(shop.ran().len(), 3);
        assert!(shop.rows().await.is_empty());
    }

    async fn after_the_last_attempt_it_is_dead_until_an_operator_retries_it(story: Story) {
        let (shop, number) = (&story.shop, story.dead().await);
        story.advance(DAY);
        assert!(shop.work(PACK).await.is_empty());
        assert!(!shop.kernel.retry_job(number + 99).await.unwrap());
        shop.next(Next::Succeed);
        assert!(shop.kernel.retry_job(number).await.unwrap());
        assert!(!shop.kernel.retry_job(number).await.unwrap(), "it is not dead any more");
        assert!(!shop.kernel.drop_job(number).await.unwrap(), "it is not dead any more");
        assert_eq!(shop.work(PACK).await, [Ok(())]);
        assert!(shop.rows().await.is_empty());
    }

    async fn a_dead_job_is_dropped_by_its_operator_or_after_ninety_days(story: Story) {
        let (shop, number) = (&story.shop, story.dead().await);
        assert!(shop.kernel.drop_job(number).await.unwrap());
        assert!(shop.rows().await.is_empty());
        story.dead().await;
        story.advance(89 * DAY);
        shop.kernel.prune().await.unwrap();
        assert_eq!(shop.rows().await.len(), 1);
        story.advance(2 * DAY);
        shop.kernel.prune().await.unwrap();
        assert!(shop.rows().await.is_empty());
    }

    async fn what_cannot_succeed_is_dead_at_once(story: Story) {
        story.shop.next(Next::FailForGood);
        story.shop.enqueue(PACK, json!(1)).await;
        assert_eq!(story.shop.work(PACK).await, [Err("no such shop".to_owned())]);
        let row = story.shop.row().await;
        assert_eq!((row.state.as_str(), row.attempts), ("dead", 1));
    }

    async fn a_panic_is_a_failed_attempt(story: Story) {
        story.shop.next(Next::Panic);
        story.shop.enqueue(PACK, json!(1)).await;
        assert_eq!(story.shop.work(PACK).await, [Err("it panicked; the log has the place".to_owned())]);
        assert_eq!(story.shop.row().await.state, "pending");
        story.shop.next(Next::Succeed);
        story.advance(10);
        assert_eq!(story.shop.work(PACK).await, [Ok(())]);
    }

    async fn the_same_enqueued_meanwhile_takes_the_place_of_a_retry(story: Story) {
        let shop = &story.shop;
        let job = |payload| shop.kernel.job(PACK, &json!(payload)).unwrap().once_for("box 7");
        let number = story.dead_of(job("first")).await;
        shop.add(&job("second")).await;
        shop.next(Next::Succeed);
        assert!(shop.kernel.retry_job(number).await.unwrap());
        assert_eq!(shop.work(PACK).await, [Ok(())]);
        assert!(shop.rows().await.is_empty());
        assert_eq!(shop.ran().last(), Some(&json!("second")));
    }
}

impl Story {
    async fn dead_of(&self, job: tidegate_kernel::jobs::NewJob) -> i64 {
        self.shop.next(Next::FailForGood);
        self.shop.add(&job).await;
        self.shop.work(PACK).await;
        self.shop.row().await.number
    }
}
