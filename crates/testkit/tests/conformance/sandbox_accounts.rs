//! What the embedded sandbox keeps: one account for each address, each revision upon the one before.

use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::sandbox_accounts::SandboxRecord;
use tidegate_testkit::{concurrently, on_both_engines};
use uuid::Uuid;

use crate::world::{World, at};

/// A first revision whose last status begins at that second.
fn record(id: Uuid, email: &str, second: i64) -> SandboxRecord<'_> {
    SandboxRecord { id, email, revision: 1, last_step_at: at(second), sealed: b"one" }
}

async fn insert(world: &World, record: SandboxRecord<'_>) -> bool {
    commit!(world.store, unit => unit.sandbox_accounts().insert(record))
}

async fn replace(world: &World, record: SandboxRecord<'_>) -> bool {
    commit!(world.store, unit => unit.sandbox_accounts().replace(record))
}

async fn find(world: &World, id: Uuid) -> Option<Vec<u8>> {
    read!(world.store, unit => unit.sandbox_accounts().find(id))
}

async fn find_by_email(world: &World, email: &str) -> Option<(Uuid, Vec<u8>)> {
    read!(world.store, unit => unit.sandbox_accounts().find_by_email(email))
}

/// The keys of the accounts that change at that second or later.
async fn changing(world: &World, since: i64) -> Vec<Uuid> {
    let found = read!(world.store, unit => unit.sandbox_accounts().changing_since(at(since)));
    found.into_iter().map(|(id, _)| id).collect()
}

on_both_engines! {
    async fn an_account_is_found_by_its_key_and_its_address(world: World) {
        let (ada, eve) = (world.key(), world.key());
        assert_eq!((find(&world, ada).await, find_by_email(&world, "ada@example.com").await), (None, None));
        let sealed: Vec<u8> = (0..=255).collect();
        assert!(insert(&world, SandboxRecord { sealed: &sealed, ..record(ada, "ada@example.com", 0) }).await);
        assert!(insert(&world, SandboxRecord { sealed: b"", ..record(eve, "eve@example.com", 0) }).await);
        assert_eq!(find(&world, ada).await.as_ref(), Some(&sealed));
        assert_eq!(find_by_email(&world, "ada@example.com").await, Some((ada, sealed)));
        assert_eq!(find(&world, eve).await, Some(Vec::new()));
        assert_eq!(find(&world, world.key()).await, None);
        for other in ["ADA@example.com", "ada@example.com ", "%", ""] {
            assert_eq!(find_by_email(&world, other).await, None, "{other}");
        }
    }

    async fn an_address_and_a_key_are_those_of_whoever_was_first(world: World) {
        let (ada, eve) = (world.key(), world.key());
        assert!(insert(&world, record(ada, "ada@example.com", 0)).await);
        for (id, email) in [(ada, "other@example.com"), (eve, "ada@example.com"), (ada, "ada@example.com")] {
            let second = SandboxRecord { sealed: b"two", ..record(id, email, 0) };
            assert!(!insert(&world, second).await);
        }
        assert_eq!(find_by_email(&world, "ada@example.com").await, Some((ada, b"one".to_vec())));
        assert_eq!((find_by_email(&world, "other@example.com").await, find(&world, eve).await), (None, None));
        assert!(insert(&world, record(eve, "eve@example.com", 0)).await);
    }

    // The unit that was refused goes on: it asks why.
    async fn a_refused_account_does_not_spoil_its_unit(world: World) {
        let (ada, eve) = (world.key(), world.key());
        assert!(insert(&world, record(ada, "ada@example.com", 0)).await);
        let mut unit = world.store.begin().await.unwrap();
        assert!(!unit.sandbox_accounts().insert(record(eve, "ada@example.com", 0)).await.unwrap());
        assert_eq!(unit.sandbox_accounts().find(eve).await.unwrap(), None);
        assert!(unit.sandbox_accounts().insert(record(eve, "eve@example.com", 0)).await.unwrap());
        unit.commit().await.unwrap();
        assert!(find(&world, eve).await.is_some());
    }

    async fn of_twenty_accounts_for_one_address_one_is_kept(world: World) {
        let keys: Vec<Uuid> = (0..20).map(|_| world.key()).collect();
        let added = concurrently(20, |number| {
            let (store, id) = (world.store.clone(), keys[number]);
            async move {
                let new = record(id, "ada@example.com", 0);
                commit!(store, unit => unit.sandbox_accounts().insert(new))
            }
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from sandbox_accounts").await, 1);
    }

    async fn a_revision_replaces_the_one_just_before(world: World) {
        let (ada, eve) = (world.key(), world.key());
        for (id, email) in [(ada, "ada@example.com"), (eve, "eve@example.com")] {
            assert!(insert(&world, record(id, email, 0)).await);
        }
        for (revision, replaced) in
            [(1, false), (3, false), (2, true), (2, false), (1, false), (4, false), (3, true), (4, true)]
        {
            let sealed = format!("{revision}");
            let new =
                SandboxRecord { revision, sealed: sealed.as_bytes(), ..record(ada, "ada@example.com", 9) };
            assert_eq!(replace(&world, new).await, replaced, "{revision}");
            if replaced {
                assert_eq!(find_by_email(&world, "ada@example.com").await, Some((ada, sealed.into_bytes())));
            }
        }
        assert_eq!(find(&world, eve).await, Some(b"one".to_vec()));
        assert_eq!(changing(&world, 1).await, [ada]);
        assert!(!replace(&world, SandboxRecord { revision: 2, ..record(world.key(), "", 0) }).await);
        assert_eq!(world.database.sql_count("select count(*) from sandbox_accounts").await, 2);
    }

    async fn of_twenty_who_write_one_revision_one_does(world: World) {
        let ada = world.key();
        assert!(insert(&world, record(ada, "ada@example.com", 0)).await);
        let replaced = concurrently(20, |number| {
            let store = world.store.clone();
            async move {
                let sealed = [u8::try_from(number).unwrap()];
                let new =
                    SandboxRecord { revision: 2, sealed: &sealed, ..record(ada, "ada@example.com", 0) };
                commit!(store, unit => unit.sandbox_accounts().replace(new))
            }
        })
        .await;
        let winner = replaced.iter().position(|replaced| *replaced).unwrap();
        assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1);
        assert_eq!(find(&world, ada).await, Some(vec![u8::try_from(winner).unwrap()]));
    }

    async fn accounts_that_still_change_are_listed_by_when_they_last_do(world: World) {
        let [late, early, middle]: [Uuid; 3] = std::array::from_fn(|_| world.key());
        assert!(changing(&world, -1_000).await.is_empty());
        for (id, email, second) in
            [(late, "late@example.com", 30), (early, "early@example.com", 10), (middle, "m@example.com", 20)]
        {
            assert!(insert(&world, record(id, email, second)).await);
        }
        assert_eq!(changing(&world, 0).await, [early, middle, late]);
        // The very moment counts.
        assert_eq!(changing(&world, 10).await, [early, middle, late]);
        assert_eq!(changing(&world, 11).await, [middle, late]);
        assert_eq!(changing(&world, 30).await, [late]);
        assert!(changing(&world, 31).await.is_empty());
        let later = SandboxRecord { revision: 2, ..record(early, "early@example.com", 40) };
        assert!(replace(&world, later).await);
        assert_eq!(changing(&world, 20).await, [middle, late, early]);
        let found = read!(world.store, unit => unit.sandbox_accounts().changing_since(at(30)));
        assert_eq!(found, [(late, b"one".to_vec()), (early, b"one".to_vec())]);
    }
}
