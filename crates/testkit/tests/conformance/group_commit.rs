//! Many units at once: each answered after it is durable, none harmed by its neighbours.

use tidegate_database::{Result, Store, StoreError};
use tidegate_domain::id::AccountId;
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_testkit::{Engine, concurrently, on_both_engines, on_one_engine};

use crate::world::{NOW, World, insert_account};

/// Sizes of group worth trying: none, a few, the default, more than there are units.
const GROUPS: [usize; 5] = [0, 1, 3, 64, 1_000];

/// Adds an account in a unit of its own.
async fn add(store: &Store, id: AccountId) -> Result<()> {
    let mut unit = store.begin().await?;
    insert_account(&mut unit, id).await?;
    unit.commit().await
}

fn keys(world: &World, count: usize) -> Vec<AccountId> {
    (0..count).map(|_| world.key()).collect()
}

on_both_engines! {
    async fn two_hundred_units_at_once_are_each_durable_when_they_are_answered(world: World) {
        let witness = world.database.open().await;
        for max_group in GROUPS {
            let store = world.database.open_with(|options| options.max_group = max_group).await;
            let keys = keys(&world, 200);
            concurrently(200, |number| {
                let (store, witness, key) = (store.clone(), witness.clone(), keys[number]);
                async move {
                    add(&store, key).await.unwrap();
                    // Another node sees it at this moment: the answer did not come before the commit.
                    let mut unit = witness.read().await.unwrap();
                    assert!(unit.accounts().find(key).await.unwrap().is_some());
                }
            })
            .await;
        }
        let expected = i64::try_from(200 * GROUPS.len()).unwrap();
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, expected);
    }

    async fn a_failing_unit_does_not_harm_its_neighbours(world: World) {
        let taken = world.account().await;
        for max_group in GROUPS {
            let store = world.database.open_with(|options| options.max_group = max_group).await;
            let keys = keys(&world, 90);
            let committed = concurrently(90, |number| {
                let (store, key) = (store.clone(), keys[number]);
                async move {
                    let mut unit = store.begin().await.unwrap();
                    insert_account(&mut unit, key).await.unwrap();
                    match number % 3 {
                        // It fails half-way, and its caller gives up.
                        0 => assert!(insert_account(&mut unit, taken).await.is_err()),
                        // Its caller changes their mind.
                        1 => drop(unit),
                        _ => {
                            unit.commit().await.unwrap();
                            return true;
                        }
                    }
                    false
                }
            })
            .await;
            for (key, committed) in keys.into_iter().zip(committed) {
                let found = read!(world.store, unit => unit.accounts().find(key)).is_some();
                assert_eq!(found, committed);
            }
        }
    }

    async fn one_after_another_works_as_well_as_all_at_once(world: World) {
        for max_group in GROUPS {
            let store = world.database.open_with(|options| options.max_group = max_group).await;
            for key in keys(&world, 10) {
                add(&store, key).await.unwrap();
                assert!(read!(world.store, unit => unit.accounts().find(key)).is_some());
            }
        }
    }
}

on_one_engine! { Engine::Sqlite;
    // A full disk, for one, makes SQLite roll back the whole transaction, the neighbours' finished units with it. They
    // must not be told that they were committed, and whoever comes later must not pay for it.
    async fn when_the_whole_group_is_lost_every_unit_in_it_is_told(world: World) {
        world
            .database
            .sql(
                "create trigger full_disk before insert on idempotency_records
                 begin select raise(rollback, 'disk full'); end",
            )
            .await;
        for round in 0..5 {
            let keys = keys(&world, 60);
            let answers = concurrently(60, |number| {
                let (store, key) = (world.store.clone(), keys[number]);
                async move {
                    if number % 10 != round {
                        return add(&store, key).await;
                    }
                    let record =
                        tidegate_kernel::tables::idempotency::Record { fingerprint: Vec::new(), response: Vec::new() };
                    let mut unit = store.begin().await?;
                    insert_account(&mut unit, key).await?;
                    unit.idempotency().insert(b"key", &record, NOW, NOW).await?;
                    unit.commit().await
                }
            })
            .await;
            for (key, answer) in keys.into_iter().zip(&answers) {
                let found = read!(world.store, unit => unit.accounts().find(key)).is_some();
                assert_eq!(found, answer.is_ok(), "{answer:?}");
            }
            assert!(answers.iter().any(|answer| matches!(answer, Err(StoreError::Database(_)))));
            // The trouble is over with those it befell.
            add(&world.store, world.key()).await.unwrap();
        }
    }
}
