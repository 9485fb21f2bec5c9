//! The runner: all nodes at once, until they stop.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use tidegate_kernel::Kernel;
use tidegate_kernel::jobs::Runner;
use tidegate_testkit::{eventually, on_both_engines};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::shop::{HOLD, HOLD_LEASE, Next, PACK, Story, TICK, WAIT};

/// A runner of those jobs, and what stops it.
fn start(kernel: &Arc<Kernel>, names: &[&str]) -> (JoinHandle<()>, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let runner = Runner::only(kernel, names);
    (tokio::spawn(runner.run(async move { drop(stopped.await) })), stop)
}

on_both_engines! {
    async fn two_nodes_do_fifty_jobs_each_exactly_once(story: Story) {
        let (_node, other) = story.another().await;
        for number in 0..50 {
            let shop = if number % 2 == 0 { &story.shop } else { &other };
            shop.enqueue(PACK, json!(number)).await;
        }
        let runners = [&story.shop, &other].map(|shop| start(&shop.kernel, &[PACK]));
        eventually("all are done", async || story.shop.rows().await.is_empty().then_some(())).await;
        let mut ran = story.shop.ran();
        ran.extend(other.ran());
        assert_eq!(ran.len(), 50);
        assert_eq!(ran.iter().filter_map(|number| number.as_i64()).collect::<BTreeSet<_>>(), (0..50).collect());
        for (running, stop) in runners {
            drop(stop);
            running.await.unwrap();
        }
    }

    async fn a_job_enqueued_by_another_node_is_done(story: Story) {
        let (_node, other) = story.another().await;
        let (running, _stop) = start(&story.shop.kernel, &[PACK]);
        other.enqueue(PACK, json!("from afar")).await;
        eventually("it is done", || std::future::ready((story.shop.ran().len() == 1).then_some(()))).await;
        running.abort();
    }

    async fn a_node_that_stops_claims_nothing_and_finishes_what_it_does(story: Story) {
        story.shop.enqueue(WAIT, json!("begun")).await;
        let (running, stop) = start(&story.shop.kernel, &[WAIT, PACK]);
        story.shop.begins(1).await;
        drop(stop);
        story.shop.enqueue(PACK, json!("too late")).await;
        story.shop.open_gate();
        running.await.unwrap();
        // What was begun is done. Whether the other was claimed before the runner heard of the stop is a race: it is never half
        // done.
        let rows = story.shop.rows().await;
        assert!(rows.iter().all(|row| row.state == "pending"), "{rows:?}");
        assert!(story.shop.ran().contains(&json!("begun")));
        assert_eq!(story.shop.ran().len() + rows.len(), 2);
    }

    async fn a_job_of_a_newer_version_is_left_alone(story: Story) {
        let id = story.app.database.sql_uuid(uuid::Uuid::from_u128(7));
        story.shop.enqueue(PACK, json!(1)).await;
        story.app.sql(&format!("update jobs set name = 'of a newer version', id = {id}")).await;
        story.shop.enqueue(PACK, json!(2)).await;
        let (running, stop) = start(&story.shop.kernel, &[PACK, WAIT]);
        eventually("the known one is done", || std::future::ready((story.shop.ran() == [json!(2)]).then_some(()))).await;
        drop(stop);
        running.await.unwrap();
        story.app.kernel().prune().await.unwrap();
        let left = story.app.database.sql_texts(
            "select name || ' ' || state || ' ' || cast(attempts as text) from jobs where not scheduled",
        );
        assert_eq!(left.await, ["of a newer version pending 0"]);
    }

    async fn a_job_of_each_node_runs_on_all_of_them_and_survives_a_panic(story: Story) {
        let (_node, other) = story.another().await;
        story.shop.next(Next::Panic);
        let runners = [&story.shop, &other].map(|shop| start(&shop.kernel, &[TICK]));
        for shop in [&story.shop, &other] {
            shop.begins(3).await;
        }
        for (running, stop) in runners {
            drop(stop);
            running.await.unwrap();
        }
        assert!(story.shop.rows().await.is_empty(), "it has no row");
    }

    async fn a_lease_is_renewed_for_as_long_as_the_job_runs(story: Story) {
        let shop = &story.shop;
        let (running, stop) = start(&shop.kernel, &[HOLD]);
        shop.enqueue(HOLD, json!(1)).await;
        shop.begins(1).await;
        for _ in 0..3 {
            // Less than the lease: one that has run out may be claimed again before it is renewed.
            story.app.advance(HOLD_LEASE / 2);
            let until = story.app.now().plus(HOLD_LEASE);
            eventually("it is renewed", async || (shop.row().await.leased_until() == until).then_some(())).await;
        }
        assert_eq!(shop.row().await.attempts, 1);
        shop.open_gate();
        drop(stop);
        running.await.unwrap();
        assert!(shop.rows().await.is_empty());
    }

    async fn a_job_that_another_worker_has_taken_is_stopped(story: Story) {
        let shop = &story.shop;
        let (running, stop) = start(&shop.kernel, &[HOLD]);
        shop.enqueue(HOLD, json!(1)).await;
        shop.begins(1).await;
        let later = story.app.now().plus(std::time::Duration::from_secs(3_600)).micros();
        story.app.sql(&format!("update jobs set claims = claims + 1, leased_until = {later} where name = 'hold'")).await;
        eventually("it is stopped", || std::future::ready((shop.stopped() == 1).then_some(()))).await;
        drop(stop);
        running.await.unwrap();
        let row = shop.row().await;
        assert_eq!((row.state.as_str(), row.attempts, row.last_error), ("running", 1, None));
    }

    async fn a_panic_of_one_job_does_not_keep_the_others_from_running(story: Story) {
        story.shop.next(Next::Panic);
        let (running, _stop) = start(&story.shop.kernel, &[PACK, WAIT]);
        story.shop.enqueue(PACK, json!(1)).await;
        story.shop.begins(1).await;
        story.shop.open_gate();
        story.shop.enqueue(WAIT, json!("after it")).await;
        eventually("the other is done", || {
            std::future::ready(story.shop.ran().contains(&json!("after it")).then_some(()))
        })
        .await;
        running.abort();
    }
}
