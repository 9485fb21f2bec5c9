//! The schema: one for both engines, brought up to date once, refused when it is somebody else's.

use std::sync::Arc;

use tidegate_store::{DatabaseUrl, Store, StoreError, StoreOptions};
use tidegate_testkit::{Engine, Fixture, TestDatabase, concurrently, on_both_engines, on_one_engine};

use crate::world::World;

/// How many migrations this version has.
const KNOWN: usize = 1;

on_both_engines! {
    async fn a_fresh_database_is_migrated_once(engine: Engine) {
        let database = TestDatabase::empty(engine).await;
        let store = database.open().await;
        assert_eq!(store.pending_migrations().await.unwrap(), KNOWN);
        assert_eq!(store.migrate().await.unwrap(), KNOWN);
        assert_eq!(store.pending_migrations().await.unwrap(), 0);
        assert_eq!(store.migrate().await.unwrap(), 0);
        assert_eq!(database.open().await.migrate().await.unwrap(), 0);
    }

    async fn what_is_stored_outlives_a_second_migration(world: World) {
        let account = world.account().await;
        assert_eq!(world.store.migrate().await.unwrap(), 0);
        assert!(read!(world.store, unit => unit.accounts().find(account)).is_some());
    }

    async fn nodes_that_start_together_migrate_once(engine: Engine) {
        let database = Arc::new(TestDatabase::empty(engine).await);
        let applied = concurrently(6, |_| {
            let database = Arc::clone(&database);
            async move {
                let store = database.open_with(|options| options.max_connections = 1).await;
                store.migrate().await.unwrap()
            }
        })
        .await;
        assert_eq!(applied.iter().sum::<usize>(), KNOWN, "{applied:?}");
    }

    async fn a_database_of_a_newer_version_is_refused(world: World) {
        world.database.sql(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
             select 9999, 'from the future', installed_on, success, checksum, 0 from _sqlx_migrations
             where version = 1",
        ).await;
        let other_node = world.database.open().await;
        // Twice and on two nodes: a refusal must not leave a lock behind.
        for store in [&world.store, &other_node, &world.store] {
            for refused in [store.migrate().await.err(), store.pending_migrations().await.err()] {
                let Some(StoreError::Migration(text)) = refused else { panic!("{refused:?}") };
                assert!(text.contains("9999") && text.contains("newer version"), "{text}");
            }
        }
    }

    async fn a_migration_changed_after_it_was_applied_is_refused(world: World) {
        let other = match world.database.engine() {
            Engine::Sqlite => "x'00'",
            Engine::Postgres => "'\\x00'",
        };
        world.database.sql(&format!("update _sqlx_migrations set checksum = {other}")).await;
        let other_node = world.database.open().await;
        for store in [&world.store, &other_node] {
            let refused = store.migrate().await;
            let Err(StoreError::Migration(text)) = refused else { panic!("{refused:?}") };
            assert!(text.contains("migration 1") && text.contains("modified"), "{text}");
        }
    }

    async fn a_migration_waits_for_units_under_way_and_harms_none(world: World) {
        let account = world.key();
        let mut unit = world.store.begin().await.unwrap();
        crate::world::insert_account(&mut unit, account).await.unwrap();
        let migrating = tokio::spawn({
            let store = world.store.clone();
            async move { store.migrate().await }
        });
        tokio::task::yield_now().await;
        unit.commit().await.unwrap();
        assert_eq!(migrating.await.unwrap().unwrap(), 0);
        // Dropped units, too, leave a clean slate.
        for _ in 0..20 {
            let mut unit = world.store.begin().await.unwrap();
            crate::world::insert_account(&mut unit, world.key()).await.unwrap();
            drop(unit);
            assert_eq!(world.store.migrate().await.unwrap(), 0);
        }
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 1);
        assert!(read!(world.store, unit => unit.accounts().find(account)).is_some());
    }
}

async fn refusal(url: DatabaseUrl) -> StoreError {
    Store::open(&StoreOptions::new(url)).await.err().expect("a refusal")
}

on_one_engine! { Engine::Sqlite;
    async fn both_engines_have_one_schema(sqlite: World) {
        let postgres = World::prepare(Engine::Postgres).await;
        let (ours, theirs) = (sqlite.store.schema().await.unwrap(), postgres.store.schema().await.unwrap());
        let only = |here: &[String], there: &[String]| -> Vec<String> {
            here.iter().filter(|line| !there.contains(line)).cloned().collect()
        };
        assert_eq!(only(&ours, &theirs), Vec::<String>::new(), "on SQLite alone");
        assert_eq!(only(&theirs, &ours), Vec::<String>::new(), "on PostgreSQL alone");
        assert_eq!(ours, theirs, "some line is there more than once");
        for line in [
            "accounts.id blob not null",
            "accounts.number bigint not null",
            "accounts.profile text not null",
            "accounts.disabled_at bigint",
            "accounts unique (number)",
            "identifiers unique (kind,value)",
            "memberships unique (organization_id)",
            "sessions index (account_id,created_at)",
        ] {
            assert!(ours.iter().any(|known| known == line), "missing: {line}\n{}", ours.join("\n"));
        }
    }

    async fn a_sqlite_file_that_cannot_be_is_refused_with_its_path_and_a_remedy(_engine: Engine) {
        let error = refusal(DatabaseUrl::Sqlite("/nowhere/tidegate.db".into())).await;
        let text = error.to_string();
        assert!(matches!(error, StoreError::Address(_)), "{text}");
        assert!(text.contains("/nowhere/tidegate.db") && text.contains("directory"), "{text}");
    }

    async fn a_file_that_is_no_database_is_refused(_engine: Engine) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letter.txt");
        std::fs::write(&path, "Dear Ada, ".repeat(1_000)).unwrap();
        let error = refusal(DatabaseUrl::Sqlite(path.clone())).await;
        assert!(error.to_string().contains("letter.txt"), "{error}");
        assert_eq!(std::fs::read_to_string(path).unwrap().len(), 10_000);
    }
}

on_one_engine! { Engine::Postgres;
    async fn a_postgres_server_that_refuses_us_is_named_without_the_password(database: TestDatabase) {
        let DatabaseUrl::Postgres(url) = database.url() else { panic!("not PostgreSQL") };
        let (rest, path) = url.rsplit_once('@').unwrap();
        let (user, password) = rest.rsplit_once(':').unwrap();
        for url in [
            format!("{user}:hunter2@{path}"),
            format!("{user}:{password}@{}", path.replace("/postgres?", "/nowhere?")),
        ] {
            let error = refusal(DatabaseUrl::Postgres(url)).await;
            let text = format!("{error} {error:?}");
            assert!(matches!(error, StoreError::Unavailable(_)), "{text}");
            assert!(
                text.contains("127.0.0.1") && !text.contains("hunter2") && !text.contains(password),
                "{text}"
            );
        }
        let error = refusal(DatabaseUrl::Postgres("postgres://ada:hunter2@db.example:x/y".into())).await;
        let text = format!("{error} {error:?}");
        assert!(matches!(error, StoreError::Address(_)) && !text.contains("hunter2"), "{text}");
    }
}
