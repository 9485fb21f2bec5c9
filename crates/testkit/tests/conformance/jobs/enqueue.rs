//! A job is enqueued by the unit of work that wants it.

use serde_json::json;
use tidegate_domain::id::AccountId;
use tidegate_kernel::KernelTables;
use tidegate_testkit::on_both_engines;
use uuid::Uuid;

use super::shop::{PACK, Story};

on_both_engines! {
    async fn it_commits_with_the_unit_and_vanishes_with_its_rollback(story: Story) {
        let shop = &story.shop;
        let job = shop.kernel.job(PACK, &json!("a")).unwrap();
        let mut unit = shop.kernel.store.begin().await.unwrap();
        unit.jobs().enqueue(&job).await.unwrap();
        drop(unit);
        assert!(shop.work(PACK).await.is_empty());
        assert!(shop.rows().await.is_empty());

        shop.add(&job).await;
        assert_eq!(shop.work(PACK).await, [Ok(())]);
        assert_eq!(shop.ran(), [json!("a")]);
        assert!(shop.rows().await.is_empty(), "a job that is done leaves nothing");
    }

    async fn one_of_a_key_waits_and_runs_at_the_earlier_time(story: Story) {
        let shop = &story.shop;
        let job = |seconds| {
            let at = story.app.now().plus(std::time::Duration::from_secs(seconds));
            shop.kernel.job(PACK, &json!(seconds)).unwrap().once_for("box 7").at(at)
        };
        let number = shop.add(&job(60)).await;
        assert_eq!(shop.add(&job(30)).await, number);
        assert_eq!(shop.add(&job(90)).await, number);
        let other = shop.kernel.job(PACK, &json!("other")).unwrap().once_for("box 8");
        assert_ne!(shop.add(&other).await, number);
        shop.work(PACK).await;
        assert_eq!(shop.ran(), [json!("other")], "another key is another job");
        story.advance(29);
        assert!(shop.work(PACK).await.is_empty());
        story.advance(1);
        shop.work(PACK).await;
        assert_eq!(shop.ran(), [json!("other"), json!(60)]);
        // Nothing waits any more, so the key is free.
        assert_ne!(shop.add(&job(0)).await, number);
        shop.work(PACK).await;
        assert_eq!(shop.ran().len(), 3);
    }

    async fn a_sealed_payload_is_sealed_for_its_row(story: Story) {
        let shop = &story.shop;
        let secret = json!({ "token": "planted secret" });
        shop.add(&shop.kernel.sealed_job(PACK, &secret).unwrap()).await;
        let plain = shop.kernel.job(PACK, &json!("plain words")).unwrap();
        shop.add(&plain).await;
        let sealed = "select count(*) from jobs where sealed and length(payload) > 40";
        assert_eq!(story.app.sql_count(sealed).await, 1);
        // Moved to another row it does not open.
        story.app.sql("update jobs set payload = (select payload from jobs where sealed), sealed = true where not sealed").await;
        let outcomes = shop.work(PACK).await;
        assert_eq!(outcomes[0], Ok(()));
        assert!(outcomes[1].as_ref().unwrap_err().contains("its payload: "), "{outcomes:?}");
        assert_eq!(shop.ran(), [secret]);
    }

    async fn a_job_about_an_account_goes_with_it(story: Story) {
        let shop = &story.shop;
        let (ada, eve) = (AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
        for account in [ada, eve] {
            shop.add(&shop.kernel.job(PACK, &json!(null)).unwrap().about(account)).await;
        }
        let mut unit = shop.kernel.store.begin().await.unwrap();
        unit.jobs().delete_of(ada).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(shop.rows().await.len(), 1);
    }
}
