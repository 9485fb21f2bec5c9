//! Accounts, addresses, passwords.

use serde_json::json;
use tidegate_domain::Role;
use tidegate_domain::account::AccountKind;
use tidegate_domain::id::AccountId;
use tidegate_store::StoreError;
use tidegate_store::accounts::{NewAccount, NewEmail};
use tidegate_testkit::{Engine, concurrently, eventually, on_both_engines};

use crate::world::{NOW, World, address, at, insert_account};

on_both_engines! {
    async fn an_account_is_read_back_as_it_was_added(world: World) {
        let id = world.key();
        let new = NewAccount {
            id,
            kind: AccountKind::Service,
            display_name: "",
            agreed_to_terms: false,
            terms_version: None,
            created_at: NOW,
        };
        let number = commit!(world.store, unit => unit.accounts().insert(&new));
        let account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!((account.id, account.number, account.display_name.as_str()), (id, number, ""));
        assert_eq!((account.profile, account.user_metadata), (json!({}), json!({})));
        assert_eq!((account.profile_image_url, account.disabled_at), (None, None));
        assert_eq!((account.created_at, account.updated_at, account.is_system_admin), (NOW, NOW, false));
        assert!(read!(world.store, unit => unit.accounts().find(world.key())).is_none());
    }

    async fn a_profile_is_replaced_and_the_rest_stays(world: World) {
        let id = world.account().await;
        world
            .database
            .sql("update accounts set user_metadata = '{\"tier\": 1}', is_system_admin = true")
            .await;
        let mut account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        account.display_name = "Ada Lovelace".to_owned();
        account.profile_image_url = Some("https://example.com/ada.png".to_owned());
        account.profile = json!({"born": 1815, "tags": ["a", null], "nested": {"x": 0.5}});
        commit!(world.store, unit => unit.accounts().update_profile(&account, at(5)));
        let changed = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!(changed.display_name, account.display_name);
        assert_eq!(changed.profile_image_url, account.profile_image_url);
        assert_eq!(changed.profile, account.profile);
        assert_eq!((changed.created_at, changed.updated_at), (NOW, at(5)));
        assert_eq!((changed.user_metadata, changed.is_system_admin), (json!({"tier": 1}), true));
    }

    async fn an_address_belongs_to_whoever_took_it_first(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let email = address("ada@example.com");
        assert!(commit!(world.store, unit => unit.accounts().insert_email(world.email(ada, &email, true))));
        assert!(!commit!(world.store, unit => unit.accounts().insert_email(world.email(eve, &email, true))));
        assert!(!commit!(world.store, unit => unit.accounts().insert_email(world.email(ada, &email, false))));
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of_email(&email)), Some(ada));
        assert!(read!(world.store, unit => unit.accounts().emails(eve)).is_empty());
        let nobody = address("nobody@example.com");
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of_email(&nobody)), None);
    }

    async fn of_fifty_who_want_an_address_at_once_one_gets_it(world: World) {
        let keys: Vec<(AccountId, AccountId)> = (0..50).map(|_| (world.key(), world.key())).collect();
        let taken = concurrently(50, |number| {
            let (store, (account, row)) = (world.store.clone(), keys[number]);
            async move {
                let email = address("wanted@example.com");
                let mut unit = store.begin().await.unwrap();
                insert_account(&mut unit, account).await.unwrap();
                let new = NewEmail {
                    id: row.0.into(),
                    account,
                    email: &email,
                    verified_at: None,
                    is_primary: true,
                    created_at: NOW,
                };
                let taken = unit.accounts().insert_email(new).await.unwrap();
                if taken {
                    unit.commit().await.unwrap();
                }
                taken
            }
        })
        .await;
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 1);
    }

    async fn an_account_has_one_primary_address(world: World) {
        let ada = world.account().await;
        let (first, second) = (address("ada@example.com"), address("ada@example.org"));
        commit!(world.store, unit => unit.accounts().insert_email(world.email(ada, &first, true)));
        let mut unit = world.store.begin().await.unwrap();
        let another = unit.accounts().insert_email(world.email(ada, &second, true)).await;
        assert!(matches!(another, Err(StoreError::Database(_))), "{another:?}");
        drop(unit);
        commit!(world.store, unit => unit.accounts().insert_email(world.email(ada, &second, false)));
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| (email.email.as_str(), email.is_primary)).collect();
        assert_eq!(shown, [("ada@example.org", true), ("ada@example.com", false)]);
        // Back again, and once more for nothing.
        for _ in 0..2 {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada, &first));
        }
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&first)).is_some());
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&second)).is_none());
    }

    async fn an_address_that_is_not_theirs_does_not_cost_somebody_their_primary_one(world: World) {
        let ada = world.member("ada@example.com").await;
        world.member("eve@example.com").await;
        let (own, others) = (address("ada@example.com"), address("eve@example.com"));
        for foreign in [&others, &address("nobody@example.com")] {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada.account, foreign));
        }
        for email in [own, others] {
            let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&email)).unwrap();
            assert_eq!(found.account.id == ada.account, email.as_str() == "ada@example.com");
        }
    }

    async fn signing_in_finds_an_account_by_its_primary_address_with_all_it_needs(world: World) {
        let ada = world.account().await;
        let email = address("ada@example.com");
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&email)).is_none());
        commit!(world.store, unit => unit.accounts().insert_email(world.email(ada, &email, true)));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&email)).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (ada, None, None));
        commit!(world.store, unit => unit.accounts().set_password(ada, "hash", NOW));
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(1))));
        world.database.sql("update accounts set disabled_at = 7").await;
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&email)).unwrap();
        assert_eq!((found.password_hash.as_deref(), found.verified_at), (Some("hash"), Some(at(1))));
        assert_eq!(found.account.disabled_at.map(|at| at.micros()), Some(7));
    }

    async fn an_address_is_verified_once_and_only_by_its_owner(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let email = address("ada@example.com");
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(eve.account, &email, at(1))));
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, at(2))));
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, at(3))));
        let emails = read!(world.store, unit => unit.accounts().emails(ada.account));
        assert_eq!(emails[0].verified_at, Some(at(2)));
    }

    async fn addresses_are_listed_primary_first_then_newest_first(world: World) {
        let ada = world.account().await;
        for (seconds, name) in [(1, "first"), (2, "second"), (3, "third")] {
            let email = address(&format!("{name}@example.com"));
            let new = NewEmail { created_at: at(seconds), ..world.email(ada, &email, name == "second") };
            commit!(world.store, unit => unit.accounts().insert_email(new));
        }
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| email.email.local_part()).collect();
        assert_eq!(shown, ["second", "third", "first"]);
    }

    async fn a_password_is_set_and_set_again(world: World) {
        let ada = world.account().await;
        assert_eq!(read!(world.store, unit => unit.accounts().password_hash(ada)), None);
        for hash in ["one", "two"] {
            commit!(world.store, unit => unit.accounts().set_password(ada, hash, NOW));
            let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
            assert_eq!(stored.as_deref(), Some(hash));
        }
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
                               where application_name = current_schema() and wait_event_type = 'Lock'";
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
                unit.accounts().lock(ada).await.unwrap();
                let mut account = unit.accounts().find(ada).await.unwrap().unwrap();
                let count = account.profile["count"].as_i64().unwrap_or(0) + 1;
                account.profile = json!({ "count": count });
                unit.accounts().update_profile(&account, NOW).await.unwrap();
                unit.commit().await.unwrap();
            }
        })
        .await;
        let account = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!(account.profile, json!({ "count": 20 }));
    }

    async fn an_organization_has_one_owner(world: World) {
        let ada = world.member("ada@example.com").await;
        let eve = world.account().await;
        let mut unit = world.store.begin().await.unwrap();
        let usurper = world.membership(ada.organization, eve, Role::Owner);
        let refused = unit.organizations().insert_membership(usurper, ada.workspace).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(unit);
        world.join(&ada, eve, Role::Admin).await;
    }
}
