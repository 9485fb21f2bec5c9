//! Refresh tokens: presented, exchanged, exchanged no second time.

use tidegate_database::StoreError;
use tidegate_domain::id::RefreshTokenId;
use tidegate_domain::session::EndReason;
use tidegate_domain::{ContractId, Role};
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::refresh_tokens::NewRefreshToken;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{Member, World, at};

on_both_engines! {
    async fn a_token_is_found_with_all_that_judging_it_needs(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let hash = world.hash();
        let id = world.refresh_token(session, &hash, None).await;
        let found = read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap();
        assert_eq!((found.id, found.session, found.account), (id, session, ada.account));
        assert_eq!(
            (found.organization, found.role, found.contract),
            (ada.organization, Role::Owner, ContractId::RIVERGEN)
        );
        assert_eq!((found.times.expires_at, found.times.ends_at), (at(7_200), at(7_200)));
        assert_eq!((found.presented.expires_at, found.presented.rotated_at), (at(3_600), None));
        assert!(!found.presented.session_revoked);
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

    async fn an_exchanged_token_names_its_child_and_when_it_was_exchanged(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let [first, second, third] = [world.hash(), world.hash(), world.hash()];
        let one = world.refresh_token(session, &first, None).await;
        let child = |parent, hash, issued_at| NewRefreshToken {
            id: world.key(),
            session,
            hash,
            parent: Some(parent),
            issued_at,
            expires_at: at(3_600),
        };
        let two = child(one, &second, at(10));
        assert!(commit!(world.store, unit => unit.refresh_tokens().insert_child(two)));
        let found = read!(world.store, unit => unit.refresh_tokens().find(&first)).unwrap();
        assert_eq!(found.child_hash.as_deref(), Some(&second[..]));
        assert_eq!(found.presented.rotated_at, Some(at(10)));
        let three = child(two.id, &third, at(20));
        assert!(commit!(world.store, unit => unit.refresh_tokens().insert_child(three)));
        let found = read!(world.store, unit => unit.refresh_tokens().find(&first)).unwrap();
        assert_eq!((found.child_hash.as_deref(), found.presented.rotated_at), (Some(&second[..]), Some(at(10))));
        let newest = read!(world.store, unit => unit.refresh_tokens().find(&third)).unwrap();
        assert_eq!((newest.child_hash, newest.presented.rotated_at), (None, None));
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
                let child = NewRefreshToken {
                    id,
                    session,
                    hash: &hash,
                    parent: Some(parent),
                    issued_at: at(1),
                    expires_at: at(3_600),
                };
                let added = unit.refresh_tokens().insert_child(child).await.unwrap();
                unit.commit().await.unwrap();
                added
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
        let [first, second] = [world.hash(), world.hash()];
        let child = |hash| NewRefreshToken {
            id: world.key(),
            session,
            hash,
            parent: Some(token),
            issued_at: at(1),
            expires_at: at(3_600),
        };
        let (one, two) = (child(&first), child(&second));
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.refresh_tokens().insert_child(one).await.unwrap());
        drop(unit);
        assert!(commit!(world.store, unit => unit.refresh_tokens().insert_child(two)));
        assert!(!commit!(world.store, unit => unit.refresh_tokens().insert_child(one)));
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
            unit.refresh_tokens().insert(new).await.unwrap();
            let refused = unit.commit().await;
            assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        }
    }

    async fn text_that_is_no_contracts_name_is_an_error_not_a_guess(world: World) {
        let ada = world.member("ada@example.com").await;
        let (session, hash) = (world.session(&ada, 60).await, world.hash());
        world.refresh_token(session, &hash, None).await;
        world.database.sql("update sessions set dialect = 'not a name'").await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.refresh_tokens().find(&hash).await;
        assert!(matches!(found, Err(StoreError::Unreadable("sessions.dialect"))), "{found:?}");
    }

    // Where tokens are kept, every tab that asks near the end is given the same child; none may fail.
    async fn of_twenty_who_add_a_tokens_child_at_once_one_does_and_none_fails(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let hash = world.hash();
        let parent = world.refresh_token(session, &hash, None).await;
        let children: Vec<(RefreshTokenId, [u8; 32])> =
            (0..20).map(|_| (world.key(), world.hash())).collect();
        let hashes: Vec<_> = children.iter().map(|(_, hash)| *hash).collect();
        let added = concurrently(20, |number| {
            let (store, (id, hash)) = (world.store.clone(), children[number]);
            async move {
                let child = NewRefreshToken {
                    id,
                    session,
                    hash: &hash,
                    parent: Some(parent),
                    issued_at: at(1),
                    expires_at: at(5_000),
                };
                commit!(store, unit => unit.refresh_tokens().insert_child(child))
            }
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 2);
        let found = read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap();
        let child = found.child_hash.unwrap();
        assert!(hashes.iter().any(|hash| hash[..] == child[..]));
        assert_eq!(found.presented.rotated_at, Some(at(1)));
        let child = read!(world.store, unit => unit.refresh_tokens().find(&child)).unwrap();
        assert_eq!((child.session, child.presented.expires_at), (session, at(5_000)));
    }

    async fn a_child_is_the_same_whoever_adds_it_again(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let parent = world.refresh_token(session, &world.hash(), None).await;
        let hash = world.hash();
        for is_new in [true, false] {
            let child = NewRefreshToken {
                id: world.key(),
                session,
                hash: &hash,
                parent: Some(parent),
                issued_at: at(1),
                expires_at: at(5_000),
            };
            let added = commit!(world.store, unit => unit.refresh_tokens().insert_child(child));
            assert_eq!(added, is_new);
        }
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 2);
    }

    async fn an_exchange_adds_the_child_and_extends_the_session_or_does_neither(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let hash = world.hash();
        let parent = world.refresh_token(session, &hash, None).await;
        let (one, two) = (world.hash(), world.hash());
        let child = |hash, parent| NewRefreshToken {
            id: world.key(),
            session,
            hash,
            parent: Some(parent),
            issued_at: at(30),
            expires_at: at(3_630),
        };
        let first = child(&one, parent);
        assert!(commit!(world.store, unit => unit.refresh_tokens().exchange(first, at(7_230))));
        let found = read!(world.store, unit => unit.refresh_tokens().find(&hash)).unwrap();
        assert_eq!(found.child_hash.as_deref(), Some(&one[..]));
        assert_eq!((found.presented.rotated_at, found.times.expires_at), (Some(at(30)), at(7_230)));
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(30)));
        assert_eq!((active[0].last_activity_at, active[0].expires_at), (at(30), at(7_230)));

        // A token that has a child gets no other; where the unit is not committed, nothing has changed.
        let mut unit = world.store.begin().await.unwrap();
        let late = NewRefreshToken { issued_at: at(40), ..child(&two, parent) };
        assert!(!unit.refresh_tokens().exchange(late, at(7_240)).await.unwrap());
        drop(unit);
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(40)));
        assert_eq!((active[0].last_activity_at, active[0].expires_at), (at(30), at(7_230)));

        assert!(commit!(world.store, unit => unit.sessions().end(session, EndReason::Revoked, at(50))));
        let mut unit = world.store.begin().await.unwrap();
        let ended = child(&two, first.id);
        assert!(!unit.refresh_tokens().exchange(ended, at(7_250)).await.unwrap());
        drop(unit);
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 2);
    }

    // The others wait for the first one, and none fails.
    async fn of_twenty_who_exchange_a_token_and_extend_its_session_at_once_one_does(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 7_200).await;
        let parent = world.refresh_token(session, &world.hash(), None).await;
        let children: Vec<(RefreshTokenId, [u8; 32])> =
            (0..20).map(|_| (world.key(), world.hash())).collect();
        let exchanged = concurrently(20, |number| {
            let (store, (id, hash)) = (world.store.clone(), children[number]);
            async move {
                let child = NewRefreshToken {
                    id,
                    session,
                    hash: &hash,
                    parent: Some(parent),
                    issued_at: at(1),
                    expires_at: at(3_600),
                };
                let mut unit = store.begin().await.unwrap();
                let is_first = unit.refresh_tokens().exchange(child, at(7_201)).await.unwrap();
                if is_first {
                    unit.commit().await.unwrap();
                }
                is_first
            }
        })
        .await;
        assert_eq!(exchanged.iter().filter(|exchanged| **exchanged).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 2);
    }

    async fn the_token_of_a_deleted_account_says_what_it_was_called_until_that_is_forgotten(world: World) {
        let host = world.member("host@example.com").await;
        let ada = Member { account: world.person(&host, "ada@example.com").await, ..host };
        let hash = world.hash();
        let session = world.session(&ada, 7_200).await;
        let token = world.refresh_token(session, &hash, None).await;
        let (child, others) = (world.hash(), world.hash());
        world.refresh_token(session, &child, Some(token)).await;
        world.refresh_token(world.session(&host, 7_200).await, &others, None).await;
        for hash in [&hash, &child, &others] {
            assert_eq!(read!(world.store, unit => unit.refresh_tokens().tombstone(hash)), None);
        }
        // Shut is not deleted.
        world.database.sql("update accounts set disabled_at = 1").await;
        assert_eq!(read!(world.store, unit => unit.refresh_tokens().tombstone(&hash)), None);

        commit!(world.store, unit => unit.accounts().delete(ada.account, "ada@example.com", at(9)));
        for hash in [&hash, &child] {
            assert!(read!(world.store, unit => unit.refresh_tokens().find(hash)).is_none());
            let name = read!(world.store, unit => unit.refresh_tokens().tombstone(hash));
            assert_eq!(name.as_deref(), Some("ada@example.com"));
        }
        for hash in [&others, &world.hash()] {
            assert_eq!(read!(world.store, unit => unit.refresh_tokens().tombstone(hash)), None);
        }
        assert_eq!(commit!(world.store, unit => unit.accounts().forget_deleted(at(10), 10)), 1);
        assert_eq!(read!(world.store, unit => unit.refresh_tokens().tombstone(&hash)), None);
    }
}
