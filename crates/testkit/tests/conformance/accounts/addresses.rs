//! E-mail addresses of accounts.

use tidegate_database::StoreError;
use tidegate_domain::id::AccountId;
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::NewIdentifier;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, address, at, insert_account};

on_both_engines! {
    async fn an_address_belongs_to_whoever_took_it_first(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let email = address("ada@example.com");
        assert!(world.identify(ada, &email, true).await);
        assert!(!world.identify(eve, &email, true).await);
        assert!(!world.identify(ada, &email, false).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&email.clone().into())), Some(ada));
        assert!(read!(world.store, unit => unit.accounts().emails(eve)).is_empty());
        let nobody = address("nobody@example.com");
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&nobody.clone().into())), None);
    }

    async fn of_fifty_who_want_an_address_at_once_one_gets_it(world: World) {
        let keys: Vec<(AccountId, AccountId)> = (0..50).map(|_| (world.key(), world.key())).collect();
        let taken = concurrently(50, |number| {
            let (store, (account, row)) = (world.store.clone(), keys[number]);
            async move {
                let login = address("wanted@example.com").into();
                let mut unit = store.begin().await.unwrap();
                insert_account(&mut unit, account).await.unwrap();
                let new = NewIdentifier {
                    id: row.0.into(),
                    account,
                    login: &login,
                    verified_at: None,
                    is_primary: true,
                    created_at: NOW,
                };
                let taken = unit.accounts().insert_identifier(new).await.unwrap();
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
        world.identify(ada, &first, true).await;
        let mut unit = world.store.begin().await.unwrap();
        let login = second.clone().into();
        let another = unit.accounts().insert_identifier(world.identifier(ada, &login, true)).await;
        assert!(matches!(another, Err(StoreError::Database(_))), "{another:?}");
        drop(unit);
        world.identify(ada, &second, false).await;
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| (email.email.as_str(), email.is_primary)).collect();
        assert_eq!(shown, [("ada@example.org", true), ("ada@example.com", false)]);
        // Back again, and once more for nothing.
        for _ in 0..2 {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada, &first));
        }
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&first.clone().into())).is_some()
        );
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&second.clone().into())).is_none()
        );
    }

    async fn an_address_that_is_not_theirs_does_not_cost_somebody_their_primary_one(world: World) {
        let ada = world.member("ada@example.com").await;
        world.member("eve@example.com").await;
        let (own, others) = (address("ada@example.com"), address("eve@example.com"));
        for foreign in [&others, &address("nobody@example.com")] {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada.account, foreign));
        }
        for email in [own, others] {
            let found =
                read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
            assert_eq!(found.account.id == ada.account, email.as_str() == "ada@example.com");
        }
    }

    async fn signing_in_finds_an_account_by_its_primary_address_with_all_it_needs(world: World) {
        let ada = world.account().await;
        let email = address("ada@example.com");
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).is_none()
        );
        world.identify(ada, &email, true).await;
        let found =
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (ada, None, None));
        commit!(world.store, unit => unit.accounts().set_password(ada, "hash", NOW));
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(1))));
        world.database.sql("update accounts set disabled_at = 7").await;
        let found =
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
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
            let email = address(&format!("{name}@example.com")).into();
            let new =
                NewIdentifier { created_at: at(seconds), ..world.identifier(ada, &email, name == "second") };
            commit!(world.store, unit => unit.accounts().insert_identifier(new));
        }
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| email.email.local_part()).collect();
        assert_eq!(shown, ["second", "third", "first"]);
    }

    async fn an_address_somebody_changed_away_from_is_still_taken(world: World) {
        let ada = world.account().await;
        let (first, second) = (address("ada@example.com"), address("ada@example.org"));
        world.identify(ada, &first, true).await;
        world.identify(ada, &second, false).await;
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        for email in [first, second] {
            assert!(read!(world.store, unit => unit.accounts().owner_of(&email.into())).is_some());
        }
    }
}
