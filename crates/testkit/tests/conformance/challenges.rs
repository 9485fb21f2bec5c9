//! Challenges: answered once, tried five times, by whoever comes first.

use tidegate_database::StoreError;
use tidegate_domain::challenge::{ChallengeStatus, Continuation, MAX_ATTEMPTS, MAX_LINK_USES, Purpose};
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::{ContractId, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at};

const NOTHING: Continuation = Continuation::NOTHING;

/// A challenge for somebody's address, ten minutes long, not yet added.
fn challenge(world: &World, account: AccountId, created_at: Timestamp) -> NewChallenge<'static> {
    NewChallenge {
        id: world.key(),
        account: Some(account),
        purpose: Purpose::VerifyEmail,
        address: "ada@example.com",
        handle_hash: None,
        link_hash: None,
        code_mac: Some(b"mac"),
        contract: ContractId::RIVERGEN,
        continuation: &NOTHING,
        created_at,
        expires_at: Timestamp::from_seconds(created_at.seconds() + 600),
    }
}

/// Adds one; answers its key.
async fn add(world: &World, new: &NewChallenge<'_>) -> ChallengeId {
    commit!(world.store, unit => unit.challenges().insert(new));
    new.id
}

on_both_engines! {
    async fn a_challenge_is_found_by_its_token_or_its_link_for_its_purpose(world: World) {
        let ada = world.account().await;
        let (handle, link) = (world.hash(), world.hash());
        let remembered = Continuation { remember_me: true, ..Continuation::NOTHING };
        let new = NewChallenge {
            handle_hash: Some(&handle),
            link_hash: Some(&link),
            continuation: &remembered,
            ..challenge(&world, ada, NOW)
        };
        let id = add(&world, &new).await;
        let purpose = Purpose::VerifyEmail;
        let by_handle =
            read!(world.store, unit => unit.challenges().find_by_handle(purpose, &handle)).unwrap();
        let by_link = read!(world.store, unit => unit.challenges().find_by_link(purpose, &link)).unwrap();
        for found in [by_handle, by_link] {
            assert_eq!((found.id, found.account, found.purpose), (id, Some(ada), purpose));
            assert_eq!(
                (found.address.as_str(), found.code_mac.as_deref()),
                ("ada@example.com", Some(&b"mac"[..]))
            );
            assert_eq!((found.attempts, found.contract, found.consumed_at), (0, ContractId::RIVERGEN, None));
            assert_eq!((found.continuation.remember_me, found.expires_at), (true, at(600)));
            assert_eq!(found.status(NOW), ChallengeStatus::Open);
        }
        // One thing's token does not open another.
        let other = Purpose::ResetPassword;
        assert!(read!(world.store, unit => unit.challenges().find_by_handle(other, &handle)).is_none());
        assert!(read!(world.store, unit => unit.challenges().find_by_link(other, &link)).is_none());
        assert!(read!(world.store, unit => unit.challenges().find_by_handle(purpose, &link)).is_none());
        assert!(read!(world.store, unit => unit.challenges().find_by_link(purpose, &handle)).is_none());
    }

    async fn a_challenge_for_an_address_nobody_has_is_one_all_the_same(world: World) {
        let link = world.hash();
        let new = NewChallenge {
            account: None,
            purpose: Purpose::ResetPassword,
            link_hash: Some(&link),
            code_mac: None,
            ..challenge(&world, world.key(), NOW)
        };
        add(&world, &new).await;
        let found = read!(world.store, unit => unit.challenges().find_by_link(Purpose::ResetPassword, &link))
            .unwrap();
        assert_eq!((found.account, found.code_mac), (None, None));
    }

    async fn the_latest_challenge_is_the_newest_of_its_purpose(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let old = add(&world, &challenge(&world, ada, at(1))).await;
        let newest = add(&world, &challenge(&world, ada, at(3))).await;
        add(&world, &challenge(&world, ada, at(2))).await;
        add(&world, &challenge(&world, eve, at(9))).await;
        let other = NewChallenge { purpose: Purpose::ChangeEmail, ..challenge(&world, ada, at(9)) };
        add(&world, &other).await;
        let found = read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).unwrap();
        assert_eq!(found.id, newest);
        assert_ne!(found.id, old);
        assert!(read!(world.store, unit => unit.challenges().latest(Purpose::ResetPassword, ada)).is_none());
    }

    async fn the_latest_challenge_to_an_address_is_the_newest_of_its_purpose(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let (purpose, ours, theirs) = (Purpose::SignInByPhone, "+254712345678", "+254712345679");
        let to = |address, second| NewChallenge { purpose, address, ..challenge(&world, ada, at(second)) };
        let nobodys = NewChallenge { account: None, ..to(ours, 1) };
        add(&world, &nobodys).await;
        let latest = async |purpose, address| {
            let found = read!(world.store, unit => unit.challenges().latest_to(purpose, address));
            found.map(|found| (found.id, found.account))
        };
        assert_eq!(latest(purpose, ours).await, Some((nobodys.id, None)));
        // Whoever it was sent for: the number counts, and the time, not the order they were added in.
        let newest = NewChallenge { account: Some(eve), ..to(ours, 3) };
        add(&world, &newest).await;
        add(&world, &to(ours, 2)).await;
        let (other, others) = (NewChallenge { purpose: Purpose::RegisterPhone, ..to(ours, 9) }, to(theirs, 9));
        add(&world, &other).await;
        add(&world, &others).await;
        assert_eq!(latest(purpose, ours).await, Some((newest.id, Some(eve))));
        assert_eq!(latest(Purpose::RegisterPhone, ours).await, Some((other.id, Some(ada))));
        assert_eq!(latest(purpose, theirs).await, Some((others.id, Some(ada))));
        assert_eq!(latest(Purpose::VerifyEmail, ours).await, None);
        for nobodys in ["+25471234567", "+2547123456789", "254712345678", "%", ""] {
            assert_eq!(latest(purpose, nobodys).await, None, "{nobodys}");
        }
    }

    async fn an_answered_challenge_to_an_address_does_not_give_way_to_an_older_one(world: World) {
        let ada = world.account().await;
        add(&world, &challenge(&world, ada, at(1))).await;
        let newest = add(&world, &challenge(&world, ada, at(2))).await;
        assert!(commit!(world.store, unit => unit.challenges().consume(newest, at(3))));
        let (purpose, to) = (Purpose::VerifyEmail, "ada@example.com");
        let found = read!(world.store, unit => unit.challenges().latest_to(purpose, to)).unwrap();
        assert_eq!((found.id, found.status(at(3))), (newest, ChallengeStatus::Consumed));
    }

    async fn of_fifty_who_answer_at_once_one_is_right(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        let consumed = concurrently(50, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.challenges().consume(id, at(1))) }
        })
        .await;
        assert_eq!(consumed.iter().filter(|consumed| **consumed).count(), 1);
        let found = read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).unwrap();
        assert_eq!((found.consumed_at, found.status(at(2))), (Some(at(1)), ChallengeStatus::Consumed));
    }

    async fn of_fifty_tries_at_once_five_are_counted(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        let counted = concurrently(50, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.challenges().count_attempt(id, MAX_ATTEMPTS)) }
        })
        .await;
        assert_eq!(
            counted.iter().filter(|counted| **counted).count(),
            usize::try_from(MAX_ATTEMPTS).unwrap()
        );
        let found = read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).unwrap();
        assert_eq!((found.attempts, found.status(NOW)), (MAX_ATTEMPTS, ChallengeStatus::Blocked));
    }

    // The whole of a use case: count the try, judge it, take the challenge. Fifty right codes at once, one gets in.
    async fn of_fifty_right_codes_at_once_one_gets_in(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        let let_in = concurrently(50, |_| {
            let store = world.store.clone();
            async move {
                let mut unit = store.begin().await.unwrap();
                if !unit.challenges().count_attempt(id, MAX_ATTEMPTS).await.unwrap() {
                    return false;
                }
                let right = unit.challenges().consume(id, at(1)).await.unwrap();
                unit.commit().await.unwrap();
                right
            }
        })
        .await;
        assert_eq!(let_in.iter().filter(|let_in| **let_in).count(), 1);
        let found = read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).unwrap();
        assert_eq!((found.attempts, found.consumed_at), (1, Some(at(1))));
    }

    async fn an_answered_challenge_counts_no_more_tries(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        assert!(commit!(world.store, unit => unit.challenges().count_attempt(id, MAX_ATTEMPTS)));
        assert!(commit!(world.store, unit => unit.challenges().consume(id, at(1))));
        assert!(!commit!(world.store, unit => unit.challenges().count_attempt(id, MAX_ATTEMPTS)));
        assert!(!commit!(world.store, unit => unit.challenges().consume(world.key(), at(1))));
        assert!(!commit!(world.store, unit => unit.challenges().count_attempt(world.key(), MAX_ATTEMPTS)));
    }

    async fn a_challenge_is_found_by_its_key_for_its_purpose(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        let found = read!(world.store, unit => unit.challenges().find(Purpose::VerifyEmail, id)).unwrap();
        assert_eq!((found.id, found.account), (id, Some(ada)));
        assert!(read!(world.store, unit => unit.challenges().find(Purpose::ChangeEmail, id)).is_none());
        assert!(
            read!(world.store, unit => unit.challenges().find(Purpose::VerifyEmail, world.key())).is_none()
        );
    }

    async fn a_link_is_followed_so_often_and_counts_as_answered_from_the_first_time(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        for second in 1..=i64::from(MAX_LINK_USES) {
            assert!(commit!(world.store, unit => unit.challenges().claim(id, at(second))));
            let found = read!(world.store, unit => unit.challenges().find(Purpose::VerifyEmail, id)).unwrap();
            assert_eq!(found.consumed_at, Some(at(1)));
        }
        assert!(!commit!(world.store, unit => unit.challenges().claim(id, at(99))));
        let withdrawn = add(&world, &challenge(&world, ada, NOW)).await;
        commit!(world.store, unit => unit.challenges().remove(Purpose::VerifyEmail, ada));
        assert!(!commit!(world.store, unit => unit.challenges().claim(withdrawn, at(3))));
    }

    async fn of_fifty_who_follow_a_link_at_once_no_more_get_in_than_may(world: World) {
        let ada = world.account().await;
        let id = add(&world, &challenge(&world, ada, NOW)).await;
        let claimed = concurrently(50, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.challenges().claim(id, at(1))) }
        })
        .await;
        let let_in = claimed.iter().filter(|claimed| **claimed).count();
        assert_eq!(let_in, usize::try_from(MAX_LINK_USES).unwrap().min(50));
    }

    async fn answering_one_for_all_spares_other_purposes_and_people(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let purpose = Purpose::VerifyEmail;
        let first = add(&world, &challenge(&world, ada, at(1))).await;
        add(&world, &challenge(&world, ada, at(2))).await;
        let other = NewChallenge { purpose: Purpose::ResetPassword, ..challenge(&world, ada, NOW) };
        let others = [add(&world, &other).await, add(&world, &challenge(&world, eve, NOW)).await];
        commit!(world.store, unit => unit.challenges().consume(first, at(3)));
        commit!(world.store, unit => unit.challenges().consume_all(purpose, ada, at(4)));
        let latest = read!(world.store, unit => unit.challenges().latest(purpose, ada)).unwrap();
        assert_eq!(latest.consumed_at, Some(at(4)));
        for other in others {
            assert!(commit!(world.store, unit => unit.challenges().consume(other, at(5))));
        }
        let kept = "select count(*) from challenges where consumed_at = 1767603603000000";
        assert_eq!(world.database.sql_count(kept).await, 1, "what was answered before keeps its time");
    }

    async fn withdrawn_codes_leave_links_working(world: World) {
        let ada = world.account().await;
        let (handle, link) = (world.hash(), world.hash());
        let new = NewChallenge {
            handle_hash: Some(&handle),
            link_hash: Some(&link),
            ..challenge(&world, ada, NOW)
        };
        add(&world, &new).await;
        let purpose = Purpose::VerifyEmail;
        commit!(world.store, unit => unit.challenges().withdraw_codes(Purpose::ChangeEmail, ada));
        assert!(read!(world.store, unit => unit.challenges().find_by_handle(purpose, &handle)).is_some());
        commit!(world.store, unit => unit.challenges().withdraw_codes(purpose, ada));
        assert!(read!(world.store, unit => unit.challenges().find_by_handle(purpose, &handle)).is_none());
        let found = read!(world.store, unit => unit.challenges().find_by_link(purpose, &link)).unwrap();
        assert_eq!((found.code_mac.as_deref(), found.status(NOW)), (None, ChallengeStatus::Open));
    }

    async fn a_removed_challenge_is_gone_and_others_stay(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        add(&world, &challenge(&world, ada, NOW)).await;
        add(&world, &challenge(&world, eve, NOW)).await;
        commit!(world.store, unit => unit.challenges().remove(Purpose::VerifyEmail, ada));
        assert!(read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).is_none());
        assert!(read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, eve)).is_some());
    }

    async fn a_challenge_takes_the_place_of_those_to_the_same_address_for_the_same(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let (purpose, ours) = (Purpose::SignInByPhone, "+254712345678");
        let to = |address| NewChallenge { purpose, address, ..challenge(&world, ada, NOW) };
        // Whoever they are for, answered or not.
        let replaced = [
            add(&world, &to(ours)).await,
            add(&world, &NewChallenge { account: Some(eve), ..to(ours) }).await,
            add(&world, &NewChallenge { account: None, ..to(ours) }).await,
        ];
        commit!(world.store, unit => unit.challenges().consume(replaced[0], at(1)));
        let other = NewChallenge { purpose: Purpose::RegisterPhone, ..to(ours) };
        let mut kept = vec![add(&world, &other).await];
        for address in ["+254712345679", "+25471234567", "%", ""] {
            kept.push(add(&world, &to(address)).await);
        }
        let mut unit = world.store.begin().await.unwrap();
        let newest = to(ours);
        unit.challenges().replace(&newest).await.unwrap();
        unit.commit().await.unwrap();
        let found = read!(world.store, unit => unit.challenges().latest_to(purpose, ours)).unwrap();
        assert_eq!(found.id, newest.id);
        for id in replaced {
            assert!(read!(world.store, unit => unit.challenges().find(purpose, id)).is_none());
        }
        for (id, purpose) in kept.into_iter().zip([Purpose::RegisterPhone].into_iter().chain([purpose; 4])) {
            assert!(read!(world.store, unit => unit.challenges().find(purpose, id)).is_some());
        }
    }

    async fn expired_challenges_are_removed_oldest_first(world: World) {
        let ada = world.account().await;
        for second in [5, 1, 3] {
            add(&world, &challenge(&world, ada, at(second))).await;
        }
        assert_eq!(commit!(world.store, unit => unit.challenges().prune(at(601), 500)), 0);
        assert_eq!(commit!(world.store, unit => unit.challenges().prune(at(700), 2)), 2);
        let left = read!(world.store, unit => unit.challenges().latest(Purpose::VerifyEmail, ada)).unwrap();
        assert_eq!(left.expires_at, at(605));
    }

    async fn two_challenges_never_share_a_token(world: World) {
        let ada = world.account().await;
        let hash = world.hash();
        let with_handle = |hash| NewChallenge { handle_hash: Some(hash), ..challenge(&world, ada, NOW) };
        add(&world, &with_handle(&hash)).await;
        let mut unit = world.store.begin().await.unwrap();
        unit.challenges().insert(&with_handle(&hash)).await.unwrap();
        let twice = unit.commit().await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
    }

    async fn text_that_is_no_contracts_name_is_an_error_not_a_guess(world: World) {
        let ada = world.account().await;
        add(&world, &challenge(&world, ada, NOW)).await;
        world.database.sql("update challenges set dialect = 'not a name'").await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.challenges().latest(Purpose::VerifyEmail, ada).await;
        assert!(matches!(found, Err(StoreError::Unreadable("challenges.dialect"))), "{found:?}");
    }
}
