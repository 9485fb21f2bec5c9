//! Signing keys: the newest signs, retired ones verify for a while.

use tidegate_database::StoreError;
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::keys::StoredKey;
use tidegate_testkit::on_both_engines;

use crate::world::{World, at};

fn key(kid: &str, created_at: Timestamp) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: vec![0, 255, 7],
        created_at: created_at.micros(),
        retired_at: None,
    }
}

async fn kids(world: &World) -> Vec<(String, Option<i64>)> {
    let keys = read!(world.store, unit => unit.keys().all());
    keys.into_iter().map(|key| (key.kid, key.retired_at)).collect()
}

on_both_engines! {
    async fn keys_are_listed_newest_first_as_they_were_added(world: World) {
        for (kid, second) in [("first", 1), ("third", 3), ("second", 2)] {
            commit!(world.store, unit => unit.keys().insert(&key(kid, at(second))));
        }
        let keys = read!(world.store, unit => unit.keys().all());
        let names: Vec<_> = keys.iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(names, ["third", "second", "first"]);
        assert_eq!(
            (keys[0].algorithm.as_str(), &keys[0].sealed[..], keys[0].retired_at),
            ("ES256", &[0, 255, 7][..], None)
        );
        assert_eq!(keys[0].created_at, at(3).micros());
    }

    async fn a_new_key_retires_the_others_once(world: World) {
        for (kid, second) in [("a", 1), ("b", 2), ("c", 3)] {
            let mut unit = world.store.begin().await.unwrap();
            unit.keys().insert(&key(kid, at(second))).await.unwrap();
            unit.keys().retire_others(kid, false, at(second)).await.unwrap();
            unit.commit().await.unwrap();
        }
        let (second, third) = (at(2).micros(), at(3).micros());
        let expected =
            [("c".to_owned(), None), ("b".to_owned(), Some(third)), ("a".to_owned(), Some(second))];
        assert_eq!(kids(&world).await, expected);
    }

    async fn a_new_key_retires_and_removes_its_own_kind(world: World) {
        for (second, kid, algorithm) in [(1, "a", "ES256"), (2, "r", "RS256"), (3, "s", "RS256")] {
            let new = StoredKey { algorithm: algorithm.to_owned(), ..key(kid, at(second)) };
            commit!(world.store, unit => unit.keys().insert(&new));
        }
        commit!(world.store, unit => unit.keys().retire_others("s", true, at(4)));
        let retired = Some(at(4).micros());
        let expected = [("s".to_owned(), None), ("r".to_owned(), retired), ("a".to_owned(), None)];
        assert_eq!(kids(&world).await, expected);
        commit!(world.store, unit => unit.keys().remove_others("s", true));
        assert_eq!(kids(&world).await, [("s".to_owned(), None), ("a".to_owned(), None)]);
        commit!(world.store, unit => unit.keys().insert(&key("b", at(5))));
        commit!(world.store, unit => unit.keys().retire_others("b", false, at(5)));
        assert_eq!(kids(&world).await.len(), 3);
        // Whoever had one of the others had those of RSA, too.
        commit!(world.store, unit => unit.keys().remove_others("b", false));
        assert_eq!(kids(&world).await, [("b".to_owned(), None)]);
    }

    async fn keys_retired_long_enough_ago_are_removed(world: World) {
        for (kid, second) in [("a", 1), ("b", 2), ("c", 3)] {
            commit!(world.store, unit => unit.keys().insert(&key(kid, at(second))));
            commit!(world.store, unit => unit.keys().retire_others(kid, false, at(second)));
        }
        assert_eq!(commit!(world.store, unit => unit.keys().prune(at(2))), 0);
        assert_eq!(commit!(world.store, unit => unit.keys().prune(at(3))), 1);
        // The signing key is never removed.
        assert_eq!(commit!(world.store, unit => unit.keys().prune(at(1_000_000))), 1);
        assert_eq!(kids(&world).await, [("c".to_owned(), None)]);
    }

    async fn a_key_is_added_once(world: World) {
        commit!(world.store, unit => unit.keys().insert(&key("a", at(1))));
        let mut unit = world.store.begin().await.unwrap();
        let twice = unit.keys().insert(&key("a", at(2))).await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
    }
}
