//! Passwords of accounts.

use serde_json::json;
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_testkit::{Engine, concurrently, eventually, on_both_engines};

use crate::world::{NOW, World, document};

on_both_engines! {
    async fn a_password_is_set_and_set_again(world: World) {
        let ada = world.account().await;
        assert_eq!(read!(world.store, unit => unit.accounts().password_hash(ada)), None);
        for hash in ["one", "two"] {
            commit!(world.store, unit => unit.accounts().set_password(ada, hash, NOW));
            let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
            assert_eq!(stored.as_deref(), Some(hash));
        }
    }

    async fn passwords_are_counted_by_scheme_as_they_are_set_and_renewed(world: World) {
        let base64 = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let bcrypt = format!("tg1$-$2b$12${}", "./Az09".repeat(9).split_at(53).0);
        let argon2 = format!("tg1$p$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ${base64}");
        let [ada, bob, eve] = [world.account().await, world.account().await, world.account().await];
        for account in [ada, bob, eve] {
            commit!(world.store, unit => unit.accounts().set_password(account, &bcrypt, NOW));
        }
        let of = |scheme: &str, count| ("individual".to_owned(), scheme.to_owned(), count);
        let counted = read!(world.store, unit => unit.accounts().password_schemes());
        assert_eq!(counted, [of("tg1$-$2b$12$53", 3)]);
        commit!(world.store, unit => unit.accounts().set_password(ada, &argon2, NOW));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(bob, &bcrypt, &argon2));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(eve, "another", &argon2));
        let mut counted = read!(world.store, unit => unit.accounts().password_schemes());
        counted.sort();
        assert_eq!(counted, [of("tg1$-$2b$12$53", 1), of("tg1$p$argon2id$v=19$m=64,t=2,p=1$43", 2)]);
    }

    async fn a_hash_is_upgraded_only_while_it_is_the_one_that_was_checked(world: World) {
        let ada = world.account().await;
        commit!(world.store, unit => unit.accounts().set_password(ada, "changed meanwhile", NOW));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(ada, "old", "old, but better"));
        let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
        assert_eq!(stored.as_deref(), Some("changed meanwhile"));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(ada, "changed meanwhile", "better"));
        let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
        assert_eq!(stored.as_deref(), Some("better"));
    }

    async fn a_password_that_was_verified_stays_until_the_unit_ends(world: World) {
        let ada = world.account().await;
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "old")));
        commit!(world.store, unit => unit.accounts().set_password(ada, "old", NOW));
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "older")));
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.accounts().claim_password(ada, "old").await.unwrap());
        let change = tokio::spawn({
            let store = world.store.clone();
            async move { commit!(store, unit => unit.accounts().set_password(ada, "new", NOW)) }
        });
        if world.database.engine() == Engine::Postgres {
            eventually("the change waits", || async {
                let waiting = "select count(*) from pg_stat_activity
                               where application_name = current_database() and wait_event_type = 'Lock'";
                (world.database.sql_count(waiting).await == 1).then_some(())
            })
            .await;
        }
        assert!(!change.is_finished());
        assert_eq!(unit.accounts().password_hash(ada).await.unwrap().as_deref(), Some("old"));
        unit.commit().await.unwrap();
        change.await.unwrap();
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "old")));
    }

    async fn changes_of_a_locked_account_follow_one_another(world: World) {
        let ada = world.account().await;
        // Each reads, adds one, and writes: without the lock some of them would add to the same number.
        concurrently(20, |_| {
            let store = world.store.clone();
            async move {
                let mut unit = store.begin().await.unwrap();
                unit.account_cards().lock(ada).await.unwrap();
                let mut account = unit.accounts().find(ada).await.unwrap().unwrap();
                let count = account.profile.to_value().unwrap()["count"].as_i64().unwrap_or(0) + 1;
                account.profile = document(json!({ "count": count }));
                unit.accounts().update_profile(&account, NOW).await.unwrap();
                unit.commit().await.unwrap();
            }
        })
        .await;
        let account = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!(account.profile, json!({ "count": 20 }));
    }
}
