//! Signing keys: the newest signs, retired ones verify for a while.

use tidegate_database::StoreError;
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::keys::{KeyUse, StoredKey};
use tidegate_testkit::on_both_engines;

use crate::world::{World, at};

fn key(kid: &str, created_at: Timestamp) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: vec![0, 255, 7],
        created_at: created_at.micros(),
        retired_at: None,
        id_tokens_only: false,
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
            unit.keys().retire_others(&key(kid, at(second)), at(second)).await.unwrap();
            unit.commit().await.unwrap();
        }
        let (second, third) = (at(2).micros(), at(3).micros());
        let expected =
            [("c".to_owned(), None), ("b".to_owned(), Some(third)), ("a".to_owned(), Some(second))];
        assert_eq!(kids(&world).await, expected);
    }

    async fn a_new_key_retires_and_removes_its_own_kind(world: World) {
        // As an earlier version wrote it.
        let rsa = |kid, second| StoredKey { algorithm: "RS256".to_owned(), ..key(kid, at(second)) };
        let s = rsa("s", 3);
        for new in [&key("a", at(1)), &rsa("r", 2), &s] {
            commit!(world.store, unit => unit.keys().insert(new));
        }
        assert_eq!((s.signs(), key("a", at(1)).signs()), (KeyUse::IdTokens, KeyUse::AccessTokens));
        commit!(world.store, unit => unit.keys().retire_others(&s, at(4)));
        let retired = Some(at(4).micros());
        let expected = [("s".to_owned(), None), ("r".to_owned(), retired), ("a".to_owned(), None)];
        assert_eq!(kids(&world).await, expected);
        commit!(world.store, unit => unit.keys().remove_others(&s));
        assert_eq!(kids(&world).await, [("s".to_owned(), None), ("a".to_owned(), None)]);
        let b = key("b", at(5));
        commit!(world.store, unit => unit.keys().insert(&b));
        commit!(world.store, unit => unit.keys().retire_others(&b, at(5)));
        let expected = [("b".to_owned(), None), ("s".to_owned(), None), ("a".to_owned(), Some(at(5).micros()))];
        assert_eq!(kids(&world).await, expected);
        // Whoever had one of the others had those of RSA, too.
        commit!(world.store, unit => unit.keys().remove_others(&b));
        assert_eq!(kids(&world).await, [("b".to_owned(), None)]);
    }

    async fn keys_of_id_tokens_alone_are_replaced_by_algorithm(world: World) {
        let beside = |kid, algorithm: &str, second| StoredKey {
            algorithm: algorithm.to_owned(),
            id_tokens_only: true,
            ..key(kid, at(second))
        };
        let (first, second) = (beside("e1", "EdDSA", 2), beside("e2", "EdDSA", 4));
        for new in [&key("main", at(1)), &first, &beside("r", "RS256", 3), &second] {
            commit!(world.store, unit => unit.keys().insert(new));
        }
        let read = read!(world.store, unit => unit.keys().all());
        let signs: Vec<_> = read.iter().map(|key| (key.kid.as_str(), key.signs())).collect();
        let expected = [
            ("e2", KeyUse::IdTokens), ("r", KeyUse::IdTokens), ("e1", KeyUse::IdTokens), ("main", KeyUse::AccessTokens),
        ];
        assert_eq!(signs, expected);
        commit!(world.store, unit => unit.keys().retire_others(&second, at(5)));
        let retired = |kids: Vec<(String, Option<i64>)>| -> Vec<String> {
            kids.into_iter().filter(|(_, at)| at.is_some()).map(|(kid, _)| kid).collect()
        };
        assert_eq!(retired(kids(&world).await), ["e1"]);
        commit!(world.store, unit => unit.keys().remove_others(&second));
        assert_eq!(kids(&world).await.len(), 3);
        // One of access tokens with that algorithm signs for those who want it, too: nothing else is left to sign with.
        let main = StoredKey { algorithm: "EdDSA".to_owned(), ..key("new", at(6)) };
        commit!(world.store, unit => unit.keys().insert(&main));
        commit!(world.store, unit => unit.keys().retire_others(&main, at(6)));
        assert_eq!(retired(kids(&world).await), ["e2", "main"]);
        let of_any_version = read!(world.store, unit => unit.keys().all_of_any_version());
        assert_eq!(of_any_version.len(), 4);
    }

    async fn keys_retired_long_enough_ago_are_removed(world: World) {
        for (kid, second) in [("a", 1), ("b", 2), ("c", 3)] {
            commit!(world.store, unit => unit.keys().insert(&key(kid, at(second))));
            commit!(world.store, unit => unit.keys().retire_others(&key(kid, at(second)), at(second)));
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
