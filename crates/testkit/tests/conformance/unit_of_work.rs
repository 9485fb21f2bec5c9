//! Everything of a unit happens, or nothing.

use std::sync::{Arc, Mutex};

use tidegate_database::{DatabaseUrl, OnCommit, Result, Store, StoreError, StoreOptions, Unit};
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::Limit;
use tidegate_domain::{ContractId, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::idempotency::Record;
use tidegate_kernel::tables::outbox::NewMessage;
use tidegate_testkit::{Engine, TestDatabase, concurrently, on_both_engines, on_one_engine};

use crate::world::{NOW, World, address, at, insert_account};

/// Something done apart from a unit, which tells how it ended.
struct Apart {
    ends: Arc<Mutex<Vec<&'static str>>>,
    holds: bool,
}

impl OnCommit for Apart {
    fn committed(&mut self) {
        self.holds = true;
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.ends.lock().unwrap().push(if self.holds { "holds" } else { "undone" });
    }
}

on_both_engines! {
    async fn a_unit_of_a_single_statement_is_durable_once_it_is_committed(world: World) {
        let limit = Limit::new(5, 60);
        let mut unit = world.store.begin_single().await.unwrap();
        assert_eq!(unit.limits().count(b"single", limit, 1, NOW).await.unwrap().remaining, 4);
        unit.commit().await.unwrap();
        let mut reading = world.store.read().await.unwrap();
        assert_eq!(reading.limits().next(b"single", limit, NOW).await.unwrap().unwrap().remaining, 3);
    }

    async fn what_was_done_apart_from_a_unit_holds_if_it_is_committed(world: World) {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let apart = || Box::new(Apart { ends: Arc::clone(&ends), holds: false });
        let mut unit = world.store.begin().await.unwrap();
        unit.on_commit(apart());
        drop(unit);
        let taken = world.account().await;
        let mut unit = world.store.begin().await.unwrap();
        unit.on_commit(apart());
        insert_account(&mut unit, taken).await.unwrap_err();
        unit.commit().await.unwrap_err();
        assert_eq!(*ends.lock().unwrap(), ["undone", "undone"]);
        let mut unit = world.store.begin().await.unwrap();
        unit.on_commit(apart());
        unit.commit().await.unwrap();
        assert_eq!(*ends.lock().unwrap(), ["undone", "undone", "holds"]);
    }

    async fn what_is_committed_is_there_on_every_node(world: World) {
        let account = world.account().await;
        let other_node = world.database.open().await;
        for store in [&world.store, &other_node] {
            assert!(read!(store, unit => unit.accounts().find(account)).is_some());
        }
    }

    async fn a_unit_dropped_without_commit_never_happened(world: World) {
        let account = world.key();
        let mut unit = world.store.begin().await.unwrap();
        insert_account(&mut unit, account).await.unwrap();
        drop(unit);
        assert!(read!(world.store, unit => unit.accounts().find(account)).is_none());
    }

    async fn a_unit_sees_what_it_wrote_and_others_only_what_was_committed(world: World) {
        let account = world.key();
        let other_node = world.database.open().await;
        let mut unit = world.store.begin().await.unwrap();
        insert_account(&mut unit, account).await.unwrap();
        assert!(unit.accounts().find(account).await.unwrap().is_some());
        // Nor does reading wait for the writer.
        let mut reader = world.store.read().await.unwrap();
        assert!(reader.accounts().find(account).await.unwrap().is_none());
        assert!(read!(other_node, unit => unit.accounts().find(account)).is_none());
        unit.commit().await.unwrap();
        // The same reader sees it now: each of its statements reads anew.
        assert!(reader.accounts().find(account).await.unwrap().is_some());
    }

    async fn an_error_in_the_middle_undoes_what_came_before(world: World) {
        let (new, taken) = (world.key(), world.account().await);
        let mut unit = world.store.begin().await.unwrap();
        insert_account(&mut unit, new).await.unwrap();
        assert!(matches!(insert_account(&mut unit, taken).await, Err(StoreError::Database(_))));
        drop(unit);
        assert!(read!(world.store, unit => unit.accounts().find(new)).is_none());
    }

    // PostgreSQL answers COMMIT with a silent ROLLBACK after an error; SQLite commits what did not fail. Neither is
    // what the caller asked for.
    async fn a_unit_of_which_a_statement_failed_cannot_be_committed(world: World) {
        let (new, taken) = (world.key(), world.account().await);
        let mut unit = world.store.begin().await.unwrap();
        unit.limits().refund_all(&[*b"a statement that notes no change"]).await.unwrap();
        unit.idempotency().prune(NOW, 100).await.unwrap();
        insert_account(&mut unit, new).await.unwrap();
        insert_account(&mut unit, taken).await.unwrap_err();
        let refused = unit.commit().await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        assert!(read!(world.store, unit => unit.accounts().find(new)).is_none());
    }

    // On PostgreSQL it could, each statement for itself, and no cache would hear of it.
    async fn a_unit_that_only_reads_cannot_write(world: World) {
        let mut unit = world.store.read().await.unwrap();
        assert!(matches!(insert_account(&mut unit, world.key()).await, Err(StoreError::Database(_))));
        assert!(matches!(unit.limits().prune(NOW, 100).await, Err(StoreError::Database(_))));
        // It still reads.
        assert!(unit.accounts().find(world.key()).await.unwrap().is_none());
        unit.commit().await.unwrap();
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 0);
    }

    async fn after_an_error_a_unit_does_nothing_more(world: World) {
        let (new, taken) = (world.key(), world.account().await);
        let mut unit = world.store.begin().await.unwrap();
        insert_account(&mut unit, taken).await.unwrap_err();
        assert!(matches!(insert_account(&mut unit, new).await, Err(StoreError::Database(_))));
        assert!(matches!(unit.accounts().find(taken).await, Err(StoreError::Database(_))));
        drop(unit);
        assert!(read!(world.store, unit => unit.accounts().find(new)).is_none());
    }

    async fn units_that_fail_or_are_dropped_leave_the_next_ones_alone(world: World) {
        let taken = world.account().await;
        for round in 0..30 {
            let mut unit = world.store.begin().await.unwrap();
            insert_account(&mut unit, world.key()).await.unwrap();
            match round % 3 {
                0 => unit.commit().await.unwrap(),
                1 => drop(unit),
                _ => drop(insert_account(&mut unit, taken).await.unwrap_err()),
            }
        }
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 11);
    }

    async fn what_is_put_off_is_seen_by_the_next_statement_and_by_nobody_before_the_commit(world: World) {
        let record = Record { fingerprint: vec![1], response: vec![2] };
        for is_kept in [false, true] {
            let mut unit = world.store.begin().await.unwrap();
            unit.idempotency().keep(b"put off", &record, NOW, at(60)).await.unwrap();
            let found = unit.idempotency().find(b"put off", NOW).await.unwrap();
            assert_eq!(found.map(|found| found.response), Some(vec![2]));
            assert!(read!(world.store, unit => unit.idempotency().find(b"put off", NOW)).is_none());
            // Twice in one unit: the second finds the first.
            unit.idempotency().keep(b"put off", &record, NOW, at(60)).await.unwrap();
            unit.idempotency().keep(b"and another", &record, NOW, at(60)).await.unwrap();
            if is_kept {
                unit.commit().await.unwrap();
            }
            let kept = world.database.sql_count("select count(*) from idempotency_records").await;
            assert_eq!(kept, if is_kept { 2 } else { 0 });
        }
    }

    async fn what_was_put_off_and_fails_fails_the_unit(world: World) {
        let ada = world.account().await;
        let (no_account, new) = (world.key(), world.key());
        for reads_after in [false, true] {
            let mut unit = world.store.begin().await.unwrap();
            insert_account(&mut unit, new).await.unwrap();
            unit.accounts().set_password(no_account, "$2b$04$hash", NOW).await.unwrap();
            if reads_after {
                assert!(matches!(unit.accounts().find(ada).await, Err(StoreError::Database(_))));
            }
            let refused = unit.commit().await;
            assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
            assert!(read!(world.store, unit => unit.accounts().find(new)).is_none());
        }
    }

    async fn a_unit_that_did_nothing_commits(world: World) {
        world.store.begin().await.unwrap().commit().await.unwrap();
        world.store.read().await.unwrap().commit().await.unwrap();
    }

    async fn nodes_write_side_by_side(world: World) {
        let other_node = world.database.open().await;
        let keys: Vec<AccountId> = (0..40).map(|_| world.key()).collect();
        let nodes = [world.store.clone(), other_node];
        concurrently(40, |number| {
            let (store, key) = (nodes[number % 2].clone(), keys[number]);
            async move { commit!(store, unit => insert_account(&mut unit, key)) }
        })
        .await;
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 40);
    }

    async fn numbers_are_given_once_and_grow(world: World) {
        let keys: Vec<AccountId> = (0..20).map(|_| world.key()).collect();
        let mut numbers = concurrently(20, |number| {
            let (store, key) = (world.store.clone(), keys[number]);
            async move { commit!(store, unit => insert_account(&mut unit, key)) }
        })
        .await;
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
        assert!(numbers[0] >= 1, "0 stands for nobody");
    }

    async fn closing_waits_for_the_unit_under_way_and_refuses_the_next(world: World) {
        let account = world.key();
        let mut unit = world.store.begin().await.unwrap();
        insert_account(&mut unit, account).await.unwrap();
        let closing = tokio::spawn({
            let store = world.store.clone();
            async move { store.close().await }
        });
        tokio::task::yield_now().await;
        unit.commit().await.unwrap();
        closing.await.unwrap();
        for refused in [world.store.begin().await.err(), world.store.read().await.err()] {
            assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
        }
        assert!(world.store.ping().await.is_err());
        let reopened = world.database.open().await;
        assert!(read!(reopened, unit => unit.accounts().find(account)).is_some());
    }

    async fn an_open_store_answers(world: World) {
        world.store.ping().await.unwrap();
    }

    async fn a_foreign_key_without_its_row_is_refused(world: World) {
        let nobody: AccountId = world.key();
        let mut unit = world.store.begin().await.unwrap();
        let email = address("nobody@example.com").into();
        let orphan = unit.accounts().insert_identifier(world.identifier(nobody, &email, true)).await;
        assert!(matches!(orphan, Err(StoreError::Database(_))), "{orphan:?}");
    }

    // Every node tidies up every minute. Their clocks differ a little, and so does what each of them finds to be over.
    async fn nodes_that_tidy_up_at_once_do_not_trip_over_each_other(world: World) {
        let mut unit = world.store.begin().await.unwrap();
        for number in 0..500_i64 {
            litter(&world, &mut unit, number, at(number % 8)).await.unwrap();
        }
        unit.commit().await.unwrap();
        concurrently(8, |number| {
            let (store, now) = (world.store.clone(), at(8 - i64::try_from(number).unwrap()));
            async move { while tidy_up(&store, now).await > 0 {} }
        })
        .await;
        while tidy_up(&world.store, at(9)).await > 0 {}
        for table in ["challenges", "outbox_messages", "idempotency_records", "rate_limit_buckets"] {
            let left = world.database.sql_count(&format!("select count(*) from {table}")).await;
            assert_eq!(left, 0, "{table}");
        }
    }
}

/// Adds one of everything that is over at `end`.
async fn litter(world: &World, unit: &mut Unit, number: i64, end: Timestamp) -> Result<()> {
    let key = number.to_be_bytes();
    let record = Record { fingerprint: Vec::new(), response: Vec::new() };
    unit.idempotency().insert(&key, &record, NOW, end).await?;
    unit.limits().count(&key, Limit::new(1, 0), 1, end).await?;
    let message = NewMessage {
        id: world.key(),
        idempotency_key: &number.to_string(),
        channel: "email",
        template: "t",
        recipient: "ada@example.com",
        payload: b"",
        deliverable: false,
        created_at: end,
    };
    unit.outbox().insert(message).await?;
    let challenge = NewChallenge {
        id: world.key(),
        account: None,
        purpose: Purpose::ResetPassword,
        address: "ada@example.com",
        handle_hash: None,
        link_hash: None,
        code_mac: None,
        contract: ContractId::RIVERGEN,
        continuation: &Continuation::default(),
        created_at: NOW,
        expires_at: end,
    };
    unit.challenges().insert(&challenge).await
}

/// Removes a little of everything that is over; answers how many rows.
async fn tidy_up(store: &Store, now: Timestamp) -> u64 {
    let mut unit = store.begin().await.unwrap();
    let removed = unit.challenges().prune(now, 37).await.unwrap()
        + unit.outbox().prune(now, 41).await.unwrap()
        + unit.idempotency().prune(now, 100).await.unwrap()
        + unit.limits().prune(now, 100).await.unwrap();
    unit.commit().await.unwrap();
    removed
}

on_one_engine! { Engine::Postgres;
    // What tidies up waits for nobody: two that wait for each other would end one of them.
    async fn tidying_up_leaves_the_rows_that_somebody_holds(database: TestDatabase) {
        let store = database.open_with(|_| {}).await;
        let mut unit = store.begin().await.unwrap();
        for number in 0..3_u8 {
            unit.limits().count(&[number; 32], Limit::new(1, 0), 1, NOW).await.unwrap();
        }
        unit.commit().await.unwrap();
        let mut holder = store.begin().await.unwrap();
        holder.limits().count(&[1; 32], Limit::new(1, 0), 1, at(1)).await.unwrap();
        let mut tidying = store.begin().await.unwrap();
        assert_eq!(tidying.limits().prune(at(1), 10).await.unwrap(), 2);
        tidying.commit().await.unwrap();
        holder.commit().await.unwrap();
    }

    // After a fail-over, or with its disk set to read-only.
    async fn a_server_that_can_only_be_read_is_one_to_come_back_to(database: TestDatabase) {
        let read_only = |options: &mut StoreOptions| {
            if let DatabaseUrl::Postgres(url) = &mut options.url {
                url.push_str("&options[default_transaction_read_only]=on");
            }
        };
        let store = database.open_with(read_only).await;
        let mut unit = store.begin().await.unwrap();
        let refused = unit.limits().count(&[7; 32], Limit::new(1, 60), 1, NOW).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        store.ping().await.unwrap();
    }

    // A connection keeps the setting for as long as it lives.
    async fn a_setting_that_allows_to_read_alone_ends_without_a_restart(database: TestDatabase) {
        database.only_reads(true).await;
        let store = database.open().await;
        let mut refused = store.begin().await.unwrap();
        let idle = store.begin().await.unwrap();
        idle.commit().await.unwrap();
        let error = refused.limits().count(&[0; 32], Limit::new(1, 60), 1, NOW).await;
        assert!(matches!(error, Err(StoreError::Unavailable(_))), "{error:?}");
        database.only_reads_later(false).await;
        drop(refused);
        let (mut one, mut other) = (store.begin().await.unwrap(), store.begin().await.unwrap());
        for (number, unit) in [(1, &mut one), (2, &mut other)] {
            unit.limits().count(&[number; 32], Limit::new(1, 60), 1, NOW).await.unwrap();
        }
        one.commit().await.unwrap();
        other.commit().await.unwrap();
    }
}
