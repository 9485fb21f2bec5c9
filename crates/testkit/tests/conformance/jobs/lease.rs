//! A job is one worker's for a time, and then another's.

use std::sync::Arc;

use serde_json::json;
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;
use tidegate_kernel::jobs::repository::{JobRow, Settlement};
use tidegate_testkit::on_both_engines;

use super::shop::{PACK, Story, WAIT};

impl Story {
    async fn claim(&self) -> Option<JobRow> {
        let mut unit = self.shop.kernel.store.begin().await.unwrap();
        let lease = std::time::Duration::from_secs(30);
        let claimed = unit.jobs().claim(PACK, self.app.now(), lease, 1).await.unwrap().pop();
        unit.commit().await.unwrap();
        claimed
    }

    async fn settle(&self, row: &JobRow, settlement: Settlement<'_>) -> bool {
        let mut unit = self.shop.kernel.store.begin().await.unwrap();
        let settled = unit.jobs().settle(row.id(), row.claim(), settlement).await.unwrap();
        unit.commit().await.unwrap();
        settled
    }

    async fn renew(&self, row: &JobRow, until: Timestamp) -> bool {
        let mut unit = self.shop.kernel.store.begin().await.unwrap();
        let renewed = unit.jobs().renew(row.id(), row.claim(), until).await.unwrap();
        unit.commit().await.unwrap();
        renewed
    }
}

on_both_engines! {
    async fn another_node_takes_it_when_the_lease_ran_out_and_the_late_one_settles_nothing(story: Story) {
        let (_node, other) = story.another().await;
        story.shop.enqueue(WAIT, json!(1)).await;
        let slow = Arc::clone(&story.shop);
        let late = tokio::spawn(async move { slow.work(WAIT).await });
        story.shop.begins(1).await;
        assert!(other.work(WAIT).await.is_empty(), "it is held");
        story.advance(29);
        assert!(other.work(WAIT).await.is_empty(), "it is held");
        story.advance(1);
        let quick = Arc::clone(&other);
        let taken = tokio::spawn(async move { quick.work(WAIT).await });
        other.begins(1).await;
        // The first one comes to its end, late: what it writes is refused, and the job is still the other's.
        story.shop.open_gate();
        late.await.unwrap();
        assert_eq!((story.shop.lost(), story.shop.ran().len()), (1, 0));
        let row = other.row().await;
        assert_eq!((row.state.as_str(), row.attempts), ("running", 2));
        other.open_gate();
        assert_eq!(taken.await.unwrap(), [Ok(())]);
        assert_eq!((other.lost(), other.ran().len()), (0, 1));
        assert!(other.rows().await.is_empty());
    }

    async fn a_late_worker_changes_nothing_whatever_it_says(story: Story) {
        story.shop.enqueue(PACK, json!(1)).await;
        let late = story.claim().await.unwrap();
        assert!(story.claim().await.is_none());
        story.advance(30);
        let present = story.claim().await.unwrap();
        let now = story.app.now();
        for settlement in [
            Settlement::Done,
            Settlement::Again { at: now, error: "late" },
            Settlement::Next { at: now },
            Settlement::Dead { at: now, error: "late" },
        ] {
            assert!(!story.settle(&late, settlement).await, "{settlement:?}");
        }
        assert!(!story.renew(&late, Timestamp::from_seconds(i64::from(u32::MAX))).await);
        let row = story.shop.row().await;
        assert_eq!((row.state.as_str(), row.leased_until(), row.last_error), ("running", present.leased_until(), None));
        assert!(story.settle(&present, Settlement::Done).await);
    }

    async fn a_renewed_lease_holds_on(story: Story) {
        story.shop.enqueue(PACK, json!(1)).await;
        let row = story.claim().await.unwrap();
        story.advance(29);
        assert!(story.renew(&row, story.app.now().plus(std::time::Duration::from_secs(30))).await);
        story.advance(29);
        assert!(story.claim().await.is_none());
        story.advance(1);
        assert!(story.claim().await.is_some());
    }

    async fn a_job_that_outlives_no_worker_is_given_up(story: Story) {
        story.shop.enqueue(PACK, json!(1)).await;
        for _ in 0..3 {
            assert!(story.claim().await.is_some());
            story.advance(30);
        }
        assert_eq!(story.shop.work(PACK).await, [Err("no worker lived to the end of it".to_owned())]);
        assert_eq!(story.shop.row().await.state, "dead");
        assert!(story.shop.ran().is_empty());
    }
}
