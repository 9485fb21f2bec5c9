//! Cursors: one reader at a time, each where the one before it stopped.

use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::broker_cursors::Turn;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{World, at, seconds};

const BROKER: &str = "alpaca";

/// A turn of half a minute.
async fn take_turn(world: &World, second: i64) -> Option<Turn> {
    commit!(world.store, unit => unit.broker_cursors().take_turn(BROKER, at(second), seconds(30)))
}

async fn advance(world: &World, turn: &Turn, cursor: Option<&str>, until: i64) -> Option<Turn> {
    commit!(world.store, unit => unit.broker_cursors().advance(BROKER, turn, cursor, at(until)))
}

async fn cursor(world: &World) -> Option<String> {
    read!(world.store, unit => unit.broker_cursors().cursor(BROKER))
}

/// A turn as it is to be.
fn turn(cursor: Option<&str>, until: i64) -> Turn {
    Turn { cursor: cursor.map(str::to_owned), until: at(until) }
}

on_both_engines! {
    async fn a_turn_is_exclusive_until_it_ends(world: World) {
        assert_eq!(cursor(&world).await, None);
        assert_eq!(take_turn(&world, 0).await, Some(turn(None, 30)));
        for taken in [0, 1, 29] {
            assert_eq!(take_turn(&world, taken).await, None);
        }
        assert_eq!(take_turn(&world, 30).await, Some(turn(None, 60)));
        assert_eq!(take_turn(&world, 59).await, None);
        assert_eq!(cursor(&world).await, None);
    }

    async fn whoever_reads_moves_the_cursor_and_prolongs_their_turn(world: World) {
        let first = take_turn(&world, 0).await.unwrap();
        let second = advance(&world, &first, Some("01A"), 50).await;
        assert_eq!(second, Some(turn(Some("01A"), 50)));
        assert_eq!(cursor(&world).await.as_deref(), Some("01A"));
        assert_eq!(take_turn(&world, 49).await, None);
        // No news, but still there.
        let third = advance(&world, &second.unwrap(), Some("01A"), 80).await;
        assert_eq!(third, Some(turn(Some("01A"), 80)));
        assert_eq!(take_turn(&world, 79).await, None);
        assert_eq!(cursor(&world).await.as_deref(), Some("01A"));
    }

    async fn a_turn_names_itself_by_its_end_so_an_older_one_is_over(world: World) {
        let first = take_turn(&world, 0).await.unwrap();
        let second = advance(&world, &first, Some("01A"), 50).await.unwrap();
        assert_eq!(advance(&world, &first, Some("00Z"), 90).await, None);
        assert_eq!(cursor(&world).await.as_deref(), Some("01A"));
        assert!(advance(&world, &second, Some("01B"), 60).await.is_some());
    }

    async fn whoever_lost_their_turn_moves_nothing(world: World) {
        let slow = take_turn(&world, 0).await.unwrap();
        let quick = take_turn(&world, 31).await.unwrap();
        assert_eq!(advance(&world, &slow, Some("01A"), 90).await, None);
        assert_eq!((cursor(&world).await, take_turn(&world, 60).await), (None, None));
        let quick = advance(&world, &quick, Some("01B"), 90).await.unwrap();
        assert_eq!(advance(&world, &slow, None, 95).await, None);
        assert_eq!(cursor(&world).await.as_deref(), Some("01B"));
        assert!(advance(&world, &quick, Some("01C"), 99).await.is_some());
    }

    async fn a_turn_that_is_over_is_theirs_until_somebody_takes_the_next(world: World) {
        let slow = take_turn(&world, 0).await.unwrap();
        // Nobody was there: nothing was read twice.
        assert_eq!(advance(&world, &slow, Some("01A"), 130).await, Some(turn(Some("01A"), 130)));
        assert_eq!(take_turn(&world, 129).await, None);
    }

    async fn whoever_gave_their_turn_back_has_none(world: World) {
        let first = take_turn(&world, 0).await.unwrap();
        assert!(advance(&world, &first, Some("01A"), 5).await.is_some());
        assert_eq!(advance(&world, &first, Some("01B"), 90).await, None);
        assert_eq!(cursor(&world).await.as_deref(), Some("01A"));
        assert!(take_turn(&world, 5).await.is_some());
    }

    async fn whoever_comes_next_goes_on_where_the_one_before_stopped(world: World) {
        let first = take_turn(&world, 0).await.unwrap();
        // Given back at once.
        assert!(advance(&world, &first, Some("01A"), 5).await.is_some());
        let second = take_turn(&world, 5).await;
        assert_eq!(second, Some(turn(Some("01A"), 35)));
        // Died: its turn ends by itself.
        assert_eq!(take_turn(&world, 35).await, Some(turn(Some("01A"), 65)));
        let other_node = world.database.open().await;
        let kept = read!(other_node, unit => unit.broker_cursors().cursor(BROKER));
        assert_eq!(kept.as_deref(), Some("01A"));
    }

    async fn brokers_are_read_side_by_side(world: World) {
        let ours = take_turn(&world, 0).await.unwrap();
        let theirs =
            commit!(world.store, unit => unit.broker_cursors().take_turn("sandbox", at(0), seconds(30)));
        assert_eq!(theirs, Some(turn(None, 30)));
        assert!(advance(&world, &ours, Some("01A"), 40).await.is_some());
        assert_eq!(read!(world.store, unit => unit.broker_cursors().cursor("sandbox")), None);
        let theirs = theirs.unwrap();
        let moved =
            commit!(world.store, unit => unit.broker_cursors().advance("sandbox", &theirs, Some("7"), at(50)));
        assert_eq!(moved, Some(turn(Some("7"), 50)));
        assert_eq!(cursor(&world).await.as_deref(), Some("01A"));
    }

    async fn a_turn_nobody_took_is_nobodys(world: World) {
        assert_eq!(advance(&world, &turn(None, 30), Some("01A"), 60).await, None);
        assert_eq!(cursor(&world).await, None);
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.broker_cursors().take_turn(BROKER, at(0), seconds(30)).await.unwrap().is_some());
        drop(unit);
        assert!(take_turn(&world, 0).await.is_some(), "it was not committed");
    }

    async fn of_twenty_readers_at_once_one_gets_the_turn(world: World) {
        // The first there is, and the one after that.
        for second in [0, 30] {
            let taken = concurrently(20, |_| {
                let store = world.store.clone();
                async move {
                    commit!(store, unit => unit.broker_cursors().take_turn(BROKER, at(second), seconds(30)))
                }
            })
            .await;
            let taken: Vec<Turn> = taken.into_iter().flatten().collect();
            assert_eq!(taken, [turn(None, second + 30)]);
        }
    }

    async fn a_turn_is_prolonged_or_taken_over_but_not_both(world: World) {
        let slow = take_turn(&world, 0).await.unwrap();
        let winners = concurrently(20, |number| {
            let (store, slow) = (world.store.clone(), slow.clone());
            async move {
                let mut unit = store.begin().await.unwrap();
                let mut cursors = unit.broker_cursors();
                let turn = if number % 2 == 0 {
                    cursors.take_turn(BROKER, at(31), seconds(30)).await.unwrap()
                } else {
                    cursors.advance(BROKER, &slow, Some("01A"), at(70)).await.unwrap()
                };
                unit.commit().await.unwrap();
                turn
            }
        })
        .await;
        assert_eq!(winners.iter().flatten().count(), 1, "{winners:?}");
    }
}
