//! The schema: one for both engines, brought up to date once, refused when it is somebody else's.

use std::sync::Arc;

use serde_json::json;
use tidegate_brokerage::BrokerageTables;
use tidegate_database::{DatabaseUrl, Store, StoreError, StoreOptions};
use tidegate_domain::challenge::Purpose;
use tidegate_domain::id::{AccountId, OrganizationId, RefreshTokenId};
use tidegate_domain::{Document, Entropy, Role};
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_testkit::{
    Engine, Fixture, MIGRATIONS, SeededEntropy, TestDatabase, concurrently, eventually, on_both_engines,
    on_one_engine,
};
use uuid::Uuid;

use crate::brokerage::{BROKER, opening_of};
use crate::world::{NOW, World, address, document, seconds};

/// How many migrations this version has.
const KNOWN: usize = 29;

/// The migrations that earlier versions had, from the first, with their numbers.
const EARLIER: [(usize, &str, &str); KNOWN - 1] = [
    (1, "first light", include_str!("../../../kernel/migrations/0001_first_light.sql")),
    (2, "crossing minds", include_str!("../../../kernel/migrations/0002_crossing_minds.sql")),
    (3, "riven", include_str!("../../../kernel/migrations/0003_riven.sql")),
    (4, "password schemes", include_str!("../../../identity/migrations/0004_password_schemes.sql")),
    (5, "quotas", include_str!("../../../identity/migrations/0005_quotas.sql")),
    (6, "claims", include_str!("../../../identity/migrations/0006_claims.sql")),
    (7, "limits", include_str!("../../../kernel/migrations/0007_limits.sql")),
    (8, "origins", include_str!("../../../kernel/migrations/0008_origins.sql")),
    (9, "jobs", include_str!("../../../kernel/migrations/0009_jobs.sql")),
    (10, "second factors", include_str!("../../../identity/migrations/0010_second_factors.sql")),
    (11, "languages", include_str!("../../../kernel/migrations/0011_languages.sql")),
    (12, "passkeys", include_str!("../../../identity/migrations/0012_passkeys.sql")),
    (14, "access tokens", include_str!("../../../kernel/migrations/0014_access_tokens.sql")),
    (15, "applications", include_str!("../../../kernel/migrations/0015_applications.sql")),
    (16, "authorizations", include_str!("../../../oauth/migrations/0016_authorizations.sql")),
    (17, "clients", include_str!("../../../oauth/migrations/0017_clients.sql")),
    (18, "grants", include_str!("../../../kernel/migrations/0018_grants.sql")),
    (19, "social sign-in", include_str!("../../../identity/migrations/0019_social_sign_in.sql")),
    (20, "leaving", include_str!("../../../kernel/migrations/0020_leaving.sql")),
    (21, "storage", include_str!("../../../storage/migrations/0021_storage.sql")),
    (22, "data sources", include_str!("../../../catalog/migrations/0022_data_sources.sql")),
    (23, "what clients choose", include_str!("../../../oauth/migrations/0023_what_clients_choose.sql")),
    (24, "policies", include_str!("../../../policies/migrations/0024_policies.sql")),
    (25, "prompts", include_str!("../../../prompts/migrations/0025_prompts.sql")),
    (26, "prompt sums", include_str!("../../../prompts/migrations/0026_prompt_sums.sql")),
    (27, "id token keys", include_str!("../../../kernel/migrations/0027_id_token_keys.sql")),
    (28, "prompt sum checks", include_str!("../../../prompts/migrations/0028_prompt_sum_checks.sql")),
    (29, "installation facts", include_str!("../../../kernel/migrations/0029_installation_facts.sql")),
];

/// A database as the version with that many migrations left it.
async fn of_version(engine: Engine, version: usize) -> TestDatabase {
    let (quote, hexadecimal, [uuid, json, bytes, number_key]) = match engine {
        Engine::Sqlite => {
            ("x'", "lower(hex(checksum))", ["blob", "text", "blob", "integer primary key autoincrement"])
        }
        Engine::Postgres => {
            let number_key = "bigint generated always as identity primary key";
            ("'\\x", "encode(checksum, 'hex')", ["uuid", "jsonb", "bytea", number_key])
        }
    };
    let present = TestDatabase::create(engine).await;
    let query = format!("select {hexadecimal} from _sqlx_migrations order by version");
    let checksums = present.sql_texts(&query).await;
    let database = TestDatabase::empty(engine).await;
    // Opening it makes the file.
    database.open().await.close().await;
    // As sqlx makes it, and what it notes there.
    database
        .sql(&format!(
            "create table _sqlx_migrations (
                version bigint primary key, description text not null,
                installed_on timestamp not null default current_timestamp, success boolean not null,
                checksum {bytes} not null, execution_time bigint not null)"
        ))
        .await;
    for (place, (number, name, text)) in EARLIER.into_iter().enumerate().take(version) {
        let schema = text
            .replace("{uuid}", uuid)
            .replace("{json}", json)
            .replace("{bytes}", bytes)
            .replace("{number_key}", number_key);
        database.sql(&schema).await;
        let checksum = &checksums[place];
        database
            .sql(&format!(
                "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values ({number}, '{name}', true, {quote}{checksum}', 0)"
            ))
            .await;
    }
    database
}

/// Somebody with an organization, a session and a refresh token, and a colleague there, as the first version wrote
/// them and the second may have.
async fn people(database: &TestDatabase, keys: &[Uuid; 6], token: &[u8]) {
    let [ada, bob, organization, workspace, session, row] = keys.map(|key| database.sql_uuid(key));
    let hash: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = match database.engine() {
        Engine::Sqlite => format!("x'{hash}'"),
        Engine::Postgres => format!("'\\x{hash}'"),
    };
    database
        .sql(&format!(
            "insert into organizations (id, name, domain, plan, settings, created_at, updated_at)
             values ({organization}, 'Acme', 'example.com', 'free', '{{}}', 1, 1);
             insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             values ({workspace}, {organization}, 'Workshop', 'workshop', true, 1);"
        ))
        .await;
    for (account, email, role) in [(&ada, "ada@example.com", "owner"), (&bob, "bob@example.com", "viewer")] {
        database
            .sql(&format!(
                "insert into accounts (id, kind, display_name, profile, user_metadata, is_system_admin,
                    agreed_to_terms, created_at, updated_at)
                 values ({account}, 'individual', 'Ada', '{{\"a\": 1}}', '{{\"b\": 2}}', false, true, 1, 1);
                 insert into passwords (account_id, hash, changed_at) values ({account}, 'hash', 1);
                 insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
                 values ({account}, {account}, 'email', '{email}', 7, true, 1);
                 insert into memberships (id, account_id, organization_id, role, source, joined_at)
                 values ({account}, {account}, {organization}, '{role}', 'signup', 1);
                 insert into membership_workspaces (membership_id, workspace_id)
                 values ({account}, {workspace})"
            ))
            .await;
    }
    database
        .sql(&format!(
            "insert into sessions (id, account_id, organization_id, workspace_id, dialect, amr, remember_me,
                ip, user_agent, created_at, last_activity_at, expires_at, ends_at)
             values ({session}, {ada}, {organization}, {workspace}, 'rivergen', 'pwd', false, '192.0.2.1',
                'test', 1, 1, 900, 900);
             insert into refresh_tokens (id, session_id, token_hash, issued_at, expires_at)
             values ({row}, {session}, {hash}, 1, 800)"
        ))
        .await;
}

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

    async fn a_database_of_any_earlier_version_gets_the_present_schema(engine: Engine) {
        let fresh = TestDatabase::create(engine).await.open().await.schema().await.unwrap();
        for version in 1..KNOWN {
            let old = of_version(engine, version).await;
            let store = old.open().await;
            assert_eq!(store.pending_migrations().await.unwrap(), KNOWN - version);
            assert_eq!(store.migrate().await.unwrap(), KNOWN - version);
            assert_eq!(store.migrate().await.unwrap(), 0);
            assert_eq!(store.schema().await.unwrap(), fresh, "from version {version}");
        }
    }

    async fn whoever_is_in_a_database_of_the_first_version_finds_everything_as_it_was(engine: Engine) {
        let entropy = SeededEntropy::default();
        let entropy: &dyn Entropy = &entropy;
        let keys: [Uuid; 6] = std::array::from_fn(|_| entropy.uuid(NOW));
        let [ada, bob, organization, workspace, session, row] = keys;
        let (ada, bob, organization) = (AccountId(ada), AccountId(bob), OrganizationId(organization));
        let token: [u8; 32] = entropy.bytes();
        let database = of_version(engine, 1).await;
        people(&database, &keys, &token).await;
        let store = database.open().await;
        store.migrate().await.unwrap();

        for (account, email) in [(ada, "ada@example.com"), (bob, "bob@example.com")] {
            let login = address(email).into();
            let found = read!(store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
            assert_eq!((found.account.id, found.account.display_name.as_str()), (account, "Ada"));
            assert_eq!(
                (found.account.profile, found.account.user_metadata),
                (document(json!({"a": 1})), document(json!({"b": 2})))
            );
            assert_eq!(found.password_hash.as_deref(), Some("hash"));
            let sign_in_target = read!(store, unit => unit.organizations().sign_in_target(account, None)).unwrap();
            assert_eq!((sign_in_target.organization, sign_in_target.workspace), (organization, Some(workspace.into())));
        }
        // Whoever owns an organization is at home there: their managers are they themselves. Nobody else is
        // anywhere.
        let found = read!(store, unit => unit.members().find_by_key(organization, ada)).unwrap();
        assert_eq!((found.role, found.first_name.as_str(), found.verified), (Role::Owner, "", true));
        assert!(read!(store, unit => unit.members().find_by_key(organization, bob)).is_none());
        assert_eq!(read!(store, unit => unit.organizations().metadata(organization)), Some(Document::default()));
        // Nobody is signed out.
        let record = read!(store, unit => unit.sessions().record(session.into())).unwrap();
        assert_eq!((record.account, record.role, record.ended), (ada, Role::Owner, false));
        assert_eq!(read!(store, unit => unit.sessions().binding(session.into())), None);
        let presented = read!(store, unit => unit.refresh_tokens().find(&token)).unwrap();
        assert_eq!((presented.id, presented.account), (RefreshTokenId(row), ada));
    }

    async fn whoever_is_in_a_database_of_the_second_version_finds_everything_as_it_was(engine: Engine) {
        let entropy = SeededEntropy::default();
        let entropy: &dyn Entropy = &entropy;
        let keys: [Uuid; 6] = std::array::from_fn(|_| entropy.uuid(NOW));
        let [ada, _, organization, _, session, row] = keys;
        let (ada, organization) = (AccountId(ada), OrganizationId(organization));
        let token: [u8; 32] = entropy.bytes();
        let database = of_version(engine, 2).await;
        people(&database, &keys, &token).await;
        let own = database.sql_uuid(ada);
        database
            .sql(&format!(
                "update memberships set is_home = true where role = 'owner';
                 update accounts set first_name = 'Ada', last_name = 'Lovelace' where id = {own};
                 insert into challenges (id, account_id, purpose, address, attempts, dialect, continuation,
                    created_at, expires_at)
                 values ({own}, {own}, 'verify_email', 'ada@example.com', 3, 'ingestiq',
                    '{{\"remember_me\": true}}', 1, 900);
                 insert into outbox_messages (id, idempotency_key, channel, template, recipient, state, attempts,
                    next_attempt_at, leased_until, created_at)
                 values ({own}, 'key', 'email', 't', 'ada@example.com', 'pending', 2, 1, 0, 1)"
            ))
            .await;
        let store = database.open().await;
        store.migrate().await.unwrap();

        let found = read!(store, unit => unit.members().find_by_key(organization, ada)).unwrap();
        assert_eq!((found.role, found.verified), (Role::Owner, true));
        let names = read!(store, unit => unit.accounts().names(ada));
        assert_eq!(names, ("Ada".to_owned(), "Lovelace".to_owned()));
        assert_eq!(read!(store, unit => unit.accounts().phone(ada)), None);
        assert!(read!(store, unit => unit.brokerage().find(ada, BROKER)).is_none());
        // Nobody is signed out, and no session has a token of the new kind.
        let record = read!(store, unit => unit.sessions().record(session.into())).unwrap();
        assert_eq!((record.account, record.ended), (ada, false));
        assert_eq!(read!(store, unit => unit.sessions().find_by_token(&token)), None);
        let presented = read!(store, unit => unit.refresh_tokens().find(&token)).unwrap();
        assert_eq!((presented.id, presented.account), (RefreshTokenId(row), ada));
        // What was sent out is answered, and what waits is sent.
        let (purpose, to) = (Purpose::VerifyEmail, "ada@example.com");
        let sent = read!(store, unit => unit.challenges().latest_to(purpose, to)).unwrap();
        assert_eq!((sent.account, sent.attempts, sent.continuation.remember_me), (Some(ada), 3, true));
        let waiting = commit!(store, unit => unit.outbox().claim("email", NOW, seconds(60), 10));
        assert_eq!((waiting.len(), waiting[0].attempts), (1, 3));
        assert_eq!((&waiting[0].provider, &waiting[0].receipt), (&None, &None));
        // And whatever is new can be had.
        let opening = opening_of(entropy.uuid(NOW));
        assert!(commit!(store, unit => unit.brokerage().begin_opening(ada, BROKER, &opening, None, NOW)));
    }

    async fn passwords_of_the_third_version_are_counted_by_scheme(engine: Engine) {
        let entropy = SeededEntropy::default();
        let entropy: &dyn Entropy = &entropy;
        let database = of_version(engine, 3).await;
        let base64 = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hashes = [
            format!("tg1$-$2b$12${}", "./Az09".repeat(9).split_at(53).0),
            format!("tg1$p$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ${base64}"),
            format!("$pbkdf2-sha512$i=9,l=32$c29tZXNhbHQ${base64}="),
            "hash".to_owned(),
        ];
        for (hash, kind) in hashes.iter().chain(&hashes[..1]).zip(["individual"; 4].into_iter().chain(["service"])) {
            let account = database.sql_uuid(entropy.uuid(NOW));
            database
                .sql(&format!(
                    "insert into accounts (id, kind, display_name, profile, user_metadata, is_system_admin,
                        agreed_to_terms, created_at, updated_at)
                     values ({account}, '{kind}', '', '{{}}', '{{}}', false, true, 1, 1);
                     insert into passwords (account_id, hash, changed_at) values ({account}, '{hash}', 1)"
                ))
                .await;
        }
        let store = database.open().await;
        store.migrate().await.unwrap();
        let mut counted = read!(store, unit => unit.accounts().password_schemes());
        counted.sort();
        let counted: Vec<_> = counted.iter().map(|(kind, scheme, count)| (kind.as_str(), scheme.as_str(), *count)).collect();
        assert_eq!(
            counted,
            [
                ("individual", "$pbkdf2-sha512$i=9,l=32$44", 1),
                ("individual", "4", 1),
                ("individual", "tg1$-$2b$12$53", 1),
                ("individual", "tg1$p$argon2id$v=19$m=64,t=2,p=1$43", 1),
                ("service", "tg1$-$2b$12$53", 1),
            ]
        );
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
    Store::open(&StoreOptions::new(url), MIGRATIONS).await.err().expect("a refusal")
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
            "memberships unique (account_id)",
            "memberships unique (organization_id)",
            "passwords.scheme text",
            "passwords index (account_kind,scheme)",
            "resolved_sessions.session_ident blob not null",
            "sessions index (account_id,created_at)",
            "sessions.token_hash blob",
            "sessions unique (token_hash)",
            "challenges index (address,purpose,created_at)",
            "outbox_messages index (provider_message_id)",
            "brokerage_accounts.opening_until bigint",
            "brokerage_accounts unique (account_id,broker)",
            "brokerage_accounts unique (broker,broker_account_id)",
            "brokerage_accounts index (broker,check_at)",
            "broker_cursors.leased_until bigint not null",
            "sandbox_accounts.sealed blob not null",
            "sandbox_accounts unique (email)",
            "sandbox_accounts index (last_step_at)",
            "databases index (organization_id)",
            "organization_usage unique (organization_id)",
        ] {
            assert!(ours.iter().any(|known| known == line), "missing: {line}\n{}", ours.join("\n"));
        }
    }

    async fn a_sqlite_file_that_cannot_be_is_refused_with_its_path_and_a_remedy(_engine: Engine) {
        let error = refusal(DatabaseUrl::Sqlite("/nowhere/tidegate.db".into())).await;
        let text = error.to_string();
        assert!(matches!(error, StoreError::Refused(_)), "{text}");
        assert!(text.contains("the directory of the database, /nowhere, does not exist; create it"), "{text}");
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
    // PostgreSQL ends one of two that wait for each other: the upgrade, or the execution.
    async fn a_node_of_the_version_before_ends_executions_while_the_new_one_migrates(engine: Engine) {
        let before = EARLIER.iter().filter(|(number, ..)| *number <= 25).count();
        let database = of_version(engine, before).await;
        let mut ending = database.hold("update prompt_executions set progress = 100").await.expect("a unit");
        let store = database.open().await;
        let migrating = tokio::spawn(async move { store.migrate().await });
        eventually("the new version waits for the unit", async || {
            let waiting = "select count(*) from pg_locks join pg_database on pg_database.oid = database
                where datname = current_database() and not granted";
            (database.sql_count(waiting).await > 0).then_some(())
        })
        .await;
        for sums in ["prompt_usage", "prompt_source_usage", "prompt_question_usage"] {
            ending.run(&format!("update {sums} set executions = executions + 1")).await;
        }
        ending.commit().await;
        assert_eq!(migrating.await.unwrap().unwrap(), KNOWN - before);
    }

    async fn a_postgres_server_that_refuses_us_is_named_without_the_password(database: TestDatabase) {
        let DatabaseUrl::Postgres(url) = database.url() else { panic!("not PostgreSQL") };
        let (rest, path) = url.rsplit_once('@').unwrap();
        let (user, password) = rest.rsplit_once(':').unwrap();
        let (server, _) = path.split_once('/').unwrap();
        for url in [
            format!("{user}:hunter2@{path}"),
            format!("{user}:{password}@{server}/nowhere"),
        ] {
            let error = refusal(DatabaseUrl::Postgres(url)).await;
            let text = format!("{error} {error:?}");
            assert!(matches!(error, StoreError::Refused(_)), "{text}");
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
