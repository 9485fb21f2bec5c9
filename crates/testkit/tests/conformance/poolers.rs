//! A pooler between a node and PostgreSQL.

mod transactions;

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use tidegate_database::{Change, DatabaseUrl, Store, StoreError, StoreOptions};
use tidegate_domain::limit::Limit;
use tidegate_domain::session::EndReason;
use tidegate_kernel::{KernelTables, changes};
use tidegate_testkit::{Engine, TestDatabase, on_one_engine};

use transactions::startup_of;

use crate::changes::Ear;
use crate::world::{NOW, World, at};

/// Listens like PgBouncer in session mode, with its default configuration: refuses start-up parameters that it does not know, and
/// passes everything else on. Answers its port.
fn pooler(upstream: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = upstream.clone();
            thread::spawn(move || drop(serve(client, &upstream)));
        }
    });
    port
}

fn serve(mut client: TcpStream, upstream: &str) -> io::Result<()> {
    let startup = startup_of(&mut client)?;
    let unknown = b"extra_float_digits";
    if startup.windows(unknown.len()).any(|name| name == unknown) {
        let fields = b"SFATAL\0C08P01\0Munsupported startup parameter: extra_float_digits\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        return client.write_all(&[b"E".as_slice(), &length, fields].concat());
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(&startup)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let answers = thread::spawn(move || {
        let copied = io::copy(&mut from_server, &mut to_client);
        drop(to_client.shutdown(Shutdown::Both));
        copied
    });
    drop(io::copy(&mut client, &mut server));
    drop(server.shutdown(Shutdown::Both));
    drop(answers.join());
    Ok(())
}

/// The address of the database through a pooler.
fn pooled(database: &TestDatabase) -> DatabaseUrl {
    through(database, pooler)
}

/// The same through a pooler that listens at the port that `start` answers.
fn through(database: &TestDatabase, start: impl FnOnce(String) -> u16) -> DatabaseUrl {
    let DatabaseUrl::Postgres(url) = database.url() else { panic!("not PostgreSQL") };
    let (before, after) = url.split_once('@').unwrap();
    let (server, name) = after.split_once('/').unwrap();
    format!("{before}@127.0.0.1:{}/{name}", start(server.to_owned())).parse().unwrap()
}

on_one_engine! { Engine::Postgres;
    async fn a_pooler_with_its_own_configuration_is_served(database: TestDatabase) {
        let through = |options: &mut StoreOptions| options.url = pooled(&database);
        let store = database.open_with(through).await;
        assert_eq!(store.pending_migrations().await.unwrap(), 0);
        let mut unit = store.begin().await.unwrap();
        unit.limits().count(&[7; 32], Limit::new(1, 60), 1, NOW).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(database.sql_count("select count(*) from rate_limit_buckets").await, 1);
    }

    async fn in_transaction_mode_no_client_is_sent_what_another_listens_to(world: World) {
        let ada = world.member("ada@example.com").await;
        let shared = through(&world.database, transactions::pooler);
        let node = world.database.open_with(|options| options.url = shared).await;
        let ear = Ear::at(&node, Engine::Postgres).await;
        for seconds in 0..5 {
            let session = world.session(&ada, 60).await;
            commit!(world.store, unit => unit.sessions().end(session, EndReason::SignedOut, at(seconds)));
            node.ping().await.unwrap();
            let mut unit = node.begin().await.unwrap();
            unit.limits().count(&[7; 32], Limit::new(100, 60), 1, NOW).await.unwrap();
            unit.commit().await.unwrap();
        }
        assert_eq!(ear.heard(), [], "it does not listen");
    }

    async fn other_nodes_are_heard_past_a_pooler(world: World) {
        let ada = world.member("ada@example.com").await;
        let session = world.session(&ada, 60).await;
        let direct = world.database.url();
        let through = |options: &mut StoreOptions| {
            options.url = pooled(&world.database);
            options.listen_url = Some(direct);
        };
        let other = world.database.open_with(through).await;
        let ear = Ear::at(&other, Engine::Postgres).await;
        commit!(world.store, unit => unit.sessions().end(session, EndReason::SignedOut, at(1)));
        ear.hears(changes::session(session)).await;
        assert!(!ear.heard().contains(&Change::Everything), "what a node says to hear itself tells others nothing");
        let own = DatabaseUrl::Sqlite("nodes.db".into());
        let options = StoreOptions { listen_url: Some(own), ..StoreOptions::new(world.database.url()) };
        assert!(Store::open(&options, tidegate_testkit::MIGRATIONS).await.is_err());
    }

    // PgBouncer before 1.21, or without `max_prepared_statements`: a client meets the statements of the others.
    async fn a_pooler_that_does_not_know_prepared_statements_is_told_with_what_to_set(database: TestDatabase) {
        let error = use_through(&database, transactions::pooler_without_statements).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("max_prepared_statements"), "{said}");
        assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Refused(_)), "{error:?}");
    }

    async fn a_pooler_of_single_statements_is_told_with_what_to_set(database: TestDatabase) {
        let said = use_through(&database, transactions::pooler_of_statements).await.unwrap_err().to_string();
        assert!(said.contains("Poolers") || said.contains("session mode"), "{said}");
    }
}

/// Uses the database through a pooler as a node does that starts: over several connections, in units of work.
async fn use_through(database: &TestDatabase, start: impl FnOnce(String) -> u16) -> Result<(), StoreError> {
    let options = StoreOptions::new(through(database, start));
    let store = Store::open(&options, tidegate_testkit::MIGRATIONS).await?;
    let other = Store::open(&options, tidegate_testkit::MIGRATIONS).await?;
    for store in [&store, &other] {
        store.pending_migrations().await?;
        let mut unit = store.begin().await?;
        unit.limits().count(&[7; 32], Limit::new(9, 60), 1, NOW).await?;
        unit.commit().await?;
    }
    Ok(())
}
