//! Cursors: whoever follows a broker goes on where the one before stopped. That there is one at a time is the job's lease: see
//! the kernel's tests of jobs, and the brokerage's of events.

use tidegate_brokerage::BrokerageTables;
use tidegate_testkit::on_both_engines;

use crate::world::World;

const BROKER: &str = "alpaca";

async fn keep(world: &World, broker: &str, cursor: Option<&str>) {
    commit!(world.store, unit => unit.broker_cursors().keep(broker, cursor));
}

async fn cursor(world: &World, broker: &str) -> Option<String> {
    read!(world.store, unit => unit.broker_cursors().cursor(broker))
}

on_both_engines! {
    async fn whoever_comes_next_goes_on_where_the_one_before_stopped(world: World) {
        assert_eq!(cursor(&world, BROKER).await, None);
        for next in ["01A", "01B"] {
            keep(&world, BROKER, Some(next)).await;
            assert_eq!(cursor(&world, BROKER).await.as_deref(), Some(next));
        }
        let other_node = world.database.open().await;
        let kept = read!(other_node, unit => unit.broker_cursors().cursor(BROKER));
        assert_eq!(kept.as_deref(), Some("01B"));
        // Its broker does not know that event any more.
        keep(&world, BROKER, None).await;
        assert_eq!(cursor(&world, BROKER).await, None);
    }

    async fn brokers_are_read_side_by_side(world: World) {
        keep(&world, BROKER, Some("01A")).await;
        assert_eq!(cursor(&world, "sandbox").await, None);
        keep(&world, "sandbox", Some("7")).await;
        assert_eq!(cursor(&world, BROKER).await.as_deref(), Some("01A"));
        assert_eq!(cursor(&world, "sandbox").await.as_deref(), Some("7"));
    }

    async fn what_is_not_committed_was_not_read(world: World) {
        keep(&world, BROKER, Some("01A")).await;
        let mut unit = world.store.begin().await.unwrap();
        unit.broker_cursors().keep(BROKER, Some("01B")).await.unwrap();
        drop(unit);
        assert_eq!(cursor(&world, BROKER).await.as_deref(), Some("01A"));
    }
}
