//! Refresh tokens: presented, exchanged, exchanged no second time.

use tidegate_domain::id::RefreshTokenId;
use tidegate_domain::session::EndReason;
use tidegate_domain::{Dialect, Role};
use tidegate_store::StoreError;
use tidegate_store::refresh_tokens::NewRefreshToken;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{World, at};

on_both_engines! {
    async fn a_token_is_found_with_all_that_judging_it_needs(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let hash = world.hash();
        let id = world.refresh_token(session, &hash, None).await;
        let found = read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap();
        assert_eq!((found.id, found.session, found.account), (id, session, ada.account));
        assert_eq!(
            (found.organization, found.role, found.dialect),
            (ada.organization, Role::Owner, Dialect::Rivergen)
        );
        assert_eq!((found.times.expires_at, found.times.ends_at), (at(7_200), at(7_200)));
        assert_eq!((found.presented.expires_at, found.presented.rotated_at), (at(3_600), None));
        assert_eq!((found.presented.child_used, found.presented.session_revoked), (false, false));
        assert_eq!(found.child_hash, None);
        assert!(read!(world.store, unit => unit.refresh_tokens().find(&world.hash())).is_none());
        assert!(read!(world.store, unit => unit.refresh_tokens().find(b"")).is_none());
    }

    async fn a_token_expires_with_its_session_at_the_latest(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 60).await;
        let hash = world.hash();
        world.refresh_token(session, &hash, None).await;
        let found = read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap();
        assert_eq!(found.presented.expires_at, at(60));
    }

    async fn an_exchanged_token_names_its_child_and_whether_that_was_used(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let [first, second, third] = [world.hash(), world.hash(), world.hash()];
        let one = world.refresh_token(session, &first, None).await;
        assert!(commit!(world.store, unit => unit.refresh_tokens().rotate(one, at(10))));
        let two = world.refresh_token(session, &second, Some(one)).await;
        let found = read!(world.store, unit => unit.refresh_tokens().find(&first)).unwrap();
        assert_eq!(found.child_hash.as_deref(), Some(&second[..]));
        assert_eq!((found.presented.rotated_at, found.presented.child_used), (Some(at(10)), false));
        assert!(commit!(world.store, unit => unit.refresh_tokens().rotate(two, at(20))));
        world.refresh_token(session, &third, Some(two)).await;
        let found = read!(world.store, unit => unit.refresh_tokens().find(&first)).unwrap();
        assert!(found.presented.child_used);
        let newest = read!(world.store, unit => unit.refresh_tokens().find(&third)).unwrap();
        assert_eq!((newest.presented.rotated_at, newest.presented.child_used), (None, false));
    }

    async fn the_end_of_its_session_or_account_is_the_end_of_a_token(world: World) {
        let ada = world.member("ada@example.com").await;
        let hash = world.hash();
        let session = world.session(&ada, 7_200).await;
        world.refresh_token(session, &hash, None).await;
        world.database.sql("update accounts set disabled_at = 1").await;
        assert!(
            read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap().presented.session_revoked
        );
        world.database.sql("update accounts set disabled_at = null").await;
        assert!(
            !read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap().presented.session_revoked
        );
        commit!(world.store, unit => unit.sessions().end(session, EndReason::SignedOut, at(1)));
        assert!(
            read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap().presented.session_revoked
        );
        world.database.sql("delete from membership_workspaces; delete from memberships").await;
        assert!(read!(world.store, unit => unit.refresh_tokens().find(&hash)).is_none());
    }

    async fn of_fifty_who_exchange_a_token_at_once_one_does(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let parent = world.refresh_token(session, &world.hash(), None).await;
        let children: Vec<(RefreshTokenId, [u8; 32])> =
            (0..50).map(|_| (world.key(), world.hash())).collect();
        let exchanged = concurrently(50, |number| {
            let (store, (id, hash)) = (world.store.clone(), children[number]);
            async move {
                let mut unit = store.begin().await.unwrap();
                if !unit.refresh_tokens().rotate(parent, at(1)).await.unwrap() {
                    return false;
                }
                let child = NewRefreshToken {
                    id,
                    session,
                    hash: &hash,
                    parent: Some(parent),
                    issued_at: at(1),
                    expires_at: at(3_600),
                };
                unit.refresh_tokens().insert(child).await.unwrap();
                unit.commit().await.unwrap();
                true
            }
        })
        .await;
        assert_eq!(exchanged.iter().filter(|exchanged| **exchanged).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 2);
    }

    // Were the winner's unit to fail, the token must not be lost: somebody else's turn comes.
    async fn an_exchange_that_was_not_committed_did_not_happen(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let token = world.refresh_token(session, &world.hash(), None).await;
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.refresh_tokens().rotate(token, at(1)).await.unwrap());
        drop(unit);
        assert!(commit!(world.store, unit => unit.refresh_tokens().rotate(token, at(2))));
        assert!(!commit!(world.store, unit => unit.refresh_tokens().rotate(token, at(3))));
    }

    async fn a_token_has_one_child_and_a_hash_one_token(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let hash = world.hash();
        let parent = world.refresh_token(session, &hash, None).await;
        world.refresh_token(session, &world.hash(), Some(parent)).await;
        for (hash, parent) in [(world.hash(), Some(parent)), (hash, None)] {
            let mut unit = world.store.begin().await.unwrap();
            let new = NewRefreshToken {
                id: world.key(),
                session,
                hash: &hash,
                parent,
                issued_at: at(1),
                expires_at: at(2),
            };
            let refused = unit.refresh_tokens().insert(new).await;
            assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        }
    }

    async fn a_dialect_no_version_has_written_is_an_error_not_a_guess(world: World) {
        let ada = world.member("ada@example.com").await;
        let (session, hash) = (world.session(&ada, 60).await, world.hash());
        world.refresh_token(session, &hash, None).await;
        world.database.sql("update sessions set dialect = 'klingon'").await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.refresh_tokens().find(&hash).await;
        assert!(matches!(found, Err(StoreError::Unreadable("sessions.dialect"))), "{found:?}");
    }
}
