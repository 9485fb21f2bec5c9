//! Caches hear of what changed: at once where it was committed, soon on the other nodes.

use std::sync::{Arc, Mutex};

use tidegate_database::{Change, ChangeListener, Store};
use tidegate_domain::session::EndReason;
use tidegate_domain::{Document, Role};
use tidegate_identity::IdentityTables;
use tidegate_kernel::tables::keys::StoredKey;
use tidegate_kernel::tables::outbox::NewMessage;
use tidegate_kernel::tables::sessions::NewSession;
use tidegate_kernel::{KernelTables, changes};
use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines, on_one_engine};

use crate::world::{NOW, World, address, at, phone, session};

/// A cache that remembers what it was told.
#[derive(Clone, Default)]
pub(crate) struct Ear(Arc<Mutex<Vec<Change>>>);

impl ChangeListener for Ear {
    fn changed(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }
}

impl Ear {
    /// An ear at `store`, once it hears: PostgreSQL's listener begins by forgetting everything.
    pub(crate) async fn at(store: &Store, engine: Engine) -> Self {
        let ear = Self::default();
        store.listen(Arc::new(ear.clone()));
        if engine == Engine::Postgres {
            ear.hears(Change::Everything).await;
        }
        ear.forget();
        ear
    }

    pub(crate) fn heard(&self) -> Vec<Change> {
        self.0.lock().unwrap().clone()
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) async fn hears(&self, change: Change) {
        eventually("a change is heard", || async { self.heard().contains(&change).then_some(()) }).await;
    }
}

fn key() -> StoredKey {
    StoredKey {
        kid: "kid".to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: vec![1],
        created_at: NOW.micros(),
        retired_at: None,
        id_tokens_only: false,
    }
}

on_both_engines! {
    async fn this_node_hears_before_the_commit_is_answered(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 60).await;
        let ear = Ear::at(&world.store, world.database.engine()).await;
        let mut unit = world.store.begin().await.unwrap();
        unit.sessions().end(session, EndReason::SignedOut, at(1)).await.unwrap();
        assert_eq!(ear.heard(), [], "nothing has changed yet");
        unit.commit().await.unwrap();
        assert!(ear.heard().contains(&changes::session(session)));
    }

    async fn nobody_hears_of_what_did_not_happen(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 60).await;
        let ear = Ear::at(&world.store, world.database.engine()).await;
        let mut unit = world.store.begin().await.unwrap();
        unit.sessions().end(session, EndReason::SignedOut, at(1)).await.unwrap();
        drop(unit);
        // Nor of a unit that could not be committed.
        let mut unit = world.store.begin().await.unwrap();
        unit.keys().insert(&key()).await.unwrap();
        unit.keys().insert(&key()).await.unwrap_err();
        unit.commit().await.unwrap_err();
        // What is heard of in its turn tells that nothing was to be heard before.
        commit!(world.store, unit => async { unit.touch_account(ada.account); Ok::<(), ()>(()) });
        ear.hears(changes::account(ada.account)).await;
        assert!(
            ear.heard().iter().all(|change| *change == changes::account(ada.account)),
            "{:?}",
            ear.heard()
        );
    }

    async fn each_change_says_what_it_is_about(world: World) {
        let ada = world.member("ada@example.com").await;
        let (one, two) = (world.session(&ada, 60).await, world.session(&ada, 60).await);
        let ear = Ear::at(&world.store, world.database.engine()).await;
        let account = changes::account(ada.account);

        commit!(world.store, unit => unit.sessions().end_all(ada.account, EndReason::Revoked, at(1)));
        let heard = ear.heard();
        assert!(
            [changes::session(one), changes::session(two), account].iter().all(|change| heard.contains(change))
        );
        ear.forget();

        world.session(&ada, 60).await;
        assert!(ear.heard().contains(&account), "a session was opened");
        ear.forget();

        let email = address("ada@example.com");
        commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, at(1)));
        assert!(ear.heard().contains(&account), "an address was verified");
        ear.forget();

        let message = NewMessage {
            id: world.key(),
            idempotency_key: "key",
            channel: "email",
            template: "t",
            recipient: "ada@example.com",
            payload: b"",
            deliverable: true,
            created_at: NOW,
        };
        commit!(world.store, unit => unit.outbox().insert(message));
        assert!(ear.heard().contains(&changes::MAILS));
        ear.forget();

        commit!(world.store, unit => unit.keys().insert(&key()));
        commit!(world.store, unit => unit.keys().retire_others(&key(), at(1)));
        assert!(ear.heard().contains(&changes::SIGNING_KEYS));
    }

    async fn what_managers_do_is_heard_of_whom_they_do_it_to(world: World) {
        let host = world.member("host@example.com").await;
        let (ada, export) =
            (world.person(&host, "ada@example.com").await, world.program(&host, "export").await);
        let key = world.key();
        let opened =
            NewSession { id: world.key(), account: export, service_key: Some(key), ..session(&host, 60) };
        commit!(world.store, unit => unit.sessions().insert(&opened));
        let ear = Ear::at(&world.store, world.database.engine()).await;

        commit!(world.store, unit => unit.members().describe(ada, "A", "L", &Document::default(), at(1)));
        assert!(ear.heard().contains(&changes::account(ada)), "described");
        ear.forget();

        commit!(world.store, unit => unit.members().set_role(host.organization, ada, Role::Admin));
        assert!(ear.heard().contains(&changes::account(ada)), "another role");
        ear.forget();

        commit!(world.store, unit => unit.sessions().end_opened_with(key, EndReason::KeyDeleted, at(1)));
        assert!(ear.heard().contains(&changes::session(opened.id)), "a key was deleted");
        ear.forget();

        commit!(world.store, unit => unit.accounts().delete(ada, "ada@example.com", at(1)));
        assert!(ear.heard().contains(&changes::account(ada)), "deleted");
    }

    async fn use_of_a_session_is_heard_of_it_and_of_no_other(world: World) {
        let ada = world.member("ada@example.com").await;
        let (session, bystander) = (world.session(&ada, 60).await, world.session(&ada, 60).await);
        let ear = Ear::at(&world.store, world.database.engine()).await;
        commit!(world.store, unit => unit.sessions().used(session, at(30), at(20)));
        assert!(ear.heard().contains(&changes::session(session)));
        assert!(!ear.heard().contains(&changes::session(bystander)));
    }

    async fn what_becomes_known_of_a_person_is_heard_of_them(world: World) {
        let ada = world.account().await;
        let ear = Ear::at(&world.store, world.database.engine()).await;

        assert!(world.identify(ada, &phone("+254712345678"), true).await);
        assert!(ear.heard().contains(&changes::account(ada)), "a phone was added");
        ear.forget();

        commit!(world.store, unit => unit.accounts().name(ada, "Ada", "Lovelace", at(1)));
        assert!(ear.heard().contains(&changes::account(ada)), "their names became known");
    }

    async fn the_first_listener_stays(world: World) {
        let (ada, first) = (world.account().await, Ear::at(&world.store, world.database.engine()).await);
        let second = Ear::default();
        world.store.listen(Arc::new(second.clone()));
        commit!(world.store, unit => async { unit.touch_account(ada); Ok::<(), ()>(()) });
        assert!(first.heard().contains(&changes::account(ada)));
        assert_eq!(second.heard(), []);
    }
}

/// Ends the server's side of every connection that a query selects.
async fn terminate(database: &TestDatabase, which: &str) -> i64 {
    let query = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where application_name = current_database() and pid <> pg_backend_pid() and {which}"
    );
    database.sql_count(&query).await
}

on_one_engine! { Engine::Postgres;
    async fn other_nodes_hear_what_was_committed(world: World) {
        let other_node = world.database.open().await;
        let ear = Ear::at(&other_node, Engine::Postgres).await;
        let ada = world.member("ada@example.com").await;
        ear.hears(changes::account(ada.account)).await;
        let session = world.session(&ada, 60).await;
        commit!(world.store, unit => unit.sessions().end(session, EndReason::SignedOut, at(1)));
        ear.hears(changes::session(session)).await;
        commit!(world.store, unit => unit.keys().insert(&key()));
        ear.hears(changes::SIGNING_KEYS).await;
        assert!(!ear.heard().contains(&Change::Everything));
    }

    async fn a_change_of_more_than_a_message_holds_is_a_change_of_everything(world: World) {
        let ada = world.member("ada@example.com").await;
        let mut sessions = Vec::new();
        for _ in 0..300 {
            sessions.push(world.session(&ada, 60).await);
        }
        let other_node = world.database.open().await;
        let ear = Ear::at(&other_node, Engine::Postgres).await;
        let ended =
            commit!(world.store, unit => unit.sessions().end_all(ada.account, EndReason::Revoked, at(1)));
        assert_eq!(ended, sessions.len());
        ear.hears(Change::Everything).await;
    }

    async fn a_node_that_lost_messages_forgets_everything_and_hears_again(world: World) {
        let ada = world.member("ada@example.com").await;
        let other_node = world.database.open().await;
        let ear = Ear::at(&other_node, Engine::Postgres).await;
        for round in 0..2 {
            assert_eq!(terminate(&world.database, "query ilike 'listen%'").await, 1, "round {round}");
            ear.hears(Change::Everything).await;
            // Everything is forgotten when the connection is lost and again once there is a new one; only then is
            // anything heard, so the first change may have been too early.
            eventually("changes are heard again", || async {
                commit!(world.store, unit => async { unit.touch_account(ada.account); Ok::<(), ()>(()) });
                ear.heard().contains(&changes::account(ada.account)).then_some(())
            })
            .await;
            ear.forget();
        }
    }

    async fn connections_the_server_closed_are_replaced(world: World) {
        // Open several, then let them idle.
        let mut units = Vec::new();
        for _ in 0..5 {
            units.push(world.store.begin().await.unwrap());
        }
        drop(units);
        eventually("every connection idles", || async {
            let busy = "select count(*) from pg_stat_activity
                        where application_name = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
            (world.database.sql_count(busy).await == 0).then_some(())
        })
        .await;
        assert!(terminate(&world.database, "true").await >= 5);
        // The first unit that writes gets through.
        world.account().await;
    }

    async fn a_node_that_listens_can_be_closed(world: World) {
        let ear = Ear::at(&world.store, Engine::Postgres).await;
        world.store.close().await;
        assert_eq!(ear.heard(), []);
        assert!(world.store.ping().await.is_err());
    }

    async fn installations_that_share_a_server_do_not_hear_each_other(ours: World) {
        let theirs = TestDatabase::create(Engine::Postgres).await;
        let (their_store, their_other_node) = (theirs.open().await, theirs.open().await);
        let ear = Ear::at(&their_other_node, Engine::Postgres).await;
        commit!(ours.store, unit => unit.keys().insert(&key()));
        // Messages arrive in the order of the commits that sent them.
        let account = ours.key();
        let own = changes::account(account);
        commit!(their_store, unit => async { unit.touch_account(account); Ok::<(), ()>(()) });
        ear.hears(own).await;
        assert_eq!(ear.heard(), [own]);
    }

    async fn a_node_may_be_given_one_connection_and_still_hear(world: World) {
        let small = world.database.open_with(|options| options.max_connections = 1).await;
        let ear = Ear::at(&small, Engine::Postgres).await;
        let ada = world.account().await;
        commit!(small, unit => async { unit.touch_account(ada); Ok::<(), ()>(()) });
        ear.hears(changes::account(ada)).await;
    }
}
