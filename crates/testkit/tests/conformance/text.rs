//! Text and numbers at their extremes come back as they went in, or are refused; nothing panics.

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::Timestamp;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::{ContractId, EmailAddress};
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::NewAccount;
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::outbox::NewMessage;
use tidegate_kernel::tables::sessions::NewSession;
use tidegate_testkit::{Engine, on_both_engines};

use crate::world::{NOW, World, account, address, document, session};

/// Texts that have broken other programs.
const UNUSUAL: [&str; 12] = [
    "",
    " ",
    "' or 1=1; drop table accounts; --",
    "$1 {uuid} %s \\ \" `",
    "\t\r\n\u{1}\u{7f}",
    "Zo\u{eb} Zoe\u{308}",
    "\u{202e}reversed\u{202c}",
    "\u{1f469}\u{200d}\u{1f4bb}\u{1f3ff}",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{feff}\u{fffd}\u{ffff}\u{10ffff}",
    "null",
    "\\u0000",
];

on_both_engines! {
    async fn unusual_text_comes_back_unchanged(world: World) {
        for text in UNUSUAL {
            let id = world.key();
            let new = NewAccount { display_name: text, terms_version: Some(text), ..account(id) };
            commit!(world.store, unit => unit.accounts().insert(&new));
            let mut stored = read!(world.store, unit => unit.accounts().find(id)).unwrap();
            assert_eq!(stored.display_name, text);
            stored.profile = document(json!({ text: [text, { "deep": text }] }));
            stored.profile_image_url = Some(text.to_owned());
            commit!(world.store, unit => unit.accounts().update_profile(&stored, NOW));
            let again = read!(world.store, unit => unit.accounts().find(id)).unwrap();
            assert_eq!((again.profile, again.profile_image_url), (stored.profile, stored.profile_image_url));
            commit!(world.store, unit => unit.accounts().name(id, text, text, NOW));
            let names = read!(world.store, unit => unit.accounts().names(id));
            assert_eq!(names, (text.to_owned(), text.to_owned()));
        }
    }

    async fn long_text_comes_back_whole(world: World) {
        let megabyte = "\u{e9}\u{1f600}x".repeat(150_000);
        let id = world.key();
        let new = NewAccount { display_name: &megabyte, ..account(id) };
        commit!(world.store, unit => unit.accounts().insert(&new));
        let mut stored = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert!(stored.display_name == megabyte);
        stored.profile = document(json!({ "long": megabyte }));
        commit!(world.store, unit => unit.accounts().update_profile(&stored, NOW));
        assert!(read!(world.store, unit => unit.accounts().find(id)).unwrap().profile == stored.profile);
        let payload: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let message = NewMessage {
            id: world.key(),
            idempotency_key: "long",
            channel: "email",
            template: "t",
            recipient: "ada@example.com",
            payload: &payload,
            deliverable: true,
            created_at: NOW,
        };
        commit!(world.store, unit => unit.outbox().insert(message));
        let listed = read!(world.store, unit => unit.outbox().list(None, 1));
        assert!(listed[0].payload.as_deref() == Some(&payload[..]));
    }

    // PostgreSQL has no NUL in text. The rules above the store refuse it; one that gets past them is an error of that
    // request alone.
    async fn a_nul_is_kept_or_refused_and_harms_nobody_else(world: World) {
        let ada = world.member("ada@example.com").await;
        let mut answers = Vec::new();
        let mut unit = world.store.begin().await.unwrap();
        let id = world.key();
        let new = NewAccount { display_name: "A\0da", ..account(id) };
        answers.push(unit.accounts().insert(&new).await.map(drop));
        drop(unit);
        let mut unit = world.store.begin().await.unwrap();
        let new = NewSession { id: world.key(), user_agent: "curl\0", ..session(&ada, 60) };
        answers.push(unit.sessions().insert(&new).await.map(drop));
        drop(unit);
        let mut unit = world.store.begin().await.unwrap();
        let mut stored = unit.accounts().find(ada.account).await.unwrap().unwrap();
        stored.profile = document(json!({ "key": "val\0ue" }));
        answers.push(unit.accounts().update_profile(&stored, NOW).await);
        drop(unit);
        let mut unit = world.store.read().await.unwrap();
        let email = EmailAddress::from_stored("ada\0@example.com".to_owned());
        answers.push(unit.accounts().find_for_sign_in(&email.clone().into()).await.map(drop));
        drop(unit);
        for answer in answers {
            match (world.database.engine(), answer) {
                (Engine::Sqlite, Ok(())) | (Engine::Postgres, Err(StoreError::Database(_))) => {}
                (engine, answer) => panic!("{engine:?}: {answer:?}"),
            }
        }
        let email = address("ada@example.com");
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).is_some());
    }

    async fn an_address_with_a_nul_is_not_the_one_without(world: World) {
        world.member("ada@example.com").await;
        if world.database.engine() == Engine::Sqlite {
            let email = EmailAddress::from_stored("ada@example.com\0".to_owned());
            assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&email.clone().into())), None);
        }
    }

    async fn texts_are_compared_byte_by_byte(world: World) {
        world.member("ada@example.com").await;
        for other in ["ADA@example.com", "\u{e1}da@example.com", "ada@example.com ", "%", "_da@example.com"] {
            let email = EmailAddress::from_stored(other.to_owned());
            assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&email.clone().into())), None, "{other}");
        }
    }

    async fn instants_at_the_ends_of_time_come_back_unchanged(world: World) {
        for micros in [i64::MIN, -1, 0, 1, 253_402_300_799_999_999, i64::MAX] {
            let instant = Timestamp::from_micros(micros);
            let id = world.key();
            let new = NewAccount { created_at: instant, ..account(id) };
            commit!(world.store, unit => unit.accounts().insert(&new));
            let stored = read!(world.store, unit => unit.accounts().find(id)).unwrap();
            assert_eq!((stored.created_at, stored.updated_at), (instant, instant));
            let link = world.hash();
            let challenge = NewChallenge {
                id: world.key(),
                account: Some(id),
                purpose: Purpose::ResetPassword,
                address: "",
                handle_hash: None,
                link_hash: Some(&link),
                code_mac: None,
                contract: ContractId::RIVERGEN,
                continuation: &Continuation::default(),
                created_at: instant,
                expires_at: instant,
            };
            commit!(world.store, unit => unit.challenges().insert(&challenge));
            let found =
                read!(world.store, unit => unit.challenges().find_by_link(Purpose::ResetPassword, &link));
            assert_eq!(found.unwrap().expires_at, instant);
        }
        let eternity = Timestamp::from_micros(i64::MAX);
        assert_eq!(commit!(world.store, unit => unit.challenges().prune(eternity, 500)), 5);
    }

    async fn numbers_in_documents_keep_their_value(world: World) {
        let id = world.account().await;
        let mut stored = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        let numbers = json!({
            "big": i64::MAX, "small": i64::MIN, "unsigned": u64::MAX, "half": 0.5, "third": 1.0 / 3.0, "huge": 1e300,
            "tiny": 5e-324, "zero": 0, "yes": true,
        });
        stored.profile = document(numbers.clone());
        commit!(world.store, unit => unit.accounts().update_profile(&stored, NOW));
        let again = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!(again.profile, numbers);
    }
}
