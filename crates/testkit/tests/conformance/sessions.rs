//! Sessions: opened, refreshed, ended, forgotten.

use tidegate_database::StoreError;
use tidegate_domain::Role;
use tidegate_domain::account::AccountKind;
use tidegate_domain::database::Binding;
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{ServiceKeyId, SessionId};
use tidegate_domain::session::{Amr, AmrSet, EndReason, SessionTimes};
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::sessions::NewSession;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{Member, NOW, World, address, at, session};

/// Opens a session that began, expires and ends at those seconds.
async fn open(world: &World, member: &Member, began: i64, expires: i64, ends: i64) -> SessionId {
    let id = world.key();
    let new = NewSession {
        id,
        created_at: at(began),
        times: SessionTimes { expires_at: at(expires), ends_at: at(ends) },
        ..session(member, 0)
    };
    commit!(world.store, unit => unit.sessions().insert(&new));
    id
}

/// Opens a session that is bound to something, or was opened with a key.
async fn open_with(
    world: &World,
    member: &Member,
    binding: Option<&Binding>,
    service_key: Option<ServiceKeyId>,
) -> SessionId {
    let id = world.key();
    let new =
        NewSession { id, amr: AmrSet::of(Amr::ServiceKey), binding, service_key, ..session(member, 60) };
    commit!(world.store, unit => unit.sessions().insert(&new));
    id
}

/// Opens a session whose token has that hash; answers its key and number.
async fn open_by_token(world: &World, member: &Member, hash: &[u8]) -> (SessionId, i64) {
    let id = world.key();
    let new = NewSession { id, token_hash: Some(hash), ..session(member, 60) };
    (id, commit!(world.store, unit => unit.sessions().insert(&new)))
}

async fn number(world: &World, id: SessionId) -> i64 {
    let query = format!("select number from sessions where id = {}", world.database.sql_uuid(id));
    world.database.sql_count(&query).await
}

on_both_engines! {
    async fn a_request_learns_all_about_its_session(world: World) {
        let ada = world.member("ada@example.com").await;
        let id = world.session(&ada, 60).await;
        let record = read!(world.store, unit => unit.sessions().record(id)).unwrap();
        assert_eq!((record.id, record.account, record.organization), (id, ada.account, ada.organization));
        assert_eq!((record.email.unwrap().as_str(), record.email_verified), ("ada@example.com", false));
        assert_eq!((record.role, record.display_name.as_str(), record.ended), (Role::Owner, "Ada", false));
        assert_eq!((record.expires_at, record.account_created_at), (at(60), NOW));
        let email = address("ada@example.com");
        commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, NOW));
        assert!(read!(world.store, unit => unit.sessions().record(id)).unwrap().email_verified);
        assert!(read!(world.store, unit => unit.sessions().record(world.key())).is_none());
    }

    // Nobody signs in to such an account's mailbox, and nothing may wait for its address to be verified.
    async fn a_programs_session_has_no_address(world: World) {
        let ada = world.member("ada@example.com").await;
        let export = Member { account: world.program(&ada, "export").await, ..ada };
        let id = world.session(&export, 60).await;
        let record = read!(world.store, unit => unit.sessions().record(id)).unwrap();
        assert_eq!((record.account, record.kind), (export.account, AccountKind::Service));
        assert_eq!((record.email, record.email_verified), (None, false));
        assert_eq!((record.role, record.display_name.as_str()), (Role::Developer, "export"));
        let persons = world.session(&ada, 60).await;
        let record = read!(world.store, unit => unit.sessions().record(persons)).unwrap();
        assert_eq!(record.kind, AccountKind::Individual);
    }

    async fn a_session_remembers_what_it_is_bound_to(world: World) {
        let ada = world.member("ada@example.com").await;
        let ident = |text: &str| Some(FlexibleId::from_stored(text.to_owned()));
        let database = world.key();
        for (user, session) in
            [(None, None), (ident("7"), None), (None, ident("Ab")), (ident("-7"), ident("x"))]
        {
            let binding = Binding { database, user, session };
            let id = open_with(&world, &ada, Some(&binding), None).await;
            assert_eq!(read!(world.store, unit => unit.sessions().binding(id)), Some(binding));
        }
        let unbound = world.session(&ada, 60).await;
        assert_eq!(read!(world.store, unit => unit.sessions().binding(unbound)), None);
        assert_eq!(read!(world.store, unit => unit.sessions().binding(world.key())), None);
    }

    async fn a_session_bound_to_another_database_speaks_for_nobody_there(world: World) {
        let ada = world.member("ada@example.com").await;
        let ident = |text: &str| Some(FlexibleId::from_stored(text.to_owned()));
        let binding = Binding { database: world.key(), user: ident("7"), session: ident("x") };
        let (bound, bystander) = (
            open_with(&world, &ada, Some(&binding), None).await,
            open_with(&world, &ada, Some(&binding), None).await,
        );
        let unbound = world.session(&ada, 60).await;
        let other = world.key();
        for id in [bound, unbound] {
            commit!(world.store, unit => unit.sessions().bind(id, other));
            let now = Binding { database: other, user: None, session: None };
            assert_eq!(read!(world.store, unit => unit.sessions().binding(id)), Some(now));
        }
        assert_eq!(read!(world.store, unit => unit.sessions().binding(bystander)), Some(binding));
    }

    async fn the_end_of_a_key_ends_what_it_opened_and_nothing_else(world: World) {
        let ada = world.member("ada@example.com").await;
        let export = Member { account: world.program(&ada, "export").await, ..ada };
        let (key, other_key) = (world.key(), world.key());
        let (one, two) = (
            open_with(&world, &export, None, Some(key)).await,
            open_with(&world, &export, None, Some(key)).await,
        );
        let signed_out = open_with(&world, &export, None, Some(key)).await;
        commit!(world.store, unit => unit.sessions().end(signed_out, EndReason::SignedOut, at(1)));
        let others =
            [open_with(&world, &export, None, Some(other_key)).await, world.session(&export, 60).await];
        commit!(world.store, unit => unit.sessions().end_opened_with(key, EndReason::KeyDeleted, at(2)));
        for id in [one, two] {
            assert!(read!(world.store, unit => unit.sessions().record(id)).unwrap().ended);
        }
        for id in others {
            assert!(!read!(world.store, unit => unit.sessions().record(id)).unwrap().ended);
        }
        let reasons = world
            .database
            .sql_texts("select revoked_reason from sessions where revoked_at is not null order by number")
            .await;
        assert_eq!(reasons, ["key_deleted", "key_deleted", "signed_out"]);
    }

    async fn a_shut_account_and_a_lost_membership_end_its_sessions(world: World) {
        let ada = world.member("ada@example.com").await;
        let id = world.session(&ada, 60).await;
        world.database.sql("update accounts set disabled_at = 1").await;
        assert!(read!(world.store, unit => unit.sessions().record(id)).unwrap().ended);
        world.database.sql("delete from membership_workspaces; delete from memberships").await;
        assert!(read!(world.store, unit => unit.sessions().record(id)).is_none());
    }

    async fn refreshing_extends_a_session_that_has_not_ended(world: World) {
        let ada = world.member("ada@example.com").await;
        let id = world.session(&ada, 60).await;
        assert!(commit!(world.store, unit => unit.sessions().refreshed(id, at(30), at(90))));
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(30)));
        assert_eq!(
            (active[0].last_activity_at, active[0].expires_at, active[0].ends_at),
            (at(30), at(90), at(60))
        );
        assert!(commit!(world.store, unit => unit.sessions().end(id, EndReason::Revoked, at(31))));
        assert!(!commit!(world.store, unit => unit.sessions().refreshed(id, at(32), at(99))));
        assert!(!commit!(world.store, unit => unit.sessions().refreshed(world.key(), at(32), at(99))));
    }

    async fn a_session_is_found_by_the_hash_of_its_token(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let (one, two, unknown) = (world.hash(), world.hash(), world.hash());
        let find = async |hash: &[u8]| read!(world.store, unit => unit.sessions().find_by_token(hash));
        assert_eq!(find(&one).await, None);
        let without = world.session(&ada, 60).await;
        let (adas, eves) =
            (open_by_token(&world, &ada, &one).await, open_by_token(&world, &eve, &two).await);
        assert_eq!(find(&one).await, Some(adas));
        assert_eq!(find(&two).await, Some(eves));
        for none in [&unknown[..], &one[..31], b"", &[0; 32]] {
            assert_eq!(find(none).await, None, "{none:?}");
        }
        for (id, answered) in [adas, eves] {
            assert_eq!(number(&world, id).await, answered);
        }
        let active = read!(world.store, unit => unit.sessions().active(ada.account, NOW));
        let numbers: Vec<_> = active.iter().map(|session| (session.id, session.number)).collect();
        assert_eq!(numbers, [adas, (without, number(&world, without).await)]);
    }

    // Whoever asks says so: an ended session is refused otherwise than one that never was.
    async fn an_ended_session_is_found_by_its_token_until_it_is_removed(world: World) {
        let ada = world.member("ada@example.com").await;
        let hash = world.hash();
        let opened = open_by_token(&world, &ada, &hash).await;
        assert!(commit!(world.store, unit => unit.sessions().end(opened.0, EndReason::SignedOut, at(1))));
        assert_eq!(read!(world.store, unit => unit.sessions().find_by_token(&hash)), Some(opened));
        assert!(read!(world.store, unit => unit.sessions().record(opened.0)).unwrap().ended);
        assert_eq!(commit!(world.store, unit => unit.sessions().prune(at(61), 10)), 1);
        assert_eq!(read!(world.store, unit => unit.sessions().find_by_token(&hash)), None);
    }

    async fn two_sessions_never_share_a_token(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let hash = world.hash();
        let first = open_by_token(&world, &ada, &hash).await;
        let mut unit = world.store.begin().await.unwrap();
        let new = NewSession { id: world.key(), token_hash: Some(&hash), ..session(&eve, 60) };
        let twice = unit.sessions().insert(&new).await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
        drop(unit);
        assert_eq!(read!(world.store, unit => unit.sessions().find_by_token(&hash)), Some(first));
        // Any number have none.
        for _ in 0..2 {
            world.session(&eve, 60).await;
        }
    }

    async fn use_is_noted_when_it_was_not_for_some_time(world: World) {
        let ada = world.member("ada@example.com").await;
        let (id, bystander) = (world.session(&ada, 600).await, world.session(&ada, 600).await);
        let last = async |id| {
            read!(world.store, unit => unit.sessions().record(id)).unwrap().last_activity_at
        };
        // When, unless noted since; and what is noted then.
        for (now, before, noted) in
            [(100, 0, 0), (100, 40, 100), (130, 70, 100), (160, 100, 100), (161, 101, 161), (99, 40, 161)]
        {
            commit!(world.store, unit => unit.sessions().used(id, at(now), at(before)));
            assert_eq!(last(id).await, at(noted), "at {now}, before {before}");
        }
        assert_eq!(last(bystander).await, NOW);
        commit!(world.store, unit => unit.sessions().used(world.key(), at(900), at(900)));
        // It ends when it was to end all the same.
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(1)));
        assert_eq!((active[0].id, active[0].expires_at, active[0].ends_at), (id, at(600), at(600)));
    }

    async fn a_session_ends_once(world: World) {
        let ada = world.member("ada@example.com").await;
        let id = world.session(&ada, 60).await;
        let ended = concurrently(20, |_| {
            let store = world.store.clone();
            async move { commit!(store, unit => unit.sessions().end(id, EndReason::SignedOut, at(1))) }
        })
        .await;
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        assert!(read!(world.store, unit => unit.sessions().record(id)).unwrap().ended);
        let reason = world.database.sql_texts("select revoked_reason from sessions").await;
        assert_eq!(reason, ["signed_out"]);
        let expired = world.session(&ada, 60).await;
        assert!(!commit!(world.store, unit => unit.sessions().end(expired, EndReason::SignedOut, at(60))));
        assert!(!commit!(world.store, unit => unit.sessions().end(world.key(), EndReason::SignedOut, at(1))));
    }

    async fn somebody_ends_a_session_of_their_own_by_its_number(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let id = world.session(&ada, 60).await;
        let number = number(&world, id).await;
        let reason = EndReason::Revoked;
        for (account, number, now) in
            [(eve.account, number, 1), (ada.account, number + 99, 1), (ada.account, number, 60)]
        {
            let ended =
                commit!(world.store, unit => unit.sessions().end_numbered(account, number, reason, at(now)));
            assert_eq!(ended, None);
        }
        let ended =
            commit!(world.store, unit => unit.sessions().end_numbered(ada.account, number, reason, at(1)));
        assert_eq!(ended, Some(id));
        let again =
            commit!(world.store, unit => unit.sessions().end_numbered(ada.account, number, reason, at(2)));
        assert_eq!(again, None);
    }

    async fn ending_all_of_somebodys_sessions_leaves_those_of_others(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(world.session(&ada, 60).await);
        }
        // Expired here, perhaps not yet by another node's clock: ended as well, and not counted.
        let expired = world.session(&ada, 2).await;
        let other = world.session(&eve, 60).await;
        commit!(world.store, unit => unit.sessions().end(ids[0], EndReason::SignedOut, at(1)));
        let reason = EndReason::PasswordChanged;
        let ended = commit!(world.store, unit => unit.sessions().end_all(ada.account, reason, at(2)));
        assert_eq!(ended, 2);
        for id in ids.into_iter().chain([expired]) {
            assert!(read!(world.store, unit => unit.sessions().record(id)).unwrap().ended);
        }
        assert!(!read!(world.store, unit => unit.sessions().record(other)).unwrap().ended);
        let reasons = world
            .database
            .sql_texts("select revoked_reason from sessions where revoked_at is not null order by number")
            .await;
        assert_eq!(reasons, ["signed_out", "password_changed", "password_changed", "password_changed"]);
    }

    async fn active_sessions_are_listed_by_latest_activity(world: World) {
        let ada = world.member("ada@example.com").await;
        let old = open(&world, &ada, 0, 100, 100).await;
        let new = open(&world, &ada, 10, 100, 100).await;
        let expired = open(&world, &ada, 5, 20, 100).await;
        let ended = open(&world, &ada, 30, 100, 100).await;
        commit!(world.store, unit => unit.sessions().end(ended, EndReason::Revoked, at(31)));
        let ids = |sessions: Vec<tidegate_domain::account::Session>| {
            sessions.iter().map(|s| s.id).collect::<Vec<_>>()
        };
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(15)));
        assert_eq!(ids(active), [new, expired, old]);
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(20)));
        assert_eq!(ids(active), [new, old]);
        commit!(world.store, unit => unit.sessions().refreshed(old, at(40), at(100)));
        let active = read!(world.store, unit => unit.sessions().active(ada.account, at(41)));
        assert_eq!(
            (active[0].ip.as_str(), active[0].user_agent.as_str(), active[0].revoked_at),
            ("192.0.2.1", "test", None)
        );
        assert_eq!(ids(active), [old, new]);
        assert_eq!(read!(world.store, unit => unit.sessions().counts(ada.account, at(41))), (2, 4));
        assert_eq!(read!(world.store, unit => unit.sessions().counts(world.key(), at(41))), (0, 0));
    }

    async fn sessions_long_over_are_removed_with_their_tokens_a_batch_at_a_time(world: World) {
        let ada = world.member("ada@example.com").await;
        for _ in 0..5 {
            let id = open(&world, &ada, 0, 10, 10).await;
            let parent = world.refresh_token(id, &world.hash(), None).await;
            world.refresh_token(id, &world.hash(), Some(parent)).await;
        }
        let kept = open(&world, &ada, 0, 10, 20).await;
        world.refresh_token(kept, &world.hash(), None).await;
        // The end itself is not before itself.
        assert_eq!(commit!(world.store, unit => unit.sessions().prune(at(10), 500)), 0);
        for removed in [2, 2, 1, 0] {
            assert_eq!(commit!(world.store, unit => unit.sessions().prune(at(11), 2)), removed);
        }
        assert!(read!(world.store, unit => unit.sessions().record(kept)).is_some());
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 1);
    }

    // Every node prunes every minute: two at once must not trip over each other's work.
    async fn nodes_that_prune_at_once_remove_everything_once(world: World) {
        let ada = world.member("ada@example.com").await;
        for _ in 0..40 {
            let id = open(&world, &ada, 0, 10, 10).await;
            world.refresh_token(id, &world.hash(), None).await;
        }
        let removed = concurrently(8, |_| {
            let store = world.store.clone();
            async move {
                let mut removed = 0;
                loop {
                    match commit!(store, unit => unit.sessions().prune(at(11), 3)) {
                        0 => break removed,
                        some => removed += some,
                    }
                }
            }
        })
        .await;
        let left = commit!(world.store, unit => unit.sessions().prune(at(11), 500));
        assert_eq!(removed.iter().sum::<u64>() + left, 40);
        assert_eq!(world.database.sql_count("select count(*) from sessions").await, 0);
        assert_eq!(world.database.sql_count("select count(*) from refresh_tokens").await, 0);
    }
}
