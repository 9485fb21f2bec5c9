//! Programs and their names.

use tidegate_domain::account::LoginName;
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::NewIdentifier;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, address, program_name};

on_both_engines! {
    async fn a_programs_name_belongs_to_whichever_took_it_first(world: World) {
        let (export, import) = (world.account().await, world.account().await);
        let name = program_name("nightly export");
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_none());
        assert!(world.identify(export, &name, true).await);
        assert!(!world.identify(import, &name, true).await);
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_some());
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&name)).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (export, None, None));
        // Compared as it is written.
        let other = program_name("Nightly export");
        assert!(read!(world.store, unit => unit.accounts().owner_of(&other)).is_none());
        assert!(world.identify(import, &other, true).await);
    }

    async fn a_program_may_be_named_like_a_persons_address(world: World) {
        let (ada, program) = (world.member("ada@example.com").await, world.account().await);
        let (email, name): (LoginName, _) =
            (address("ada@example.com").into(), program_name("ada@example.com"));
        assert!(read!(world.store, unit => unit.accounts().owner_of(&email)).is_some());
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_none());
        assert!(world.identify(program, &name, true).await);
        for (login, account) in [(email, ada.account), (name, program)] {
            let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
            assert_eq!(found.account.id, account);
        }
        assert!(read!(world.store, unit => unit.accounts().emails(program)).is_empty());
    }

    async fn of_twenty_programs_that_want_a_name_at_once_one_gets_it(world: World) {
        let mut keys = Vec::new();
        for _ in 0..20 {
            keys.push((world.account().await, world.key()));
        }
        let taken = concurrently(20, |number| {
            let (store, (account, row)) = (world.store.clone(), keys[number]);
            async move {
                let name = program_name("export");
                let new = NewIdentifier {
                    id: row,
                    account,
                    login: &name,
                    verified_at: None,
                    is_primary: true,
                    created_at: NOW,
                };
                commit!(store, unit => unit.accounts().insert_identifier(new))
            }
        })
        .await;
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    }
}
