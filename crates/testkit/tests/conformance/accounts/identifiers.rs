//! Identifiers of every kind.

use tidegate_database::StoreError;
use tidegate_domain::account::LoginName;
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::NewIdentifier;
use tidegate_testkit::on_both_engines;

use crate::world::{NOW, World, account, address, at, phone, program_name};

on_both_engines! {
    async fn a_number_belongs_to_whoever_took_it_first_and_signs_them_in(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let number: LoginName = phone("+254712345678").into();
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&number)).is_none());
        assert!(world.identify(ada, &number, true).await);
        assert!(!world.identify(eve, &number, true).await);
        assert!(!world.identify(ada, &number, false).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&number)), Some(ada));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&number)).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (ada, None, None));
        // What looks the same is another thing under another kind.
        assert!(world.identify(eve, &program_name("+254712345678"), true).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&number)), Some(ada));
    }

    async fn somebody_has_one_primary_identifier_of_each_kind(world: World) {
        let ada = world.account().await;
        let (first, second) = (phone("+254712345678"), phone("+254712345679"));
        assert!(world.identify(ada, &address("ada@example.com"), true).await);
        assert!(world.identify(ada, &first, true).await);
        let mut unit = world.store.begin().await.unwrap();
        let login = second.clone().into();
        let another = unit.accounts().insert_identifier(world.identifier(ada, &login, true)).await;
        assert!(matches!(another, Err(StoreError::Database(_))), "{another:?}");
        drop(unit);
        assert!(world.identify(ada, &second, false).await);
        // Neither is an address.
        assert_eq!(read!(world.store, unit => unit.accounts().emails(ada)).len(), 1);
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&first.into())).is_some());
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).is_none());
    }

    async fn a_phone_is_told_when_it_is_the_primary_one_and_known_to_be_theirs(world: World) {
        let number = |last: usize| phone(&format!("+25471234567{last}"));
        for (last, (is_primary, verified_at, told)) in
            [(true, Some(at(1)), true), (true, None, false), (false, Some(at(1)), false), (false, None, false)]
                .into_iter()
                .enumerate()
        {
            let account = world.account().await;
            assert_eq!(read!(world.store, unit => unit.accounts().phone(account)), None);
            // An address is no phone.
            assert!(world.identify(account, &address(&format!("{last}@example.com")), true).await);
            let login = number(last).into();
            let new = NewIdentifier { verified_at, ..world.identifier(account, &login, is_primary) };
            assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
            let phone = read!(world.store, unit => unit.accounts().phone(account));
            assert_eq!(phone, told.then(|| number(last)), "{last}");
        }
    }

    async fn of_two_verified_phones_the_primary_one_is_told(world: World) {
        let ada = world.account().await;
        for (number, is_primary) in [("+254712345678", false), ("+254112345678", true)] {
            let login = phone(number).into();
            let new = NewIdentifier { verified_at: Some(NOW), ..world.identifier(ada, &login, is_primary) };
            assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
        }
        assert_eq!(read!(world.store, unit => unit.accounts().phone(ada)), Some(phone("+254112345678")));
    }

    async fn an_account_is_added_with_its_identifier_unless_that_is_taken(world: World) {
        let (one, two) = (world.key(), world.key());
        let login: LoginName = address("ada@example.com").into();
        let identifier = |account| world.identifier(account, &login, true);
        let number = commit!(world.store, unit => unit.accounts().insert_identified(&account(one), identifier(one)));
        assert_eq!(number, Some(world.database.sql_count("select number from accounts").await));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
        assert_eq!(found.account.id, one);

        let mut unit = world.store.begin().await.unwrap();
        let taken = unit.accounts().insert_identified(&account(two), identifier(two)).await.unwrap();
        assert_eq!(taken, None);
        drop(unit);
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 1);
    }

    async fn an_identifier_known_from_the_start_needs_no_verifying(world: World) {
        let ada = world.account().await;
        let email = address("ada@example.com");
        let login = email.clone().into();
        let new = NewIdentifier { verified_at: Some(at(1)), ..world.identifier(ada, &login, true) };
        assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
        assert_eq!(found.verified_at, Some(at(1)));
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(2))));
    }
}
