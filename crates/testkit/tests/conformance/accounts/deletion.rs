//! What is left of a deleted account.

use serde_json::json;
use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::brokerage_accounts::Opened;
use tidegate_brokerage::tables::sandbox_accounts::SandboxRecord;
use tidegate_domain::account::LoginName;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::AccountId;
use tidegate_domain::{ContractId, Document, Role, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_identity::credentials::service_keys_repository::ServiceKey;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::outbox::NewMessage;
use tidegate_testkit::on_both_engines;
use uuid::Uuid;

use crate::brokerage::{BROKER, opening};
use crate::world::{Member, NOW, World, address, at, document, phone, program_name};

/// Gives an account one of everything an account can have.
async fn endow(world: &World, account: AccountId) {
    commit!(world.store, unit => unit.accounts().set_password(account, "hash", NOW));
    let key = ServiceKey {
        id: world.key(),
        account,
        metadata: document(json!({"secret": 1})),
        created_at: NOW,
        expires_at: None,
    };
    commit!(world.store, unit => unit.service_keys().insert(&key, &world.hash()));
    let challenge = NewChallenge {
        id: world.key(),
        account: Some(account),
        purpose: Purpose::ResetPassword,
        address: "ada@example.com",
        handle_hash: None,
        link_hash: Some(&world.hash()),
        code_mac: None,
        contract: ContractId::CROSSING_MINDS,
        continuation: &Continuation::NOTHING,
        created_at: NOW,
        expires_at: at(600),
    };
    commit!(world.store, unit => unit.challenges().insert(&challenge));
    let opening = opening(world, 0);
    commit!(world.store, unit => unit.brokerage().begin_opening(account, BROKER, &opening, None, NOW));
    let metadata = document(json!({"x": 1}));
    commit!(world.store, unit => unit.members().describe(account, "Ada", "Lovelace", &metadata, at(1)));
    let mut found = read!(world.store, unit => unit.accounts().find(account)).unwrap();
    found.profile_image_url = Some("https://example.com/ada.png".to_owned());
    found.profile = document(json!({"born": 1815}));
    commit!(world.store, unit => unit.accounts().update_profile(&found, at(2)));
}

/// Sends a code to an address or a number, for an account or for nobody: challenge and message.
async fn send(world: &World, account: Option<AccountId>, purpose: Purpose, to: &str) {
    let challenge = NewChallenge {
        id: world.key(),
        account,
        purpose,
        address: to,
        handle_hash: None,
        link_hash: None,
        code_mac: Some(b"mac"),
        contract: ContractId::RIVEN,
        continuation: &Continuation::NOTHING,
        created_at: NOW,
        expires_at: at(600),
    };
    let key = world.key::<Uuid>().to_string();
    let message = NewMessage {
        id: world.key(),
        idempotency_key: &key,
        channel: if to.contains('@') { "email" } else { "sms" },
        template: "t",
        recipient: to,
        payload: b"sealed",
        deliverable: account.is_some(),
        created_at: NOW,
    };
    let mut unit = world.store.begin().await.unwrap();
    unit.challenges().insert(&challenge).await.unwrap();
    unit.outbox().insert(message).await.unwrap();
    unit.commit().await.unwrap();
}

/// Gives somebody an account at a broker, which the sandbox keeps one of that key for; answers the key.
async fn open_at(world: &World, account: AccountId, broker: &str, email: &str) -> Uuid {
    let (id, opening) = (world.key(), opening(world, 0));
    let kept = SandboxRecord { id, email, revision: 1, last_step_at: NOW, sealed: b"kept" };
    let opened = Opened { broker_account: id, person: b"person", status: "active", check_at: None };
    let mut unit = world.store.begin().await.unwrap();
    assert!(unit.sandbox_accounts().insert(kept).await.unwrap());
    assert!(unit.brokerage().begin_opening(account, broker, &opening, None, NOW).await.unwrap());
    assert!(unit.brokerage().opened(account, broker, opened, NOW).await.unwrap());
    unit.commit().await.unwrap();
    id
}

/// How many rows of an account there are in each table that is to have none of a deleted one.
async fn rows(world: &World, account: AccountId) -> Vec<i64> {
    let key = world.database.sql_uuid(account);
    let mut counts = Vec::new();
    for of in [
        "passwords where account_id",
        "identifiers where account_id",
        "service_keys where account_id",
        "challenges where account_id",
        "brokerage_accounts where account_id",
        "memberships where account_id",
        "membership_workspaces where membership_id in (select id from memberships where account_id",
    ] {
        let end = if of.contains('(') { ")" } else { "" };
        counts.push(world.database.sql_count(&format!("select count(*) from {of} = {key}{end}")).await);
    }
    counts
}

/// Deletes an account as all features together do.
async fn delete(world: &World, account: AccountId, called: &str, now: Timestamp) {
    commit!(world.store, unit => async {
        unit.brokerage().delete_of(account).await?;
        unit.accounts().delete(account, called, now).await
    });
}

on_both_engines! {
    async fn nothing_is_left_of_a_deleted_account_but_what_it_was_called(world: World) {
        let host = world.member("host@example.com").await;
        let eve = world.member("eve@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        world.join(&eve, ada, Role::Viewer).await;
        let session = world.session(&Member { account: ada, ..host }, 60).await;
        let export = world.program(&host, "export").await;
        for account in [ada, export] {
            endow(&world, account).await;
        }
        assert_eq!(rows(&world, ada).await, [1, 1, 1, 1, 1, 2, 2]);
        let bystander = rows(&world, export).await;
        let shown = read!(world.store, unit => unit.accounts().find(export)).unwrap();

        delete(&world, ada, "ada@example.com", at(9)).await;
        assert_eq!(rows(&world, ada).await, [0; 7]);
        let left = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!((left.display_name.as_str(), left.profile_image_url.as_deref()), ("", None));
        assert_eq!((left.profile, left.user_metadata), (Document::default(), Document::default()));
        assert_eq!((left.disabled_at, left.updated_at), (Some(at(9)), at(9)));
        let own = world.database.sql_uuid(ada);
        for (column, text) in [("first_name", ""), ("last_name", ""), ("tombstone", "ada@example.com")] {
            let query = format!("select {column} from accounts where id = {own}");
            assert_eq!(world.database.sql_texts(&query).await, [text], "{column}");
        }
        // It is a member of nothing, so its tokens are nobody's; ending the session is the use case's part.
        assert!(read!(world.store, unit => unit.sessions().record(session)).is_none());
        assert!(read!(world.store, unit => unit.organizations().sign_in_target(ada, None)).is_none());
        let email: LoginName = address("ada@example.com").into();
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&email)).is_none());
        assert!(read!(world.store, unit => unit.members().find_by_key(host.organization, ada)).is_none());

        assert_eq!(rows(&world, export).await, bystander);
        let still = read!(world.store, unit => unit.accounts().find(export)).unwrap();
        assert_eq!(format!("{still:?}"), format!("{shown:?}"));
    }

    async fn what_was_sent_to_the_phones_of_a_deleted_account_is_gone(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let (own, spare, eves, nobodys) = ("+254712345678", "+254112345678", "+254712345679", "+25471234567");
        for (account, number, is_primary) in [(ada, own, true), (ada, spare, false), (eve, eves, true)] {
            assert!(world.identify(account, &phone(number), is_primary).await);
        }
        for (account, email) in [(ada, "ada@example.com"), (eve, "eve@example.com")] {
            assert!(world.identify(account, &address(email), true).await);
        }
        // Before a number is anybody's, a code to it is for nobody.
        send(&world, None, Purpose::RegisterPhone, own).await;
        send(&world, Some(ada), Purpose::SignInByPhone, own).await;
        send(&world, Some(eve), Purpose::SignInByPhone, spare).await;
        send(&world, Some(ada), Purpose::ChangeEmail, "ada@example.com").await;
        send(&world, None, Purpose::ResetPassword, "ada@example.com").await;
        send(&world, Some(eve), Purpose::SignInByPhone, eves).await;
        send(&world, None, Purpose::SignInByPhone, nobodys).await;
        // One that is dead, and would be given another life.
        world
            .database
            .sql("update outbox_messages set state = 'dead' where recipient = '+254112345678'")
            .await;

        commit!(world.store, unit => unit.accounts().delete(ada, "+254712345678", at(9)));
        let mut unit = world.store.read().await.unwrap();
        for number in [own, spare] {
            assert!(unit.outbox().list(Some(number), 10).await.unwrap().is_empty());
            for purpose in [Purpose::RegisterPhone, Purpose::SignInByPhone] {
                assert!(unit.challenges().latest_to(purpose, number).await.unwrap().is_none());
            }
        }
        drop(unit);
        // Of an address, what is for nobody stays until it expires, and what was sent stays until it is old.
        let left = world.database.sql_texts("select address from challenges order by address").await;
        assert_eq!(left, [nobodys, eves, "ada@example.com"]);
        let left = world.database.sql_texts("select recipient from outbox_messages order by number").await;
        assert_eq!(left, ["ada@example.com", "ada@example.com", eves, nobodys]);
    }

    async fn the_sandbox_forgets_whom_it_knew_of_a_deleted_account(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let own = open_at(&world, ada, "sandbox", "ada@example.com").await;
        // What another broker calls the same is none of the sandbox's.
        let elsewhere = open_at(&world, ada, BROKER, "other@example.com").await;
        let eves = open_at(&world, eve, "sandbox", "eve@example.com").await;
        let tied = SandboxRecord {
            id: world.key(),
            email: "tied@example.com",
            revision: 1,
            last_step_at: NOW,
            sealed: b"kept",
        };
        assert!(commit!(world.store, unit => unit.sandbox_accounts().insert(tied)));
        for second in [9, 10] {
            delete(&world, ada, "ada@example.com", at(second)).await;
            let mut unit = world.store.read().await.unwrap();
            assert_eq!(unit.sandbox_accounts().find(own).await.unwrap(), None);
            assert_eq!(unit.sandbox_accounts().find_by_email("ada@example.com").await.unwrap(), None);
            for other in [elsewhere, eves, tied.id] {
                assert!(unit.sandbox_accounts().find(other).await.unwrap().is_some());
            }
            assert!(unit.brokerage().find(ada, "sandbox").await.unwrap().is_none());
            assert!(unit.brokerage().find(eve, "sandbox").await.unwrap().is_some());
        }
        // Whoever comes after may have one for that address.
        open_at(&world, world.account().await, "sandbox", "ada@example.com").await;
    }

    async fn an_opening_of_a_deleted_account_leads_nowhere(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        for account in [ada, eve] {
            let opening = opening(&world, 0);
            let begun =
                commit!(world.store, unit => unit.brokerage().begin_opening(account, "sandbox", &opening, None, NOW));
            assert!(begun);
        }
        delete(&world, ada, "ada@example.com", at(1)).await;
        let opened =
            Opened { broker_account: world.key(), person: b"person", status: "active", check_at: None };
        assert!(!commit!(world.store, unit => unit.brokerage().opened(ada, "sandbox", opened, at(2))));
        assert!(read!(world.store, unit => unit.brokerage().find(ada, "sandbox")).is_none());
        assert!(commit!(world.store, unit => unit.brokerage().opened(eve, "sandbox", opened, at(2))));
    }

    async fn the_name_of_a_deleted_account_is_free_again(world: World) {
        let host = world.member("host@example.com").await;
        let (ada, export) =
            (world.person(&host, "ada@example.com").await, world.program(&host, "export").await);
        let (eve, number) = (world.account().await, phone("+254712345678"));
        assert!(world.identify(eve, &number, true).await);
        let logins: [(AccountId, LoginName); 3] = [
            (ada, address("ada@example.com").into()),
            (export, program_name("export")),
            (eve, number.into()),
        ];
        for (account, login) in logins {
            // Twice: whoever comes after may be deleted as well.
            let mut account = account;
            for seconds in [1, 2] {
                commit!(world.store, unit => unit.accounts().delete(account, login.as_str(), at(seconds)));
                assert!(read!(world.store, unit => unit.accounts().owner_of(&login)).is_none());
                let next = world.account().await;
                assert!(world.identify(next, &login, true).await);
                let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
                assert_eq!(
                    (found.account.id, found.account.disabled_at, found.password_hash),
                    (next, None, None)
                );
                account = next;
            }
        }
    }

    async fn what_deleted_accounts_were_called_is_forgotten_oldest_first(world: World) {
        for (seconds, name) in [(1, "one"), (2, "two"), (3, "three"), (20, "late")] {
            let account = world.account().await;
            commit!(world.store, unit => unit.accounts().delete(account, name, at(seconds)));
        }
        // Shut, not deleted: has no tombstone to forget.
        let shut = world.account().await;
        let statement =
            format!("update accounts set disabled_at = 1 where id = {}", world.database.sql_uuid(shut));
        world.database.sql(&statement).await;
        let names = "select tombstone from accounts where tombstone is not null order by number";
        for (before, forgotten, left) in [
            (1, 0, &["one", "two", "three", "late"][..]),
            (20, 2, &["three", "late"]),
            (20, 1, &["late"]),
            (20, 0, &["late"]),
        ] {
            assert_eq!(
                commit!(world.store, unit => unit.accounts().forget_deleted(at(before), 2)),
                forgotten
            );
            assert_eq!(world.database.sql_texts(names).await, left);
        }
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 5);
    }
}
