//! Keys of programs: made, signed in with, removed.

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::id::AccountId;
use tidegate_domain::{Document, Role};
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::service_keys_repository::ServiceKey;
use tidegate_testkit::{Engine, concurrently, eventually, on_both_engines};

use crate::world::{NOW, World, at, document};

/// A key that is yet to be added, and does not expire.
fn key(world: &World, account: AccountId) -> ServiceKey {
    ServiceKey { id: world.key(), account, metadata: Document::default(), created_at: NOW, expires_at: None }
}

/// Adds one with that hash; answers it.
async fn add(world: &World, account: AccountId, hash: &[u8]) -> ServiceKey {
    let new = key(world, account);
    commit!(world.store, unit => unit.service_keys().insert(&new, hash));
    new
}

on_both_engines! {
    async fn keys_are_read_back_as_they_were_made_oldest_first(world: World) {
        let ada = world.member("ada@example.com").await;
        let (export, other) = (world.program(&ada, "export").await, world.program(&ada, "import").await);
        let young = ServiceKey {
            metadata: document(json!({"for": ["nightly", null]})),
            created_at: at(9),
            expires_at: Some(at(10)),
            ..key(&world, export)
        };
        let old = ServiceKey { created_at: at(-9), expires_at: Some(at(-5)), ..key(&world, export) };
        let lasting = key(&world, export);
        for new in [&young, &old, &lasting] {
            let hash = world.hash();
            commit!(world.store, unit => unit.service_keys().insert(new, &hash));
        }
        // Expired ones are listed too: somebody may wonder why they no longer work.
        let found = read!(world.store, unit => unit.service_keys().of_account(export));
        assert_eq!(format!("{found:?}"), format!("{:?}", [old, lasting, young]));
        assert!(read!(world.store, unit => unit.service_keys().of_account(other)).is_empty());
    }

    async fn a_key_signs_in_its_own_program_until_it_expires(world: World) {
        let ada = world.member("ada@example.com").await;
        let (export, import) = (world.program(&ada, "export").await, world.program(&ada, "import").await);
        let (hash, lasting) = (world.hash(), world.hash());
        let new = ServiceKey { expires_at: Some(at(10)), ..key(&world, export) };
        commit!(world.store, unit => unit.service_keys().insert(&new, &hash));
        let forever = add(&world, export, &lasting).await;
        // An expired one is found too, so that the log can say so.
        let found = read!(world.store, unit => unit.service_keys().find(export, &hash)).unwrap();
        assert_eq!(format!("{found:?}"), format!("{new:?}"));
        assert!(found.is_live(at(9)) && !found.is_live(at(10)));
        let found = read!(world.store, unit => unit.service_keys().find(export, &lasting)).unwrap();
        assert!(found.id == forever.id && found.is_live(at(1_000_000)));
        for (account, hash) in
            [(import, &hash[..]), (export, &world.hash()), (export, b""), (world.key(), &hash)]
        {
            assert!(read!(world.store, unit => unit.service_keys().find(account, hash)).is_none());
        }
    }

    async fn a_hash_is_one_keys(world: World) {
        let ada = world.member("ada@example.com").await;
        let (export, import) = (world.program(&ada, "export").await, world.program(&ada, "import").await);
        let hash = world.hash();
        add(&world, export, &hash).await;
        let mut unit = world.store.begin().await.unwrap();
        let refused = unit.service_keys().insert(&key(&world, import), &hash).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    }

    async fn a_key_is_known_to_the_organization_its_program_is_at_home_in(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let export = world.program(&ada, "export").await;
        // A guest of Eve's is not hers to look after.
        world.join(&eve, export, Role::Developer).await;
        let (hash, kept) = (world.hash(), world.hash());
        let one = add(&world, export, &hash).await.id;
        let other = add(&world, export, &kept).await.id;
        for (organization, id) in
            [(eve.organization, one), (ada.organization, world.key()), (world.key(), one)]
        {
            assert_eq!(read!(world.store, unit => unit.service_keys().owner(organization, id)), None);
        }
        let owner = read!(world.store, unit => unit.service_keys().owner(ada.organization, one));
        assert_eq!(owner, Some(export));
        assert!(commit!(world.store, unit => unit.service_keys().remove(one)));
        assert!(!commit!(world.store, unit => unit.service_keys().remove(one)));
        assert!(read!(world.store, unit => unit.service_keys().find(export, &hash)).is_none());
        let left = read!(world.store, unit => unit.service_keys().of_account(export));
        assert_eq!(left.iter().map(|key| key.id).collect::<Vec<_>>(), [other]);
    }

    async fn of_twenty_who_remove_a_key_one_does(world: World) {
        let ada = world.member("ada@example.com").await;
        let export = world.program(&ada, "export").await;
        let id = add(&world, export, &world.hash()).await.id;
        let removed = concurrently(20, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.service_keys().remove(id)) }
        })
        .await;
        assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
    }

    // Somebody signs in with a key while it is deleted: either the session is there for the deletion to end, or
    // the key is gone before it is opened.
    async fn a_key_that_was_verified_stays_until_the_unit_ends(world: World) {
        let ada = world.member("ada@example.com").await;
        let export = world.program(&ada, "export").await;
        let id = add(&world, export, &world.hash()).await.id;
        assert!(!commit!(world.store, unit => unit.service_keys().claim(world.key())));
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.service_keys().claim(id).await.unwrap());
        let removal = tokio::spawn({
            let store = world.store.clone();
            async move { commit!(store, unit => unit.service_keys().remove(id)) }
        });
        if world.database.engine() == Engine::Postgres {
            eventually("the removal waits", || async {
                let waiting = "select count(*) from pg_stat_activity
                               where application_name = current_database() and wait_event_type = 'Lock'";
                (world.database.sql_count(waiting).await == 1).then_some(())
            })
            .await;
        }
        assert!(!removal.is_finished());
        assert_eq!(unit.service_keys().of_account(export).await.unwrap().len(), 1);
        unit.commit().await.unwrap();
        assert!(removal.await.unwrap());
        assert!(!commit!(world.store, unit => unit.service_keys().claim(id)));
    }
}
