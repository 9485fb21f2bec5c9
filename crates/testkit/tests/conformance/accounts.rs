//! Accounts, addresses, passwords.

use serde_json::json;
use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::brokerage_accounts::Opened;
use tidegate_brokerage::tables::sandbox_accounts::SandboxRecord;
use tidegate_database::StoreError;
use tidegate_domain::account::{AccountKind, LoginName};
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::AccountId;
use tidegate_domain::{ContractId, Document, Role, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::{NewAccount, NewIdentifier};
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_identity::credentials::service_keys_repository::ServiceKey;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::outbox::NewMessage;
use tidegate_testkit::{Engine, concurrently, eventually, on_both_engines};
use uuid::Uuid;

use crate::brokerage::{BROKER, opening};
use crate::world::{Member, NOW, World, account, address, at, document, insert_account, phone, program_name};

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
    async fn an_account_is_read_back_as_it_was_added(world: World) {
        let id = world.key();
        let new = NewAccount {
            id,
            kind: AccountKind::Service,
            display_name: "",
            agreed_to_terms: false,
            terms_version: None,
            language: Some("sw"),
            created_at: NOW,
        };
        let number = commit!(world.store, unit => unit.accounts().insert(&new));
        let account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!((account.id, account.number, account.display_name.as_str()), (id, number, ""));
        assert_eq!((account.profile, account.user_metadata), (Document::default(), Document::default()));
        assert_eq!((account.profile_image_url, account.disabled_at), (None, None));
        assert_eq!((account.created_at, account.updated_at, account.is_system_admin), (NOW, NOW, false));
        assert!(read!(world.store, unit => unit.accounts().find(world.key())).is_none());
    }

    async fn a_profile_is_replaced_and_the_rest_stays(world: World) {
        let id = world.account().await;
        world
            .database
            .sql("update accounts set user_metadata = '{\"tier\": 1}', is_system_admin = true")
            .await;
        let mut account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        account.display_name = "Ada Lovelace".to_owned();
        account.profile_image_url = Some("https://example.com/ada.png".to_owned());
        account.profile = document(json!({"born": 1815, "tags": ["a", null], "nested": {"x": 0.5}}));
        commit!(world.store, unit => unit.accounts().update_profile(&account, at(5)));
        let changed = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!(changed.display_name, account.display_name);
        assert_eq!(changed.profile_image_url, account.profile_image_url);
        assert_eq!(changed.profile, account.profile);
        assert_eq!((changed.created_at, changed.updated_at), (NOW, at(5)));
        assert_eq!((changed.user_metadata, changed.is_system_admin), (document(json!({"tier": 1})), true));
    }

    async fn an_address_belongs_to_whoever_took_it_first(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let email = address("ada@example.com");
        assert!(world.identify(ada, &email, true).await);
        assert!(!world.identify(eve, &email, true).await);
        assert!(!world.identify(ada, &email, false).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&email.clone().into())), Some(ada));
        assert!(read!(world.store, unit => unit.accounts().emails(eve)).is_empty());
        let nobody = address("nobody@example.com");
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&nobody.clone().into())), None);
    }

    async fn of_fifty_who_want_an_address_at_once_one_gets_it(world: World) {
        let keys: Vec<(AccountId, AccountId)> = (0..50).map(|_| (world.key(), world.key())).collect();
        let taken = concurrently(50, |number| {
            let (store, (account, row)) = (world.store.clone(), keys[number]);
            async move {
                let login = address("wanted@example.com").into();
                let mut unit = store.begin().await.unwrap();
                insert_account(&mut unit, account).await.unwrap();
                let new = NewIdentifier {
                    id: row.0.into(),
                    account,
                    login: &login,
                    verified_at: None,
                    is_primary: true,
                    created_at: NOW,
                };
                let taken = unit.accounts().insert_identifier(new).await.unwrap();
                if taken {
                    unit.commit().await.unwrap();
                }
                taken
            }
        })
        .await;
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from accounts").await, 1);
    }

    async fn an_account_has_one_primary_address(world: World) {
        let ada = world.account().await;
        let (first, second) = (address("ada@example.com"), address("ada@example.org"));
        world.identify(ada, &first, true).await;
        let mut unit = world.store.begin().await.unwrap();
        let login = second.clone().into();
        let another = unit.accounts().insert_identifier(world.identifier(ada, &login, true)).await;
        assert!(matches!(another, Err(StoreError::Database(_))), "{another:?}");
        drop(unit);
        world.identify(ada, &second, false).await;
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| (email.email.as_str(), email.is_primary)).collect();
        assert_eq!(shown, [("ada@example.org", true), ("ada@example.com", false)]);
        // Back again, and once more for nothing.
        for _ in 0..2 {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada, &first));
        }
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&first.clone().into())).is_some()
        );
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&second.clone().into())).is_none()
        );
    }

    async fn an_address_that_is_not_theirs_does_not_cost_somebody_their_primary_one(world: World) {
        let ada = world.member("ada@example.com").await;
        world.member("eve@example.com").await;
        let (own, others) = (address("ada@example.com"), address("eve@example.com"));
        for foreign in [&others, &address("nobody@example.com")] {
            commit!(world.store, unit => unit.accounts().make_email_primary(ada.account, foreign));
        }
        for email in [own, others] {
            let found =
                read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
            assert_eq!(found.account.id == ada.account, email.as_str() == "ada@example.com");
        }
    }

    async fn signing_in_finds_an_account_by_its_primary_address_with_all_it_needs(world: World) {
        let ada = world.account().await;
        let email = address("ada@example.com");
        assert!(
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).is_none()
        );
        world.identify(ada, &email, true).await;
        let found =
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (ada, None, None));
        commit!(world.store, unit => unit.accounts().set_password(ada, "hash", NOW));
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(1))));
        world.database.sql("update accounts set disabled_at = 7").await;
        let found =
            read!(world.store, unit => unit.accounts().find_for_sign_in(&email.clone().into())).unwrap();
        assert_eq!((found.password_hash.as_deref(), found.verified_at), (Some("hash"), Some(at(1))));
        assert_eq!(found.account.disabled_at.map(|at| at.micros()), Some(7));
    }

    async fn an_address_is_verified_once_and_only_by_its_owner(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        let email = address("ada@example.com");
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(eve.account, &email, at(1))));
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, at(2))));
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(ada.account, &email, at(3))));
        let emails = read!(world.store, unit => unit.accounts().emails(ada.account));
        assert_eq!(emails[0].verified_at, Some(at(2)));
    }

    async fn addresses_are_listed_primary_first_then_newest_first(world: World) {
        let ada = world.account().await;
        for (seconds, name) in [(1, "first"), (2, "second"), (3, "third")] {
            let email = address(&format!("{name}@example.com")).into();
            let new =
                NewIdentifier { created_at: at(seconds), ..world.identifier(ada, &email, name == "second") };
            commit!(world.store, unit => unit.accounts().insert_identifier(new));
        }
        let emails = read!(world.store, unit => unit.accounts().emails(ada));
        let shown: Vec<_> = emails.iter().map(|email| email.email.local_part()).collect();
        assert_eq!(shown, ["second", "third", "first"]);
    }

    async fn a_password_is_set_and_set_again(world: World) {
        let ada = world.account().await;
        assert_eq!(read!(world.store, unit => unit.accounts().password_hash(ada)), None);
        for hash in ["one", "two"] {
            commit!(world.store, unit => unit.accounts().set_password(ada, hash, NOW));
            let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
            assert_eq!(stored.as_deref(), Some(hash));
        }
    }

    async fn passwords_are_counted_by_scheme_as_they_are_set_and_renewed(world: World) {
        let base64 = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let bcrypt = format!("tg1$-$2b$12${}", "./Az09".repeat(9).split_at(53).0);
        let argon2 = format!("tg1$p$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ${base64}");
        let [ada, bob, eve] = [world.account().await, world.account().await, world.account().await];
        for account in [ada, bob, eve] {
            commit!(world.store, unit => unit.accounts().set_password(account, &bcrypt, NOW));
        }
        let of = |scheme: &str, count| ("individual".to_owned(), scheme.to_owned(), count);
        let counted = read!(world.store, unit => unit.accounts().password_schemes());
        assert_eq!(counted, [of("tg1$-$2b$12$53", 3)]);
        commit!(world.store, unit => unit.accounts().set_password(ada, &argon2, NOW));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(bob, &bcrypt, &argon2));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(eve, "another", &argon2));
        let mut counted = read!(world.store, unit => unit.accounts().password_schemes());
        counted.sort();
        assert_eq!(counted, [of("tg1$-$2b$12$53", 1), of("tg1$p$argon2id$v=19$m=64,t=2,p=1$43", 2)]);
    }

    async fn a_hash_is_upgraded_only_while_it_is_the_one_that_was_checked(world: World) {
        let ada = world.account().await;
        commit!(world.store, unit => unit.accounts().set_password(ada, "changed meanwhile", NOW));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(ada, "old", "old, but better"));
        let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
        assert_eq!(stored.as_deref(), Some("changed meanwhile"));
        commit!(world.store, unit => unit.accounts().upgrade_password_hash(ada, "changed meanwhile", "better"));
        let stored = read!(world.store, unit => unit.accounts().password_hash(ada));
        assert_eq!(stored.as_deref(), Some("better"));
    }

    async fn a_password_that_was_verified_stays_until_the_unit_ends(world: World) {
        let ada = world.account().await;
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "old")));
        commit!(world.store, unit => unit.accounts().set_password(ada, "old", NOW));
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "older")));
        let mut unit = world.store.begin().await.unwrap();
        assert!(unit.accounts().claim_password(ada, "old").await.unwrap());
        let change = tokio::spawn({
            let store = world.store.clone();
            async move { commit!(store, unit => unit.accounts().set_password(ada, "new", NOW)) }
        });
        if world.database.engine() == Engine::Postgres {
            eventually("the change waits", || async {
                let waiting = "select count(*) from pg_stat_activity
                               where application_name = current_schema() and wait_event_type = 'Lock'";
                (world.database.sql_count(waiting).await == 1).then_some(())
            })
            .await;
        }
        assert!(!change.is_finished());
        assert_eq!(unit.accounts().password_hash(ada).await.unwrap().as_deref(), Some("old"));
        unit.commit().await.unwrap();
        change.await.unwrap();
        assert!(!commit!(world.store, unit => unit.accounts().claim_password(ada, "old")));
    }

    async fn changes_of_a_locked_account_follow_one_another(world: World) {
        let ada = world.account().await;
        // Each reads, adds one, and writes: without the lock some of them would add to the same number.
        concurrently(20, |_| {
            let store = world.store.clone();
            async move {
                let mut unit = store.begin().await.unwrap();
                unit.account_cards().lock(ada).await.unwrap();
                let mut account = unit.accounts().find(ada).await.unwrap().unwrap();
                let count = account.profile.to_value().unwrap()["count"].as_i64().unwrap_or(0) + 1;
                account.profile = document(json!({ "count": count }));
                unit.accounts().update_profile(&account, NOW).await.unwrap();
                unit.commit().await.unwrap();
            }
        })
        .await;
        let account = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!(account.profile, json!({ "count": 20 }));
    }

    async fn an_organization_has_one_owner(world: World) {
        let ada = world.member("ada@example.com").await;
        let eve = world.account().await;
        let mut unit = world.store.begin().await.unwrap();
        let usurper = world.membership(ada.organization, eve, Role::Owner);
        let refused = unit.organizations().insert_membership(usurper, ada.workspace).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(unit);
        world.join(&ada, eve, Role::Admin).await;
    }

    async fn a_programs_name_belongs_to_whichever_took_it_first(world: World) {
        let (export, import) = (world.account().await, world.account().await);
        let name = program_name("nightly export");
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_none());
        assert!(world.identify(export, &name, true).await);
        assert!(!world.identify(import, &name, true).await);
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_some());
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&name)).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (export, None, None));
        // Compared as it is written.
        let other = program_name("Nightly export");
        assert!(read!(world.store, unit => unit.accounts().owner_of(&other)).is_none());
        assert!(world.identify(import, &other, true).await);
    }

    async fn a_program_may_be_named_like_a_persons_address(world: World) {
        let (ada, program) = (world.member("ada@example.com").await, world.account().await);
        let (email, name): (LoginName, _) =
            (address("ada@example.com").into(), program_name("ada@example.com"));
        assert!(read!(world.store, unit => unit.accounts().owner_of(&email)).is_some());
        assert!(read!(world.store, unit => unit.accounts().owner_of(&name)).is_none());
        assert!(world.identify(program, &name, true).await);
        for (login, account) in [(email, ada.account), (name, program)] {
            let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
            assert_eq!(found.account.id, account);
        }
        assert!(read!(world.store, unit => unit.accounts().emails(program)).is_empty());
    }

    async fn of_twenty_programs_that_want_a_name_at_once_one_gets_it(world: World) {
        let mut keys = Vec::new();
        for _ in 0..20 {
            keys.push((world.account().await, world.key()));
        }
        let taken = concurrently(20, |number| {
            let (store, (account, row)) = (world.store.clone(), keys[number]);
            async move {
                let name = program_name("export");
                let new = NewIdentifier {
                    id: row,
                    account,
                    login: &name,
                    verified_at: None,
                    is_primary: true,
                    created_at: NOW,
                };
                commit!(store, unit => unit.accounts().insert_identifier(new))
            }
        })
        .await;
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    }

    async fn an_address_somebody_changed_away_from_is_still_taken(world: World) {
        let ada = world.account().await;
        let (first, second) = (address("ada@example.com"), address("ada@example.org"));
        world.identify(ada, &first, true).await;
        world.identify(ada, &second, false).await;
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        for email in [first, second] {
            assert!(read!(world.store, unit => unit.accounts().owner_of(&email.into())).is_some());
        }
    }

    async fn a_number_belongs_to_whoever_took_it_first_and_signs_them_in(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        let number: LoginName = phone("+254712345678").into();
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&number)).is_none());
        assert!(world.identify(ada, &number, true).await);
        assert!(!world.identify(eve, &number, true).await);
        assert!(!world.identify(ada, &number, false).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&number)), Some(ada));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&number)).unwrap();
        assert_eq!((found.account.id, found.password_hash, found.verified_at), (ada, None, None));
        // What looks the same is another thing under another kind.
        assert!(world.identify(eve, &program_name("+254712345678"), true).await);
        assert_eq!(read!(world.store, unit => unit.accounts().owner_of(&number)), Some(ada));
    }

    async fn somebody_has_one_primary_identifier_of_each_kind(world: World) {
        let ada = world.account().await;
        let (first, second) = (phone("+254712345678"), phone("+254712345679"));
        assert!(world.identify(ada, &address("ada@example.com"), true).await);
        assert!(world.identify(ada, &first, true).await);
        let mut unit = world.store.begin().await.unwrap();
        let login = second.clone().into();
        let another = unit.accounts().insert_identifier(world.identifier(ada, &login, true)).await;
        assert!(matches!(another, Err(StoreError::Database(_))), "{another:?}");
        drop(unit);
        assert!(world.identify(ada, &second, false).await);
        // Neither is an address.
        assert_eq!(read!(world.store, unit => unit.accounts().emails(ada)).len(), 1);
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&first.into())).is_some());
        assert!(read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).is_none());
    }

    async fn a_phone_is_told_when_it_is_the_primary_one_and_known_to_be_theirs(world: World) {
        let number = |last: usize| phone(&format!("+25471234567{last}"));
        for (last, (is_primary, verified_at, told)) in
            [(true, Some(at(1)), true), (true, None, false), (false, Some(at(1)), false), (false, None, false)]
                .into_iter()
                .enumerate()
        {
            let account = world.account().await;
            assert_eq!(read!(world.store, unit => unit.accounts().phone(account)), None);
            // An address is no phone.
            assert!(world.identify(account, &address(&format!("{last}@example.com")), true).await);
            let login = number(last).into();
            let new = NewIdentifier { verified_at, ..world.identifier(account, &login, is_primary) };
            assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
            let phone = read!(world.store, unit => unit.accounts().phone(account));
            assert_eq!(phone, told.then(|| number(last)), "{last}");
        }
    }

    async fn of_two_verified_phones_the_primary_one_is_told(world: World) {
        let ada = world.account().await;
        for (number, is_primary) in [("+254712345678", false), ("+254112345678", true)] {
            let login = phone(number).into();
            let new = NewIdentifier { verified_at: Some(NOW), ..world.identifier(ada, &login, is_primary) };
            assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
        }
        assert_eq!(read!(world.store, unit => unit.accounts().phone(ada)), Some(phone("+254112345678")));
    }

    async fn an_identifier_known_from_the_start_needs_no_verifying(world: World) {
        let ada = world.account().await;
        let email = address("ada@example.com");
        let login = email.clone().into();
        let new = NewIdentifier { verified_at: Some(at(1)), ..world.identifier(ada, &login, true) };
        assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
        let found = read!(world.store, unit => unit.accounts().find_for_sign_in(&login)).unwrap();
        assert_eq!(found.verified_at, Some(at(1)));
        assert!(!commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(2))));
    }

    async fn whoever_chose_no_name_is_shown_by_both_of_theirs(world: World) {
        let id = world.key();
        let new = NewAccount { display_name: "", ..account(id) };
        commit!(world.store, unit => unit.accounts().insert(&new));
        let nameless = (String::new(), String::new());
        assert_eq!(read!(world.store, unit => unit.accounts().names(id)), nameless);
        // The second time it is what it became the first time.
        for (first, last, second) in [("Ada", "Byron", 1), ("Augusta Ada", "King", 2)] {
            commit!(world.store, unit => unit.accounts().name(id, first, last, at(second)));
            let names = read!(world.store, unit => unit.accounts().names(id));
            assert_eq!(names, (first.to_owned(), last.to_owned()));
            let shown = read!(world.store, unit => unit.accounts().find(id)).unwrap();
            assert_eq!((shown.display_name.as_str(), shown.updated_at), ("Ada Byron", at(second)));
        }
    }

    async fn a_chosen_name_stays_when_somebodys_names_become_known(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        commit!(world.store, unit => unit.accounts().name(ada, "Augusta", "King", at(1)));
        let shown = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!((shown.display_name.as_str(), shown.created_at), ("Ada", NOW));
        let nameless = (String::new(), String::new());
        assert_eq!(read!(world.store, unit => unit.accounts().names(eve)), nameless, "nobody else's");
    }

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
